package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	rule "gatehouse.dev/libs/flow"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func request() lifecycle.Request {
	return lifecycle.Request{
		RequestID: "r1", Kind: lifecycle.Grant,
		Parties:    lifecycle.Parties{Requester: lifecycle.Person{ID: "ann", Name: "Ann"}, Beneficiary: lifecycle.Person{ID: "ben", Name: "Ben"}},
		Member:     lifecycle.Member{ID: "ben", Active: true, GroupIDs: []string{"sales"}},
		Items:      []lifecycle.Item{item("i1", "crm", "crm-account")},
		CreateTime: noon,
	}
}

func flow(id string, change func(*lifecycle.Flow)) lifecycle.Flow {
	f := lifecycle.Flow{
		Rule: rule.Rule{
			ID: id, Trigger: lifecycle.OnRequest, Enabled: true, CreateTime: noon.Add(-time.Hour),
			Audience: lifecycle.Audience{Everyone: true}, Scope: lifecycle.Scope{Any: true},
		},
		Version: 1,
		Steps:   []lifecycle.StepSpec{{Name: "Manager", Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny}},
	}
	if change != nil {
		change(&f)
	}
	return f
}

// item is an item of a request.
func item(id, appID, entitlementID string) lifecycle.Item {
	return lifecycle.Item{ID: id, Item: rule.Item{AppID: appID, EntitlementID: entitlementID}}
}

func TestSelectFlow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		flows   []lifecycle.Flow
		request func(*lifecycle.Request)
		want    string // id of the flow; empty: the default
	}{
		{name: "none", want: ""}, // B-APR-01: reviewed by default
		{name: "matches", flows: []lifecycle.Flow{flow("a", nil)}, want: "a"},
		{name: "disabled", flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Enabled = false })}, want: ""},
		{name: "join-flow is not for asking", flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Trigger = lifecycle.OnJoin })}, want: ""},
		{
			name:  "priority decides",
			flows: []lifecycle.Flow{flow("a", nil), flow("b", func(f *lifecycle.Flow) { f.Priority = 1 })},
			want:  "b",
		},
		{
			name:  "then age",
			flows: []lifecycle.Flow{flow("a", nil), flow("b", func(f *lifecycle.Flow) { f.CreateTime = noon.Add(-2 * time.Hour) })},
			want:  "b",
		},
		{
			name: "the organization's and the environment's compete: priority",
			flows: []lifecycle.Flow{
				flow("a", func(f *lifecycle.Flow) { f.EnvironmentID, f.CreateTime = "e1", noon.Add(-3*time.Hour) }),
				flow("b", func(f *lifecycle.Flow) { f.Priority = 1 }),
			},
			request: func(a *lifecycle.Request) { a.Member.EnvironmentID = "e1" }, want: "b",
		},
		{
			name: "the organization's and the environment's compete: age",
			flows: []lifecycle.Flow{
				flow("a", nil), flow("b", func(f *lifecycle.Flow) { f.EnvironmentID, f.CreateTime = "e1", noon.Add(-3*time.Hour) }),
			},
			request: func(a *lifecycle.Request) { a.Member.EnvironmentID = "e1" }, want: "b",
		},
		{
			name:    "another environment's",
			flows:   []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.EnvironmentID = "e2" })},
			request: func(a *lifecycle.Request) { a.Member.EnvironmentID = "e1" }, want: "",
		},
		{
			name:  "an environment's is for its people only",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.EnvironmentID = "e1" })},
			want:  "",
		},
		{name: "no kinds means grants only", flows: []lifecycle.Flow{flow("a", nil)}, request: func(a *lifecycle.Request) { a.Kind = lifecycle.Revoke }, want: ""},
		{
			name:    "revokes",
			flows:   []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Kinds = []lifecycle.Kind{lifecycle.Revoke} })},
			request: func(a *lifecycle.Request) { a.Kind = lifecycle.Revoke }, want: "a",
		},
		{
			name:  "only revokes",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Kinds = []lifecycle.Kind{lifecycle.Revoke} })},
			want:  "",
		},
		{
			name:  "group",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Audience = lifecycle.Audience{GroupIDs: []string{"sales"}} })},
			want:  "a",
		},
		{
			name:  "other group",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Audience = lifecycle.Audience{GroupIDs: []string{"ops"}} })},
			want:  "",
		},
		{
			name:  "the beneficiary counts, not the requester",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Audience = lifecycle.Audience{UserIDs: []string{"ann"}} })},
			want:  "",
		},
		{
			name:  "named user",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Audience = lifecycle.Audience{UserIDs: []string{"ben"}} })},
			want:  "a",
		},
		{
			name:  "everyone who is active",
			flows: []lifecycle.Flow{flow("a", nil)}, request: func(a *lifecycle.Request) { a.Member.Active = false }, want: "",
		},
		{
			name:  "app",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Scope = lifecycle.Scope{AppIDs: []string{"crm"}} })},
			want:  "a",
		},
		{
			name:  "entitlement of another app",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Scope = lifecycle.Scope{EntitlementIDs: []string{"erp-account"}} })},
			want:  "",
		},
		{
			name:  "a condition that does not hold",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Condition, f.Priority = `beneficiary.department == "Sales"`, 1 }), flow("b", nil)},
			want:  "b",
		},
		{
			name:    "a condition that holds",
			flows:   []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Condition, f.Priority = `beneficiary.department == "Sales"`, 1 }), flow("b", nil)},
			request: func(a *lifecycle.Request) { a.Member.Department = "Sales" }, want: "a",
		},
		{
			name:  "a condition that cannot be evaluated leads to no other flow",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.Condition, f.Priority = `beneficiary.group_ids[7] == "x"`, 1 }), flow("b", nil)},
			want:  "",
		},
		{
			name:  "B-REQ-18 a limit that is exceeded leads to no other flow",
			flows: []lifecycle.Flow{flow("a", func(f *lifecycle.Flow) { f.MaxDuration, f.Priority = time.Hour, 1 }), flow("b", nil)},
			want:  "a",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := request()
			if tc.request != nil {
				tc.request(&a)
			}
			got := lifecycle.SelectFlow(tc.flows, a, a.Items[0])
			if got.ID != tc.want {
				t.Fatalf("picked %q, want %q", got.ID, tc.want)
			}
			if got.ID == "" && (got.AutoApprove || len(got.Steps) != 1 || got.Steps[0].Reviewers != lifecycle.AppApprovers) {
				t.Fatalf("default flow does not ask the app's approvers: %+v", got)
			}
		})
	}
}

// A lenient flow on everything does not decide what a strict flow is for, even
// if both kinds of thing are in one request.
func TestSelectFlowForEachItem(t *testing.T) {
	t.Parallel()
	flows := []lifecycle.Flow{
		flow("strict", func(f *lifecycle.Flow) { f.Scope, f.Priority = lifecycle.Scope{AppIDs: []string{"crm"}}, 10 }),
		flow("lenient", func(f *lifecycle.Flow) { f.AutoApprove, f.Steps = true, nil }),
	}
	a := request()
	a.Items = append(a.Items, item("i2", "wiki", "wiki-account"))
	got := lifecycle.New(a, flows, noon)
	if got.State != lifecycle.Open || len(got.Given) != 1 || got.Given[0].ItemID != "i2" || got.Given[0].FlowID != "lenient" {
		t.Fatalf("state %s, given %v", got.State, got.Given)
	}
	if len(got.Steps) != 1 || got.Steps[0].FlowID != "strict" || got.Steps[0].ItemID != "i1" {
		t.Fatalf("steps %+v", got.Steps)
	}
}

// B-APR-12: what approves by itself is only what a flow says in so many words.
func TestNewPassesByItself(t *testing.T) {
	t.Parallel()
	join := flow("join", func(f *lifecycle.Flow) {
		f.Trigger, f.AutoApprove, f.Steps = lifecycle.OnJoin, true, nil
		f.Scope = lifecycle.Scope{EntitlementIDs: []string{"crm-account"}}
	})
	other := join
	other.Scope.EntitlementIDs = []string{"wiki-account"}
	for _, tc := range []struct {
		name string
		flow lifecycle.Flow
		join *lifecycle.Flow
		want lifecycle.State
	}{
		{name: "auto_approve", flow: flow("a", func(f *lifecycle.Flow) { f.AutoApprove, f.Steps = true, nil }), want: lifecycle.Granted},
		{name: "no steps, not said", flow: flow("a", func(f *lifecycle.Flow) { f.Steps = nil }), want: lifecycle.Open},
		{name: "steps all the same", flow: flow("a", func(f *lifecycle.Flow) { f.AutoApprove = true }), want: lifecycle.Open},
		{name: "join-flow", join: &join, want: lifecycle.Granted},
		{name: "join-flow that does not give this", join: &other, want: lifecycle.Open},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := request()
			a.JoinFlow = tc.join
			got := lifecycle.New(a, []lifecycle.Flow{tc.flow}, noon)
			if got.State != tc.want || got.Automatic != (tc.want == lifecycle.Granted) {
				t.Fatalf("state %s, automatic %t, want %s", got.State, got.Automatic, tc.want)
			}
			if got.State == lifecycle.Open && len(got.Ready()) != 1 {
				t.Fatalf("ready: %v", got.Ready())
			}
		})
	}
}

// B-REQ-18: what is over the limit of its flow is not decided at all.
func TestNewOverTheLimit(t *testing.T) {
	t.Parallel()
	flows := []lifecycle.Flow{
		flow("short", func(f *lifecycle.Flow) { f.MaxDuration, f.Priority, f.AutoApprove, f.Steps = time.Hour, 1, true, nil }),
		flow("weaker", func(f *lifecycle.Flow) { f.AutoApprove, f.Steps = true, nil }),
	}
	for until, want := range map[time.Time]lifecycle.State{
		noon.Add(time.Hour): lifecycle.Granted, noon.Add(61 * time.Minute): lifecycle.Cancelled, {}: lifecycle.Cancelled,
	} {
		a := request()
		a.Until = until
		got := lifecycle.New(a, flows, noon)
		if got.State != want || (got.Refusal == "its flow gives it for 1 hour at most, and not for ever") != (want == lifecycle.Cancelled) {
			t.Errorf("until %s: %s, %q", until, got.State, got.Refusal)
		}
	}
}

// An environment does not decide over the organization's own: its flows come after
// those of the organization, and approve nothing of it by themselves.
func TestEnvironmentsFlowsOnTheOrganizationsApps(t *testing.T) {
	t.Parallel()
	organizations := flow("organization's", func(f *lifecycle.Flow) { f.Scope = lifecycle.Scope{AppIDs: []string{"crm"}} })
	environments := flow("environment's", func(f *lifecycle.Flow) {
		f.EnvironmentID, f.Priority, f.AutoApprove, f.Steps = "south", 1000, true, nil
	})
	join := environments
	join.Trigger, join.Scope.EntitlementIDs = lifecycle.OnJoin, []string{"crm-account"}
	for _, tc := range []struct {
		name         string
		flows        []lifecycle.Flow
		join         *lifecycle.Flow
		organization bool
		want         lifecycle.State
		flow         string
	}{
		{"its own app", []lifecycle.Flow{organizations, environments}, nil, false, lifecycle.Granted, "environment's"},
		{"the organization's app", []lifecycle.Flow{environments, organizations}, nil, true, lifecycle.Open, "organization's"},
		{"the organization's app, of which its flows say nothing", []lifecycle.Flow{environments}, nil, true, lifecycle.Open, "environment's"},
		{"whoever joins, its own app", nil, &join, false, lifecycle.Granted, "environment's"},
		{"whoever joins, the organization's app", nil, &join, true, lifecycle.Open, "environment's"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := request()
			a.Member.EnvironmentID, a.JoinFlow = "south", tc.join
			a.Items[0].OfOrganization = tc.organization
			got := lifecycle.New(a, tc.flows, noon)
			if got.State != tc.want || got.FlowID != tc.flow {
				t.Fatalf("%s by %q", got.State, got.FlowID)
			}
			if got.State == lifecycle.Open && got.Steps[0].Spec.Reviewers == "" {
				t.Errorf("steps %+v", got.Steps)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*lifecycle.Flow)
		want   []string
	}{
		{name: "fine"},
		{name: "nobody", change: func(f *lifecycle.Flow) { f.Audience = lifecycle.Audience{} }, want: []string{"audience"}},
		{name: "about nothing", change: func(f *lifecycle.Flow) { f.Scope = lifecycle.Scope{} }, want: []string{"scope"}},
		{name: "no steps", change: func(f *lifecycle.Flow) { f.Steps = nil }, want: []string{"steps"}},
		{name: "steps and automatic", change: func(f *lifecycle.Flow) { f.AutoApprove = true }, want: []string{"steps"}},
		{name: "step without users", change: func(f *lifecycle.Flow) { f.Steps[0].Reviewers = lifecycle.NamedUsers }, want: []string{"steps[0].user_ids"}},
		{name: "step without groups", change: func(f *lifecycle.Flow) { f.Steps[0].Reviewers = lifecycle.NamedGroups }, want: []string{"steps[0].group_ids"}},
		{name: "step with users it has no use for", change: func(f *lifecycle.Flow) { f.Steps[0].UserIDs = []string{"ann"} }, want: []string{"steps[0].user_ids"}},
		{name: "count of none", change: func(f *lifecycle.Flow) { f.Steps[0].Need = lifecycle.NeedCount }, want: []string{"steps[0].need_count"}},
		{
			name: "join-flow on apps",
			change: func(f *lifecycle.Flow) {
				f.Trigger, f.Kinds = lifecycle.OnJoin, []lifecycle.Kind{lifecycle.Grant}
				f.Scope = lifecycle.Scope{Any: true, AppIDs: []string{"crm"}}
			},
			want: []string{"scope.any", "scope.app_ids", "scope.entitlement_ids", "kinds"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range flow("a", tc.change).Check() {
				got = append(got, p.Field)
			}
			if !slices.Equal(got, tc.want) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestMatchesJoiner(t *testing.T) {
	t.Parallel()
	join := flow("join", func(f *lifecycle.Flow) {
		f.Trigger, f.Audience = lifecycle.OnJoin, lifecycle.Audience{GroupIDs: []string{"sales"}}
	})
	off := join
	off.Enabled = false
	in := lifecycle.Member{ID: "ben", Active: true, GroupIDs: []string{"all", "sales"}}
	suspended := in
	suspended.Active = false
	for name, tc := range map[string]struct {
		flow   lifecycle.Flow
		member lifecycle.Member
		want   bool
	}{
		"in the group":     {join, in, true},
		"not active":       {join, suspended, false},
		"not in the group": {join, lifecycle.Member{ID: "ann", Active: true}, false},
		"switched off":     {off, in, false},
		"not a join-flow":  {flow("a", nil), in, false},
	} {
		if got := tc.flow.MatchesJoiner(tc.member); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}

func TestNobodyProfitsFromTheirOwnFlow(t *testing.T) {
	t.Parallel()
	auto := func(editors ...string) lifecycle.Flow {
		return flow("a", func(f *lifecycle.Flow) { f.AutoApprove, f.Steps, f.EditorIDs = true, nil, editors })
	}
	join := auto("zoe", "ben")
	join.Trigger, join.Scope = lifecycle.OnJoin, lifecycle.Scope{EntitlementIDs: []string{"crm-account"}}
	steps := auto("ann")
	steps.AutoApprove, steps.Steps = false, []lifecycle.StepSpec{{Name: "Board", Reviewers: lifecycle.NamedGroups, GroupIDs: []string{"board"}, Need: lifecycle.NeedAny}}
	for _, tc := range []struct {
		name      string
		flow      lifecycle.Flow
		joined    bool
		automatic bool
		want      string // the first step
	}{
		{name: "somebody else's", flow: auto("zoe"), automatic: true},
		{name: "the requester's", flow: auto("ann"), want: "App approvers"},
		{name: "changed by the beneficiary", flow: auto("zoe", "ben"), want: "App approvers"},
		{name: "a join-flow of the beneficiary's", flow: join, joined: true, want: "App approvers"},
		{name: "the requester's, with steps", flow: steps, want: "Board"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := request()
			if tc.joined {
				r.JoinFlow, r.Requester = &tc.flow, lifecycle.Person{}
			}
			a := lifecycle.New(r, []lifecycle.Flow{tc.flow}, noon)
			if granted := a.State == lifecycle.Granted; granted != tc.automatic || a.Automatic != tc.automatic {
				t.Fatalf("%s, automatic %t", a.State, a.Automatic)
			}
			if tc.want != "" && (len(a.Steps) != 1 || a.Steps[0].Spec.Name != tc.want || a.Steps[0].FlowID != "a") {
				t.Errorf("steps: %+v", a.Steps)
			}
		})
	}
}
