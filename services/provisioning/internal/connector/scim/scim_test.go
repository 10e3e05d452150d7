package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/connector/scim"
)

// What the conformance kit does not reach: servers that are not as they should be. They cannot be had for real, so each is
// a few lines here.

const (
	userID  = "0190d5f3-0000-7000-8000-000000000001"
	otherID = "0190d5f3-0000-7000-8000-000000000002"
	none    = `{"totalResults":0,"Resources":[]}`
)

var jo = connector.Person{UserID: userID, UserName: "jo@example.test"}

func users(of ...string) string {
	return fmt.Sprintf(`{"totalResults":%d,"Resources":[%s]}`, len(of), strings.Join(of, ","))
}

func account(id, externalID, userName string) string {
	return fmt.Sprintf(`{"id":%q,"externalId":%q,"userName":%q,"active":true}`, id, externalID, userName)
}

// odd is a server that answers as told, and remembers what it was asked.
type odd struct {
	*httptest.Server
	mu   sync.Mutex
	said []string
}

// serve answers each request with what answer returns for "METHOD path?filter" and the body.
func serve(t *testing.T, answer func(asked, body string, w http.ResponseWriter) (status int, text string)) (*odd, *scim.Connector) {
	t.Helper()
	o := &odd{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked := r.Method + " " + r.URL.Path
		if f := r.URL.Query().Get("filter"); f != "" {
			asked += "?" + f
		}
		o.mu.Lock()
		o.said = append(o.said, asked)
		o.mu.Unlock()
		status, text := answer(asked, string(body), w)
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(o.Close)
	return o, open(t, scim.Config{URL: o.URL + "/", Token: secret})
}

func (o *odd) asked() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	said := o.said
	o.said = nil
	return said
}

func (o *odd) want(t *testing.T, want ...string) {
	t.Helper()
	if got := o.asked(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func wantError(t *testing.T, err error, kind connector.Kind, texts ...string) {
	t.Helper()
	e, ok := errors.AsType[*connector.Error](err)
	if !ok || e.Kind != kind {
		t.Fatalf("got %v (%v), want %v", err, connector.KindOf(err), kind)
	}
	for _, text := range texts {
		if !strings.Contains(e.Message, text) {
			t.Errorf("%q does not say %q", e.Message, text)
		}
	}
	if strings.Contains(e.Message, secret) {
		t.Errorf("the token is in the message: %q", e.Message)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, url, token, want string }{
		{"fine", "https://app.test/scim/v2/", "x", ""},
		{"no address", "", "x", "address"},
		{"no scheme", "app.test/scim", "x", "address"},
		{"other scheme", "ftp://app.test/scim", "x", "address"},
		{"user in it", "https://a:b@app.test/scim", "x", "user"},
		{"query in it", "https://app.test/scim?x=1", "x", "query"},
		{"no token", "https://app.test/scim", "", "token"},
		{"token of two lines", "https://app.test/scim", "a\nX: b", "token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := scim.New(scim.Config{URL: tt.url, Token: tt.token})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, connector.Permanent, tt.want)
		})
	}
}

// A new account is one look-up and one POST; an account that is there is one look-up; a group is one PATCH once its id is known.
func TestRequestsPerCall(t *testing.T) {
	t.Parallel()
	made := false
	o, c := serve(t, func(asked, body string, _ http.ResponseWriter) (int, string) {
		switch {
		case strings.HasPrefix(asked, "GET /Groups"):
			return 200, `{"totalResults":1,"Resources":[{"id":"g1","displayName":"Engineering"}]}`
		case strings.HasPrefix(asked, "GET"):
			if made {
				return 200, users(account("a1", userID, jo.UserName))
			}
			return 200, none
		case asked == "POST /Users":
			made = true
			var u map[string]any
			if err := json.Unmarshal([]byte(body), &u); err != nil || u["externalId"] != userID || u["active"] != true {
				t.Errorf("body %s: %v", body, err)
			}
			return 201, account("a1", userID, jo.UserName)
		case asked == "PATCH /Groups/g1":
			return 204, ""
		}
		return 500, ""
	})
	const either = `GET /Users?externalId eq "` + userID + `" or userName eq "jo@example.test"`
	for range 2 {
		if a, err := c.EnsureAccount(t.Context(), jo, ""); err != nil || a.ID != "a1" || a.UserName != jo.UserName {
			t.Fatal(a, err)
		}
	}
	o.want(t, either, "POST /Users", either)
	group := connector.Entitlement{Kind: connector.Group, Ref: "Engineering"}
	for range 2 {
		if err := c.Add(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Remove(t.Context(), "a1", group); err != nil {
		t.Fatal(err)
	}
	o.want(t, `GET /Groups?displayName eq "Engineering"`, "PATCH /Groups/g1", "PATCH /Groups/g1", "PATCH /Groups/g1")
}

func TestLookUpFallsBack(t *testing.T) {
	t.Parallel()
	const (
		either = `GET /Users?externalId eq "` + userID + `" or userName eq "jo@example.test"`
		byID   = `GET /Users?externalId eq "` + userID + `"`
		byName = `GET /Users?userName eq "jo@example.test"`
	)
	everybody := users(account("a7", "", "someone@example.test"), account("a8", "", "else@example.test"))
	tests := []struct {
		name          string
		answers       map[string]string // what is answered with 200; anything else is refused
		refuse        int
		first, second []string
		want          connector.Kind
	}{
		{
			"no or",
			map[string]string{byID: none, byName: users(account("a1", userID, jo.UserName))},
			400,
			[]string{either, byID, byName},
			[]string{byID, byName},
			0,
		},
		{
			"no or, 501",
			map[string]string{byID: users(account("a1", userID, "renamed@example.test"))},
			501,
			[]string{either, byID},
			[]string{byID},
			0,
		},
		{
			"no externalId",
			map[string]string{byName: users(account("a1", userID, jo.UserName))},
			400,
			[]string{either, byID, byName},
			[]string{byName},
			0,
		},
		{
			"or is ignored",
			map[string]string{either: everybody, byID: everybody, byName: users(account("a1", userID, "JO@example.test"))},
			400,
			[]string{either, byID, byName},
			[]string{byName},
			0,
		},
		{
			"every filter is ignored",
			map[string]string{either: everybody, byID: everybody, byName: everybody},
			400,
			[]string{either, byID, byName},
			[]string{byName},
			connector.Permanent,
		},
		{"no filters", nil, 400, []string{either, byID, byName}, []string{byName}, connector.Permanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
				if text, ok := tt.answers[asked]; ok {
					return 200, text
				}
				return tt.refuse, `{"detail":"no"}`
			})
			for _, want := range [][]string{tt.first, tt.second} {
				a, err := c.EnsureAccount(t.Context(), jo, "")
				if connector.KindOf(err) != tt.want || err == nil && a.ID != "a1" {
					t.Fatal(a, err)
				}
				o.want(t, want...)
			}
		})
	}
}

// One person with an unusual name must not take away the better look-up from all others.
func TestLookUpIsKeptAfterAnOddName(t *testing.T) {
	t.Parallel()
	o, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
		if strings.Contains(asked, `\"`) {
			return 400, ""
		}
		return 200, users(account("a1", userID, jo.UserName))
	})
	_, err := c.EnsureAccount(t.Context(), connector.Person{UserID: otherID, UserName: `a"b`}, "")
	wantError(t, err, connector.Permanent)
	o.asked()
	if _, err := c.EnsureAccount(t.Context(), jo, ""); err != nil {
		t.Fatal(err)
	}
	if asked := o.asked(); len(asked) != 1 {
		t.Errorf("asked %q", asked)
	}
}

func TestEnsureAccount(t *testing.T) {
	t.Parallel()
	const patch = "PATCH /Users/a1"
	tests := []struct {
		name   string
		known  string
		found  string
		byID   string
		lookup int
		post   func() (int, string)
		patch  func(body string) (int, string)
		want   connector.Kind
		text   string
		asked  []string // the changes
	}{
		{name: "linked", known: "a1", found: users(account("a1", "", jo.UserName)), asked: []string{patch}},
		{
			name: "cannot be linked", known: "a1", found: users(account("a1", "", jo.UserName)), asked: []string{patch},
			patch: func(string) (int, string) { return 400, `{"scimType":"mutability"}` },
		},
		{
			name: "disabled and cannot be linked", known: "a1", found: users(`{"id":"a1","userName":"jo@example.test","active":"False"}`),
			patch: func(body string) (int, string) {
				if strings.Contains(body, "externalId") {
					return 400, ""
				}
				return 204, ""
			},
			asked: []string{patch, patch},
		},
		{
			name: "stays disabled", known: "a1", found: users(`{"id":"a1","userName":"jo@example.test","active":false}`),
			patch: func(string) (int, string) { return 200, `{"id":"a1","active":false}` },
			want:  connector.Retryable, text: "still disabled", asked: []string{patch},
		},
		{name: "another system's id is left alone", known: "a1", found: users(account("a1", "okta-00u1", jo.UserName))},
		{
			name: "somebody else's", known: "a1", found: users(account("a1", otherID, jo.UserName)),
			want: connector.Conflict, text: "of another person",
		},
		{name: "not named", found: users(account("a1", "", jo.UserName)), want: connector.Exists, text: "id a1"},
		{name: "another is named, and gone", known: "a2", found: users(account("a1", "okta-00u1", jo.UserName)), want: connector.Exists, text: "id a1"},
		{name: "renamed, and not linked", known: "a1", byID: account("a1", "okta-00u1", "old@example.test")},
		{name: "renamed, and another has the name", known: "a1", found: users(account("a2", "", jo.UserName)), byID: account("a1", "okta-00u1", "old@example.test")},
		{
			name: "somebody else's by now", known: "a1", byID: account("a1", otherID, "old@example.test"),
			want: connector.Conflict, text: "of another person",
		},
		{name: "own before another with the name", found: users(account("a9", "", jo.UserName), account("a1", userID, "old@example.test"))},
		{
			name: "taken and not shown", post: func() (int, string) {
				return 409, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"uniqueness","detail":"Token ` + secret + `: taken"}`
			},
			want: connector.Conflict, text: "shows no account", asked: []string{"POST /Users"},
		},
		{
			name: "made and not shown", post: func() (int, string) { return 201, "" },
			want: connector.Retryable, text: "does not show", asked: []string{"POST /Users"},
		},
		{name: "refused", post: func() (int, string) {
			return 400, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"title is too long"}`
		}, want: connector.Permanent, text: "title is too long", asked: []string{"POST /Users"}},
		{name: "no right", post: func() (int, string) { return 403, "" }, want: connector.Permanent, text: "right", asked: []string{"POST /Users"}},
		{name: "look-up is not SCIM", found: "<html>sign in</html>", want: connector.Permanent, text: "not as SCIM"},
		{name: "counted and not shown", found: `{"totalResults":1,"Resources":[]}`, want: connector.Retryable, text: "shows none"},
		{name: "look-up is other JSON", found: `{"hello":"world"}`, want: connector.Permanent, text: "not as SCIM"},
		{name: "wrong address", lookup: 404, found: "not here", want: connector.Permanent, text: "address"},
		{name: "too much", found: users(`{"id":"` + strings.Repeat("x", 5<<20) + `"}`), want: connector.Permanent, text: "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, c := serve(t, func(asked, body string, _ http.ResponseWriter) (int, string) {
				switch {
				case strings.HasPrefix(asked, "GET /Users/") && tt.byID != "":
					return 200, tt.byID
				case strings.HasPrefix(asked, "GET /Users/"):
					return 404, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`
				case strings.HasPrefix(asked, "GET") && tt.lookup != 0:
					return tt.lookup, tt.found
				case strings.HasPrefix(asked, "GET") && tt.found != "":
					return 200, tt.found
				case strings.HasPrefix(asked, "GET"):
					return 200, none
				case strings.HasPrefix(asked, "POST") && tt.post != nil:
					return tt.post()
				case strings.HasPrefix(asked, "PATCH") && tt.patch != nil:
					return tt.patch(body)
				case asked == patch:
					return 204, ""
				}
				return 500, ""
			})
			a, err := c.EnsureAccount(t.Context(), jo, tt.known)
			if tt.want != 0 {
				wantError(t, err, tt.want, tt.text)
			} else if err != nil || a.ID != "a1" {
				t.Fatal(a, err)
			}
			changes := slices.DeleteFunc(o.asked(), func(s string) bool { return strings.HasPrefix(s, "GET") })
			if !slices.Equal(changes, tt.asked) {
				t.Errorf("changes %q, want %q", changes, tt.asked)
			}
		})
	}
}

func TestIncompletePerson(t *testing.T) {
	t.Parallel()
	o, c := serve(t, func(string, string, http.ResponseWriter) (int, string) { return 200, none })
	_, err := c.EnsureAccount(t.Context(), connector.Person{UserID: userID}, "")
	wantError(t, err, connector.Permanent)
	for _, id := range []string{"", ".", ".."} {
		wantError(t, c.RemoveAccount(t.Context(), id, connector.Delete), connector.Permanent)
		wantError(t, c.Remove(t.Context(), id, connector.Entitlement{Kind: connector.Role, Ref: "r"}), connector.Permanent)
	}
	wantError(t, c.RemoveAccount(t.Context(), "a1", 0), connector.Permanent)
	wantError(t, c.Add(t.Context(), "a1", connector.Entitlement{Kind: connector.Role}), connector.Permanent)
	o.want(t)
}

// A removal counts as done only when it is.
func TestRemoveAccount(t *testing.T) {
	t.Parallel()
	const active, off = `{"id":"a1","userName":"jo","active":true}`, `{"id":"a1","userName":"jo","active":false}`
	type answers map[string]struct {
		status int
		text   string
	}
	const del, patch, get, alive = "DELETE /Users/a1", "PATCH /Users/a1", "GET /Users/a1", "alive"
	tests := []struct {
		name    string
		mode    connector.Removal
		answers answers
		want    connector.Kind
	}{
		{"deleted", connector.Delete, answers{del: {204, ""}}, 0},
		{"a page for signing in", connector.Delete, answers{del: {200, " \n<!DOCTYPE html><title>Sign in</title>"}}, connector.Retryable},
		{"disabled, says a page", connector.Disable, answers{patch: {200, "<html>"}}, connector.Retryable},
		{"gone already", connector.Delete, answers{del: {404, ""}, alive: {200, none}}, 0},
		{"wrong address", connector.Delete, answers{del: {404, "no such page"}, alive: {404, "no such page"}}, connector.Permanent},
		{"somebody else's page", connector.Delete, answers{del: {404, ""}, alive: {200, "<html>"}}, connector.Permanent},
		{"later, not yet", connector.Delete, answers{del: {202, ""}, get: {200, active}}, connector.Retryable},
		{"later, done", connector.Delete, answers{del: {202, ""}, get: {404, ""}, alive: {200, none}}, 0},
		{"not supported", connector.Delete, answers{del: {405, ""}}, connector.Permanent},
		{"disabled", connector.Disable, answers{patch: {204, ""}}, 0},
		{"disabled, shown", connector.Disable, answers{patch: {200, off}}, 0},
		{"disabled, shown as active", connector.Disable, answers{patch: {200, active}}, connector.Retryable},
		{"disable what is gone", connector.Disable, answers{patch: {404, ""}, alive: {200, none}}, 0},
		{"disable later, not yet", connector.Disable, answers{patch: {202, ""}, get: {200, active}}, connector.Retryable},
		{"disable later, done", connector.Disable, answers{patch: {202, ""}, get: {200, off}}, 0},
		{"disable fails", connector.Disable, answers{patch: {503, ""}}, connector.Retryable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
				if strings.HasPrefix(asked, "GET /Users?") {
					asked = alive
				}
				a, ok := tt.answers[asked]
				if !ok {
					t.Errorf("asked %s", asked)
				}
				return a.status, a.text
			})
			err := c.RemoveAccount(t.Context(), "a1", tt.mode)
			if connector.KindOf(err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	// The app's groups: name -> id. Members are never shown unless shows is set.
	type state struct {
		groups map[string]string
		shows  bool
		patch  func(id string) (int, string)
	}
	group := connector.Entitlement{Kind: connector.Group, Ref: "Engineering"}
	newApp := func(t *testing.T, s *state) (*odd, *scim.Connector) {
		return serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
			method, path, _ := strings.Cut(asked, " ")
			switch {
			case strings.HasPrefix(asked, "GET /Groups?"):
				var found []string
				for name, id := range s.groups {
					if strings.Contains(asked, fmt.Sprintf("%q", name)) {
						found = append(found, fmt.Sprintf(`{"id":%q,"displayName":%q}`, id, name))
					}
				}
				return 200, users(found...)
			case strings.HasPrefix(path, "/Groups/"):
				id := strings.TrimPrefix(path, "/Groups/")
				for _, known := range s.groups {
					if known != id {
						continue
					}
					if method == http.MethodGet {
						members := ""
						if s.shows {
							members = `{"value":"a1"}`
						}
						return 200, fmt.Sprintf(`{"id":%q,"members":[%s]}`, id, members)
					}
					if s.patch != nil {
						return s.patch(id)
					}
					return 204, ""
				}
				return 404, ""
			case asked == "GET /Users/a1":
				return 200, account("a1", userID, "jo")
			case strings.HasPrefix(asked, "GET /Users/"):
				return 404, ""
			}
			return 200, none
		})
	}

	t.Run("by its id", func(t *testing.T) {
		t.Parallel()
		o, c := newApp(t, &state{groups: map[string]string{"Engineering": "g1"}})
		if err := c.Add(t.Context(), "a1", connector.Entitlement{Kind: connector.Group, Ref: "g1"}); err != nil {
			t.Fatal(err)
		}
		o.want(t, `GET /Groups?displayName eq "g1"`, "GET /Groups/g1", "PATCH /Groups/g1")
	})
	t.Run("made anew under its name", func(t *testing.T) {
		t.Parallel()
		s := &state{groups: map[string]string{"Engineering": "g1"}}
		_, c := newApp(t, s)
		for _, id := range []string{"g1", "g2", "g3"} {
			s.groups["Engineering"] = id
			call := c.Add
			if id == "g3" {
				call = c.Remove
			}
			patched := ""
			s.patch = func(id string) (int, string) { patched = id; return 204, "" }
			if err := call(t.Context(), "a1", group); err != nil || patched != id {
				t.Fatalf("patched %q, want %q: %v", patched, id, err)
			}
		}
	})
	t.Run("taken out of a group that was deleted", func(t *testing.T) {
		t.Parallel()
		s := &state{groups: map[string]string{"Engineering": "g1"}}
		_, c := newApp(t, s)
		if err := c.Add(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
		delete(s.groups, "Engineering")
		if err := c.Remove(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.Add(t.Context(), "a1", group), connector.Permanent, "no group")
	})
	// The person may still be in it under its new name: not done.
	t.Run("taken out of a group that was never seen", func(t *testing.T) {
		t.Parallel()
		_, c := newApp(t, &state{groups: map[string]string{"Engineers": "g1"}})
		wantError(t, c.Remove(t.Context(), "a1", group), connector.Permanent, "renamed")
		if err := c.Remove(t.Context(), "gone", group); err != nil {
			t.Errorf("of an account that is gone: %v", err)
		}
	})
	t.Run("two of the same name", func(t *testing.T) {
		t.Parallel()
		_, c := serve(t, func(string, string, http.ResponseWriter) (int, string) {
			return 200, users(`{"id":"g1","displayName":"engineering"}`, `{"id":"g2","displayName":"ENGINEERING"}`)
		})
		wantError(t, c.Add(t.Context(), "a1", group), connector.Permanent, "2 groups")
	})
	t.Run("already in, said as a conflict", func(t *testing.T) {
		t.Parallel()
		s := &state{groups: map[string]string{"Engineering": "g1"}, shows: true, patch: func(string) (int, string) { return 409, "" }}
		_, c := newApp(t, s)
		if err := c.Add(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
		s.shows = false
		wantError(t, c.Add(t.Context(), "a1", group), connector.Conflict)
	})
	t.Run("not in, said as no target", func(t *testing.T) {
		t.Parallel()
		_, c := newApp(t, &state{groups: map[string]string{"Engineering": "g1"}, patch: func(string) (int, string) { return 400, `{"scimType":"noTarget"}` }})
		if err := c.Remove(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("done later", func(t *testing.T) {
		t.Parallel()
		s := &state{groups: map[string]string{"Engineering": "g1"}, patch: func(string) (int, string) { return 202, "" }}
		_, c := newApp(t, s)
		wantError(t, c.Add(t.Context(), "a1", group), connector.Retryable, "not done it yet")
		if err := c.Remove(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
		s.shows = true
		if err := c.Add(t.Context(), "a1", group); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.Remove(t.Context(), "a1", group), connector.Retryable, "not done it yet")
	})
	t.Run("of an account that is gone", func(t *testing.T) {
		t.Parallel()
		_, c := newApp(t, &state{groups: map[string]string{"Engineering": "g1"}, patch: func(string) (int, string) { return 400, "" }})
		wantError(t, c.Add(t.Context(), "gone", group), connector.NotFound)
		wantError(t, c.Add(t.Context(), "a1", group), connector.Permanent)
	})
}

// A role that an app says it took and still shows is not gone.
func TestRoleThatStays(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
		return 200, `{"id":"a1","roles":[{"value":"admin"}]}`
	})
	wantError(t, c.Remove(t.Context(), "a1", connector.Entitlement{Kind: connector.Role, Ref: "admin"}), connector.Retryable, "still has it")
}

// B-PRV-04
func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(_, _ string, w http.ResponseWriter) (int, string) {
		now := time.Now()
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(42*time.Second).UTC().Format(http.TimeFormat))
		return 503, ""
	})
	_, err := c.EnsureAccount(t.Context(), jo, "")
	wantError(t, err, connector.Retryable)
	if got := connector.RetryAfter(err); got != 42*time.Second {
		t.Errorf("got %v", got)
	}
}

// B-PRV-06: the token goes to the app's host and to no other.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var stolen []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen = append(stolen, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, none)
	}))
	t.Cleanup(thief.Close)

	t.Run("to another host", func(t *testing.T) {
		_, c := serve(t, func(asked, _ string, w http.ResponseWriter) (int, string) {
			w.Header().Set("Location", thief.URL+"/Users")
			return 307, ""
		})
		_, err := c.EnsureAccount(t.Context(), jo, "")
		wantError(t, err, connector.Permanent, "another address")
		if strings.Contains(err.Error(), strings.TrimPrefix(thief.URL, "http://")) {
			t.Errorf("it says where to: %v", err)
		}
		wantError(t, c.RemoveAccount(t.Context(), "a1", connector.Delete), connector.Permanent)
		if len(stolen) > 0 {
			t.Errorf("the other host was asked with %q", stolen)
		}
	})
	t.Run("to the same host", func(t *testing.T) {
		o, c := serve(t, func(asked, body string, w http.ResponseWriter) (int, string) {
			switch {
			case strings.HasPrefix(asked, "GET /Users"):
				return 200, none
			case asked == "POST /Users":
				w.Header().Set("Location", "/moved/Users")
				return 308, ""
			case asked == "POST /moved/Users" && strings.Contains(body, userID):
				return 201, account("a1", userID, jo.UserName)
			}
			return 500, ""
		})
		if a, err := c.EnsureAccount(t.Context(), jo, ""); err != nil || a.ID != "a1" {
			t.Fatal(a, err)
		}
		if asked := o.asked(); len(asked) != 3 {
			t.Errorf("asked %q", asked)
		}
	})
	// 302 turns a POST into a GET: whatever it answers, nothing was created.
	t.Run("by another method", func(t *testing.T) {
		_, c := serve(t, func(asked, _ string, w http.ResponseWriter) (int, string) {
			if asked == "POST /Users" {
				w.Header().Set("Location", "/Users")
				return 302, ""
			}
			return 200, none
		})
		_, err := c.EnsureAccount(t.Context(), jo, "")
		wantError(t, err, connector.Permanent, "another address")
	})
}

// Whoever sets an address learns of what is there its status, and the words of an app
// that says it speaks SCIM.
func TestErrorsShowNothingElse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, shown string }{
		{"a SCIM error", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"invalidValue","detail":"no such group"}`, "(400 invalidValue: no such group)"},
		{"another error with a detail", `{"scimType":"invalidValue","detail":"instance i-0abc has no role"}`, "(400 invalidValue)"},
		{"another schema", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"detail":"instance i-0abc has no role"}`, "(400)"},
		{"no such type", `{"scimType":"i-0abc"}`, "(400)"},
		{"no JSON", `instance i-0abc has no role`, "(400)"},
	} {
		_, c := serve(t, func(string, string, http.ResponseWriter) (int, string) { return 400, tt.body })
		_, err := c.EnsureAccount(t.Context(), jo, "")
		wantError(t, err, connector.Permanent, tt.shown)
		if err != nil && strings.Contains(err.Error(), "i-0abc") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A web page before the app, for signing in or of maintenance, has done nothing, whatever
// its status says. B-PRV-11, B-PRV-13
func TestPagesAreNoAnswers(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(asked, _ string, w http.ResponseWriter) (int, string) {
		if strings.HasPrefix(asked, "GET") {
			return 200, `{"id":"g1","displayName":"devs","Resources":[{"id":"g1","displayName":"devs"}],"totalResults":1}`
		}
		w.Header().Set("Content-Type", "text/html")
		return 200, "<html>We are back soon"
	})
	devs := connector.Entitlement{Kind: "group", Ref: "devs"}
	for what, err := range map[string]error{
		"add": c.Add(t.Context(), "a1", devs), "remove": c.Remove(t.Context(), "a1", devs), "delete": c.RemoveAccount(t.Context(), "a1", connector.Delete),
	} {
		if wantError(t, err, connector.Retryable, "a web page answers"); err == nil {
			t.Errorf("%s is done", what)
		}
	}
}

// B-PRV-06
func TestSecretInAnAnswerIsNotShown(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(string, string, http.ResponseWriter) (int, string) {
		return 400, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"bad header Bearer %s %s"}`, secret, strings.Repeat("x", 2000))
	})
	_, err := c.EnsureAccount(t.Context(), jo, "")
	wantError(t, err, connector.Permanent, "[token]")
	if len(err.Error()) > connector.MaxMessage {
		t.Errorf("%d bytes", len(err.Error()))
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	c := open(t, scim.Config{URL: server.URL, Token: secret, Timeout: 50 * time.Millisecond})
	_, err := c.EnsureAccount(t.Context(), jo, "")
	wantError(t, err, connector.Retryable, "in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the cause is lost: %#v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := open(t, scim.Config{URL: server.URL, Token: secret})
	_, err := c.EnsureAccount(t.Context(), jo, "")
	wantError(t, err, connector.Retryable, "refuses connections")
	report, err := c.Test(t.Context())
	if err != nil || report.OK() || !strings.Contains(report.String(), "refuses connections") {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestCertificateThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c := open(t, scim.Config{URL: server.URL, Token: secret})
	_, err := c.EnsureAccount(t.Context(), jo, "")
	wantError(t, err, connector.Permanent, "not trusted")
}

func TestTraceIsPassedOn(t *testing.T) {
	t.Parallel()
	var header string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("traceparent")
		_, _ = io.WriteString(w, users(account("a1", userID, jo.UserName)))
	}))
	t.Cleanup(server.Close)
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	c := open(t, scim.Config{URL: server.URL, Token: secret, Tracer: provider})
	ctx, parent := provider.Tracer("test").Start(t.Context(), "operation")
	if _, err := c.EnsureAccount(ctx, jo, ""); err != nil {
		t.Fatal(err)
	}
	parent.End()
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Parent().SpanID() != parent.SpanContext().SpanID() {
		t.Fatalf("%d spans", len(ended))
	}
	own := ended[0].SpanContext()
	if want := "00-" + own.TraceID().String() + "-" + own.SpanID().String() + "-01"; header != want {
		t.Errorf("got %q, want %q", header, want)
	}
}

// B-PRV-06
func TestTestSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
		switch {
		case asked == "GET /ServiceProviderConfig":
			return 200, `{"patch":{"supported":false}}`
		case asked == "GET /Groups":
			return 403, ""
		case strings.Contains(asked, "externalId"):
			return 400, `{"scimType":"invalidFilter"}`
		}
		return 200, users(account("a1", "", "someone"))
	})
	report, err := c.Test(t.Context())
	if err != nil || report.OK() {
		t.Fatalf("%v\n%s", err, report)
	}
	for _, want := range []string{
		"works: Reach the app and read its accounts (accounts: 1)",
		"does without: Look up an account by Gatehouse's id",
		"does without: Read groups",
		"missing: Change accounts with PATCH",
	} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("does not say %q:\n%s", want, report)
		}
	}
}

// An address that was chosen outside leads into no network of the installation's.
func TestInnerNetworksAreNotCalled(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 10)
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer inner.Close()
	for _, url := range []string{inner.URL, strings.Replace(inner.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest"} {
		c, err := scim.New(scim.Config{URL: url, Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.EnsureAccount(t.Context(), connector.Person{UserID: "u", UserName: "ada"}, "")
		if connector.KindOf(err) != connector.Permanent || !strings.Contains(err.Error(), "GATEHOUSE_OUTGOING_ALLOW") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if len(called) > 0 {
		t.Error("it was called")
	}
}
