package provisioning_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// scimApp is a small app that serves SCIM 2.0 from memory and can be told to
// misbehave. The connector is held to real servers elsewhere; here it is the
// engine that is tested.
type scimApp struct {
	*httptest.Server

	mu     sync.Mutex
	next   int
	users  map[string]*scimUser
	groups map[string]map[string]bool // name, also id -> account ids
	titles map[string]string          // display names of groups that have another than their id
	calls  []string                   // changes, as "POST /Users"
	fault  func(r *http.Request) *fault
	// keeps says what the app answers about managers: "managers", "none", or nothing at
	// all. refuses has it accept none.
	keeps   string
	refuses bool
}

const (
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	managerPath    = enterpriseUser + ":manager"
)

type scimUser struct {
	ID         string `json:"id"`
	UserName   string `json:"userName"`
	ExternalID string `json:"externalId,omitempty"`
	Active     bool   `json:"active"`
	Title      string `json:"title,omitempty"`
	Enterprise struct {
		Manager struct {
			Value string `json:"value,omitempty"`
		} `json:"manager"`
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

// fault is what goes wrong with a request.
type fault struct {
	status     int
	retryAfter string
	// lose does what was asked and breaks the connection instead of answering.
	lose bool
	// before is called before anything happens.
	before func()
}

const scimToken = "secret-of-the-app"

func newApp(t testing.TB, groups ...string) *scimApp {
	t.Helper()
	a := &scimApp{users: map[string]*scimUser{}, groups: map[string]map[string]bool{}}
	for _, g := range groups {
		a.groups[g] = map[string]bool{}
	}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// misbehave sets what goes wrong from now on; nil for nothing.
func (a *scimApp) misbehave(f func(r *http.Request) *fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = f
}

// account returns the active account with a user name, nil if there is none,
// and fails if there is more than one.
func (a *scimApp) account(t *testing.T, userName string) *scimUser {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var found *scimUser
	for _, u := range a.users {
		if strings.EqualFold(u.UserName, userName) {
			if found != nil {
				t.Errorf("two accounts for %s", userName)
			}
			now := *u // the app goes on
			found = &now
		}
	}
	return found
}

// idOf is the id of the account with a user name. The app is locked.
func (a *scimApp) idOf(userName string) string {
	for id, u := range a.users {
		if u.UserName == userName {
			return id
		}
	}
	return ""
}

func (a *scimApp) member(group, accountID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.groups[group][accountID]
}

// count returns how many changes of the kind reached the app.
func (a *scimApp) count(prefix string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

var (
	quoted    = regexp.MustCompile(`(\w+) eq "([^"]*)"`)
	contained = regexp.MustCompile(`displayName co "([^"]*)"`)
)

// rename gives a group another display name; its id stays.
func (a *scimApp) rename(id, title string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.titles == nil {
		a.titles = map[string]string{}
	}
	a.titles[id] = title
}

// listed are the groups for a filter, by id, each with its display name.
func (a *scimApp) listed(filter string) []any {
	found := []any{}
	for _, id := range slices.Sorted(maps.Keys(a.groups)) {
		title := a.titles[id]
		if title == "" {
			title = id
		}
		is, has := quoted.FindStringSubmatch(filter), contained.FindStringSubmatch(filter)
		if filter == "" || is != nil && title == is[2] || has != nil && strings.Contains(strings.ToLower(title), strings.ToLower(has[1])) {
			found = append(found, map[string]string{"id": id, "displayName": title})
		}
	}
	return found
}

func (a *scimApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	f := a.fault
	a.mu.Unlock()
	var wrong *fault
	if f != nil {
		wrong = f(r)
	}
	if wrong != nil && wrong.before != nil {
		wrong.before()
	}
	if wrong != nil && wrong.status != 0 {
		if wrong.retryAfter != "" {
			w.Header().Set("Retry-After", wrong.retryAfter)
		}
		http.Error(w, `{"detail":"not now"}`, wrong.status)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+scimToken {
		http.Error(w, `{}`, http.StatusUnauthorized)
		return
	}
	status, body := a.serve(r)
	if wrong != nil && wrong.lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (a *scimApp) serve(r *http.Request) (int, any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	data, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodGet {
		a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	}
	kind, id, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case kind == "Users" && id == "" && r.Method == http.MethodPost:
		u := &scimUser{Active: true}
		if json.Unmarshal(data, u) != nil {
			return http.StatusBadRequest, nil
		}
		for _, have := range a.users {
			if strings.EqualFold(have.UserName, u.UserName) {
				return http.StatusConflict, map[string]string{"scimType": "uniqueness"}
			}
		}
		a.next++
		u.ID, u.Active = fmt.Sprintf("acc-%d", a.next), true
		a.users[u.ID] = u
		return http.StatusCreated, u
	case kind == "Users" && id == "":
		wanted := quoted.FindAllStringSubmatch(r.URL.Query().Get("filter"), -1)
		found := []any{}
		for _, u := range a.users {
			if len(wanted) == 0 {
				found = append(found, u)
			}
			for _, m := range wanted {
				if m[1] == "externalId" && u.ExternalID == m[2] || m[1] == "userName" && strings.EqualFold(u.UserName, m[2]) {
					found = append(found, u)
					break
				}
			}
		}
		return http.StatusOK, listOf(found)
	case kind == "Users":
		u := a.users[id]
		if u == nil {
			return http.StatusNotFound, map[string]string{"status": "404"}
		}
		switch r.Method {
		case http.MethodDelete:
			delete(a.users, id)
			for _, members := range a.groups {
				delete(members, id)
			}
			return http.StatusNoContent, nil
		case http.MethodPatch:
			var p struct {
				Operations []struct {
					Op, Path string
					Value    any
				}
			}
			_ = json.Unmarshal(data, &p)
			for _, op := range p.Operations {
				if a.refuses && (op.Path == managerPath || op.Path == "") {
					return http.StatusBadRequest, map[string]string{"scimType": "invalidPath"}
				}
				switch op.Path {
				case managerPath:
					value, _ := op.Value.(map[string]any)
					u.Enterprise.Manager.Value, _ = value["value"].(string)
				case "active":
					u.Active, _ = op.Value.(bool)
				case "externalId":
					u.ExternalID, _ = op.Value.(string)
				case "title":
					u.Title, _ = op.Value.(string)
				case "userName":
					name, _ := op.Value.(string)
					for _, have := range a.users {
						if have != u && strings.EqualFold(have.UserName, name) {
							return http.StatusConflict, map[string]string{"scimType": "uniqueness"}
						}
					}
					u.UserName = name
				}
			}
		}
		return http.StatusOK, u
	case kind == "Schemas" && a.keeps != "":
		attributes := []any{map[string]string{"name": "department"}}
		if a.keeps == "managers" {
			attributes = append(attributes, map[string]string{"name": "manager"})
		}
		return http.StatusOK, listOf([]any{map[string]any{"id": enterpriseUser, "attributes": attributes}})
	case kind == "Groups" && id == "":
		found := a.listed(r.URL.Query().Get("filter"))
		if start, err := strconv.Atoi(r.URL.Query().Get("startIndex")); err == nil {
			count, _ := strconv.Atoi(r.URL.Query().Get("count"))
			answer := listOf(found[min(start-1, len(found)):min(start-1+count, len(found))])
			answer["totalResults"] = len(found)
			return http.StatusOK, answer
		}
		return http.StatusOK, listOf(found)
	case kind == "Groups":
		members, ok := a.groups[id]
		if !ok {
			return http.StatusNotFound, map[string]string{"status": "404"}
		}
		if r.Method == http.MethodPatch {
			var p struct {
				Operations []struct {
					Op, Path string
					Value    []struct{ Value string }
				}
			}
			_ = json.Unmarshal(data, &p)
			for _, op := range p.Operations {
				if m := quoted.FindStringSubmatch(op.Path); m != nil && op.Op == "remove" {
					delete(members, m[2])
				}
				for _, v := range op.Value {
					if a.users[v.Value] == nil {
						return http.StatusBadRequest, map[string]string{"scimType": "invalidValue"}
					}
					members[v.Value] = true
				}
			}
		}
		list := []map[string]string{}
		for m := range members {
			list = append(list, map[string]string{"value": m})
		}
		return http.StatusOK, map[string]any{"id": id, "displayName": id, "members": list}
	}
	return http.StatusOK, map[string]any{"patch": map[string]bool{"supported": true}}
}

func listOf(found []any) map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, "totalResults": len(found), "Resources": found,
	}
}
