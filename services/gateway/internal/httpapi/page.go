package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"gatehouse.dev/proto"
)

// pageFiles are the API reference: static files that read /openapi.json.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page have what it is made of, from here alone.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// newPage serves the API reference at / and the document that it shows.
func newPage(devSignIn bool) (http.Handler, error) {
	settings, err := json.Marshal(map[string]bool{"devSignIn": devSignIn})
	if err != nil {
		return nil, fmt.Errorf("make page settings: %w", err)
	}
	files := map[string]*file{
		"/openapi.json": {kind: "application/json", data: proto.OpenAPI},
		// What the page shows beside the document.
		"/page.json": {kind: "application/json", data: settings},
	}
	for p, f := range map[string]struct{ name, kind string }{
		"/":          {"index.html", "text/html; charset=utf-8"},
		"/app.js":    {"app.js", "text/javascript; charset=utf-8"},
		"/style.css": {"style.css", "text/css; charset=utf-8"},
		"/icon.svg":  {"icon.svg", "image/svg+xml"},
	} {
		b, err := pageFiles.ReadFile("page/" + f.name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		files[p] = &file{kind: f.kind, data: b}
	}
	script, err := signInFiles.ReadFile("signin/sign_in.js")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	files["/sign-in.js"] = &file{kind: "text/javascript; charset=utf-8", data: script}
	for _, f := range files {
		f.tag = fmt.Sprintf(`"%x"`, sha256.Sum256(f.data))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			notFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			methodNotAllowed(w, r, "GET, HEAD")
		default:
			h := w.Header()
			h.Set("Content-Security-Policy", pagePolicy)
			h.Set("Cache-Control", "no-cache") // asked for again, not sent again
			h.Set("Content-Type", f.kind)
			h.Set("Etag", f.tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
		}
	}), nil
}

// file is a part of the page.
type file struct {
	kind, tag string
	data      []byte
}
