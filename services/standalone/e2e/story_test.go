package e2e_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStory is the main job from end to end, through public API only, with a
// real SCIM server as the automatic app: people come by SCIM, a join-flow gives
// three apps, a temporary grant comes and goes, a request is denied, a
// permanent grant is revoked, the person's profile changes, the person leaves, and the trail tells it all.
//
// B-ONB-01…09, B-USR-04, B-REQ-01, B-REQ-02, B-REQ-13, B-APR-01, B-APR-02,
// B-APR-04, B-PRV-01…03, B-PRV-10, B-AUD-01.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startScimTarget(t)
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 30)
	w := newWorld(t, gh, target)

	t.Log("1. an identity provider pushes people, groups and managers")
	mia := w.scimUser(t, "mia", "Mia Manager", "")
	w.scimUser(t, "ann", "Ann Approver", "")
	staff := w.scimGroup(t, "Staff")
	ann := w.as(t, "ann")

	t.Log("2. three apps in the catalog, a join-flow for a group")
	auto := w.automaticApp(t, "Chat", "ann")
	manual := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "approverIds": []string{w.id(t, "ann")}})
	shared := w.app(t, object{"name": "Newsletter", "provisioning": "PROVISIONING_SUPPORT_NONE"})
	w.joinFlow(t, "Everyone in Staff", str(staff, "id"), auto.account, manual.account, shared.account)
	engineers := w.entitlement(t, auto, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	w.requestFlow(t, "Chat groups", engineers, "REVIEWER_KIND_MANAGER", "REVIEWER_KIND_APP_APPROVERS")

	// B-ONB-04: the assigner sees how each account will come.
	preview := w.admin.must(t, "POST", "/v1/requests:preview", object{"request": object{
		"kind": "REQUEST_KIND_GRANT", "beneficiaryId": w.id(t, "mia"),
		"entitlementIds": []string{auto.account, manual.account, shared.account},
	}})
	want := []string{"PROVISIONING_SUPPORT_AUTOMATIC", "PROVISIONING_SUPPORT_MANUAL", "PROVISIONING_SUPPORT_NONE"}
	if got := column(list(preview, "items"), "item", "provisioning"); !slices.Equal(got, want) {
		t.Errorf("preview: got %v, want %v", got, want)
	}

	t.Log("3. a new person arrives by SCIM")
	ned := w.scimUser(t, "ned", "Ned Newcomer", str(mia, "id"))
	w.scimJoin(t, staff, ned)
	until(t, "account in the automatic app", func() []object { return target.users(t, "ned@corp.example") },
		func(us []object) bool { return len(us) == 1 && us[0]["active"] == true })
	checklist := until(t, "ned's onboarding checklist", func() any { return w.checklist(t, "CHECKLIST_KIND_ONBOARDING", "ned") },
		func(c any) bool { return c != nil })
	full := w.admin.must(t, "GET", "/v1/checklists/"+str(checklist, "id"), nil)
	items := list(full, "workItems")
	if len(items) != 1 || str(items[0], "appId") != manual.id {
		t.Fatalf("onboarding items: want the one of the manual app, got %s", brief(items))
	}
	// Lists are filtered, sorted and paged.
	asked := url.Values{"filter": {`displayName = "*er" AND NOT userName:"root" AND state = USER_STATE_ACTIVE`}, "orderBy": {"displayName desc"}, "pageSize": {"2"}}
	var people []string
	for {
		page := w.admin.must(t, "GET", "/v1/users?"+asked.Encode(), nil)
		people = append(people, column(list(page, "users"), "displayName")...)
		if str(page, "nextPageToken") == "" {
			break
		}
		asked.Set("pageToken", str(page, "nextPageToken"))
	}
	if want := []string{"Ned Newcomer", "Mia Manager", "Ann Approver"}; !slices.Equal(people, want) {
		t.Errorf("users: got %v, want %v", people, want)
	}
	// The shared app asks for nothing, and is among ned's.
	grants := until(t, "ned's grants", func() []any { return w.grants(t, "ned") }, func(g []any) bool {
		return len(g) == 3 && countState(g, "GRANT_STATE_ACTIVE") == 2
	})
	for _, g := range grants {
		if want := map[bool]string{true: "GRANT_STATE_PENDING", false: "GRANT_STATE_ACTIVE"}[str(g, "appId") == manual.id]; str(g, "state") != want {
			t.Errorf("grant in %s: got %s, want %s", str(g, "appName"), str(g, "state"), want)
		}
	}
	// B-ONB-08: the list exports as CSV.
	rows := exportRows(t, w.admin, "/v1/checklists:export?kind=CHECKLIST_KIND_ONBOARDING")
	if len(rows) != 2 || !strings.Contains(strings.Join(rows[1], "|"), "Ned Newcomer") || !strings.Contains(strings.Join(rows[1], "|"), "Payroll") {
		t.Errorf("export: got %v", rows)
	}
	w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(items, "id"), "note": "made by hand"})
	until(t, "ned off the list", func() any { return w.checklist(t, "CHECKLIST_KIND_ONBOARDING", "ned") }, func(c any) bool { return c == nil })
	until(t, "manual grant active", func() []any { return w.grants(t, "ned") }, func(g []any) bool { return countState(g, "GRANT_STATE_ACTIVE") == 3 })

	t.Log("4. a temporary grant: manager, then approver; in place, and gone at its end")
	nedAPI, miaAPI := w.as(t, "ned"), w.as(t, "mia")
	endTime := time.Now().Round(0).Add(8 * time.Second) // by the clock on the wall, which may be set meanwhile
	ask := object{
		"requestId": newUUID(), "kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{engineers},
		"justification": "joining the team", "until": endTime.UTC().Format(time.RFC3339Nano),
	}
	first := nedAPI.must(t, "POST", "/v1/requests", ask)
	again := nedAPI.must(t, "POST", "/v1/requests", ask) // B-REQ-13
	temporary := str(first, "request", "id")
	if str(again, "request", "id") != temporary {
		t.Errorf("same request_id, two requests: %s and %s", temporary, str(again, "request", "id"))
	}
	task := w.task(t, miaAPI, temporary)
	// B-APR-02: nobody downstream is told before.
	if got := list(ann.must(t, "GET", "/v1/tasks", nil), "tasks"); len(got) != 0 {
		t.Errorf("approver was told early: %s", brief(got))
	}
	miaAPI.must(t, "POST", "/v1/tasks/"+task+":approve", object{"comment": "fine"})
	ann.must(t, "POST", "/v1/tasks/"+w.task(t, ann, temporary)+":approve", object{})
	w.requestState(t, temporary, "REQUEST_STATE_FULFILLED")
	if !target.member(t, "engineers", "ned@corp.example") && time.Now().Before(endTime) {
		t.Error("fulfilled, but not in the app's group")
	}
	until(t, "end of the temporary grant", func() bool { return target.member(t, "engineers", "ned@corp.example") }, func(in bool) bool { return !in })
	if time.Now().Before(endTime) {
		t.Error("taken away before its end")
	}
	until(t, "grant revoked", func() any { return w.grantOf(t, temporary) }, func(g any) bool {
		return str(g, "state") == "GRANT_STATE_REVOKED" && str(g, "endReason") == "GRANT_END_REASON_EXPIRED"
	})
	if us := target.users(t, "ned@corp.example"); len(us) != 1 || us[0]["active"] != true {
		t.Errorf("the account had to stay: %s", brief(us))
	}

	t.Log("   a second request is denied with a reason")
	denied := w.ask(t, nedAPI, "REQUEST_KIND_GRANT", engineers)
	miaAPI.must(t, "POST", "/v1/tasks/"+w.task(t, miaAPI, denied)+":deny", object{"reason": "not this quarter"})
	r := w.requestState(t, denied, "REQUEST_STATE_DENIED")
	if str(r, "closingReason") != "not this quarter" || str(r, "closedBy", "displayName") != "Mia Manager" {
		t.Errorf("denied request: %s", brief(r))
	}

	t.Log("   a permanent grant, then a revoke request takes it away")
	permanent := w.ask(t, nedAPI, "REQUEST_KIND_GRANT", engineers)
	w.approve(t, miaAPI, permanent)
	w.approve(t, ann, permanent)
	w.requestState(t, permanent, "REQUEST_STATE_FULFILLED")
	if !target.member(t, "engineers", "ned@corp.example") {
		t.Error("fulfilled, but not in the app's group")
	}
	revoke := w.ask(t, nedAPI, "REQUEST_KIND_REVOKE", engineers)
	w.approve(t, ann, revoke) // no flow for revokes: the app's approvers
	w.requestState(t, revoke, "REQUEST_STATE_FULFILLED")
	if target.member(t, "engineers", "ned@corp.example") {
		t.Error("revoked, but still in the app's group")
	}

	t.Log("   what the automatic app says of the person follows the identity provider")
	w.scim.must(t, "PATCH", "/scim/v2/Users/"+str(ned, "id"), object{"schemas": []string{scimPatch}, "Operations": []object{
		{"op": "replace", "path": "title", "value": "Captain"}, {"op": "replace", "path": "name.familyName", "value": "Newlywed"},
	}})
	until(t, "the account has the title", func() []object { return target.users(t, "ned@corp.example") }, func(us []object) bool {
		return len(us) == 1 && str(us[0], "title") == "Captain" && str(us[0], "name", "familyName") == "Newlywed" && us[0]["active"] == true
	})

	moves(t, w, auto, ann)

	t.Log("5. the person is deleted by SCIM")
	pending := w.ask(t, nedAPI, "REQUEST_KIND_GRANT", engineers)
	w.task(t, miaAPI, pending)
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(ned, "id"), nil)
	until(t, "account gone", func() []object { return target.users(t, "ned@corp.example") }, func(us []object) bool { return len(us) == 0 })
	offboarding := until(t, "offboarding checklist", func() any { return w.checklist(t, "CHECKLIST_KIND_OFFBOARDING", "ned") }, func(c any) bool { return c != nil })
	full = w.admin.must(t, "GET", "/v1/checklists/"+str(offboarding, "id"), nil)
	byKind := map[string]string{}
	for _, i := range list(full, "workItems") {
		byKind[str(i, "kind")] = str(i, "appId")
	}
	if byKind["WORK_ITEM_KIND_REMOVE_ACCOUNT"] != manual.id || byKind["WORK_ITEM_KIND_CHANGE_SECRET"] != shared.id || len(byKind) != 2 {
		t.Errorf("offboarding items: %s", brief(list(full, "workItems")))
	}
	w.requestState(t, pending, "REQUEST_STATE_CANCELLED")
	if got := list(miaAPI.must(t, "GET", "/v1/tasks", nil), "tasks"); len(got) != 0 {
		t.Errorf("still waiting on the manager: %s", brief(got))
	}
	if r, err := nedAPI.do(t.Context(), "GET", "/v1/me", nil); err != nil || (r.Code != http.StatusUnauthorized && !eventuallyUnauthorized(t, nedAPI)) {
		t.Errorf("removed user's session: %v %d", err, r.Code)
	}
	w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(list(full, "workItems"), "id")})
	until(t, "every grant revoked", func() []any { return w.grants(t, "ned") }, func(g []any) bool { return countState(g, "GRANT_STATE_REVOKED") == len(g) && len(g) == 5 })

	t.Log("6. the trail of each request")
	for id, events := range map[string][]string{
		temporary: {
			"request.submitted", "approval.requested", "approval.decided", "approval.granted",
			"grant.created", "grant.activated", "request.closed", "grant.ended", "grant.revoked",
		},
		denied:    {"request.submitted", "approval.requested", "approval.denied", "request.closed"},
		permanent: {"request.submitted", "grant.activated", "request.closed", "grant.ended", "grant.revoked"},
		revoke:    {"request.submitted", "approval.granted", "revocation.completed", "request.closed"},
		pending:   {"request.submitted", "request.cancel_requested", "approval.cancelled", "request.closed"},
	} {
		w.trail(t, id, events...)
	}
	for _, format := range []string{"csv", "xlsx", "pdf"} {
		r, err := w.admin.do(t.Context(), "GET", "/v1/requests/"+temporary+"/report?format="+format, nil)
		if err != nil || r.Code != http.StatusOK || len(r.Raw) < 500 {
			t.Errorf("report as %s: %v %d, %d bytes", format, err, r.Code, len(r.Raw))
		}
		if d := r.Header.Get("Content-Disposition"); !strings.Contains(d, "."+format) {
			t.Errorf("report as %s: Content-Disposition %q", format, d)
		}
	}
	w.nothingParked(t)
}

func countState(grants []any, state string) int {
	n := 0
	for _, g := range grants {
		if str(g, "state") == state {
			n++
		}
	}
	return n
}

// eventuallyUnauthorized says whether a token ends within the time that the
// gateway may go on trusting it.
func eventuallyUnauthorized(t *testing.T, a api) bool {
	t.Helper()
	r := until(t, "end of a removed user's session", func() reply {
		r, err := a.do(t.Context(), "GET", "/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, func(r reply) bool { return r.Code == http.StatusUnauthorized })
	return r.Code == http.StatusUnauthorized
}

func exportRows(t *testing.T, a api, path string) [][]string {
	t.Helper()
	r, err := a.do(t.Context(), "GET", path, nil)
	if err != nil || r.Code != http.StatusOK {
		t.Fatalf("GET %s: %v %d %s", path, err, r.Code, r.Raw)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(r.Raw), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatalf("GET %s: not CSV: %v", path, err)
	}
	return rows
}
