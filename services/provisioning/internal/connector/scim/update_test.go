package scim_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const joNow = `{"id":"1","externalId":"theirs","userName":"jo@example.test","active":false,"displayName":"Jo","title":"Tester",
	"name":{"givenName":"Jo","familyName":"Ek"},"roles":[{"value":"admin"}],
	"emails":[{"value":"jo@home.test","type":"home","primary":true},{"value":"jo@example.test","type":"work","display":"jo@example.test"}]}`

// An account is told what differs and nothing else, in the words that the app understands.
func TestUpdateAccount(t *testing.T) {
	t.Parallel()
	same := connector.Person{UserID: userID, UserName: "jo@example.test", Email: "jo@example.test", GivenName: "Jo", FamilyName: "Ek", DisplayName: "Jo", Title: "Tester"}
	next := same
	next.UserName, next.Email, next.FamilyName, next.Title, next.Department = "jo.new@example.test", "jo.new@example.test", "New", "", "Design"
	const (
		get, patch = "GET /Users/1", "PATCH /Users/1"
		probe      = `GET /Users?userName eq "gatehouse-connection-test@invalid"`
		emails     = `[{"primary":true,"type":"home","value":"jo@home.test"},{"type":"work","value":"jo.new@example.test"}]`
		department = `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`
		withPaths  = `[{"op":"replace","path":"userName","value":"jo.new@example.test"},{"op":"replace","path":"name.familyName","value":"New"},` +
			`{"op":"remove","path":"title"},{"op":"replace","path":"` + department + `","value":"Design"},{"op":"replace","path":"emails","value":` + emails + `}]`
		without = `[{"op":"remove","path":"title"},{"op":"replace","value":{"emails":` + emails + `,"name":{"givenName":"Jo","familyName":"New"},` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Design"},"userName":"jo.new@example.test"}}]`
	)
	tests := []struct {
		name   string
		person connector.Person
		patch  func(body string) (int, string) // what is answered to a PATCH
		asked  []string
		kind   connector.Kind
		texts  []string
	}{
		{"the same", same, nil, []string{get}, 0, nil},
		{"what differs", next, func(body string) (int, string) {
			if !strings.Contains(body, `"Operations":`+withPaths+`}`) {
				t.Errorf("told %s, want %s", body, withPaths)
			}
			return http.StatusNoContent, ""
		}, []string{get, patch}, 0, nil},
		{"no paths", next, func(body string) (int, string) {
			if strings.Contains(body, `"path":"userName"`) {
				return http.StatusBadRequest, `{"scimType":"invalidPath"}`
			}
			if !strings.Contains(body, `"Operations":`+without+`}`) {
				t.Errorf("told %s, want %s", body, without)
			}
			return http.StatusOK, `{"id":"1","userName":"jo.new@example.test"}`
		}, []string{get, patch, patch}, 0, nil},
		{"neither", next, func(string) (int, string) { return http.StatusBadRequest, `{"scimType":"invalidValue"}` }, []string{get, patch, patch}, connector.Permanent, []string{"update the account", "invalidValue"}},
		{"taken", next, func(string) (int, string) { return http.StatusConflict, `{"scimType":"uniqueness"}` }, []string{get, patch}, connector.Conflict, []string{"jo.new@example.test"}},
		{"taken, said otherwise", next, func(string) (int, string) { return http.StatusBadRequest, `{"scimType":"uniqueness"}` }, []string{get, patch}, connector.Conflict, []string{"jo.new@example.test"}},
		{"a name that stays", next, func(string) (int, string) { return http.StatusOK, joNow }, []string{get, patch}, connector.Retryable, []string{"old user name"}},
		{"not done yet", next, func(string) (int, string) { return http.StatusAccepted, "" }, []string{get, patch, get}, connector.Retryable, []string{"not done it yet"}},
		{"gone meanwhile", next, func(string) (int, string) { return http.StatusNotFound, "" }, []string{get, patch, probe}, connector.NotFound, nil},
		{"busy", next, func(string) (int, string) { return http.StatusServiceUnavailable, "" }, []string{get, patch}, connector.Retryable, nil},
		{"nobody", connector.Person{UserID: userID}, nil, nil, connector.Permanent, []string{"no user name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, c := serve(t, func(asked, body string, _ http.ResponseWriter) (int, string) {
				switch asked {
				case get:
					return http.StatusOK, joNow
				case probe:
					return http.StatusOK, none
				}
				return tt.patch(body)
			})
			err := c.UpdateAccount(t.Context(), "1", tt.person)
			if tt.kind == 0 && err != nil {
				t.Fatal(err)
			}
			if tt.kind != 0 {
				wantError(t, err, tt.kind, tt.texts...)
			}
			o.want(t, tt.asked...)
		})
	}
}

// A 404 is an account that is gone only if the app is there.
func TestUpdateAccountAtAWrongAddress(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(string, string, http.ResponseWriter) (int, string) { return http.StatusNotFound, "" })
	wantError(t, c.UpdateAccount(t.Context(), "1", jo), connector.Permanent)
	wantError(t, c.UpdateAccount(t.Context(), "..", jo), connector.Permanent)
}

// The one e-mail that is written takes the place of the one that was: of type work, or else the
// primary one.
func TestUpdateEmails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, has, email, want string }{
		{"the first", `[]`, "a@x.test", `{"op":"replace","path":"emails","value":[{"primary":true,"type":"work","value":"a@x.test"}]}`},
		{"one more", `[{"value":"h@x.test","type":"home"}]`, "a@x.test", `{"op":"replace","path":"emails","value":[{"type":"home","value":"h@x.test"},{"primary":true,"type":"work","value":"a@x.test"}]}`},
		{"the primary one", `[{"value":"o@x.test","primary":true},{"value":"h@x.test"}]`, "a@x.test", `{"op":"replace","path":"emails","value":[{"primary":true,"value":"a@x.test"},{"value":"h@x.test"}]}`},
		{"none any more", `[{"value":"o@x.test","type":"work"}]`, "", `{"op":"remove","path":"emails"}`},
		{"none, beside others", `[{"value":"o@x.test","type":"work"},{"value":"h@x.test","type":"home"}]`, "", `{"op":"replace","path":"emails","value":[{"type":"home","value":"h@x.test"}]}`},
		{"none, of others alone", `[{"value":"h@x.test","type":"home"}]`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := ""
			_, c := serve(t, func(asked, body string, _ http.ResponseWriter) (int, string) {
				if strings.HasPrefix(asked, "PATCH") {
					told = body
					return http.StatusNoContent, ""
				}
				return http.StatusOK, `{"id":"1","userName":"jo@example.test","emails":` + tt.has + `}`
			})
			if err := c.UpdateAccount(t.Context(), "1", connector.Person{UserID: userID, UserName: "jo@example.test", Email: tt.email}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(told, tt.want) || tt.want == "" && told != "" || tt.want != "" && strings.Count(told, `"op"`) != 1 {
				t.Errorf("told %s, want %s", told, tt.want)
			}
		})
	}
}
