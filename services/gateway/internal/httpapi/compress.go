package httpapi

import (
	"compress/gzip"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// compressFrom is the size of an answer, in bytes, from which it is worth to compress it.
const compressFrom = 1024

// compressed answers GET with gzip where the caller takes it: lists say the same words
// again and again, and are a tenth of their size then. What else is answered may hold a
// secret beside what the caller wrote, and the length of both compressed together would
// tell of it; what is read never holds one. PDF and XLSX are compressed already.
func compressed(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(compressFrom),
		gzhttp.CompressionLevel(gzip.BestSpeed),
		gzhttp.ContentTypes([]string{"application/json", "text/csv"}),
		gzhttp.EnableZstd(false), // one way to be sent is enough
	)
	if err != nil {
		return nil, err
	}
	small := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		small.ServeHTTP(w, r)
	}), nil
}
