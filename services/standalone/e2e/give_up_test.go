package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestGiveUp is the story of a request whose app fails: it is approved, the app makes the
// account and refuses the rest, and who asked gives it up. Nothing of it is left in the
// app, nobody has to mend or resolve anything, and the trail says who, and why. B-PRV-16
func TestGiveUp(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startScimTarget(t)
	refuses := refuseSome(t, target, "/Groups")
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 15)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	w.scimUser(t, "ned", "Ned Newcomer", "")
	w.scimUser(t, "joe", "Joe Junior", "")
	ann, ned, joe := w.as(t, "ann"), w.as(t, "ned"), w.as(t, "joe")
	chat := w.automaticApp(t, "Chat", "ann")
	engineers := w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	giveUp := func(who api, request string) reply {
		t.Helper()
		r, err := who.do(t.Context(), "POST", "/v1/requests/"+request+":giveUp", object{"reason": "Chat has no room for us"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	// joe has an account, which what happens to others does not touch.
	account := w.ask(t, joe, "REQUEST_KIND_GRANT", chat.account)
	w.approve(t, ann, account)
	w.requestState(t, account, "REQUEST_STATE_FULFILLED")

	request := w.ask(t, ned, "REQUEST_KIND_GRANT", engineers)
	if r := giveUp(ned, request); r.Code != http.StatusBadRequest || !strings.Contains(string(r.Raw), "NOTHING_TO_GIVE_UP") {
		t.Errorf("given up before it was approved: %d %s", r.Code, r.Raw)
	}
	w.approve(t, ann, request)
	openItems := func() []any { return list(w.admin.must(t, "GET", "/v1/workItems?appId="+chat.id, nil), "workItems") }
	until(t, "the app's refusal is a work item", openItems, func(items []any) bool {
		return len(items) == 1 && str(items[0], "kind") == "WORK_ITEM_KIND_FIX_OPERATION"
	})
	until(t, "the request says that it failed", func() any { return get(w.admin.must(t, "GET", "/v1/requests/"+request, nil), "request") },
		func(r any) bool { return str(r, "items", 0, "state") == "ITEM_STATE_FAILED" })
	if us := target.users(t, "ned@corp.example"); len(us) != 1 {
		t.Errorf("the account should be there: %s", brief(us))
	}
	if r := giveUp(ann, request); r.Code != http.StatusForbidden {
		t.Errorf("given up by an approver: %d %s", r.Code, r.Raw)
	}

	if r := giveUp(ned, request); r.Code != http.StatusOK {
		t.Fatalf("give up: %d %s", r.Code, r.Raw)
	}
	got := w.requestState(t, request, "REQUEST_STATE_CANCELLED")
	if str(got, "items", 0, "state") != "ITEM_STATE_GIVEN_UP" || str(got, "items", 0, "giveUp", "by", "displayName") != "Ned Newcomer" ||
		str(got, "closingReason") != "given up: Chat has no room for us" || str(got, "closedBy", "displayName") != "Ned Newcomer" {
		t.Errorf("closed as %s", brief(got))
	}
	until(t, "nothing of it is left in the app", func() []object { return target.users(t, "ned@corp.example") }, func(us []object) bool { return len(us) == 0 })
	until(t, "the grant is gone", func() any { return w.grantOf(t, request) }, func(g any) bool {
		return str(g, "state") == "GRANT_STATE_REVOKED" && str(g, "endReason") == "GRANT_END_REASON_GIVEN_UP"
	})
	until(t, "nobody has anything to mend", openItems, func(items []any) bool { return len(items) == 0 })
	if us := target.users(t, "joe@corp.example"); len(us) != 1 {
		t.Errorf("joe's account: %s", brief(us))
	}
	w.trail(t, request, "request.submitted", "approval.granted", "grant.failed", "request.give_up_requested", "grant.ended", "request.closed")

	// The app works again: it is asked for anew, and decided anew.
	refuses.Store(false)
	again := w.ask(t, ned, "REQUEST_KIND_GRANT", engineers)
	w.approve(t, ann, again)
	w.requestState(t, again, "REQUEST_STATE_FULFILLED")
	if !target.member(t, "engineers", "ned@corp.example") {
		t.Error("fulfilled, but not in the app's group")
	}
	w.nothingParked(t)
}
