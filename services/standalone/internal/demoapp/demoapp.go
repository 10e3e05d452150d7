// Package demoapp is a small app that people can be given access to: a SCIM 2.0 service and a page that shows who is in.
// The demo organization provisions into it, and tests and measurements run against it.
//
// It serves Users and Groups under /scim/v2 with one bearer token: create, read, list, PATCH and delete. It keeps
// userName, displayName, name, title, emails, externalId, active, roles and entitlements of a user, and displayName,
// externalId and members of a group; it ignores others of a new one, and in an operation without a path. User names, and display names of groups, are unique whatever their
// case; externalIds are not.
//
// What it does not know is refused. A filter is userName, externalId or displayName with "eq", or several of these joined
// by "or". An operation of a PATCH adds to or replaces an attribute, with the path of a whole one or without a path, or removes
// the title or one value: attribute[value eq "x"].
//
// Several apps can share a server, each at a path of its own. One that has licences refuses a user whom it has none for.
//
// With a file, a change is on disk before it is answered, and the file is replaced whole. Each request looks at all that
// the app holds, so it is made for some thousand accounts and no more.
//
// Nobody signs in here and the page asks for no password, so it belongs on loopback.
package demoapp

import (
	"cmp"
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
	base    = "/scim/v2/"
	maxBody = 1 << 20 // bytes
	maxPage = 1000

	core     = "urn:ietf:params:scim:schemas:core:2.0:"
	messages = "urn:ietf:params:scim:api:messages:2.0:"
)

// Config is one app.
type Config struct {
	// Token is the bearer token that /scim/v2 asks for.
	Token string
	// File keeps what the app holds; empty for memory alone. It is created when it is not there. One process at a time.
	File string
	// Groups are made when they are not there.
	Groups []string
	// Title heads the page.
	Title string
	// Path is where the app is, such as "/crm", if it shares a server with others; empty
	// for the root.
	Path string
	// Licences is how many users may be active; when all are in use another is refused.
	// 0: as many as come.
	Licences int
	// Others are apps that the page leads to.
	Others []Link
}

// Link leads to the page of an app.
type Link struct{ Title, Path string }

type app struct {
	Config

	store *store
}

// New reads the file, if there is one, and returns the app.
func New(cfg Config) (http.Handler, error) {
	if cfg.Token == "" {
		return nil, errors.New("demo app: token is missing")
	}
	s, err := openStore(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("demo app: %w", err)
	}
	for _, name := range cfg.Groups {
		g := newResource("Group")
		g.DisplayName = name
		if err := s.create(g); err != nil && !errors.Is(err, errTaken) {
			return nil, fmt.Errorf("demo app: make group %q: %w", name, err)
		}
	}
	s.licences = cfg.Licences
	a := &app{cfg, s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+cfg.Path+"/{$}", a.page)
	handle := func(method, path, kind string, h handler) {
		mux.Handle(method+cfg.Path+base+path, answer(cfg.Token, kind, h))
	}
	handle("", "", "", nothing)
	handle("GET ", "ServiceProviderConfig", "", serviceProviderConfig)
	for _, kind := range []string{"User", "Group"} {
		handle("GET ", kind+"s", kind, a.list)
		handle("POST ", kind+"s", kind, a.create)
		handle("GET ", kind+"s/{id}", kind, a.get)
		handle("PATCH ", kind+"s/{id}", kind, a.patch)
		handle("DELETE ", kind+"s/{id}", kind, a.delete)
	}
	return mux, nil
}

// handler answers a request about one kind of resource.
type handler func(r *http.Request, kind string) (status int, body any, err error)

// answer asks for the token, and writes what h returns, or its error, as SCIM does.
func answer(token, kind string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body, err := 0, any(nil), error(nil)
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) == 1 {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			status, body, err = h(r, kind)
		} else {
			w.Header().Set("WWW-Authenticate", `Bearer realm="demo app"`)
			err = refuse(http.StatusUnauthorized, "", "The bearer token is missing or wrong.")
		}
		if err != nil {
			no, ok := errors.AsType[*refusal](err)
			if !ok {
				no = refuse(http.StatusInternalServerError, "", "The app cannot write to its file.")
			}
			status, body = no.Status, no
		}
		if made, ok := body.(*resource); ok && status == http.StatusCreated {
			w.Header().Set("Location", made.Meta.Location)
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(status)
		if body != nil {
			_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
		}
	})
}

// refusal is an error that the client is told.
type refusal struct {
	Schemas  []string `json:"schemas"`
	Status   int      `json:"status,string"`
	ScimType string   `json:"scimType,omitempty"`
	Detail   string   `json:"detail"`
}

func (e *refusal) Error() string { return e.Detail }

func refuse(status int, scimType, format string, args ...any) *refusal {
	return &refusal{[]string{messages + "Error"}, status, scimType, fmt.Sprintf(format, args...)}
}

func invalid(scimType, format string, args ...any) error {
	return refuse(http.StatusBadRequest, scimType, format, args...)
}

func nothing(*http.Request, string) (int, any, error) {
	return 0, nil, refuse(http.StatusNotFound, "", "There is nothing here, or not for this method.")
}

func serviceProviderConfig(*http.Request, string) (int, any, error) {
	type object map[string]any
	no := object{"supported": false}
	return http.StatusOK, object{
		"schemas": []string{core + "ServiceProviderConfig"},
		"patch":   object{"supported": true},
		"filter":  object{"supported": true, "maxResults": maxPage},
		"bulk":    object{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"sort":    no, "etag": no, "changePassword": no,
		"authenticationSchemes": []object{{"type": "oauthbearertoken", "name": "Bearer token", "description": "One token for the app."}},
	}, nil
}

func (a *app) list(r *http.Request, kind string) (int, any, error) {
	query := r.URL.Query()
	conditions, badFilter := parseFilter(query.Get("filter"))
	start, badStart := number(query, "startIndex", 1)
	count, badCount := number(query, "count", maxPage)
	if err := cmp.Or(badFilter, badStart, badCount); err != nil {
		return 0, nil, err
	}
	found := slices.DeleteFunc(a.store.all(kind), func(res *resource) bool {
		return len(conditions) > 0 && !slices.ContainsFunc(conditions, res.matches)
	})
	total := len(found)
	start = max(start, 1)
	found = found[min(start-1, total):]
	found = found[:min(max(count, 0), maxPage, len(found))]
	for i, res := range found {
		found[i] = a.shown(r, res)
	}
	return http.StatusOK, struct {
		Schemas      []string    `json:"schemas"`
		TotalResults int         `json:"totalResults"`
		StartIndex   int         `json:"startIndex"`
		ItemsPerPage int         `json:"itemsPerPage"`
		Resources    []*resource `json:"Resources"`
	}{[]string{messages + "ListResponse"}, total, start, len(found), found}, nil
}

func number(query url.Values, name string, missing int) (int, error) {
	if !query.Has(name) {
		return missing, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return 0, invalid("invalidValue", "%s is not a number.", name)
	}
	return n, nil
}

func (a *app) create(r *http.Request, kind string) (int, any, error) {
	res := newResource(kind)
	err := res.read(r)
	if err == nil {
		err = a.store.create(res)
	}
	return http.StatusCreated, a.shown(r, res), err
}

func (a *app) get(r *http.Request, kind string) (int, any, error) {
	all := a.store.all(kind)
	i, err := find(all, kind, r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, a.shown(r, all[i]), nil
}

// patch answers without the resource: a group may have very many members.
func (a *app) patch(r *http.Request, kind string) (int, any, error) {
	var in struct {
		Schemas    []string
		Operations []operation
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	if !slices.Contains(in.Schemas, messages+"PatchOp") || len(in.Operations) == 0 {
		return 0, nil, invalid("invalidSyntax", "A PATCH needs the schema PatchOp and Operations.")
	}
	return http.StatusNoContent, nil, a.store.patch(kind, r.PathValue("id"), in.Operations)
}

func (a *app) delete(r *http.Request, kind string) (int, any, error) {
	return http.StatusNoContent, nil, a.store.delete(kind, r.PathValue("id"))
}

func decode(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(b, v) != nil {
		return invalid("invalidSyntax", "The body is not the JSON that is expected here, or longer than %d bytes.", maxBody)
	}
	return nil
}

// shown is a resource as a client sees it.
func (a *app) shown(r *http.Request, res *resource) *resource {
	out := *res
	out.Schemas = []string{core + res.Meta.ResourceType}
	out.Meta.Location = "http://" + r.Host + a.Path + base + res.Meta.ResourceType + "s/" + res.ID
	if strings.EqualFold(r.URL.Query().Get("excludedAttributes"), "members") {
		out.Members = nil
	}
	return &out
}
