package scim

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse.dev/libs/clock"
	pagetoken "gatehouse.dev/libs/page"
	"gatehouse.dev/libs/ratelimit"
)

// ContentType is the media type of every answer.
const ContentType = "application/scim+json"

// Defaults of Config.
const (
	DefaultPrefix         = "/scim/v2"
	DefaultMaxUserBytes   = 1 << 20
	DefaultMaxGroupBytes  = 8 << 20
	DefaultPageSize       = 100
	DefaultMaxPageSize    = 1000
	DefaultMaxGroupAnswer = 100
	DefaultCursorTimeout  = time.Hour
)

// maxToken is how long a bearer token may be.
const maxToken = 4096

// Config is what a Handler needs. Only Directory and CursorKey must be set.
type Config struct {
	Directory Directory
	// CursorKey signs the cursors of lists, 32 bytes or more. All replicas have the
	// same.
	CursorKey []byte
	// CursorTimeout is how long a cursor is good for.
	CursorTimeout time.Duration
	// Clock says when a cursor has expired. Nil means the machine's.
	Clock clock.Clock
	// Log gets faults and panics. Nil discards them.
	Log *slog.Logger
	// Calls counts those with a good token, by organization. Nil: they are not
	// limited.
	Calls *ratelimit.Meter
	// Prefix is the path under which the handler is mounted, without a slash
	// at the end. The handler takes it off by itself.
	Prefix string
	// BaseURL is what clients reach Prefix by, such as
	// "https://gatehouse.example/scim/v2". If it is empty, it follows from each
	// request: X-Forwarded-Proto and X-Forwarded-Host as the gateway sets them,
	// else Host. It only goes into the answer to that request.
	BaseURL string
	// MaxUserBytes and MaxGroupBytes limit the bodies of requests.
	MaxUserBytes, MaxGroupBytes int64
	// PageSize is the size of a page if the client does not say; MaxPageSize is
	// the most it gets.
	PageSize, MaxPageSize int
	// MaxGroupAnswer is how many members a group may have for PATCH to answer
	// with the whole group rather than with 204.
	MaxGroupAnswer int
}

// Handler serves SCIM 2.0. It is safe for concurrent use.
type Handler struct {
	cfg     Config
	cursors pagetoken.Signer
	users   *resourceType
	groups  *resourceType
	turns   turns
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Directory == nil {
		return nil, errors.New("scim: a directory is needed")
	}
	if cfg.BaseURL != "" {
		u, err := url.Parse(cfg.BaseURL)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("scim: base URL %q is not absolute", cfg.BaseURL)
		}
		cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	cursors, err := pagetoken.NewSigner(cfg.CursorKey)
	if err != nil {
		return nil, fmt.Errorf("scim: key of cursors: %w", err)
	}
	setDefault(&cfg.CursorTimeout, DefaultCursorTimeout)
	setDefault(&cfg.Prefix, DefaultPrefix)
	setDefault(&cfg.MaxUserBytes, DefaultMaxUserBytes)
	setDefault(&cfg.MaxGroupBytes, DefaultMaxGroupBytes)
	setDefault(&cfg.PageSize, DefaultPageSize)
	setDefault(&cfg.MaxPageSize, DefaultMaxPageSize)
	setDefault(&cfg.MaxGroupAnswer, DefaultMaxGroupAnswer)
	cfg.PageSize = min(cfg.PageSize, cfg.MaxPageSize)
	return &Handler{cfg: cfg, cursors: cursors, users: userType(), groups: groupType()}, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// call is one request on its way.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	src  Source
	base string
}

// ServeHTTP answers a request. A panic becomes a 500; what it was goes to the
// log.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		h.cfg.Log.ErrorContext(r.Context(), "SCIM request panicked",
			"method", r.Method, "source_id", c.src.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		h.refuse(c, fail(http.StatusInternalServerError, "internal error"))
	}()
	if err := h.serve(c); err != nil {
		f, known := asFailure(err)
		switch {
		case !known:
			h.cfg.Log.ErrorContext(r.Context(), "SCIM request failed",
				"method", r.Method, "source_id", c.src.ID, "error", err)
		case f.status >= http.StatusInternalServerError && f.status != http.StatusNotImplemented:
			h.cfg.Log.WarnContext(r.Context(), "SCIM request refused for now",
				"method", r.Method, "source_id", c.src.ID, "error", err)
		}
		h.refuse(c, f)
	}
}

func (h *Handler) serve(c *call) error {
	src, err := h.authenticate(c.r)
	if err != nil {
		return err
	}
	c.src, c.base = src, h.base(c.r)
	if h.cfg.Calls != nil {
		if state, ok := h.cfg.Calls.Take(src.OrganizationID.String()); !ok {
			state.SetHeader(c.w.Header())
			return state.Exceeded()
		}
	}
	done, ok := h.turns.take(c.r.Context(), src.OrganizationID.String())
	if !ok {
		c.w.Header().Set("Retry-After", "1")
		return fail(http.StatusTooManyRequests, "%d calls of the organization are being worked on; please try again", callsAtOnce)
	}
	defer done()
	return h.route(c)
}

func (h *Handler) authenticate(r *http.Request) (Source, error) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	token = strings.TrimSpace(token)
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return Source{}, fail(http.StatusUnauthorized, "a bearer token is needed")
	case len(token) > maxToken:
		return Source{}, &failure{status: http.StatusUnauthorized, detail: "the bearer token is not valid", badToken: true}
	}
	return h.cfg.Directory.Authenticate(r.Context(), token)
}

// base is the URL that locations start with.
func (h *Handler) base(r *http.Request) string {
	if h.cfg.BaseURL != "" {
		return h.cfg.BaseURL
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if p := r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
		scheme = p
	}
	if f := r.Header.Get("X-Forwarded-Host"); f != "" && !strings.ContainsAny(f, " ,/\\\"<>@") {
		host = f
	}
	return scheme + "://" + host + h.cfg.Prefix
}

// route finds the endpoint. Endpoints that exist refuse other methods with 405
// and a list of those they take.
func (h *Handler) route(c *call) error {
	at, ok := strings.CutPrefix(c.r.URL.Path, h.cfg.Prefix)
	if !ok || (at != "" && at[0] != '/') {
		return errNoEndpoint
	}
	at = strings.Trim(at, "/")
	if at == "" {
		return h.byMethod(c, methods{http.MethodGet: h.queryAll})
	}
	name, id, hasID := strings.Cut(at, "/")
	if !utf8.ValidString(at) || strings.ContainsRune(at, 0) || (hasID && strings.Contains(id, "/")) {
		return errNoEndpoint
	}
	switch name {
	case "Users":
		return h.routeResource(c, id, methods{
			http.MethodGet: h.listUsers, http.MethodPost: h.createUser,
		}, h.searchUsers, func() methods {
			return methods{
				http.MethodGet:    func(c *call) error { return h.getUser(c, id) },
				http.MethodPut:    func(c *call) error { return h.putUser(c, id) },
				http.MethodPatch:  func(c *call) error { return h.patchUser(c, id) },
				http.MethodDelete: func(c *call) error { return h.deleteUser(c, id) },
			}
		})
	case "Groups":
		return h.routeResource(c, id, methods{
			http.MethodGet: h.listGroups, http.MethodPost: h.createGroup,
		}, h.searchGroups, func() methods {
			return methods{
				http.MethodGet:    func(c *call) error { return h.getGroup(c, id) },
				http.MethodPut:    func(c *call) error { return h.putGroup(c, id) },
				http.MethodPatch:  func(c *call) error { return h.patchGroup(c, id) },
				http.MethodDelete: func(c *call) error { return h.deleteGroup(c, id) },
			}
		})
	case ".search":
		if !hasID {
			return h.byMethod(c, methods{http.MethodPost: h.searchAll})
		}
	case "ServiceProviderConfig":
		if !hasID {
			return h.byMethod(c, methods{http.MethodGet: h.serviceProviderConfig})
		}
	case "ResourceTypes":
		return h.byMethod(c, methods{http.MethodGet: func(c *call) error { return h.discover(c, id, h.resourceTypes(c)) }})
	case "Schemas":
		return h.byMethod(c, methods{http.MethodGet: func(c *call) error { return h.discover(c, id, h.schemas(c)) }})
	case "Me":
		return fail(http.StatusNotImplemented, "/Me is not supported: a token stands for a source, not for a person")
	case "Bulk":
		return fail(http.StatusNotImplemented, "bulk operations are not supported")
	}
	return errNoEndpoint
}

var errNoEndpoint = fail(http.StatusNotFound, "there is no such endpoint")

type methods map[string]func(*call) error

func (h *Handler) routeResource(c *call, id string, all methods, search func(*call) error, one func() methods) error {
	switch id {
	case "":
		return h.byMethod(c, all)
	case ".search":
		return h.byMethod(c, methods{http.MethodPost: search})
	default:
		return h.byMethod(c, one())
	}
}

func (h *Handler) byMethod(c *call, m methods) error {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves the body out
	}
	if f := m[method]; f != nil {
		return f(c)
	}
	allow := make([]string, 0, len(m))
	for k := range m {
		allow = append(allow, k)
	}
	slices.Sort(allow)
	f := fail(http.StatusMethodNotAllowed, "this endpoint does not take %s", quoted(method))
	f.allow = strings.Join(allow, ", ")
	return f
}

// body reads and decodes the body of a request.
func (h *Handler) body(c *call, limit int64) (map[string]any, error) {
	if t := c.r.Header.Get("Content-Type"); t != "" {
		media, _, err := mime.ParseMediaType(t)
		if err != nil || (media != ContentType && media != "application/json") {
			return nil, fail(http.StatusUnsupportedMediaType, "the body must be %s or application/json", ContentType)
		}
	}
	if e := c.r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fail(http.StatusUnsupportedMediaType, "the body must not be compressed")
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, bad(invalidSyntax, "the body could not be read to its end")
	}
	m, f := decode(data)
	if f != nil {
		return nil, f
	}
	return m, nil
}

// answer writes a document.
func (h *Handler) answer(c *call, status int, doc any) error {
	data, err := encode(doc)
	if err != nil {
		return err
	}
	c.head(status, len(data))
	_, _ = c.w.Write(data) // the client has gone, which is its business
	return nil
}

// head writes the head of an answer; a length below zero is not known yet.
func (c *call) head(status, length int) {
	header := c.w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if length >= 0 {
		header.Set("Content-Length", strconv.Itoa(length))
	}
	c.w.WriteHeader(status)
}

// empty writes an answer without a body.
func (c *call) empty(status int) error {
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(status)
	return nil
}

// refuse writes a failure.
func (h *Handler) refuse(c *call, f *failure) {
	header := c.w.Header()
	header.Del("ETag")
	header.Del("Location")
	switch {
	case f.status == http.StatusUnauthorized && f.badToken:
		header.Set("WWW-Authenticate", `Bearer realm="scim", error="invalid_token"`)
	case f.status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="scim"`)
	}
	if f.allow != "" {
		header.Set("Allow", f.allow)
	}
	if f.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds()+0.999)))
	}
	data, err := encode(f.body())
	if err != nil {
		data = []byte("{}")
	}
	c.head(f.status, len(data))
	_, _ = c.w.Write(data)
}

// checkVersion holds If-Match and If-None-Match against the version that a
// write is about to replace.
func checkVersion(r *http.Request, version int64) error {
	if m := r.Header.Values("If-Match"); len(m) > 0 && !tagMatches(m, version) {
		return fail(http.StatusPreconditionFailed, "the resource has changed; its version is %s", etag(version))
	}
	if m := r.Header.Values("If-None-Match"); len(m) > 0 && tagMatches(m, version) {
		return fail(http.StatusPreconditionFailed, "the resource has the version that it must not have")
	}
	return nil
}

// notModified reports whether a read may be answered with 304.
func notModified(r *http.Request, version int64) bool {
	m := r.Header.Values("If-None-Match")
	return len(m) > 0 && tagMatches(m, version)
}

// tagMatches compares entity tags weakly, as SCIM's are.
func tagMatches(headers []string, version int64) bool {
	want := strings.TrimPrefix(etag(version), "W/")
	for _, h := range headers {
		for tag := range strings.SplitSeq(h, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == want {
				return true
			}
		}
	}
	return false
}
