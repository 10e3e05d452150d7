package gateway_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/proto"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/gateway"
)

const uuid = "01890000-0000-7000-8000-000000000001"

// A secret is exchanged once, remembered for a moment, and then shown to
// identity-sync again, which may have revoked it.
func TestSecretIsTrustedForAMoment(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, secret := range []string{"ghp_admin", "ghs_admin"} {
		before := w.exchanges()
		for range 3 {
			a := w.call("GET", "/v1/me", "", "Authorization", "bearer "+secret)
			if a.code != http.StatusOK || !strings.Contains(a.body, w.admin.UserID.String()) {
				t.Fatalf("%d %s", a.code, a.body)
			}
		}
		if n := w.exchanges() - before; n != 1 {
			t.Errorf("%s was exchanged %d times", secret, n)
		}
	}
	w.set(func() { delete(w.secrets, "ghp_admin") })
	w.clock.Advance(4 * time.Second)
	if a := w.call("GET", "/v1/me", "", asAdmin()...); a.code != http.StatusOK {
		t.Errorf("within the trust time: %d %s", a.code, a.body)
	}
	w.clock.Advance(2 * time.Second)
	a := w.call("GET", "/v1/me", "", asAdmin()...)
	if reason, _ := a.reason(t); a.code != http.StatusUnauthorized || reason != "TOKEN_INVALID" {
		t.Errorf("a revoked token: %d %s", a.code, a.body)
	}
}

// B-USR-19, in part: an open page that asks by itself does not use the session, and what it
// was trusted with does not stand for somebody who acts.
func TestBackgroundDoesNotUseTheSession(t *testing.T) {
	t.Parallel()
	w := start(t)
	cookie := []string{"Cookie", "gatehouse_session=ghs_admin"}
	for _, step := range []struct {
		what               string
		headers            []string
		exchanged, unasked int
	}{
		{"a page by itself", append(cookie, "Gatehouse-Background", "true"), 1, 1},
		{"and again", append(cookie, "Gatehouse-Background", "true"), 0, 0},
		{"somebody acts", cookie, 1, 0},
		{"a page by itself, after that", append(cookie, "Gatehouse-Background", "true"), 0, 0},
		{"a program, which has no pages", []string{"Authorization", "Bearer ghp_admin", "Gatehouse-Background", "true"}, 1, 0},
	} {
		exchanged, unasked := w.exchanges(), w.inBackground()
		if a := w.call("GET", "/v1/me", "", step.headers...); a.code != http.StatusOK {
			t.Fatalf("%s: %d %s", step.what, a.code, a.body)
		}
		if e, u := w.exchanges()-exchanged, w.inBackground()-unasked; e != step.exchanged || u != step.unasked {
			t.Errorf("%s: exchanged %d, %d of it in the background", step.what, e, u)
		}
	}
	w.clock.Advance(6 * time.Second)
	exchanged, unasked := w.exchanges(), w.inBackground()
	told, _ := w.live(cookie...)
	if s := next(t, told); s != "ready {}" {
		t.Fatal(s)
	}
	if e, u := w.exchanges()-exchanged, w.inBackground()-unasked; e != 1 || u != 1 {
		t.Errorf("a stream: exchanged %d, %d of it in the background", e, u)
	}
}

// B-USR-19, in part: a service that has heard of a change does not believe the
// token of before; the gateway gets another, if there is one, and the caller
// notices nothing.
func TestStaleTokenIsExchangedAgain(t *testing.T) {
	t.Parallel()
	w := start(t)
	const body = `{"kind": "REQUEST_KIND_GRANT", "entitlementIds": ["` + uuid + `"], "justification": "to sell"}`
	create := func() answer { return w.call("POST", "/v1/requests", body, asAdmin()...) }
	known := func(service, identity int64) {
		w.set(func() {
			c := w.admin
			c.UserVersion = identity
			w.version, w.secrets["ghp_admin"] = service, c
		})
	}
	known(1, 1)
	if a := create(); a.code != http.StatusOK {
		t.Fatalf("%d %s", a.code, a.body)
	}
	known(2, 2)
	before := w.exchanges()
	if a := create(); a.code != http.StatusOK || !strings.Contains(a.body, "to sell") {
		t.Errorf("after a change: %d %s", a.code, a.body)
	}
	if a := create(); a.code != http.StatusOK || w.exchanges() != before+1 {
		t.Errorf("after that: %d %s, exchanged %d times", a.code, a.body, w.exchanges()-before)
	}

	// What cannot be had anew is refused, and tried a few times only.
	known(3, 2)
	before = w.exchanges()
	w.set(func() { w.heads = nil })
	if reason, _ := create().reason(t); reason != "TOKEN_STALE" || w.exchanges() > before+3 {
		t.Errorf("%s, exchanged %d times", reason, w.exchanges()-before)
	}
	// A refusal that is followed by another try is none yet: the service is told so.
	w.set(func() {
		for i, head := range w.heads {
			if again := slices.Contains(head.Get("gatehouse-follows-up"), "TOKEN_STALE"); again != (i < len(w.heads)-1) {
				t.Errorf("try %d of %d says that there is another: %t", i+1, len(w.heads), again)
			}
		}
	})
	w.set(func() { delete(w.secrets, "ghp_admin") })
	a := create()
	if reason, _ := a.reason(t); a.code != http.StatusUnauthorized || reason != "TOKEN_INVALID" {
		t.Errorf("a secret that has ended: %d %s", a.code, a.body)
	}
}

// Of one user's secrets each has its own scopes, from its first call on and after the user
// has changed; and who lacks one is told which (RFC 6750).
func TestScopesAreTheSecrets(t *testing.T) {
	t.Parallel()
	w := start(t)
	known := func(version int64) {
		w.set(func() {
			w.version = version
			for secret, scopes := range map[string]string{"ghp_admin": "", "ghp_reads": "requests:read people:read", "ghp_asks": "requests:write"} {
				c := w.admin
				c.Scopes, c.APIToken, c.UserVersion = scopes, true, version
				w.secrets[secret] = c
			}
		})
	}
	const body = `{"kind": "REQUEST_KIND_GRANT", "entitlementIds": ["` + uuid + `"], "justification": "to sell"}`
	for version := range int64(3) {
		known(version)
		for secret, lacks := range map[string][2]string{"ghp_admin": {}, "ghp_reads": {"requests:write", ""}, "ghp_asks": {"", "people:read"}} {
			answers := [2]answer{
				w.call("POST", "/v1/requests", body, "Authorization", "Bearer "+secret),
				w.call("GET", "/v1/users", "", "Authorization", "Bearer "+secret),
			}
			for i, a := range answers {
				if lacks[i] == "" {
					if a.code != http.StatusOK {
						t.Errorf("version %d, %s: %d %s", version, secret, a.code, a.body)
					}
					continue
				}
				reason, _ := a.reason(t)
				want := `Bearer realm="gatehouse", error="insufficient_scope", scope="` + lacks[i] + `"`
				if a.code != http.StatusForbidden || reason != "SCOPE_MISSING" || a.header.Get("WWW-Authenticate") != want {
					t.Errorf("version %d, %s: %d %s %q", version, secret, a.code, a.body, a.header.Get("WWW-Authenticate"))
				}
			}
		}
	}
}

// A role that has just been given works with the session that is there. Being
// refused again and again does not make identity-sync work.
func TestNewRoleIsNoticed(t *testing.T) {
	t.Parallel()
	w := start(t)
	role := func(role authzv1.Caller) {
		w.set(func() {
			c := w.admin
			c.Role = role
			w.secrets["ghp_admin"] = c
		})
	}
	update := func() int {
		return w.call("PATCH", "/v1/apps/"+uuid, `{"name": "CRM"}`, asAdmin()...).code
	}
	role(authzv1.Caller_CALLER_MEMBER)
	for range 5 {
		if code := update(); code != http.StatusForbidden {
			t.Fatalf("a member changes an app: %d", code)
		}
	}
	if n := w.exchanges(); n != 1 {
		t.Errorf("exchanged %d times", n)
	}
	role(authzv1.Caller_CALLER_ADMIN)
	w.clock.Advance(time.Second)
	if code := update(); code != http.StatusOK {
		t.Errorf("an admin: %d", code)
	}
}

func TestConcurrentCallersShareAnExchange(t *testing.T) {
	t.Parallel()
	w := start(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := w.call("GET", "/v1/me", "", asAdmin()...); a.code != http.StatusOK {
				t.Errorf("%d %s", a.code, a.body)
			}
		})
	}
	wg.Wait()
	if n := w.exchanges(); n > 5 { // those that were too late for the first may ask once more
		t.Errorf("exchanged %d times", n)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := start(t)
	jwt := w.tokens.Mint(w.admin)
	for _, tt := range []struct {
		name       string
		headers    []string
		want       int
		wantReason string
	}{
		{"API token", []string{"Authorization", "Bearer ghp_admin"}, 200, ""},
		{"signed token", []string{"Authorization", "Bearer " + jwt}, 200, ""},
		{"signed token for another service", []string{"Authorization", "Bearer " + w.tokens.MintFor(w.admin, "audit")}, 401, "TOKEN_INVALID"},
		{"session cookie", []string{"Cookie", "gatehouse_session=ghs_admin"}, 200, ""},
		{"bearer goes before the cookie", []string{"Authorization", "Bearer nobody", "Cookie", "gatehouse_session=ghs_admin"}, 401, "TOKEN_INVALID"},
		{"nothing", nil, 401, "TOKEN_MISSING"},
		{"unknown token", []string{"Authorization", "Bearer ghp_wrong"}, 401, "TOKEN_INVALID"},
		{"forged signed token", []string{"Authorization", "Bearer " + jwt[:len(jwt)-9] + "AAAAAAAAA"}, 401, "TOKEN_INVALID"},
		{"another scheme", []string{"Authorization", "Basic Z2g6eA=="}, 401, "TOKEN_INVALID"},
		{"no token", []string{"Authorization", "Bearer "}, 401, "TOKEN_INVALID"},
		{"not printable", []string{"Authorization", "Bearer gh\xff"}, 401, "TOKEN_INVALID"},
		{"two tokens", []string{"Authorization", "Bearer ghp_admin ghp_admin"}, 401, "TOKEN_INVALID"},
		{"very long", []string{"Authorization", "Bearer " + strings.Repeat("x", 9000)}, 401, "TOKEN_INVALID"},
		{"longer than any secret", []string{"Authorization", "Bearer " + strings.Repeat("x", 600)}, 401, "TOKEN_INVALID"},
		{"ended session", []string{"Cookie", "gatehouse_session=ghs_ended"}, 401, "TOKEN_MISSING"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := send(t, "GET", w.url+"/v1/me", nil, tt.headers...)
			if a.code != tt.want {
				t.Fatalf("%d %s", a.code, a.body)
			}
			if tt.want == http.StatusOK {
				return
			}
			if reason, _ := a.reason(t); reason != tt.wantReason {
				t.Errorf("reason %s", reason)
			}
			if got := a.header.Values("WWW-Authenticate"); !slices.Equal(got, []string{`Bearer realm="gatehouse"`}) {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if strings.Contains(a.body, "ghp_") || strings.Contains(a.body, jwt[:20]) {
				t.Errorf("the answer repeats the secret: %s", a.body)
			}
		})
	}
	t.Run("role", func(t *testing.T) {
		t.Parallel()
		member := w.admin
		member.Role++
		for member.Role.String() != "CALLER_MEMBER" {
			member.Role++
		}
		a := send(t, "GET", w.url+"/v1/parkedEvents", nil, "Authorization", "Bearer "+w.tokens.Mint(member))
		if reason, _ := a.reason(t); a.code != http.StatusForbidden || reason != "ROLE_NOT_ALLOWED" {
			t.Errorf("%d %s", a.code, a.body)
		}
	})
}

// A browser whose session has ended can still see the page to sign in, and
// forgets the cookie.
func TestEndedSessionIsNobody(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := w.call("GET", "/v1/sessions:devPeople", "", "Cookie", "gatehouse_session=ghs_ended")
	if a.code != http.StatusOK || !strings.Contains(a.body, "ada") {
		t.Errorf("%d %s", a.code, a.body)
	}
	if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "gatehouse_session=;") || !strings.Contains(c, "Max-Age=0") {
		t.Errorf("Set-Cookie: %q", c)
	}
}

func TestAwayServices(t *testing.T) {
	t.Parallel()
	w := start(t, "identity-sync", "approval")
	jwt := "Bearer " + w.tokens.Mint(w.admin)
	for _, tt := range []struct{ name, path, auth, service string }{
		{"exchange", "/v1/apps", "Bearer ghp_admin", "identity-sync"},
		{"call", "/v1/flows", jwt, ""},
		{"gathered", "/v1/parkedEvents", jwt, "approval"},
		{"SCIM", "/scim/v2/Users", "Bearer ghi_x", ""},
		{"keys", "/.well-known/jwks.json", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := send(t, "GET", w.url+tt.path, nil, "Authorization", tt.auth)
			if a.code != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "1" {
				t.Errorf("%d, Retry-After %q: %s", a.code, a.header.Get("Retry-After"), a.body)
			}
			if strings.Contains(a.body, "127.0.0.1") || strings.Contains(a.body, "refused") {
				t.Errorf("the answer names internals: %s", a.body)
			}
			if tt.service != "" && !strings.Contains(a.body, `"`+tt.service+`"`) {
				t.Errorf("the answer does not name %s: %s", tt.service, a.body)
			}
		})
	}
	// A session is not lost because identity-sync is away.
	a := w.call("GET", "/v1/me", "", "Cookie", "gatehouse_session=ghs_admin")
	if a.code != http.StatusServiceUnavailable || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%d, Set-Cookie %q", a.code, a.header.Get("Set-Cookie"))
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	await := func(w *world, code int, text string) {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		for {
			a := send(t, "GET", w.inner+"/readyz", nil)
			if a.code == code && strings.Contains(a.body, text) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("/readyz: %d %s", a.code, a.body)
			}
		}
	}
	// A service that has never been seen.
	await(start(t, "provisioning"), http.StatusServiceUnavailable, `"reason": "it does not answer"`)
	w := start(t)
	await(w, http.StatusOK, `"status": "ready"`)
	set := func(service, name string, status healthpb.HealthCheckResponse_ServingStatus) {
		w.health[service].SetServingStatus(name, status)
	}
	const serving, notServing = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING

	// A service without one of its parts, and one that is not ready: all others
	// go on.
	set("request", "part/bus", notServing)
	await(w, http.StatusOK, `"reason": "does not work in it: bus"`)
	set("request", "part/bus", serving)
	set("audit", "part/database", notServing)
	set("audit", "", notServing)
	await(w, http.StatusOK, `"reason": "it is not ready; does not work in it: database"`)
	if a := send(t, "GET", w.inner+"/readyz", nil); !strings.Contains(a.body, `"status": "degraded"`) || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("/readyz: %s", a.body)
	}
	// Strangers are told no more than load balancers need.
	if a := w.call("GET", "/readyz", ""); a.code != http.StatusOK || a.body != "{\n  \"status\": \"degraded\"\n}\n" {
		t.Errorf("the outer /readyz: %d %s", a.code, a.body)
	}
	if a := w.call("GET", "/metrics", ""); a.code != http.StatusNotFound {
		t.Errorf("everybody may ask for /metrics: %d", a.code)
	}
	if a := send(t, "GET", w.inner+"/metrics", nil); !strings.Contains(a.body, `gatehouse_part_up{part="audit",service="gateway"} 0`) {
		t.Error("/metrics does not tell of audit")
	}
	set("audit", "", serving)
	set("audit", "part/database", serving)

	// Without identity-sync nobody gets in.
	set("identity-sync", "", notServing)
	await(w, http.StatusServiceUnavailable, `"reason": "it is not ready"`)
	set("identity-sync", "", serving)
	await(w, http.StatusOK, `"status": "ready"`)
	if a := w.call("GET", "/healthz", ""); a.code != http.StatusOK {
		t.Errorf("/healthz: %d", a.code)
	}
	w.call("GET", "/v1/users/"+uuid, "", asAdmin()...)
	if a := send(t, "GET", w.inner+"/metrics", nil); !strings.Contains(a.body, `http_route="/v1/users/{id}"`) {
		t.Error("/metrics has no time of the route")
	}
}

// What is wrong with a request is said by field, in words of the API.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		name, method, path, body string
		wantReason, wantField    string
	}{
		{"unknown field", "POST", "/v1/requests", `{"kindd":"REQUEST_KIND_GRANT"}`, "FIELD_UNKNOWN", "kindd"},
		{"unknown field with quotes", "POST", "/v1/requests", `{"a\"b":1}`, "FIELD_UNKNOWN", `a"b`},
		{"unknown field in snake case", "POST", "/v1/requests", `{"kin_d":1}`, "FIELD_UNKNOWN", "kin_d"},
		{"unknown nested field", "POST", "/v1/requests:preview", `{"request":{"kind":"REQUEST_KIND_GRANT","foo":1}}`, "FIELD_UNKNOWN", "request.foo"},
		{"unknown field in a list", "POST", "/v1/flows", `{"flow":{"name":"x","steps":[{"name":"a"},{"nam":"b"}]}}`, "FIELD_UNKNOWN", "flow.steps[1].nam"},
		{"unknown enum", "POST", "/v1/requests", `{"kind":"GRANTED"}`, "FIELD_INVALID", "kind"},
		{"unknown enum number", "POST", "/v1/requests", `{"kind":7,"entitlementIds":["` + uuid + `"]}`, "ENUM_DEFINED_ONLY", "kind"},
		{"unknown enum in a list", "POST", "/v1/flows", `{"flow":{"kinds":["REQUEST_KIND_GRANT","X"]}}`, "FIELD_INVALID", "flow.kinds[1]"},
		{"text for a list", "POST", "/v1/requests", `{"entitlementIds":"x"}`, "FIELD_INVALID", "entitlementIds"},
		{"number for a text", "POST", "/v1/requests", `{"justification":5}`, "FIELD_INVALID", "justification"},
		{"number in a list of texts", "POST", "/v1/requests", `{"entitlement_ids":["a",5]}`, "FIELD_INVALID", "entitlementIds[1]"},
		{"object for a text", "POST", "/v1/requests", `{"justification":{}}`, "FIELD_INVALID", "justification"},
		{"not a time", "POST", "/v1/requests", `{"until":"tomorrow"}`, "FIELD_INVALID", "until"},
		{"text for an object", "POST", "/v1/requests:preview", `{"request":"x"}`, "FIELD_INVALID", "request"},
		{"number too large", "PATCH", "/v1/flows/" + uuid, `{"priority":99999999999}`, "FIELD_INVALID", "flow.priority"},
		{"fraction for a whole number", "PATCH", "/v1/flows/" + uuid, `{"priority":1.5}`, "FIELD_INVALID", "flow.priority"},
		{"field twice", "POST", "/v1/requests", `{"justification":"a","justification":"b"}`, "FIELD_DUPLICATE", "justification"},
		{"field under both names", "POST", "/v1/requests", `{"entitlementIds":[],"entitlement_ids":[]}`, "FIELD_DUPLICATE", "entitlementIds"},
		{"not JSON", "POST", "/v1/requests", `{"kind":`, "BODY_INVALID", ""},
		{"form", "POST", "/v1/requests", `kind=GRANT`, "BODY_INVALID", ""},
		{"two values", "POST", "/v1/requests", `{} {}`, "BODY_INVALID", ""},
		{"a list", "POST", "/v1/requests", `[]`, "BODY_INVALID", ""},
		{"null", "POST", "/v1/requests", `null`, "BODY_INVALID", ""},
		{"not UTF-8", "POST", "/v1/requests", "{\"justification\":\"\xff\"}", "FIELD_INVALID", "justification"},
		{"nothing", "POST", "/v1/requests", ``, "INVALID_ARGUMENT", "kind"},
		{"body of a part", "PATCH", "/v1/apps/" + uuid, `{"nme":"x"}`, "FIELD_UNKNOWN", "app.nme"},
		{"body of a part in two words", "PATCH", "/v1/checklistSettings", `{"kin_d":"x"}`, "FIELD_UNKNOWN", "checklistSettings.kin_d"},
		{"wrong type in a part", "PATCH", "/v1/apps/" + uuid, `{"name":1}`, "FIELD_INVALID", "app.name"},
		{"part is no object", "PATCH", "/v1/apps/" + uuid, `"x"`, "FIELD_INVALID", "app"},
		{"id in the path", "GET", "/v1/users/ada", ``, "INVALID_ARGUMENT", "id"},
		{"id before a verb", "POST", "/v1/requests/x:cancel", `{}`, "INVALID_ARGUMENT", "id"},
		{"verb of another method", "GET", "/v1/requests/" + uuid + ":cancel", ``, "INVALID_ARGUMENT", "id"},
		{"unknown parameter", "GET", "/v1/grants?stat=GRANT_STATE_ACTIVE", ``, "FIELD_UNKNOWN", "stat"},
		{"unknown enum in a parameter", "GET", "/v1/grants?state=OPEN", ``, "FIELD_INVALID", "state"},
		{"not a number in a parameter", "GET", "/v1/users?pageSize=ten", ``, "FIELD_INVALID", "pageSize"},
		{"not a time in a parameter", "GET", "/v1/auditEntries?since=now", ``, "FIELD_INVALID", "since"},
		{"parameter twice", "GET", "/v1/users?query=a&query=b", ``, "FIELD_DUPLICATE", "query"},
		{"parameter under both names", "GET", "/v1/users?pageSize=1&page_size=2", ``, "FIELD_DUPLICATE", "pageSize"},
		{"parameter out of range", "GET", "/v1/users?pageSize=-1", ``, "INVALID_ARGUMENT", "pageSize"},
		{"parameter where the body has it all", "POST", "/v1/requests?kind=1", `{}`, "FIELD_UNKNOWN", "kind"},
		{"parameter that is in the path", "GET", "/v1/users/" + uuid + "?id=x", ``, "FIELD_UNKNOWN", "id"},
		{"parameter that is in the body", "PATCH", "/v1/apps/" + uuid + "?app.name=x", `{}`, "FIELD_UNKNOWN", "app.name"},
		{"unreadable query", "GET", "/v1/users?query=%zz", ``, "QUERY_INVALID", ""},
		{"semicolon in the query", "GET", "/v1/users?query=a;b", ``, "QUERY_INVALID", ""},
		{"gathered page size", "GET", "/v1/parkedEvents?pageSize=-1", ``, "INVALID_ARGUMENT", "pageSize"},
		{"gathered page token", "GET", "/v1/parkedEvents?pageToken=x", ``, "PAGE_TOKEN_INVALID", "pageToken"},
		{"gathered service", "GET", "/v1/parkedEvents?service=mail", ``, "SERVICE_UNKNOWN", "service"},
		{"replay in no service", "POST", "/v1/parkedEvents/mail/" + uuid + ":replay", `{}`, "SERVICE_UNKNOWN", "service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader
			if tt.body != "" {
				body = strings.NewReader(tt.body)
			}
			a := send(t, tt.method, w.url+tt.path, body, asAdmin("Content-Type", "application/x-www-form-urlencoded")...)
			reason, field := a.reason(t)
			// Reasons of validation are in the field; the status has the general one.
			if a.code != http.StatusBadRequest || field != tt.wantField || !strings.Contains(a.body, tt.wantReason) {
				t.Errorf("%d, reason %s, field %q: %s", a.code, reason, field, a.body)
			}
			if tt.wantReason == "INVALID_ARGUMENT" && strings.Contains(a.body, "page_size") {
				t.Errorf("the text names a field as JSON does not: %s", a.body)
			}
			for _, internal := range []string{"proto:", "proto\u00a0", "syntax error", "gatehouse.request", "gatehouse.approval", "strconv", "line 1", "unexpected token"} {
				if strings.Contains(a.body, internal) {
					t.Errorf("the answer says %q: %s", internal, a.body)
				}
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, size := range []int{1<<20 - 18, 2 << 20, 9 << 20} {
		large := `{"justification":"` + strings.Repeat("x", size) + `"}`
		for _, path := range []string{"/v1/requests", "/v1/organizations:signUp"} {
			known := w.call("POST", path, large, asAdmin()...)
			chunked := send(t, "POST", w.url+path, io.MultiReader(strings.NewReader(large)), asAdmin()...)
			for _, a := range []answer{known, chunked} {
				if reason, _ := a.reason(t); a.code != http.StatusRequestEntityTooLarge || reason != "BODY_TOO_LARGE" {
					t.Errorf("%d bytes to %s: %d %.200s", len(large), path, a.code, a.body)
				}
			}
		}
	}
	fits := `{"kind":"REQUEST_KIND_GRANT","entitlementIds":["` + uuid + `"],"justification":"` + strings.Repeat("x", 4000) + `"}`
	if a := w.call("POST", "/v1/requests", fits, asAdmin()...); a.code != http.StatusOK {
		t.Errorf("a body that fits: %d %.200s", a.code, a.body)
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		method, path string
		want         int
		wantAllow    string
	}{
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"GET", "/v1/users/" + uuid + "/", 404, ""},
		{"GET", "/v1/users/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/v1/requests:nothing", 404, ""},
		// A user name with what a path is made of is nobody else's path.
		{"GET", "/v1/users/" + uuid + "%2Fidentities", 404, ""},
		{"GET", "/v1/users/corp%2Fbob", 404, ""},
		{"POST", "/v1/users/" + uuid + "%3AsetRole", 404, ""},
		{"PUT", "/v1/users/corp%3Abob", 405, "DELETE, GET, HEAD, OPTIONS"},
		{"POST", "/v1/requests/" + uuid + ":nothing", 405, "GET, HEAD, OPTIONS"},
		{"PUT", "/v1/users/" + uuid, 405, "DELETE, GET, HEAD, OPTIONS"},
		{"DELETE", "/v1/requests", 405, "GET, HEAD, OPTIONS, POST"},
		{"GET", "/v1/requests:preview", 405, "OPTIONS, POST"},
		{"PUT", "/openapi.json", 405, "GET, HEAD"},
		{"PUT", "/sign-in", 405, "GET, HEAD, POST"},
		{"POST", "/sign-in/" + uuid + "/callback", 405, "GET, HEAD"},
		{"GET", "/sign-in/" + uuid + "/backchannel-logout", 405, "POST"},
		{"OPTIONS", "/v1/apps/" + uuid, 204, "DELETE, GET, HEAD, OPTIONS, PATCH"},
		{"HEAD", "/v1/me", 200, ""},
		{"HEAD", "/v1/users/" + uuid, 404, ""},
		{"HEAD", "/", 200, ""},
		{"GET", "/openapi.json", 200, ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			a := send(t, tt.method, w.url+tt.path, nil, asAdmin()...)
			if a.code != tt.want || a.header.Get("Allow") != tt.wantAllow {
				t.Errorf("%d, Allow %q: %.200s", a.code, a.header.Get("Allow"), a.body)
			}
			if tt.method != "HEAD" && tt.want >= 400 {
				want := map[int]string{404: "ROUTE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}[tt.want]
				if reason, _ := a.reason(t); reason != want {
					t.Errorf("reason %s", reason)
				}
			}
			if tt.method == "HEAD" && a.body != "" {
				t.Errorf("an answer to HEAD has a body: %q", a.body)
			}
			for _, h := range []string{
				"X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy", "Cache-Control", "X-Frame-Options",
				"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy",
			} {
				if len(a.header.Values(h)) != 1 {
					t.Errorf("%s: %q", h, a.header.Values(h))
				}
			}
			if h := a.header.Get("Access-Control-Allow-Origin"); h != "" {
				t.Errorf("other sites may read it: %q", h)
			}
		})
	}
	// A form must not turn a wrong POST into a GET.
	if a := w.call("POST", "/v1/groups", "a=b", asAdmin("Content-Type", "application/x-www-form-urlencoded")...); a.code != http.StatusMethodNotAllowed {
		t.Errorf("POST of a form: %d", a.code)
	}
	if a := w.call("POST", "/v1/requests", "{}", asAdmin("X-HTTP-Method-Override", "GET")...); a.code != http.StatusBadRequest {
		t.Errorf("POST with an override: %d", a.code)
	}
}

// Every operation of openapi.json arrives at the RPC it describes, at the
// service that owns it.
func TestEveryOperationIsRouted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	arrived := map[string]string{} // method → service
	serve := func(name string) string {
		srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			mu.Lock()
			defer mu.Unlock()
			arrived[method] = name
			return status.Error(codes.Unimplemented, "a secret of "+name)
		}))
		lis := listen(t)
		serveGRPC(t, srv, lis)
		return lis.Addr().String()
	}
	url, _ := run(t, gateway.Config{
		IdentityAddr: serve("identity"), RequestAddr: serve("request"), ApprovalAddr: serve("approval"),
		ProvisioningAddr: serve("provisioning"), AuditAddr: serve("audit"), IdentityHTTPAddr: "127.0.0.1:1",
	})
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			RequestBody any    `json:"requestBody"`
			Standard    string `json:"x-standard"` // of what is no RPC: passed on as it is
		}
	}
	if err := json.Unmarshal(proto.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for path, item := range doc.Paths {
		for verb, op := range item {
			operations++
			if op.Standard != "" {
				continue
			}
			p := strings.ReplaceAll(path, "{service}", "approval")
			for from := strings.IndexByte(p, '{'); from >= 0; from = strings.IndexByte(p, '{') {
				p = p[:from] + uuid + p[strings.IndexByte(p, '}')+1:]
			}
			var body io.Reader
			if op.RequestBody != nil {
				body = strings.NewReader("{}")
			}
			a := send(t, strings.ToUpper(verb), url+p, body, "Authorization", "Bearer a.b.c")
			if a.code != http.StatusInternalServerError || strings.Contains(a.body, "secret") {
				t.Errorf("%s %s: %d %s", verb, path, a.code, a.body)
			}
			service, method, _ := strings.Cut(op.OperationID, "_")
			found := false
			mu.Lock()
			for m, name := range arrived {
				pkg, rest, _ := strings.Cut(strings.TrimPrefix(m, "/gatehouse."), ".v1.")
				if rest == service+"/"+method {
					found = pkg == name || pkg == "ops"
				}
			}
			mu.Unlock()
			if !found {
				t.Errorf("%s %s did not arrive at %s", verb, path, op.OperationID)
			}
		}
	}
	if operations < 50 {
		t.Errorf("openapi.json has only %d operations", operations)
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	w := start(t)
	cookie := []string{"Cookie", "gatehouse_session=ghs_admin"}
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		want               int
	}{
		{"another site posts", "POST", "/v1/apiTokens", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site posts, old browser", "POST", "/v1/apiTokens", []string{"Origin", "https://evil.example"}, 403},
		{"a sibling site posts", "POST", "/v1/apiTokens", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another site signs in", "POST", "/sign-in", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site signs out", "POST", "/sign-out", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"the page posts", "POST", "/v1/requests:preview", []string{"Sec-Fetch-Site", "same-origin"}, 400},
		{"another site links", "GET", "/v1/me", []string{"Sec-Fetch-Site", "cross-site"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := send(t, tt.method, w.url+tt.path, strings.NewReader("{}"), append(slices.Clone(cookie), tt.headers...)...)
			if a.code != tt.want {
				t.Errorf("%d %s", a.code, a.body)
			}
			if tt.want == http.StatusForbidden {
				if reason, _ := a.reason(t); reason != "CROSS_ORIGIN" {
					t.Errorf("reason %s", reason)
				}
			}
		})
	}
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	w := start(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}
	a := w.call("POST", "/sign-in", "user_name=nobody", form...)
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "/welcome?failed=true&to=%2F" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%d to %q", a.code, a.header.Get("Location"))
	}
	a = w.call("POST", "/sign-in", "user_name=ada", form...)
	want := "gatehouse_session=ghs_admin; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "/" || a.header.Get("Set-Cookie") != want {
		t.Errorf("%d to %q, Set-Cookie %q", a.code, a.header.Get("Location"), a.header.Get("Set-Cookie"))
	}
	a = w.call("POST", "/sign-in", "user_name=ada", append(form, "X-Forwarded-Proto", "https")...)
	if got := a.header.Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-gatehouse_session=ghs_admin; Path=/;") || !strings.Contains(got, "; Secure") {
		t.Errorf("behind TLS: Set-Cookie %q", got)
	}
	for place, want := range map[string]string{"%2Freference": "/reference", "%2Ftasks%3Fa=b": "/tasks?a=b", "https%3A%2F%2Fevil.example": "/", "%2F%2Fevil.example": "/"} {
		if a = w.call("POST", "/sign-in", "user_name=ada&return_to="+place, form...); a.header.Get("Location") != want {
			t.Errorf("back to %s: %q", place, a.header.Get("Location"))
		}
	}
	behind := []string{"X-Forwarded-Proto", "https", "Cookie"}
	if a = w.call("GET", "/v1/me", "", append(behind, "__Host-gatehouse_session=ghs_admin")...); a.code != http.StatusOK {
		t.Errorf("behind TLS: %d %s", a.code, a.body)
	}
	if a = w.call("GET", "/v1/me", "", append(behind, "gatehouse_session=ghs_admin")...); a.code != http.StatusUnauthorized {
		t.Errorf("behind TLS, with a cookie that anybody of the domain may set: %d", a.code)
	}
	session := []string{"Cookie", "gatehouse_session=ghs_admin"}
	if a = w.call("GET", "/v1/me", "", session...); a.code != http.StatusOK {
		t.Errorf("%d %s", a.code, a.body)
	}
	a = w.call("POST", "/sign-out", "", session...)
	if a.code != http.StatusSeeOther || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") || w.signedOut != 1 {
		t.Errorf("%d, Set-Cookie %q, signed out %d times", a.code, a.header.Get("Set-Cookie"), w.signedOut)
	}
	// Not after the trust time: at once.
	if a = w.call("GET", "/v1/me", "", session...); a.code != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", a.code)
	}
}

func TestSCIMIsPassedOn(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		name         string
		headers      []string
		wantLocation string
	}{
		{"direct", []string{"Host", "gate.example:8080"}, "http://gate.example:8080/scim/v2/Users/1"},
		{"behind a proxy", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "gate.example"}, "https://gate.example/scim/v2/Users/1"},
		{"nonsense", []string{"Host", "gate.example", "X-Forwarded-Proto", "gopher"}, "http://gate.example/scim/v2/Users/1"},
	} {
		a := w.call("POST", "/scim/v2/Users?x=1", "{}", append(tt.headers,
			"Authorization", "Bearer ghi_source", "Cookie", "gatehouse_session=ghs_admin", "X-Forwarded-For", "192.0.2.1",
			"Connection", "X-Hop", "X-Hop", "1", "Content-Type", "application/scim+json",
			"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
		if a.code != http.StatusCreated || a.header.Get("Location") != tt.wantLocation {
			t.Errorf("%s: %d, Location %q", tt.name, a.code, a.header.Get("Location"))
		}
		if got := a.header.Values("Cache-Control"); !slices.Equal(got, []string{"no-store"}) {
			t.Errorf("Cache-Control: %q", got)
		}
		r := w.scim[len(w.scim)-1]
		if r.URL.String() != "/scim/v2/Users?x=1" || r.Header.Get("Authorization") != "Bearer ghi_source" {
			t.Errorf("%s, Authorization %q", r.URL, r.Header.Get("Authorization"))
		}
		for _, h := range []string{"Cookie", "X-Hop", "Connection"} {
			if r.Header.Get(h) != "" {
				t.Errorf("%s went through: %q", h, r.Header.Get(h))
			}
		}
		if got := r.Header.Get("X-Forwarded-For"); got != "192.0.2.1" {
			t.Errorf("X-Forwarded-For: %q", got)
		}
		if got := r.Header.Get("Traceparent"); !strings.Contains(got, "0af7651916cd43dd8448eb211c80319c") || strings.Contains(got, "b7ad6b7169203331") {
			t.Errorf("traceparent: %q", got)
		}
	}
	if n := w.exchanges(); n != 0 {
		t.Errorf("the source's token was exchanged")
	}
}

// Services see the caller's signed token and the trace, and nothing else that
// the caller brought.
func TestWhatServicesSee(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := w.call("GET", "/v1/me", "",
		"Cookie", "gatehouse_session=ghs_admin; other=1",
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Grpc-Timeout", "1n", "Grpc-Metadata-X-Admin", "1", "X-Custom", "1", "Te", "trailers")
	if a.code != http.StatusOK {
		t.Fatalf("%d %s", a.code, a.body)
	}
	md := w.lastHead()
	if got := md.Get("traceparent"); len(got) != 1 || !strings.HasPrefix(got[0], "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("traceparent: %q", got)
	}
	if got := md.Get("authorization"); len(got) != 1 || strings.Count(got[0], ".") != 2 {
		t.Errorf("%d authorizations", len(got))
	}
	for key, values := range md {
		if strings.Contains(key, "cookie") || strings.Contains(key, "custom") || strings.Contains(key, "admin") || strings.Contains(strings.Join(values, " "), "ghs_") {
			t.Errorf("services see %s: %q", key, values)
		}
	}
	for k := range a.header {
		if strings.HasPrefix(k, "Grpc-") || k == "Trailer" {
			t.Errorf("the answer has %s", k)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	a := w.call("POST", "/v1/requests", `{"kind":"REQUEST_KIND_GRANT","entitlementIds":["`+uuid+`"],"justification":"é","until":"`+until+`"}`, asAdmin()...)
	if a.code != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s: %s", a.code, a.header.Get("Content-Type"), a.body)
	}
	if r := last[*requestv1.CreateRequestRequest](w); r.GetJustification() != "é" || r.GetUntil().AsTime().Format(time.RFC3339) != until {
		t.Errorf("%v", r)
	}
	// Fields that are not set are there all the same.
	if !strings.Contains(a.body, `"id":""`) || !strings.Contains(a.body, `"items":[]`) {
		t.Errorf("%s", a.body)
	}
	// Only the fields in the body are meant.
	w.call("PATCH", "/v1/apps/"+uuid, `{"name":"x","description":""}`, asAdmin()...)
	r := last[*requestv1.UpdateAppRequest](w)
	paths := slices.Sorted(slices.Values(r.GetUpdateMask().GetPaths()))
	if d := cmp.Diff([]string{"description", "name"}, paths); d != "" || r.GetApp().GetId() != uuid {
		t.Errorf("%v", r)
	}
	w.call("PATCH", "/v1/apps/"+uuid+"?updateMask=name,owner_id", `{"name":"x"}`, asAdmin()...)
	if d := cmp.Diff([]string{"name", "owner_id"}, last[*requestv1.UpdateAppRequest](w).GetUpdateMask().GetPaths()); d != "" {
		t.Error(d)
	}
	w.call("GET", "/v1/users?page_size=7&query=a%20b&state=USER_STATE_ACTIVE", "", asAdmin()...)
	if r := last[*identityv1.ListUsersRequest](w); r.GetPageSize() != 7 || r.GetQuery() != "a b" {
		t.Errorf("%v", r)
	}
	// A service's own words are passed on.
	a = w.call("GET", "/v1/users/"+uuid, "", asAdmin()...)
	if reason, _ := a.reason(t); a.code != http.StatusNotFound || reason != "USER_NOT_FOUND" || a.status(t).Message != "there is no such user" {
		t.Errorf("%d %s", a.code, a.body)
	}
	a = w.call("POST", "/v1/requests/"+uuid+":cancel", "{}", asAdmin()...)
	if a.code != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", a.code, a.header.Get("Retry-After"))
	}
	a = w.call("GET", "/v1/organization", "", asAdmin("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
	if a.code != http.StatusInternalServerError || strings.Contains(a.body, "secret") || !strings.Contains(a.body, "0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("%d %s", a.code, a.body)
	}
	// A service that does not have a method is a fault of ours.
	a = w.call("GET", "/v1/grants", "", asAdmin()...)
	if reason, _ := a.reason(t); a.code != http.StatusInternalServerError || reason != "INTERNAL" {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	w := start(t)
	report := "/v1/requests/" + uuid + "/report"
	for _, tt := range []struct{ path, wantKind, wantName string }{
		{"/v1/checklists:export", "text/csv; charset=utf-8", "checklists.csv"},
		{report, "application/json", "request-report.json"},
		{report + "?format=csv", "text/csv", "request-report.csv"},
		{report + "?format=pdf", "application/pdf", "request-report.pdf"},
		{report + "?format=xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "request-report.xlsx"},
	} {
		a := w.call("GET", tt.path, "", asAdmin()...)
		if a.code != http.StatusOK || a.header.Get("Content-Type") != tt.wantKind || a.header.Get("Content-Disposition") != `attachment; filename="`+tt.wantName+`"` {
			t.Errorf("%s: %d %q %q", tt.path, a.code, a.header.Get("Content-Type"), a.header.Get("Content-Disposition"))
		}
	}
	if a := w.call("GET", report+"?format=doc", "", asAdmin()...); a.code != http.StatusBadRequest || a.header.Get("Content-Disposition") != "" {
		t.Errorf("an error is saved as %q", a.header.Get("Content-Disposition"))
	}
}

func TestParkedEventsAreGathered(t *testing.T) {
	t.Parallel()
	w := start(t)
	var all []string
	for _, s := range []struct {
		name string
		n    int
	}{{"request", 2}, {"approval", 0}, {"provisioning", 3}, {"audit", 1}} {
		for range s.n {
			e := &opsv1.ParkedEvent{Service: s.name, EventId: id.New().String()}
			w.parked[s.name] = append(w.parked[s.name], e)
			all = append(all, e.GetEventId())
		}
	}
	list := func(query string) (ids []string, next string) {
		t.Helper()
		a := w.call("GET", "/v1/parkedEvents?"+query, "", asAdmin()...)
		var out struct {
			ParkedEvents  []struct{ EventID string }
			NextPageToken string
		}
		if err := json.Unmarshal([]byte(a.body), &out); a.code != http.StatusOK || err != nil {
			t.Fatalf("%d %s", a.code, a.body)
		}
		for _, e := range out.ParkedEvents {
			ids = append(ids, e.EventID)
		}
		return ids, out.NextPageToken
	}
	for size := 1; size <= 7; size++ {
		var got []string
		token := ""
		for range 10 {
			ids, next := list(fmt.Sprintf("pageSize=%d&pageToken=%s", size, token))
			if len(ids) > size {
				t.Errorf("%d events in a page of %d", len(ids), size)
			}
			got = append(got, ids...)
			if token = next; token == "" {
				break
			}
		}
		if d := cmp.Diff(all, got); d != "" || token != "" {
			t.Errorf("in pages of %d: %s", size, d)
		}
	}
	if ids, _ := list(""); len(ids) != len(all) {
		t.Errorf("all at once: %d", len(ids))
	}
	ids, next := list("service=provisioning&pageSize=2")
	rest, end := list("service=provisioning&pageSize=2&pageToken=" + next)
	if d := cmp.Diff(all[2:5], append(ids, rest...)); d != "" || end != "" {
		t.Errorf("of one service: %s", d)
	}
	// A token of one list is none of another.
	if a := w.call("GET", "/v1/parkedEvents?service=audit&pageToken="+next, "", asAdmin()...); a.code != http.StatusBadRequest {
		t.Errorf("another list's token: %d", a.code)
	}
	if a := w.call("POST", "/v1/parkedEvents/provisioning/"+all[3]+":replay", "{}", asAdmin()...); a.code != http.StatusOK {
		t.Errorf("replay: %d %s", a.code, a.body)
	}
	if d := cmp.Diff([]string{"provisioning " + all[3]}, w.replayed); d != "" {
		t.Error(d)
	}
}

// An order is that of all services' events, in pages of any size.
func TestParkedEventsAreSorted(t *testing.T) {
	t.Parallel()
	w := start(t)
	var all []*opsv1.ParkedEvent
	for i, name := range []string{"request", "provisioning", "request", "audit", "provisioning", "provisioning", "audit", "request"} {
		e := &opsv1.ParkedEvent{
			Service: name, EventId: id.New().String(), Attempts: int32(10 + i*7%5), //nolint:gosec // few
			ParkedTime: timestamppb.New(time.Unix(int64(1000+i*5%8), 0)),
		}
		w.parked[name], all = append(w.parked[name], e), append(all, e)
	}
	for order, compare := range map[string]func(a, b *opsv1.ParkedEvent) int{
		"attempts%20desc": func(a, b *opsv1.ParkedEvent) int {
			if a.GetAttempts() != b.GetAttempts() {
				return int(b.GetAttempts() - a.GetAttempts())
			}
			return strings.Compare(b.GetEventId(), a.GetEventId())
		},
		"parkedTime": func(a, b *opsv1.ParkedEvent) int {
			return a.GetParkedTime().AsTime().Compare(b.GetParkedTime().AsTime())
		},
	} {
		var want []string
		for _, e := range slices.SortedFunc(slices.Values(all), compare) {
			want = append(want, e.GetEventId())
		}
		for size := 1; size <= 9; size++ {
			var got []string
			token := ""
			for range 10 {
				a := w.call("GET", fmt.Sprintf("/v1/parkedEvents?orderBy=%s&pageSize=%d&pageToken=%s", order, size, token), "", asAdmin()...)
				var out struct {
					ParkedEvents  []struct{ EventID string }
					NextPageToken string
				}
				if err := json.Unmarshal([]byte(a.body), &out); a.code != http.StatusOK || err != nil || len(out.ParkedEvents) > size {
					t.Fatalf("%d %s", a.code, a.body)
				}
				for _, e := range out.ParkedEvents {
					got = append(got, e.EventID)
				}
				if token = out.NextPageToken; token == "" {
					break
				}
			}
			if !slices.Equal(got, want) || token != "" {
				t.Errorf("%s in pages of %d: %v, want %v", order, size, got, want)
			}
		}
	}
	a := w.call("GET", "/v1/parkedEvents?orderBy=error", "", asAdmin()...)
	if reason, _ := a.reason(t); a.code != http.StatusBadRequest || reason != "ORDER_BY_INVALID" {
		t.Errorf("an order that there is not: %d %s", a.code, a.body)
	}
	if a := w.call("GET", "/v1/parkedEvents?orderBy=parkedTime&pageToken=WyJ4Il0", "", asAdmin()...); a.code != http.StatusBadRequest {
		t.Errorf("another list's token: %d", a.code)
	}
}

// The reference and the parts of the console are sent once, small, and run nothing of others.
func TestPage(t *testing.T) {
	t.Parallel()
	w := start(t)
	for path, kind := range map[string]string{
		"/reference": "text/html; charset=utf-8", "/reference/app.js": "text/javascript; charset=utf-8", "/reference/style.css": "text/css; charset=utf-8",
		"/assets/index.js": "text/javascript; charset=utf-8", "/assets/index.css": "text/css; charset=utf-8",
		"/icon.svg": "image/svg+xml", "/openapi.json": "application/json", "/reference/page.json": "application/json",
	} {
		a := w.call("GET", path, "")
		if a.code != http.StatusOK || a.header.Get("Content-Type") != kind || a.body == "" {
			t.Errorf("%s: %d %s", path, a.code, a.header.Get("Content-Type"))
		}
		if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		if again := w.call("GET", path, "", "If-None-Match", a.header.Get("Etag")); again.code != http.StatusNotModified {
			t.Errorf("%s again: %d", path, again.code)
		}
		small := w.call("GET", path, "", "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(strings.NewReader(small.body))
		if err != nil {
			t.Errorf("%s compressed: %v", path, err)
			continue
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != a.body || small.header.Get("Etag") == a.header.Get("Etag") {
			t.Errorf("%s compressed: another file, or tagged as the same: %v", path, err)
		}
	}
	if a := w.call("GET", "/openapi.json", ""); a.body != string(proto.OpenAPI) {
		t.Error("openapi.json is not the document")
	}
	if a := w.call("GET", "/reference/page.json", ""); a.body != `{"devSignIn":true}` {
		t.Errorf("%s", a.body)
	}
	// Where the development sign-in is off, there is no such form.
	off, _ := run(t, gateway.Config{
		IdentityAddr: "127.0.0.1:1", RequestAddr: "127.0.0.1:1", ApprovalAddr: "127.0.0.1:1",
		ProvisioningAddr: "127.0.0.1:1", AuditAddr: "127.0.0.1:1", IdentityHTTPAddr: "127.0.0.1:1",
	})
	if a := send(t, "POST", off+"/sign-in", strings.NewReader("user_name=ada")); a.code != http.StatusNotFound {
		t.Errorf("sign-in where it is off: %d", a.code)
	}
}

// Every path that a browser opens and no file has is the console's: links into it work. A
// program is told that there is nothing.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := start(t)
	nonces := make(map[string]bool)
	for _, path := range []string{"/", "/catalog", "/requests/" + uuid} {
		a := w.call("GET", path, "", "Accept", "text/html,application/xhtml+xml")
		if a.code != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, a.code, a.header)
		}
		_, rest, _ := strings.Cut(a.body, `property="csp-nonce" content="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		policy := a.header.Get("Content-Security-Policy")
		if len(nonce) < 20 || nonces[nonce] || !strings.Contains(policy, "style-src 'self' 'nonce-"+nonce+"'") || !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: nonce %q, policy %q", path, nonce, policy)
		}
		nonces[nonce] = true
		for _, part := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(a.body, -1) {
			if got := w.call("GET", part[1], ""); got.code != http.StatusOK {
				t.Errorf("%s: %d", part[1], got.code)
			}
		}
	}
	for _, tt := range []struct{ method, path, accept string }{
		{"GET", "/catalog", "application/json"},
		{"GET", "/assets/nothing.js", "text/html"},
		{"GET", "/v1/nothing", "text/html"},
		{"POST", "/catalog", "text/html"},
	} {
		if a := w.call(tt.method, tt.path, "", append(asAdmin(), "Accept", tt.accept)...); a.code != http.StatusNotFound {
			t.Errorf("%v: %d", tt, a.code)
		}
	}
}

func TestAddressMustMakeSense(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := gateway.Run(ctx, gateway.Config{IdentityAddr: "\x00"}, service.Listeners{}, nil)
	if err == nil || !strings.Contains(err.Error(), "identity-sync") {
		t.Errorf("%v", err)
	}
}

// The gateway answers to its own names alone: a page whose name was made to point
// at it gets nothing, with no session and not even the development sign-in.
func TestHosts(t *testing.T) {
	t.Parallel()
	w := start(t)
	for host, ours := range map[string]bool{
		"gate.example": true, "GATE.example.": true, "gate.example:8443": true, "localhost:8080": true, "127.0.0.1": true, "[::1]:8080": true, "127.9.9.9:1": true,
		"evil.example": false, "gate.example.evil.example": false, "evil.gate.example": false, "192.0.2.7:8080": false, "localhost.evil.example": false, "": false,
	} {
		for _, path := range []string{"/v1/me", "/v1/sessions:devPeople", "/", "/scim/v2/Users", "/openapi.json"} {
			a := w.call("GET", path, "", asAdmin("Host", host)...)
			// The description names the reason too.
			if refused := a.code != http.StatusOK && strings.Contains(a.body, "HOST_UNKNOWN"); refused == ours && host != "" {
				t.Errorf("%s of %q: %d %.200s", path, host, a.code, a.body)
			}
		}
	}
	a := w.call("POST", "/sign-in", "user_name=ada", "Host", "evil.example", "Content-Type", "application/x-www-form-urlencoded")
	if a.code != http.StatusBadRequest || a.header.Get("Set-Cookie") != "" {
		t.Errorf("sign-in by another name: %d %v", a.code, a.header)
	}
	// By the origin too.
	a = w.call("POST", "/v1/requests", "{}", asAdmin("Host", "gate.example", "Origin", "http://evil.example")...)
	if reason, _ := a.reason(t); reason != "CROSS_ORIGIN" {
		t.Errorf("another origin: %d %s", a.code, a.body)
	}
}

// What callers say about themselves counts only from a proxy that is trusted.
func TestForwardedHeadersCountFromProxiesAlone(t *testing.T) {
	t.Parallel()
	said := []string{
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "192.0.2.1", "Forwarded", "for=192.0.2.1",
		"Authorization", "Bearer ghi_source",
	}
	direct := start(t, "no proxies")
	a := direct.call("POST", "/scim/v2/Users", "{}", said...)
	if got := a.header.Get("Location"); !strings.HasPrefix(got, "http://127.0.0.1:") || a.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("Location %q", got)
	}
	if got := direct.scim[0].Header.Get("X-Forwarded-For"); got != "127.0.0.1" || direct.scim[0].Header.Get("Forwarded") != "" {
		t.Errorf("X-Forwarded-For: %q", got)
	}
	w := start(t)
	a = w.call("POST", "/scim/v2/Users", "{}", append(said, "X-Forwarded-Host", "x")...)
	if !strings.Contains(a.body, "HOST_UNKNOWN") {
		t.Errorf("another name, by the proxy: %d %s", a.code, a.body)
	}
	// The caller is the last one whom a proxy that is trusted has seen.
	a = w.call("POST", "/scim/v2/Users", "{}", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "gate.example",
		"X-Forwarded-For", "203.0.113.9, 192.0.2.1", "X-Forwarded-For", "127.0.0.1", "Authorization", "Bearer ghi_source")
	if got := w.scim[len(w.scim)-1].Header.Get("X-Forwarded-For"); got != "192.0.2.1" || a.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("X-Forwarded-For: %q, %v", got, a.header)
	}
}

// A source says where its identity provider pushes to, as the caller reaches the gateway.
func TestSourcesSayWhereToPush(t *testing.T) {
	t.Parallel()
	w := start(t)
	source := `{"name": "Directory", "kind": "SOURCE_KIND_SCIM"}`
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/v1/sources", source, 1},
		{"PATCH", "/v1/sources/" + uuid, `{"name": "Directory"}`, 1},
		{"GET", "/v1/sources", "", 2},
	} {
		a := w.call(c.method, c.path, c.body, asAdmin("X-Forwarded-Proto", "https", "X-Forwarded-Host", "gate.example")...)
		if n := strings.Count(a.body, `"scimBaseUrl":"https://gate.example/scim/v2"`); a.code != http.StatusOK || n != c.want {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.code, a.body)
		}
		if a = w.call(c.method, c.path, c.body, asAdmin()...); !strings.Contains(a.body, `"scimBaseUrl":"http://127.0.0.1:`) {
			t.Errorf("%s %s without a proxy: %d %s", c.method, c.path, a.code, a.body)
		}
	}
}

// Services hear where a call comes from, and from the gateway alone.
func TestAddressesAreForwarded(t *testing.T) {
	t.Parallel()
	forged := asAdmin("X-Forwarded-For", "192.0.2.1", "Gatehouse-Client-Address", "192.0.2.1", "Grpc-Metadata-Gatehouse-Client-Address", "192.0.2.1",
		"Grpc-Metadata-Gatehouse-Follows-Up", "ROLE_NOT_ALLOWED", "Gatehouse-Follows-Up", "ROLE_NOT_ALLOWED")
	for proxies, want := range map[string]string{"no proxies": "127.0.0.1", "": "192.0.2.1"} {
		w := start(t, proxies)
		if a := w.call("GET", "/v1/me", "", forged...); a.code != http.StatusOK {
			t.Fatalf("%d %s", a.code, a.body)
		}
		head := w.lastHead()
		if got := head.Get("gatehouse-client-address"); !slices.Equal(got, []string{want}) {
			t.Errorf("%q: the address is %q, want %q", proxies, got, want)
		}
		if got := head.Get("gatehouse-follows-up"); slices.Contains(got, "ROLE_NOT_ALLOWED") {
			t.Errorf("%q: a caller says what is followed up: %q", proxies, got)
		}
	}
}

// What the gateway itself refuses is in its metrics.
func TestRefusedRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.call("GET", "/v1/me", "", "Host", "evil.example")
	w.call("POST", "/v1/requests", "{}", asAdmin("Sec-Fetch-Site", "cross-site")...)
	w.call("GET", "/v1/me", "", "Authorization", "Bearer ghp_unknown", "Accept-Encoding", "gzip")
	metrics := send(t, "GET", w.inner+"/metrics", nil).body
	for _, reason := range []string{"HOST_UNKNOWN", "CROSS_ORIGIN", "TOKEN_INVALID"} {
		if !regexp.MustCompile(`gatehouse_requests_refused_total\{[^}]*reason="` + reason + `"[^}]*\} 1\b`).MatchString(metrics) {
			t.Errorf("/metrics does not tell of %s", reason)
		}
	}
}

func TestSeveralAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := w.call("GET", "/v1/me", "", asAdmin(asAdmin()...)...)
	if reason, _ := a.reason(t); a.code != http.StatusUnauthorized || reason != "TOKEN_INVALID" {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestDevSignInIsForLoopbackAlone(t *testing.T) {
	t.Parallel()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	err = gateway.Run(t.Context(), gateway.Config{DevSignIn: true}, service.Listeners{HTTP: lis}, nil)
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("%v", err)
	}
}

// A call that a service refuses as one too many is told of as one that the gateway
// does: by which limit, and when to come again.
func TestLimitsOfServices(t *testing.T) {
	t.Parallel()
	w := start(t, "limits")
	check := func(what string, a answer, limit, left string) {
		t.Helper()
		if got := a.header.Values("RateLimit-Policy"); a.code != http.StatusTooManyRequests || !slices.Equal(got, []string{limit}) || !slices.Equal(a.header.Values("RateLimit"), []string{left}) || a.header.Get("Retry-After") != "10" {
			t.Errorf("%s: %d %s %v", what, a.code, a.body, a.header)
		}
	}
	exceeded := func(name string) error {
		return ratelimit.State{Name: name, Limit: ratelimit.Limit{PerSecond: 0.1, Burst: 2}}.Exceeded()
	}
	w.set(func() { w.refuses = exceeded("writes of an account") })
	a := w.call("PATCH", "/v1/apps/"+uuid, `{"name": "CRM"}`, asAdmin()...)
	if reason, _ := a.reason(t); reason != "RATE_LIMITED" {
		t.Errorf("reason %s", reason)
	}
	check("a service", a, `"writes of an account";q=2;w=20`, `"writes of an account";r=0;t=20`)
	check("an exchange of credentials", w.call("GET", "/v1/me", "", "Authorization", "Bearer ghp_limited"), `"tokens of an organization";q=2;w=20`, `"tokens of an organization";r=0;t=20`)
	a = w.call("GET", "/scim/v2/Users", "", "Authorization", "Bearer ghi_limited")
	check("SCIM", a, `"SCIM of an organization";q=2;w=20`, `"SCIM of an organization";r=0;t=20`)
	if !strings.Contains(a.body, `"status":"429"`) || a.header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("SCIM: %s", a.body)
	}
}

// Callers of every kind are held to a limit of their own, told what is left and
// when to come again, and keep nobody else from anything.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := start(t, "limits")
	another := w.admin
	w.set(func() { w.secrets["ghp_other"] = another })
	calls := func(n int, method, path, body string, headers ...string) (codes map[int]int, last answer) {
		codes = map[int]int{}
		for range n {
			last = w.call(method, path, body, headers...)
			codes[last.code]++
		}
		return codes, last
	}
	limited := func(what string, a answer) {
		t.Helper()
		reason, _ := a.reason(t)
		if a.code != http.StatusTooManyRequests || reason != "RATE_LIMITED" || a.header.Get("Retry-After") != "1" || !strings.Contains(a.header.Get("RateLimit"), ";r=0;") {
			t.Errorf("%s: %d %s %v", what, a.code, a.body, a.header)
		}
	}
	a := w.call("GET", "/v1/me", "", asAdmin()...)
	if got := a.header.Get("RateLimit-Policy") + " " + a.header.Get("RateLimit"); got != `"reads";q=500;w=3 "reads";r=499;t=1` {
		t.Errorf("what is left: %s", got)
	}
	codes, last := calls(501, "GET", "/v1/me", "", asAdmin()...)
	if codes[http.StatusOK] != 499 {
		t.Errorf("reads: %v", codes)
	}
	limited("reads", last)
	// Writes are counted apart, and others too.
	const update = `{"name": "CRM"}`
	codes, last = calls(201, "PATCH", "/v1/apps/"+uuid, update, asAdmin()...)
	if codes[http.StatusOK] != 200 {
		t.Errorf("writes: %v", codes)
	}
	limited("writes", last)
	if a := w.call("GET", "/v1/me", "", "Authorization", "Bearer ghp_other"); a.code != http.StatusOK {
		t.Errorf("another caller: %d %s", a.code, a.body)
	}
	w.clock.Advance(time.Second)
	if codes, _ = calls(60, "PATCH", "/v1/apps/"+uuid, update, asAdmin()...); codes[http.StatusOK] != 50 {
		t.Errorf("a second later: %v", codes)
	}

	codes, last = calls(4001, "GET", "/scim/v2/Users", "", "Authorization", "Bearer ghi_source")
	if codes[http.StatusTooManyRequests] != 1 || last.header.Get("Content-Type") != "application/scim+json" || last.header.Get("Retry-After") != "1" {
		t.Errorf("SCIM: %v, %v", codes, last.header)
	}

	// Attempts to get in are counted by address, those with a bad credential too.
	from := func(address string, more ...string) []string {
		return append([]string{"X-Forwarded-For", address}, more...)
	}
	codes, last = calls(31, "POST", "/v1/sessions:devSignIn", `{"userName": "nobody"}`, from("192.0.2.1")...)
	if codes[http.StatusNotFound] != 30 {
		t.Errorf("sign-in: %v", codes)
	}
	limited("sign-in", last)
	codes, last = calls(31, "POST", "/v1/organizations:signUp", `{"organizationName": "Corp", "email": "a@corp.example", "displayName": "A"}`, from("192.0.2.4")...)
	if codes[http.StatusTooManyRequests] != 1 {
		t.Errorf("sign-up: %v", codes)
	}
	limited("sign-up", last)
	codes, last = calls(31, "POST", "/oauth2/token", "grant_type=client_credentials", from("192.0.2.5", "Content-Type", "application/x-www-form-urlencoded")...)
	if codes[http.StatusTooManyRequests] != 1 || last.header.Get("Retry-After") != "1" || !strings.Contains(last.header.Get("RateLimit"), ";r=0;") ||
		last.body != `{"error":"temporarily_unavailable","error_description":"too many calls; please wait"}` {
		t.Errorf("tokens: %v, %v %s", codes, last.header, last.body)
	}
	// An attempt to get in is one, whichever way.
	limited("sign-in after attempts to sign up", w.call("POST", "/v1/sessions:devSignIn", `{"userName": "nobody"}`, from("192.0.2.4")...))
	for n := range 30 {
		w.call("GET", "/v1/me", "", from("2001:db8::"+strconv.Itoa(n), "Authorization", "Bearer ghp_guess"+strconv.Itoa(n))...)
	}
	limited("guesses from one network", w.call("GET", "/v1/me", "", from("2001:db8::99", "Authorization", "Bearer ghp_guess")...))
	ended := w.call("GET", "/v1/sessions:devPeople", "", from("2001:db8::99", "Cookie", "gatehouse_session=ghs_ended")...)
	if ended.code != http.StatusOK || !strings.Contains(ended.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("a browser whose session has ended, from there: %d %s", ended.code, ended.body)
	}
	// A source's token is guessed no more often, and a good one is taken from there.
	for n := range 30 {
		if a := w.call("GET", "/scim/v2/Users", "", from("192.0.2.3", "Authorization", "Bearer ghi_guess"+strconv.Itoa(n))...); a.code != http.StatusUnauthorized {
			t.Errorf("guess %d at SCIM: %d %s", n, a.code, a.body)
		}
	}
	guess := w.call("GET", "/scim/v2/Users", "", from("192.0.2.3", "Authorization", "Bearer ghi_guess")...)
	if guess.code != http.StatusTooManyRequests || guess.header.Get("Content-Type") != "application/scim+json" || guess.header.Get("Retry-After") != "1" ||
		!strings.HasPrefix(guess.header.Get("RateLimit"), `"credentials";r=0;`) {
		t.Errorf("guesses at SCIM: %d %s %v", guess.code, guess.body, guess.header)
	}
	if a := w.call("GET", "/scim/v2/Users", "", from("192.0.2.3", "Authorization", "Bearer ghi_good")...); a.code != http.StatusCreated {
		t.Errorf("SCIM with a good token, from there: %d %s", a.code, a.body)
	}
	w.set(func() { w.secrets["ghp_third"] = another })
	if a := w.call("GET", "/v1/me", "", from("2001:db8::99", "Authorization", "Bearer ghp_third")...); a.code != http.StatusOK {
		t.Errorf("somebody with a good one, from there: %d %s", a.code, a.body)
	}
	if a := w.call("POST", "/v1/sessions:devSignIn", `{"userName": "ada"}`, from("192.0.2.2")...); a.code != http.StatusOK {
		t.Errorf("from elsewhere: %d %s", a.code, a.body)
	}
}
