package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	decision "gatehouse.dev/libs/flow"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// B-ONB-18, B-APR-04, B-APR-15, B-REQ-18: what an admin assigns is granted at once, and
// what is not theirs to assign, or over a flow's limits, is denied, with the reason.
func TestAssignment(t *testing.T) {
	t.Parallel()
	zoe := lifecycle.Person{ID: "zoe", Name: "Zoe"}
	ben := lifecycle.Person{ID: "ben", Name: "Ben"}
	limited := lifecycle.Flow{
		Rule: decision.Rule{
			ID: "limited", Trigger: lifecycle.OnRequest, Enabled: true, Audience: decision.Audience{UserIDs: []string{"ben"}},
			Scope: decision.Scope{AppIDs: []string{"crm"}}, Limits: decision.Limits{MaxDuration: time.Hour}, CreateTime: noon,
		},
		Steps: []lifecycle.StepSpec{{Name: "one", Reviewers: lifecycle.Manager, Need: lifecycle.NeedAll}},
	}
	others := limited
	others.ID, others.OnlyAudience, others.Audience.UserIDs, others.MaxDuration = "others", true, []string{"ann"}, 0
	for _, tt := range []struct {
		name   string
		change func(*lifecycle.Request)
		flows  []lifecycle.Flow
		want   string // part of the reason; empty: granted
		state  lifecycle.State
	}{
		{name: "an admin"},
		{name: "what a flow has reviewed", flows: []lifecycle.Flow{limited}, change: func(r *lifecycle.Request) { r.Until = noon.Add(time.Hour) }},
		{name: "an admin of the person's environment", change: func(r *lifecycle.Request) {
			r.Assigner.EnvironmentID, r.EnvironmentID, r.Member.EnvironmentID, r.Items[0].EnvironmentID, r.Items[0].OfOrganization = "a", "a", "a", "a", false
		}},
		{name: "no admin", change: func(r *lifecycle.Request) { r.Assigner.Administers = false }, want: "not an active admin"},
		{name: "no longer there", change: func(r *lifecycle.Request) { r.Assigner.CanDecide = false }, want: "not an active admin"},
		{name: "nobody", change: func(r *lifecycle.Request) {
			r.Requester, *r.Assigner = lifecycle.Person{}, lifecycle.User{CanDecide: true, Administers: true}
		}, want: "not an active admin"},
		{name: "not who requested", change: func(r *lifecycle.Request) { r.Assigner.Person = ben }, want: "not an active admin"},
		{name: "for oneself", change: func(r *lifecycle.Request) { r.Beneficiary = zoe }, want: "themselves"},
		{name: "for one's agent", change: func(r *lifecycle.Request) { r.AccountableIDs = []string{"zoe"} }, want: "answer for"},
		{name: "taking away", change: func(r *lifecycle.Request) { r.Kind = lifecycle.Revoke }, want: "only access that is to come"},
		{name: "to somebody suspended", change: func(r *lifecycle.Request) { r.Member.Active = false }, want: "Ben is not active"},
		{name: "of another environment", change: func(r *lifecycle.Request) {
			r.Assigner.EnvironmentID, r.EnvironmentID, r.Member.EnvironmentID = "a", "b", "b"
		}, want: "another environment"},
		{name: "somebody of the organization", change: func(r *lifecycle.Request) {
			r.Assigner.EnvironmentID, r.EnvironmentID, r.Items[0].EnvironmentID = "a", "a", "a"
		}, want: "another environment"},
		{name: "an app of the organization", change: func(r *lifecycle.Request) {
			r.Assigner.EnvironmentID, r.EnvironmentID, r.Member.EnvironmentID = "a", "a", "a"
		}, want: "does not administer"},
		{name: "longer than a flow allows", flows: []lifecycle.Flow{limited}, want: "1 hour at most"},
		{name: "what a flow gives to others", flows: []lifecycle.Flow{others}, want: "to others only"},
		{name: "an app that is closed", change: func(r *lifecycle.Request) { r.Items[0].OnlyByFlow = true }, want: "closed to what no flow covers"},
		{
			name: "an app that is closed, by a flow", flows: []lifecycle.Flow{limited},
			change: func(r *lifecycle.Request) { r.Items[0].OnlyByFlow, r.Until = true, noon.Add(time.Hour) },
		},
		{
			name: "what has ended", change: func(r *lifecycle.Request) { r.Until = noon }, want: "its end has passed", state: lifecycle.Cancelled,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := lifecycle.Request{
				RequestID: "r", Kind: lifecycle.Grant, Parties: lifecycle.Parties{Requester: zoe, Beneficiary: ben},
				Member: lifecycle.Member{ID: "ben", Active: true}, CreateTime: noon,
				Items:    []lifecycle.Item{{ID: "i", Item: decision.Item{AppID: "crm", AppName: "CRM", EntitlementID: "account", OfOrganization: true}}},
				Assigner: &lifecycle.User{Person: zoe, Active: true, CanDecide: true, IsPerson: true, Administers: true},
			}
			if tt.change != nil {
				tt.change(&r)
			}
			a := lifecycle.New(r, tt.flows, noon)
			want := lifecycle.Granted
			if tt.want != "" {
				want = lifecycle.Denied
			}
			if tt.state != "" {
				want = tt.state
			}
			if a.State != want || (tt.want == "") != (a.Refusal == "") || !strings.Contains(a.Refusal, tt.want) || len(a.Steps) > 0 || (len(a.Given) == len(r.Items)) != (tt.want == "" && tt.state == "") || a.FlowID != "" && tt.want == "" {
				t.Errorf("%s %q %+v, want %s %q", a.State, a.Refusal, a, want, tt.want)
			}
			if a.EndTime.IsZero() {
				t.Error("has not ended")
			}
		})
	}
}
