package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"gatehouse.dev/proto"
	"gatehouse.dev/services/gateway/console"
)

// referenceFiles are the API reference: static files that read /openapi.json.
//
//go:embed page
var referenceFiles embed.FS

// pagePolicy lets a page have what it is made of, from here alone.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// kinds are what files are, by how their names end.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".md":   "text/plain; charset=utf-8",
}

// newPage serves the console at / and at every path that no file has, the API reference at
// /reference, and the document that it shows.
func newPage(devSignIn bool) (http.Handler, error) {
	settings, err := json.Marshal(map[string]bool{"devSignIn": devSignIn})
	if err != nil {
		return nil, fmt.Errorf("make page settings: %w", err)
	}
	script, err := signInFiles.ReadFile("signin/sign_in.js")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	parts := map[string][]byte{
		"/openapi.json": proto.OpenAPI,
		// What the reference shows beside the document.
		"/reference/page.json": settings,
		"/sign-in.js":          script,
	}
	for at, name := range map[string]string{"/reference": "index.html", "/reference/app.js": "app.js", "/reference/style.css": "style.css"} {
		if parts[at], err = referenceFiles.ReadFile("page/" + name); err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
	}
	built, err := console.Files()
	if err != nil {
		return nil, fmt.Errorf("read console: %w", err)
	}
	if err := fs.WalkDir(built, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			parts["/"+name], err = fs.ReadFile(built, name)
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("read console: %w", err)
	}
	index := string(parts["/index.html"])
	delete(parts, "/index.html")
	files := make(map[string]*file, len(parts))
	for at, data := range parts {
		if files[at], err = newFile(at, data); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		switch {
		case f == nil && !opensPage(r):
			notFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			methodNotAllowed(w, r, "GET, HEAD")
		case f == nil:
			sendConsole(w, r, index)
		default:
			f.send(w, r)
		}
	}), nil
}

// opensPage reports whether somebody opens a page of the console, whose paths it knows
// itself. A program that asks for what there is not is told so.
func opensPage(r *http.Request) bool {
	if r.URL.Path == "/" {
		return true
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	return get && path.Ext(r.URL.Path) == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// sendConsole sends the page of the console. A style that a script adds must have the nonce
// of this answer.
func sendConsole(w http.ResponseWriter, r *http.Request, index string) {
	nonce, session := rand.Text(), "none"
	if c, err := r.Cookie(cookieName(r)); err == nil && c.Value != "" {
		session = "some"
	}
	fill := strings.NewReplacer("__NONCE__", nonce, "__SESSION__", session)
	h := w.Header()
	h.Set("Content-Security-Policy", strings.Replace(pagePolicy, "style-src 'self'", "style-src 'self' 'nonce-"+nonce+"'", 1))
	h.Set("Content-Type", kinds[".html"])
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(fill.Replace(index)))
}

// file is a part of a page.
type file struct {
	kind       string
	plain, zip part
}

// part is a file as it is sent.
type part struct {
	data []byte
	tag  string
}

func newFile(at string, data []byte) (*file, error) {
	kind := kinds[path.Ext(at)]
	if kind == "" {
		kind = kinds[".html"]
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", at, err)
	}
	sum := sha256.Sum256(data)
	return &file{kind: kind, plain: part{data, fmt.Sprintf(`"%x"`, sum)}, zip: part{b.Bytes(), fmt.Sprintf(`"%x-gzip"`, sum)}}, nil
}

func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-cache") // asked for again, not sent again
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	p := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
		p = f.zip
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.data))
}
