package demoapp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	prefix   = "/scim/v2"
	maxBody  = 1 << 20
	pageSize = 100
	maxPage  = 1000

	schemaUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	schemaGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	schemaPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	schemaError      = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// Config is one app.
type Config struct {
	// Token is the bearer token that /scim/v2 asks for.
	Token string
	// File keeps what the app holds; empty for memory alone. It is created when it is not there. One process at a time.
	File string
	// Groups are there from the start.
	Groups []string
	// Title heads the page; "Demo app" when empty.
	Title string
}

// App is the app; serve it as an http.Handler, and Close it.
type App struct {
	token [sha256.Size]byte
	title string
	store *store
}

// New opens the file, if there is one, and makes the groups that are not there.
func New(cfg Config) (*App, error) {
	if cfg.Token == "" {
		return nil, errors.New("demo app: token is missing")
	}
	if cfg.Title == "" {
		cfg.Title = "Demo app"
	}
	s, err := open(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("demo app: %w", err)
	}
	for _, name := range cfg.Groups {
		if err := s.seedGroup(name); err != nil {
			return nil, errors.Join(fmt.Errorf("demo app: make group %q: %w", name, err), s.close())
		}
	}
	return &App{token: sha256.Sum256([]byte(cfg.Token)), title: cfg.Title, store: s}, nil
}

// Close closes the file. Changes that come later are refused.
func (a *App) Close() error { return a.store.close() }

// ServeHTTP implements http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		a.page(w, r)
		return
	}
	if !a.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="demo app"`)
		refuse(w, http.StatusUnauthorized, "", "The bearer token is missing or wrong.")
		return
	}
	resource, id, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	var err error
	switch {
	case resource == "Users":
		err = a.users(w, r, id)
	case resource == "Groups":
		err = a.groups(w, r, id)
	case id == "" && (resource == "ServiceProviderConfig" || resource == "ResourceTypes"):
		err = discover(w, r, resource)
	default:
		err = fail(http.StatusNotFound, "", "There is nothing here.")
	}
	if err == nil {
		return
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{status: http.StatusInternalServerError, detail: "The app cannot write to its file."}
	}
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	refuse(w, f.status, f.scimType, f.detail)
}

func (a *App) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1 && ok
}

func (a *App) users(w http.ResponseWriter, r *http.Request, id string) error {
	if id == "" {
		switch r.Method {
		case http.MethodGet:
			f, err := filterOf(r)
			if err != nil {
				return err
			}
			found, err := a.store.findUsers(f)
			if err != nil {
				return err
			}
			return answerPage(w, r, found, func(u shownUser) any { return u.wire(r) })
		case http.MethodPost:
			var in userBody
			if err := decode(w, r, &in); err != nil {
				return err
			}
			u, err := a.store.createUser(in)
			if err != nil {
				return err
			}
			return created(w, r, "Users", u.ID, u.wire(r))
		}
		return notAllowed("GET, POST")
	}
	switch r.Method {
	case http.MethodGet:
		u, err := a.store.user(id)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, u.wire(r))
	case http.MethodPut:
		var in userBody
		if err := decode(w, r, &in); err != nil {
			return err
		}
		u, err := a.store.changeUser(id, func(u *user) error { return in.replace(u) })
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, u.wire(r))
	case http.MethodPatch:
		ops, err := operations(w, r)
		if err != nil {
			return err
		}
		u, err := a.store.changeUser(id, func(u *user) error { return patchUser(u, ops) })
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, u.wire(r))
	case http.MethodDelete:
		if err := a.store.deleteUser(id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return notAllowed("GET, PUT, PATCH, DELETE")
}

func (a *App) groups(w http.ResponseWriter, r *http.Request, id string) error {
	members := !slices.ContainsFunc(strings.Split(r.URL.Query().Get("excludedAttributes"), ","), func(s string) bool {
		return strings.EqualFold(strings.TrimSpace(s), "members")
	})
	if id == "" {
		switch r.Method {
		case http.MethodGet:
			f, err := filterOf(r)
			if err != nil {
				return err
			}
			found, err := a.store.findGroups(f, members)
			if err != nil {
				return err
			}
			return answerPage(w, r, found, func(g shownGroup) any { return g.wire(r) })
		case http.MethodPost:
			var in groupBody
			if err := decode(w, r, &in); err != nil {
				return err
			}
			g, err := a.store.createGroup(in)
			if err != nil {
				return err
			}
			return created(w, r, "Groups", g.ID, g.wire(r))
		}
		return notAllowed("GET, POST")
	}
	switch r.Method {
	case http.MethodGet:
		g, err := a.store.group(id, members)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, g.wire(r))
	case http.MethodPatch:
		ops, err := operations(w, r)
		if err != nil {
			return err
		}
		// 204: a group may have very many members, and who patches it rarely wants them back.
		if err := a.store.patchGroup(id, ops); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodDelete:
		if err := a.store.deleteGroup(id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return notAllowed("GET, PATCH, DELETE")
}

func discover(w http.ResponseWriter, r *http.Request, resource string) error {
	if r.Method != http.MethodGet {
		return notAllowed("GET")
	}
	type yes map[string]any
	if resource == "ServiceProviderConfig" {
		return answer(w, http.StatusOK, yes{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
			"patch":   yes{"supported": true},
			"filter":  yes{"supported": true, "maxResults": maxPage},
			"bulk":    yes{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
			"sort":    yes{"supported": false}, "etag": yes{"supported": false}, "changePassword": yes{"supported": false},
			"authenticationSchemes": []yes{{"type": "oauthbearertoken", "name": "Bearer token", "description": "One token for the app."}},
			"meta":                  yes{"resourceType": "ServiceProviderConfig", "location": location(r, "ServiceProviderConfig", "")},
		})
	}
	kind := func(id, schema string, extensions ...yes) yes {
		return yes{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": id, "name": id,
			"endpoint": "/" + id + "s", "schema": schema, "schemaExtensions": extensions,
			"meta": yes{"resourceType": "ResourceType", "location": location(r, "ResourceTypes", id)},
		}
	}
	kinds := []yes{kind("User", schemaUser, yes{"schema": schemaEnterprise, "required": false}), kind("Group", schemaGroup)}
	return answer(w, http.StatusOK, yes{"schemas": []string{schemaList}, "totalResults": len(kinds), "Resources": kinds})
}

// failure is an answer that says no.
type failure struct {
	status           int
	scimType, detail string
	allow            string
}

func (f *failure) Error() string { return f.detail }

func fail(status int, scimType, format string, args ...any) error {
	return &failure{status: status, scimType: scimType, detail: fmt.Sprintf(format, args...)}
}

func notAllowed(allow string) error {
	return &failure{status: http.StatusMethodNotAllowed, detail: "This cannot be done here.", allow: allow}
}

func refuse(w http.ResponseWriter, status int, scimType, detail string) {
	_ = answer(w, status, struct {
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		ScimType string   `json:"scimType,omitempty"`
		Detail   string   `json:"detail"`
	}{[]string{schemaError}, strconv.Itoa(status), scimType, detail})
}

func answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	w.Header()["Content-Type"] = []string{"application/scim+json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone: nobody to tell
	return nil
}

func created(w http.ResponseWriter, r *http.Request, resource, id string, v any) error {
	w.Header().Set("Location", location(r, resource, id))
	return answer(w, http.StatusCreated, v)
}

func location(r *http.Request, resource, id string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	l := scheme + "://" + r.Host + prefix + "/" + resource
	if id != "" {
		l += "/" + url.PathEscape(id)
	}
	return l
}

func answerPage[T any](w http.ResponseWriter, r *http.Request, found []T, wire func(T) any) error {
	start, err := number(r, "startIndex", 1)
	if err != nil {
		return err
	}
	count, err := number(r, "count", pageSize)
	if err != nil {
		return err
	}
	start, count = max(start, 1), min(max(count, 0), maxPage)
	page := found[min(start-1, len(found)):]
	page = page[:min(count, len(page))]
	resources := make([]any, len(page))
	for i, v := range page {
		resources[i] = wire(v)
	}
	return answer(w, http.StatusOK, struct {
		Schemas      []string `json:"schemas"`
		TotalResults int      `json:"totalResults"`
		StartIndex   int      `json:"startIndex"`
		ItemsPerPage int      `json:"itemsPerPage"`
		Resources    []any    `json:"Resources"`
	}{[]string{schemaList}, len(found), start, len(page), resources})
}

func number(r *http.Request, name string, missing int) (int, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fail(http.StatusBadRequest, "invalidValue", "%s is not a number.", name)
	}
	return n, nil
}

func filterOf(r *http.Request) (filter, error) { return parseFilter(r.URL.Query().Get("filter")) }

func decode(w http.ResponseWriter, r *http.Request, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(http.StatusRequestEntityTooLarge, "", "The body is longer than %d bytes.", maxBody)
	}
	if err != nil {
		return fail(http.StatusBadRequest, "invalidSyntax", "The body did not come whole.")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fail(http.StatusBadRequest, "invalidSyntax", "The body is not the JSON that is expected here.")
	}
	return nil
}
