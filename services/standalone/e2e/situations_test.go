package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// TestSituations is what people report of products that give access: each in an
// organization of its own, all of them on one Gatehouse, through its doors alone.
func TestSituations(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	t.Cleanup(func() { proxy.clean(t, 300) })
	for name, situation := range map[string]func(*testing.T, *standalone){
		"leaves by being made inactive":      leavesByBeingMadeInactive,
		"leaves by being deleted":            leavesByBeingDeleted,
		"manual account of a request":        manualAccountOfARequest,
		"removal that a person has resolved": removalThatAPersonHasResolved,
		"user name of somebody who left":     userNameOfSomebodyWhoLeft,
		"externalId of several":              externalIDOfSeveral,
		"user names that look the same":      userNamesThatLookTheSame,
		"founder comes to a source":          founderComesToASource,
		"integration with another tenant":    integrationWithAnotherTenant,
		"account that was there before":      accountThatWasThereBefore,
		"reviewer who is one no longer":      reviewerWhoIsOneNoLonger,
		"limit of a flow":                    limitOfAFlow,
		"flow that names what is deleted":    flowThatNamesWhatIsDeleted,
		"fifty items":                        fiftyItems,
		"app that takes few calls":           appThatTakesFewCalls,
		"manual app becomes automatic":       manualAppBecomesAutomatic,
		"entitlement that the app lacks":     entitlementThatTheAppLacks,
		"SCIM that is misspelt":              scimThatIsMisspelt,
		"SCIM lists":                         scimLists,
		"who has just come":                  whoHasJustCome,
		"five flows give the same":           fiveFlowsGiveTheSame,
		"first steps":                        firstSteps,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			situation(t, gh)
		})
	}
}

// refusal is the reason for which a call is refused; empty if it is not.
func (a api) refusal(t testing.TB, method, path string, body any) string {
	t.Helper()
	r, err := a.do(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code/100 == 2 {
		return ""
	}
	for _, d := range list(r.JSON, "details") {
		if reason := str(d, "reason"); reason != "" {
			return reason
		}
	}
	return string(r.Raw)
}

// manualApp puts an app into the catalog whose accounts a person makes.
func (w *world) manualApp(t testing.TB, name, approver string) app {
	t.Helper()
	return w.app(t, object{"name": name, "provisioning": "PROVISIONING_SUPPORT_MANUAL", "approverIds": []string{w.id(t, approver)}})
}

// patchUser sends operations about a person, as an identity provider does.
func (w *world) patchUser(t testing.TB, id, operations string) reply {
	t.Helper()
	r, err := w.scim.do(t.Context(), "PATCH", "/scim/v2/Users/"+id, `{"schemas":["`+scimPatch+`"],"Operations":[`+operations+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// patchMembers puts somebody into a group or takes them out of it.
func (w *world) patchMembers(t testing.TB, op string, group, user object) {
	t.Helper()
	w.scim.must(t, "PATCH", "/scim/v2/Groups/"+str(group, "id"), object{
		"schemas": []string{scimPatch}, "Operations": []object{{"op": op, "path": "members", "value": []object{{"value": str(user, "id")}}}},
	})
}

// assign gives things to people, in the admin's name, and the ids of the requests.
func (w *world) assign(t testing.TB, users []string, entitlements ...string) []string {
	t.Helper()
	made := w.admin.must(t, "POST", "/v1/requests:assign", object{"userIds": users, "entitlementIds": entitlements, "justification": "for the story"})
	return column(list(made, "requests"), "id")
}

// openItem waits for the one open work item of a kind about a person.
func (w *world) openItem(t testing.TB, user, kind string) any {
	t.Helper()
	return until(t, kind+" about "+user, func() []any {
		return list(w.admin.must(t, "GET", "/v1/workItems?userId="+user+"&kind=WORK_ITEM_KIND_"+kind, nil), "workItems")
	}, func(l []any) bool { return len(l) == 1 })[0]
}

func (w *world) resolve(t testing.TB, items ...any) {
	t.Helper()
	w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(items, "id"), "note": "done by hand"})
}

// grantState waits until the grants of a request are in a state.
func (w *world) grantState(t testing.TB, request, state string) {
	t.Helper()
	until(t, "grants in "+state, func() []any { return list(w.admin.must(t, "GET", "/v1/grants?requestId="+request, nil), "grants") },
		func(gs []any) bool { return len(gs) > 0 && countState(gs, "GRANT_STATE_"+state) == len(gs) })
}

// onChecklist waits until a person is on the list of a kind, and gives what is open
// there; offChecklist until they are not.
func (w *world) onChecklist(t testing.TB, kind, name string) []any {
	t.Helper()
	c := until(t, name+" on the list of "+kind, func() any { return w.checklist(t, "CHECKLIST_KIND_"+kind, name) }, func(c any) bool { return c != nil })
	items := list(w.admin.must(t, "GET", "/v1/checklists/"+str(c, "id"), nil), "workItems")
	return slices.DeleteFunc(items, func(i any) bool { return str(i, "state") != "WORK_ITEM_STATE_OPEN" })
}

func (w *world) offChecklist(t testing.TB, kind, name string) {
	t.Helper()
	until(t, name+" off the list of "+kind, func() any { return w.checklist(t, "CHECKLIST_KIND_"+kind, name) }, func(c any) bool { return c == nil })
}

// hasAccount waits until an app has one active account of somebody, or none.
func (s *scimTarget) hasAccount(t testing.TB, userName string, has bool) {
	t.Helper()
	until(t, "account of "+userName, func() []object { return s.users(t, userName) }, func(us []object) bool {
		return len(us) == 0 && !has || len(us) == 1 && us[0]["active"] == true == has
	})
}

// hasMember waits until somebody is in a group of an app, or is not.
func (s *scimTarget) hasMember(t testing.TB, group, userName string, has bool) {
	t.Helper()
	until(t, userName+" in "+group, func() bool { return s.member(t, group, userName) }, func(in bool) bool { return in == has })
}

// want fails the test unless an answer has a code and a text.
func (r reply) want(t testing.TB, code int, text string) {
	t.Helper()
	if r.Code != code || !strings.Contains(string(r.Raw), text) {
		t.Errorf("got %d %s; want %d with %s", r.Code, r.Raw, code, text)
	}
}

// send sends a call that may be refused.
func (a api) send(t testing.TB, method, path string, body any) reply {
	t.Helper()
	r, err := a.do(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
