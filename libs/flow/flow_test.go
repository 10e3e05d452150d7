package flow_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse.dev/libs/flow"
)

func TestRequesters(t *testing.T) {
	t.Parallel()
	self := flow.Requester{Member: flow.Member{ID: "ann"}, IsBeneficiary: true}
	manager := flow.Requester{Member: flow.Member{ID: "mia"}, Manages: true}
	runs := flow.Requester{Member: flow.Member{ID: "ada"}, RunsApp: true}
	admin := flow.Requester{Member: flow.Member{ID: "zoe"}, Administers: true}
	lead := flow.Requester{Member: flow.Member{ID: "leo", GroupIDs: []string{"staff", "leads"}}}
	nobody := flow.Requester{Member: flow.Member{ID: "eve", GroupIDs: []string{"staff"}}}
	all := map[string]flow.Requester{"self": self, "manager": manager, "runs": runs, "admin": admin, "lead": lead, "nobody": nobody}
	for _, tt := range []struct {
		name  string
		who   *flow.Requesters
		allow []string
	}{
		{"no flow says anything", nil, []string{"self", "manager", "runs", "admin"}},
		{"nobody at all", &flow.Requesters{}, nil},
		{"the person", &flow.Requesters{Beneficiary: true}, []string{"self"}},
		{"managers", &flow.Requesters{Managers: true}, []string{"manager"}},
		{"the app's admins", &flow.Requesters{AppAdmins: true}, []string{"runs"}},
		{"admins", &flow.Requesters{Admins: true}, []string{"admin"}},
		{"everyone", &flow.Requesters{Everyone: true}, []string{"self", "manager", "runs", "admin", "lead", "nobody"}},
		{"a group", &flow.Requesters{GroupIDs: []string{"leads"}}, []string{"lead"}},
		{"users", &flow.Requesters{UserIDs: []string{"eve", "mia"}}, []string{"nobody", "manager"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := map[string]bool{}
			for _, name := range tt.allow {
				want[name] = true
			}
			for name, q := range all {
				if got := tt.who.Allow(q); got != want[name] {
					t.Errorf("%s: %t", name, got)
				}
			}
			if empty := tt.who.Empty(); empty != (tt.name == "nobody at all") {
				t.Errorf("empty: %t", empty)
			}
		})
	}
}

// TestWhoMayAskNeverChoosesTheFlow: for any flows, who may ask changes nothing
// about which of them decides.
func TestWhoMayAskNeverChoosesTheFlow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) flow.Rule {
			return flow.Rule{
				ID: rapid.StringMatching(`[a-d]`).Draw(t, "id"), Enabled: rapid.Bool().Draw(t, "enabled"),
				Trigger:  rapid.SampledFrom([]flow.Trigger{flow.OnRequest, flow.OnJoin}).Draw(t, "trigger"),
				Audience: flow.Audience{Everyone: rapid.Bool().Draw(t, "everyone"), UserIDs: []string{"ann"}},
				Scope:    flow.Scope{Any: rapid.Bool().Draw(t, "any"), AppIDs: []string{rapid.SampledFrom([]string{"crm", "erp"}).Draw(t, "app")}},
				Priority: rapid.Int32Range(0, 2).Draw(t, "priority"), CreateTime: time.Unix(rapid.Int64Range(0, 2).Draw(t, "made"), 0),
				Limits:    flow.Limits{MaxDuration: time.Duration(rapid.IntRange(0, 2).Draw(t, "most")) * time.Hour},
				Condition: rapid.SampledFrom([]string{"", "true", "false", `request.permanent`, `beneficiary.group_ids[0] == "x"`}).Draw(t, "condition"),
			}
		}), 0, 5).Draw(t, "flows")
		q := flow.Request{Kind: flow.Grant, Beneficiary: flow.Member{ID: rapid.SampledFrom([]string{"ann", "ben"}).Draw(t, "whom"), Active: true}}
		if rapid.Bool().Draw(t, "ends") {
			q.Until = q.CreateTime.Add(90 * time.Minute)
		}
		it := flow.Item{AppID: "crm", EntitlementID: "account"}
		rule := func(r *flow.Rule) *flow.Rule { return r }
		before, failed := flow.Select(rules, rule, q, it)
		for i := range rules {
			rules[i].Requesters = rapid.SampledFrom([]*flow.Requesters{nil, {}, {Everyone: true}}).Draw(t, "requesters")
		}
		if after, _ := flow.Select(rules, rule, q, it); after != before {
			t.Fatalf("%+v decided, now %+v", before, after)
		}
		if before == nil {
			return
		}
		if mismatch, err := before.Match(q, it); mismatch != "" || (err == nil) != (failed == nil) {
			t.Fatalf("%+v decides what it does not match: %s, %v, %v", before, mismatch, err, failed)
		}
	})
}

// TestForbids: what flows give to their audience alone is given to nobody else, by the
// flows that are about the thing and the person.
func TestForbids(t *testing.T) {
	t.Parallel()
	only := func(change func(*flow.Rule)) flow.Rule {
		r := flow.Rule{
			Enabled: true, Trigger: flow.OnRequest, OnlyAudience: true, Scope: flow.Scope{AppIDs: []string{"crm"}}, Audience: flow.Audience{UserIDs: []string{"ann"}},
		}
		if change != nil {
			change(&r)
		}
		return r
	}
	for _, tt := range []struct {
		name  string
		flows []flow.Rule
		whom  flow.Member
		kind  flow.Kind
		app   string
		want  bool
	}{
		{"none", nil, flow.Member{ID: "ben"}, flow.Grant, "crm", false},
		{"the audience", []flow.Rule{only(nil)}, flow.Member{ID: "ann"}, flow.Grant, "crm", false},
		{"somebody else", []flow.Rule{only(nil)}, flow.Member{ID: "ben"}, flow.Grant, "crm", true},
		{"another app", []flow.Rule{only(nil)}, flow.Member{ID: "ben"}, flow.Grant, "erp", false},
		{"taking away", []flow.Rule{only(nil)}, flow.Member{ID: "ben"}, flow.Revoke, "crm", false},
		{"switched off", []flow.Rule{only(func(r *flow.Rule) { r.Enabled = false })}, flow.Member{ID: "ben"}, flow.Grant, "crm", false},
		{"not alone", []flow.Rule{only(func(r *flow.Rule) { r.OnlyAudience = false })}, flow.Member{ID: "ben"}, flow.Grant, "crm", false},
		{"the audience of one of two", []flow.Rule{only(nil), only(func(r *flow.Rule) { r.Audience.UserIDs = []string{"ben"} })}, flow.Member{ID: "ben"}, flow.Grant, "crm", false},
		{"the organization's, let by an environment", []flow.Rule{only(nil), only(func(r *flow.Rule) {
			r.EnvironmentID, r.Audience = "north", flow.Audience{Everyone: true}
		})}, flow.Member{ID: "ben", EnvironmentID: "north"}, flow.Grant, "crm", true},
		{"the organization's, kept to fewer by an environment", []flow.Rule{only(nil), only(func(r *flow.Rule) {
			r.EnvironmentID, r.Audience.UserIDs = "north", []string{"eve"}
		})}, flow.Member{ID: "ann", EnvironmentID: "north"}, flow.Grant, "crm", true},
		{"of another environment", []flow.Rule{only(func(r *flow.Rule) { r.EnvironmentID = "north" })}, flow.Member{ID: "ben", EnvironmentID: "south"}, flow.Grant, "crm", false},
		{"of their environment", []flow.Rule{only(func(r *flow.Rule) { r.EnvironmentID = "north" })}, flow.Member{ID: "ben", EnvironmentID: "north"}, flow.Grant, "crm", true},
	} {
		rule := func(r *flow.Rule) *flow.Rule { return r }
		if got := flow.Forbids(tt.flows, rule, flow.Request{Kind: tt.kind, Beneficiary: tt.whom}, flow.Item{AppID: tt.app, OfOrganization: strings.HasPrefix(tt.name, "the organization's")}); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
