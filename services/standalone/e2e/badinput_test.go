package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// internals are words that no answer may show.
var internals = []string{"pgx", "SQLSTATE", "sql:", "panic", ".go:", "goroutine", "proto:", "rpc error", "127.0.0.1", "constraint"}

// TestBadInput sends what people get wrong, and what they should not try: the
// right code, the field named, nothing changed, nothing internal shown.
func TestBadInput(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startDemoApp(t, []string{"Engineers", "Sales"})
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 30)
	w := newWorld(t, gh, target)
	w.scimUser(t, "bea", "Bea Member", "")
	manual := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL"})
	bea := w.as(t, "bea")
	chat := w.automaticApp(t, "Chat", "bea")
	integration := "/v1/integrations/" + str(w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil), "app", "integrationId")
	const groups = "/entitlements?kind=ENTITLEMENT_KIND_GROUP"
	// The app's own groups are there to choose from, and what is chosen is taken.
	listed := w.admin.must(t, "GET", integration+groups+"&query=ENGIN", nil)
	if str(listed, "entitlements", 0, "displayName") != "Engineers" || len(list(listed, "entitlements")) != 1 {
		t.Errorf("listed: %v", listed)
	}
	engineers := "/v1/apps/" + chat.id + "/entitlements/" + w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", str(listed, "entitlements", 0, "ref"))
	w.entitlement(t, chat, "Sales", "ENTITLEMENT_KIND_GROUP", "sales")
	other := newWorld(t, gh, target) // another organization
	theirs := other.app(t, object{"name": "Theirs"})
	theirRequest := other.ask(t, other.admin, "REQUEST_KIND_GRANT", theirs.account)
	nobody := newUUID()
	past := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	grant := func(change object) object {
		b := object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{manual.account}}
		for k, v := range change {
			b[k] = v
		}
		return b
	}
	before := state(t, w)

	for name, tc := range map[string]struct {
		who          api
		method, path string
		body         any
		code         int
		want         string // in the answer: the field or the reason
	}{
		"no token":                  {api{base: gh.base}, "GET", "/v1/users", nil, 401, "TOKEN_MISSING"},
		"wrong token":               {api{base: gh.base, token: "ghp_wrong"}, "GET", "/v1/users", nil, 401, "TOKEN_INVALID"},
		"forged signed token":       {api{base: gh.base, token: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."}, "GET", "/v1/users", nil, 401, "TOKEN_INVALID"},
		"member calls an admin RPC": {bea, "POST", "/v1/apps", object{"name": "x"}, 403, "ROLE_NOT_ALLOWED"},
		"filter by no field":        {w.admin, "GET", "/v1/users?filter=passwordHash%3Da", nil, 400, "there are id, sourceId"},
		"filter without an end":     {w.admin, "GET", "/v1/grants?filter=%28state%3D", nil, 400, "FILTER_INVALID"},
		"order by no such field":    {w.admin, "GET", "/v1/auditEntries?orderBy=actor", nil, 400, "ORDER_BY_INVALID"},
		"order of many services":    {w.admin, "GET", "/v1/parkedEvents?orderBy=error", nil, 400, "ORDER_BY_INVALID"},
		"filter of many services":   {w.admin, "GET", "/v1/parkedEvents?filter=x%3Dy", nil, 400, "FILTER_INVALID"},
		"unknown request":           {w.admin, "GET", "/v1/requests/" + nobody, nil, 404, "REQUEST_NOT_FOUND"},
		"id that is none":           {w.admin, "GET", "/v1/requests/17", nil, 400, `"id"`},
		"foreign request":           {w.admin, "GET", "/v1/requests/" + theirRequest, nil, 404, "REQUEST_NOT_FOUND"},
		"foreign request's report":  {w.admin, "GET", "/v1/requests/" + theirRequest + "/report", nil, 404, "REQUEST_NOT_FOUND"},
		"foreign request cancelled": {w.admin, "POST", "/v1/requests/" + theirRequest + ":cancel", object{}, 404, "REQUEST_NOT_FOUND"},
		"foreign app":               {w.admin, "GET", "/v1/apps/" + theirs.id, nil, 404, "APP_NOT_FOUND"},
		"foreign app changed":       {w.admin, "PATCH", "/v1/apps/" + theirs.id, object{"name": "mine"}, 404, "APP_NOT_FOUND"},
		"foreign entitlement":       {w.admin, "POST", "/v1/requests", grant(object{"entitlementIds": []string{theirs.account}}), 400, "entitlementIds[0]"},
		"unknown entitlement":       {w.admin, "POST", "/v1/requests", grant(object{"entitlementIds": []string{nobody}}), 400, "entitlementIds[0]"},
		"unknown beneficiary":       {w.admin, "POST", "/v1/requests", grant(object{"beneficiaryId": nobody}), 400, "beneficiaryId"},
		"foreign beneficiary":       {w.admin, "POST", "/v1/requests", grant(object{"beneficiaryId": str(other.admin.must(t, "GET", "/v1/me", nil), "user", "id")}), 400, "beneficiaryId"},
		"end in the past":           {w.admin, "POST", "/v1/requests", grant(object{"until": past}), 400, `"until"`},
		"end that is no time":       {w.admin, "POST", "/v1/requests", grant(object{"until": "tomorrow"}), 400, "until"},
		"nothing asked for":         {w.admin, "POST", "/v1/requests", grant(object{"entitlementIds": []string{}}), 400, "entitlementIds"},
		"no kind":                   {w.admin, "POST", "/v1/requests", object{"entitlementIds": []string{manual.account}}, 400, `"kind"`},
		"unknown kind":              {w.admin, "POST", "/v1/requests", grant(object{"kind": "REQUEST_KIND_STEAL"}), 400, "kind"},
		"misspelt field":            {w.admin, "POST", "/v1/requests", grant(object{"untl": past}), 400, "untl"},
		"not JSON":                  {w.admin, "POST", "/v1/requests", "{", 400, "BODY_INVALID"},
		"oversized body":            {w.admin, "POST", "/v1/requests", `{"justification":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "BODY_TOO_LARGE"},
		"nothing to revoke":         {w.admin, "POST", "/v1/requests", grant(object{"kind": "REQUEST_KIND_REVOKE"}), 400, "NOTHING_TO_REVOKE"},
		"automatic, no integration": {w.admin, "POST", "/v1/apps", object{"name": "Auto", "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC"}, 400, "integrationId"},
		"automatic, unknown integration": {
			w.admin, "POST", "/v1/apps", object{"name": "Auto", "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": nobody}, 400, "integrationId",
		},
		"group that is not in the app": {
			w.admin, "POST", "/v1/apps/" + chat.id + "/entitlements", object{"name": "New", "kind": "ENTITLEMENT_KIND_GROUP", "ref": "Enginers"}, 400, "ENTITLEMENT_NOT_IN_APP",
		},
		"no group":                  {w.admin, "POST", "/v1/apps/" + chat.id + "/entitlements", object{"name": "New", "kind": "ENTITLEMENT_KIND_GROUP"}, 400, `"ref"`},
		"other group, not in app":   {w.admin, "PATCH", engineers, object{"ref": "Enginers"}, 400, `"entitlement.ref"`},
		"other group, none":         {w.admin, "PATCH", engineers, object{"ref": ""}, 400, "REF_EMPTY"},
		"groups, no kind":           {w.admin, "GET", integration + "/entitlements", nil, 400, `"kind"`},
		"roles are not listed":      {w.admin, "GET", integration + "/entitlements?kind=ENTITLEMENT_KIND_ROLE", nil, 400, "ENTITLEMENT_KIND_NOT_LISTED"},
		"groups, forged page token": {w.admin, "GET", integration + groups + "&pageToken=WyIyIHgiXQ", nil, 400, "pageToken"},
		"groups of unknown":         {w.admin, "GET", "/v1/integrations/" + nobody + groups, nil, 404, "INTEGRATION_NOT_FOUND"},
		"groups of foreign":         {other.admin, "GET", integration + groups, nil, 404, "INTEGRATION_NOT_FOUND"},
		"groups are not a member's": {bea, "GET", integration + groups, nil, 403, "ROLE_NOT_ALLOWED"},

		"name taken":        {w.admin, "POST", "/v1/apps", object{"name": "payroll"}, 409, "APP_NAME_TAKEN"},
		"unknown owner":     {w.admin, "POST", "/v1/apps", object{"name": "New", "ownerId": nobody}, 400, "ownerId"},
		"unknown task":      {bea, "POST", "/v1/tasks/" + nobody + ":approve", object{}, 404, "TASK_NOT_FOUND"},
		"deny, no reason":   {bea, "POST", "/v1/tasks/" + nobody + ":deny", object{}, 400, `"reason"`},
		"flow, no steps":    {w.admin, "POST", "/v1/flows", object{"flow": object{"name": "f", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"any": true}}}, 400, "steps"},
		"unknown item":      {w.admin, "POST", "/v1/checklists:resolve", object{"workItemIds": []string{nobody}}, 400, "workItemIds[0]"},
		"NUL in a query":    {w.admin, "GET", "/v1/apps?query=%00", nil, 400, "query"},
		"NUL in a body":     {w.admin, "POST", "/v1/apps", object{"name": "a\x00", "description": ""}, 400, "name"},
		"forged page token": {w.admin, "GET", "/v1/apps?pageToken=WyJhXHUwMDAwIiwiMDE4ZjAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIl0", nil, 400, "pageToken"},
		"bad page token":    {w.admin, "GET", "/v1/apps?pageToken=!!", nil, 400, "pageToken"},
		"bad page size":     {w.admin, "GET", "/v1/apps?pageSize=-1", nil, 400, "pageSize"},
		"bad export form":   {w.admin, "GET", "/v1/checklists:export?format=doc", nil, 400, `"format"`},
		"nothing there":     {w.admin, "GET", "/v1/nothing", nil, 404, "ROUTE_NOT_FOUND"},
		"no way to delete":  {w.admin, "DELETE", "/v1/apps", nil, 405, "METHOD_NOT_ALLOWED"},
		"token for ever":    {w.admin, "POST", "/v1/apiTokens", object{"name": "t", "expireTime": "2999-01-01T00:00:00Z"}, 400, "expireTime"},

		"SCIM, no token":        {api{base: gh.base}, "GET", "/scim/v2/Users", nil, 401, "urn:ietf:params:scim:api:messages:2.0:Error"},
		"SCIM, an admin's":      {w.admin, "GET", "/scim/v2/Users", nil, 401, "urn:ietf:params:scim:api:messages:2.0:Error"},
		"SCIM, not JSON":        {w.scim, "POST", "/scim/v2/Users", "{", 400, "invalidSyntax"},
		"SCIM, no user name":    {w.scim, "POST", "/scim/v2/Users", object{"schemas": []string{scimUser}}, 400, "userName"},
		"SCIM, bad filter":      {w.scim, "GET", "/scim/v2/Users?filter=userName%20like%20x", nil, 400, "invalidFilter"},
		"SCIM, unknown user":    {w.scim, "GET", "/scim/v2/Users/" + nobody, nil, 404, `"404"`},
		"SCIM, foreign user":    {other.scim, "DELETE", "/scim/v2/Users/" + w.id(t, "bea"), nil, 404, `"404"`},
		"SCIM, user name taken": {w.scim, "POST", "/scim/v2/Users", object{"schemas": []string{scimUser}, "userName": "BEA@corp.example"}, 409, "uniqueness"},
		"SCIM, oversized":       {w.scim, "POST", "/scim/v2/Users", `{"userName":"` + strings.Repeat("x", 9<<20) + `"}`, 413, `"413"`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tc.who.do(t.Context(), tc.method, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != tc.code || !strings.Contains(string(r.Raw), tc.want) {
				t.Errorf("got %d %s; want %d with %s", r.Code, r.Raw, tc.code, tc.want)
			}
			for _, word := range internals {
				if strings.Contains(string(r.Raw), word) {
					t.Errorf("shows %q: %s", word, r.Raw)
				}
			}
			if r.Code == http.StatusUnauthorized && r.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
	if after := state(t, w); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	w.nothingParked(t)
}

// state is everything that bad input must not change.
func state(t *testing.T, w *world) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{"/v1/users?pageSize=1000", "/v1/apps", "/v1/requests", "/v1/flows", "/v1/grants", "/v1/apiTokens", "/v1/sources"} {
		r, err := w.admin.do(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		v := r.JSON
		for _, s := range list(v, "sources") {
			delete(s.(object), "lastSeenTime")
		}
		for _, s := range list(v, "apiTokens") {
			delete(s.(object), "lastUseTime")
		}
		b.WriteString(path + " " + brief(v) + "\n")
	}
	return b.String()
}
