package e2e_test

import (
	"slices"
	"testing"
)

// moves is the story of somebody who changes teams: two groups' flows give the same, and
// he asks for it himself besides. Each reason ends alone, the app keeps him until the last
// has ended, and what a group gives comes again with the group. ann approves in Chat.
//
// B-USR-15, B-PRV-10: leaving a group takes away what only its flow gave.
func moves(t *testing.T, w *world, chat app, ann api) {
	t.Log("   somebody moves between teams")
	w.target.addGroup(t, "movers")
	movers := w.entitlement(t, chat, "Movers", "ENTITLEMENT_KIND_GROUP", "movers")
	mover, leaver := w.scimUser(t, "max", "Max Mover", ""), w.scimUser(t, "meg", "Meg Leaver", "")
	sales, field := w.scimGroup(t, "Sales"), w.scimGroup(t, "Field")
	w.joinFlow(t, "Sales", str(sales, "id"), movers)
	w.joinFlow(t, "Field", str(field, "id"), movers)
	moves := func(who object, op string, group object) {
		t.Helper()
		w.scim.must(t, "PATCH", "/scim/v2/Groups/"+str(group, "id"), object{
			"schemas": []string{scimPatch}, "Operations": []object{{"op": op, "path": "members", "value": []object{{"value": str(who, "id")}}}},
		})
	}
	move := func(op string, group object) { t.Helper(); moves(mover, op, group) }
	reasons := func(active int) {
		t.Helper()
		until(t, "reasons to hold it", func() int { return countState(w.grants(t, "max"), "GRANT_STATE_ACTIVE") }, func(n int) bool { return n == active })
		until(t, "the app's group", func() bool { return w.target.member(t, "movers", "max@corp.example") }, func(in bool) bool { return in == (active > 0) })
	}
	move("add", sales)
	reasons(1)
	move("add", field)
	reasons(2)
	move("remove", sales)
	reasons(1)
	move("remove", field)
	reasons(0)
	r := w.ask(t, w.as(t, "max"), "REQUEST_KIND_GRANT", movers)
	w.approve(t, ann, r)
	reasons(1)
	move("add", sales)
	reasons(2)
	move("remove", sales)
	reasons(1)
	if g := w.grantOf(t, r); str(g, "state") != "GRANT_STATE_ACTIVE" {
		t.Errorf("what he asked for himself: %s", brief(g))
	}

	// Out of one group and then into another, as identity providers do it: a flow that
	// waits a little takes nothing away in between.
	w.target.addGroup(t, "travellers")
	travellers := w.entitlement(t, chat, "Travellers", "ENTITLEMENT_KIND_GROUP", "travellers")
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Travellers", "trigger": "FLOW_TRIGGER_JOIN", "audience": object{"groupIds": []string{str(sales, "id"), str(field, "id")}},
		"scope": object{"entitlementIds": []string{travellers}}, "autoApprove": true, "unmatchAfter": "3s",
	}})
	travels := func(name string, want bool) {
		t.Helper()
		until(t, name+" in the app's group", func() bool { return w.target.member(t, "travellers", name+"@corp.example") }, func(in bool) bool { return in == want })
	}
	move("add", sales)
	moves(leaver, "add", sales)
	travels("max", true)
	travels("meg", true)
	move("remove", sales)
	moves(leaver, "remove", sales)
	move("add", field)
	// What the other flow gave with the first group has gone, and this has not.
	reasons(3)
	travels("meg", false) // whose time was over after his
	gs := slices.DeleteFunc(w.grants(t, "max"), func(g any) bool { return str(g, "entitlementId") != travellers })
	if len(gs) != 1 || str(gs[0], "state") != "GRANT_STATE_ACTIVE" {
		t.Errorf("after moving in two steps: %s", brief(gs))
	}
	move("remove", field)
	travels("max", false)

	// What is given to one group alone comes with that group, also if it comes last.
	w.target.addGroup(t, "crew")
	crew := w.entitlement(t, chat, "Crew", "ENTITLEMENT_KIND_GROUP", "crew")
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Crew", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"groupIds": []string{str(field, "id")}}, "onlyAudience": true,
		"scope": object{"entitlementIds": []string{crew}}, "steps": []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	w.joinFlow(t, "Sailors", str(sales, "id"), crew)
	move("add", sales)
	until(t, "it is refused", func() (refused int) {
		for _, r := range list(w.admin.must(t, "GET", "/v1/requests?pageSize=1000", nil), "requests") {
			if str(list(r, "items")[0], "entitlementId") == crew && str(r, "state") == "REQUEST_STATE_CANCELLED" {
				refused++
			}
		}
		return refused
	}, func(n int) bool { return n == 1 })
	move("add", field)
	until(t, "the app's group", func() bool { return w.target.member(t, "crew", "max@corp.example") }, func(in bool) bool { return in })
	move("remove", sales)
	until(t, "the app's group", func() bool { return w.target.member(t, "crew", "max@corp.example") }, func(in bool) bool { return !in })
}
