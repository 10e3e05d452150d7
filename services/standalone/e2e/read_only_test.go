package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// watch stands before an app: it counts look-ups of people, and what would change the app.
func watch(t *testing.T, app string) (base string, looks, changes *atomic.Int32) {
	t.Helper()
	to, err := url.Parse(app)
	if err != nil {
		t.Fatal(err)
	}
	looks, changes = new(atomic.Int32), new(atomic.Int32)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) }}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			changes.Add(1)
		}
		proxy.ServeHTTP(rw, r)
		if strings.Contains(r.URL.Query().Get("filter"), "kim@corp.example") {
			looks.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + to.Path, looks, changes
}

// B-ONB-10, B-ONB-02: an app that people handle has an integration that may only read. What
// they make and remove there resolves by itself, over REST: whoever joins leaves the list,
// and so does who has left, and nobody has said a word.
func TestReadOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startScimTarget(t)
	gh := startStandalone(t, "GATEHOUSE_LOOK_EVERY=1s")
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 20)
	w := newWorld(t, gh, target)
	w.scimUser(t, "mia", "Mia Manager", "")
	kim := w.scimUser(t, "kim", "Kim Newcomer", "")

	base, looks, changes := watch(t, target.url)
	made := w.admin.must(t, "POST", "/v1/integrations", object{
		"name": "Payroll, read", "kind": "INTEGRATION_KIND_SCIM", "access": "INTEGRATION_ACCESS_READ_ONLY",
		"scim": object{"baseUrl": base, "token": target.token},
	})
	reader := str(made, "integration", "id")
	if str(made, "integration", "state") != "INTEGRATION_STATE_WORKING" || str(made, "integration", "access") != "INTEGRATION_ACCESS_READ_ONLY" {
		t.Fatalf("integration %s", brief(made))
	}
	payroll := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "integrationId": reader, "approverIds": []string{w.id(t, "mia")}})
	refused, err := w.admin.do(t.Context(), "PATCH", "/v1/apps/"+payroll.id, object{"provisioning": "PROVISIONING_SUPPORT_AUTOMATIC"})
	if err != nil || refused.Code != http.StatusBadRequest || !strings.Contains(string(refused.Raw), "INTEGRATION_READ_ONLY") {
		t.Errorf("automatic: %v %d %s", err, refused.Code, refused.Raw)
	}

	t.Log("1. Kim asks, Mia approves, somebody makes the account, and Kim is off the list")
	request := w.ask(t, w.as(t, "kim"), "REQUEST_KIND_GRANT", payroll.account)
	w.approve(t, w.as(t, "mia"), request)
	onList := func(kind string) func(any) bool {
		return func(any) bool { return w.checklist(t, kind, "kim") != nil }
	}
	offList := func(kind string) func(any) bool {
		return func(any) bool { return w.checklist(t, kind, "kim") == nil }
	}
	nothing := func() any { return nil }
	until(t, "kim is on the onboarding list", nothing, onList("CHECKLIST_KIND_ONBOARDING"))
	until(t, "the app is looked at", func() any { return w.admin.must(t, "GET", "/v1/integrations/"+reader, nil) },
		func(i any) bool { return get(i, "integration", "lookedAtAccounts") == float64(1) })
	app, prefix := target.api()
	until(t, "a look has found nobody", looks.Load, func(n int32) bool { return n > 0 })
	account := app.must(t, "POST", prefix+"/Users", object{"schemas": []string{scimUser}, "userName": "kim@corp.example", "active": true})
	w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	until(t, "kim is off the list", nothing, offList("CHECKLIST_KIND_ONBOARDING"))
	w.trail(t, request, "work_item.opened", "account.created", "work_item.resolved", "grant.activated", "request.closed")

	t.Log("2. Kim leaves, somebody deletes the account, and that is all")
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(kim, "id"), nil)
	until(t, "kim is on the offboarding list", nothing, onList("CHECKLIST_KIND_OFFBOARDING"))
	app.must(t, "DELETE", prefix+"/Users/"+str(account, "id"), nil)
	until(t, "kim is off the list", nothing, offList("CHECKLIST_KIND_OFFBOARDING"))
	if state := str(w.grantOf(t, request), "state"); state != "GRANT_STATE_REVOKED" {
		t.Errorf("the grant is %s", state)
	}
	if n := changes.Load(); n > 0 {
		t.Errorf("an integration that may only read has asked for %d changes", n)
	}
	w.nothingParked(t)
}
