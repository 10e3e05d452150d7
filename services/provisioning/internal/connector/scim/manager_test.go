package scim_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse.dev/services/provisioning/internal/connector"
)

// An account is told of a manager where the app keeps them, in the words that it
// understands; whether it does is asked once.
func TestSetManager(t *testing.T) {
	t.Parallel()
	const (
		schemas, get, patch = "GET /Schemas", "GET /Users/1", "PATCH /Users/1"
		probe               = `GET /Users?userName eq "gatehouse-connection-test@invalid"`
		enterprise          = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
		withPath            = `[{"op":"replace","path":"` + enterprise + `:manager","value":{"value":"m"}}]`
		without             = `[{"op":"replace","value":{"` + enterprise + `":{"manager":{"value":"m"}}}}]`
		remove              = `[{"op":"remove","path":"` + enterprise + `:manager"}]`
		keeps               = `{"Resources":[{"id":"urn:ietf:params:scim:schemas:core:2.0:User"},{"id":"` + enterprise + `","attributes":[{"name":"department"},{"name":"Manager"}]}]}`
		keepsNone           = `{"Resources":[{"id":"urn:ietf:params:scim:schemas:core:2.0:User","attributes":[{"name":"manager"}]}]}`
		justDepartment      = `{"Resources":[{"id":"` + enterprise + `","attributes":[{"name":"department"}]}]}`
		theirs              = `{"id":"1","userName":"jo","` + enterprise + `":{"manager":{"value":"theirs"}}}`
		ours                = `{"id":"1","userName":"jo","` + enterprise + `":{"manager":"m"}}`
	)
	answer := func(status int, text string) func(string) (int, string) {
		return func(string) (int, string) { return status, text }
	}
	onlyWithout := func(body string) (int, string) {
		if strings.Contains(body, `"path"`) {
			return http.StatusBadRequest, `{"scimType":"invalidPath"}`
		}
		return http.StatusNoContent, ""
	}
	tests := []struct {
		name    string
		manager string
		schemas func(string) (int, string)
		has     string
		patch   func(body string) (int, string)
		told    string
		asked   []string // of two calls
		kind    connector.Kind
	}{
		{"set", "m", answer(200, keeps), "", answer(204, ""), withPath, []string{schemas, patch, patch}, 0},
		{"set without a path", "m", answer(200, keeps), "", onlyWithout, without, []string{schemas, patch, patch, patch, patch}, 0},
		{"clear", "", answer(200, keeps), ours, answer(204, ""), remove, []string{schemas, get, patch, get, patch}, 0},
		{"clear what somebody else has written", "", answer(200, keeps), theirs, nil, "", []string{schemas, get, get}, 0},
		{"clear what is not there", "", answer(200, keeps), ours, answer(400, `{"scimType":"noTarget"}`), remove, []string{schemas, get, patch, get, patch}, 0},
		{"no extension", "m", answer(200, keepsNone), "", nil, "", []string{schemas}, 0},
		{"no manager in it", "m", answer(200, justDepartment), "", nil, "", []string{schemas}, 0},
		{"does not say, and takes it", "m", answer(404, ""), "", answer(200, ""), withPath, []string{schemas, patch, patch}, 0},
		{"does not say, and refuses it", "m", answer(200, `{}`), "", answer(400, `{"scimType":"invalidPath"}`), without, []string{schemas, patch, patch}, 0},
		{"says so, and refuses it", "m", answer(200, keeps), "", answer(400, `{"scimType":"invalidValue"}`), without, []string{schemas, patch, patch, patch, patch}, connector.Permanent},
		{"cannot say now", "m", answer(503, ""), "", nil, "", []string{schemas, schemas}, connector.Retryable},
		{"gone", "m", answer(200, keeps), "", answer(404, ""), withPath, []string{schemas, patch, probe, patch, probe}, connector.NotFound},
		{"not done yet", "m", answer(200, keeps), theirs, answer(202, ""), withPath, []string{schemas, patch, get, patch, get}, connector.Retryable},
		{"done a little later", "m", answer(200, keeps), ours, answer(202, ""), withPath, []string{schemas, patch, get, patch, get}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := ""
			o, c := serve(t, func(asked, body string, _ http.ResponseWriter) (int, string) {
				switch asked {
				case schemas:
					return tt.schemas(body)
				case get:
					return http.StatusOK, tt.has
				case probe:
					return http.StatusOK, none
				}
				told = body
				return tt.patch(body)
			})
			for range 2 {
				err := c.SetManager(t.Context(), "1", tt.manager, []string{"m"})
				if tt.kind == 0 && err != nil {
					t.Fatal(err)
				}
				if tt.kind != 0 {
					wantError(t, err, tt.kind)
				}
			}
			if tt.told == "" != (told == "") || !strings.Contains(told, tt.told) {
				t.Errorf("told %s, want %s", told, tt.told)
			}
			o.want(t, tt.asked...)
		})
	}
	o, c := serve(t, func(string, string, http.ResponseWriter) (int, string) { return http.StatusNotFound, "" })
	if err := c.SetManager(t.Context(), "1", "", nil); err != nil {
		t.Error(err)
	}
	o.want(t)
	wantError(t, c.SetManager(t.Context(), "..", "m", nil), connector.Permanent)
}
