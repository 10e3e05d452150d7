package ratelimit

import (
	"fmt"
	"net/http"
	"strconv"
)

// The header fields that say what is left (draft-ietf-httpapi-ratelimit-headers).
const (
	headerPolicy = "RateLimit-Policy"
	headerLeft   = "RateLimit"
)

// The facts of an error, for whoever makes a header of them.
const (
	metaLimit  = "limit"  // the name
	metaQuota  = "quota"  // how many at once
	metaWindow = "window" // seconds from nothing to all of it
	metaFull   = "full"   // seconds until all of it is there again
)

// SetHeader says in an answer's header where a caller stands.
func (s State) SetHeader(h http.Header) {
	setHeader(h, s.Name, s.Limit.Burst, s.Window(), int(s.Left), s.Full())
}

// SetHeaderOf says in an answer's header what the metadata of an error says that is
// one of [State.Exceeded], also of another process; of others nothing.
func SetHeaderOf(metadata map[string]string, h http.Header) {
	quota, err := strconv.Atoi(metadata[metaQuota])
	window, err1 := strconv.Atoi(metadata[metaWindow])
	full, err2 := strconv.Atoi(metadata[metaFull])
	if err != nil || err1 != nil || err2 != nil {
		return
	}
	setHeader(h, metadata[metaLimit], quota, window, 0, full)
}

func setHeader(h http.Header, name string, quota, window, left, full int) {
	h.Set(headerPolicy, fmt.Sprintf("%q;q=%d;w=%d", name, quota, window))
	h.Set(headerLeft, fmt.Sprintf("%q;r=%d;t=%d", name, left, full))
}

// CopyHeader copies what an answer's header says of a limit.
func CopyHeader(to, from http.Header) {
	for _, name := range []string{headerPolicy, headerLeft} {
		if v := from.Values(name); len(v) > 0 {
			to[http.CanonicalHeaderKey(name)] = v
		}
	}
}
