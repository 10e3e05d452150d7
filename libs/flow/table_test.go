package flow_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/worktime"
)

var update = flag.Bool("update", false, "write docs/decision-table.md")

// row is a case of the decision table. Its cells are written from what is decided by.
type row struct {
	flows []flow.Rule
	item  flow.Item
	asked flow.Request
	want  string
}

var (
	asOf = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	crm  = flow.Item{AppID: "CRM", EntitlementID: "CRM account", Category: "Sales", Risk: "low", OfOrganization: true}
)

// of is a flow for everyone about the CRM; each is made an hour after the one before it in
// the alphabet.
func of(id string, change ...func(*flow.Rule)) flow.Rule {
	r := flow.Rule{
		ID: id, Enabled: true, Trigger: flow.OnRequest, Audience: flow.Audience{Everyone: true}, Scope: flow.Scope{AppIDs: []string{"CRM"}},
		CreateTime: asOf.Add(-48*time.Hour + time.Duration(id[0])*time.Hour),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func priority(n int32) func(*flow.Rule) { return func(r *flow.Rule) { r.Priority = n } }
func group(id string) func(*flow.Rule) {
	return func(r *flow.Rule) { r.Audience = flow.Audience{GroupIDs: []string{id}} }
}
func about(s flow.Scope) func(*flow.Rule)   { return func(r *flow.Rule) { r.Scope = s } }
func when(cel string) func(*flow.Rule)      { return func(r *flow.Rule) { r.Condition = cel } }
func most(d time.Duration) func(*flow.Rule) { return func(r *flow.Rule) { r.MaxDuration = d } }
func only(r *flow.Rule)                     { r.OnlyAudience = true }
func off(r *flow.Rule)                      { r.Enabled = false }
func revokes(r *flow.Rule)                  { r.Kinds = []flow.Kind{flow.Revoke} }
func joins(r *flow.Rule)                    { r.Trigger = flow.OnJoin }
func north(r *flow.Rule)                    { r.EnvironmentID = "North" }
func words(n int32) func(*flow.Rule)        { return func(r *flow.Rule) { r.MinJustification = n } }
func field(key string) func(*flow.Rule) {
	return func(r *flow.Rule) {
		r.Fields = []flow.Field{{Key: key, Label: key, Kind: flow.TextField, Required: true}}
	}
}

func mondays(r *flow.Rule) { // asOf is a Monday
	r.WeeklyHours = hours("UTC", map[time.Weekday]worktime.SpecWindow{time.Monday: {From: "09:00", To: "11:00"}})
}

// ask is a request of Ann of the group staff for herself, for good.
func ask(change ...func(*flow.Request)) flow.Request {
	ann := flow.Member{ID: "Ann", Active: true, GroupIDs: []string{"staff"}, Department: "Sales"}
	q := flow.Request{Kind: flow.Grant, Beneficiary: ann, Requester: ann, CreateTime: asOf}
	for _, c := range change {
		c(&q)
	}
	return q
}

func until(d time.Duration) func(*flow.Request) {
	return func(q *flow.Request) { q.Until = asOf.Add(d) }
}
func revoke(q *flow.Request)    { q.Kind = flow.Revoke }
func inNorth(q *flow.Request)   { q.Beneficiary.EnvironmentID = "North" }
func suspended(q *flow.Request) { q.Beneficiary.Active = false }

// table is the decision table by its cases: what flows there are, what is asked, and what
// is decided.
var table = []struct {
	title string
	rows  []row
}{
	{"Which flow decides", []row{
		{nil, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A")}, crm, ask(), "A"},
		{[]flow.Rule{of("A"), of("B", priority(1))}, crm, ask(), "B"},
		{[]flow.Rule{of("B"), of("A")}, crm, ask(), "A"},
		{[]flow.Rule{of("A", off)}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A", joins)}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A", group("staff"))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", group("board"))}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A")}, crm, ask(suspended), "the app's approvers"},
		{[]flow.Rule{of("A")}, crm, ask(revoke), "the app's approvers"},
		{[]flow.Rule{of("A", revokes)}, crm, ask(revoke), "A"},
		{[]flow.Rule{of("A", revokes)}, crm, ask(), "the app's approvers"},
	}},
	{"What it is about", []row{
		{[]flow.Rule{of("A", about(flow.Scope{AppIDs: []string{"ERP"}}))}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A", about(flow.Scope{Any: true}))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", about(flow.Scope{EntitlementIDs: []string{"CRM account"}}))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", about(flow.Scope{Categories: []string{"sales"}}))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", about(flow.Scope{Any: true, Risks: []string{"low", "medium"}}))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", about(flow.Scope{Any: true, Risks: []string{"high"}}))}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A", about(flow.Scope{Any: true, Risks: []string{"low"}}))}, with(crm, func(it *flow.Item) { it.Risk = "" }), ask(), "the app's approvers"},
	}},
	{"Conditions", []row{
		{[]flow.Rule{of("A", when(`beneficiary.department == "Sales"`))}, crm, ask(), "A"},
		{[]flow.Rule{of("A", priority(1), when(`beneficiary.department == "Finance"`)), of("B")}, crm, ask(), "B"},
		{[]flow.Rule{of("A", priority(1), when(`beneficiary.group_ids[7] == "x"`)), of("B")}, crm, ask(), "refused: CONDITION_FAILED"},
		{[]flow.Rule{of("A", when(`beneficiary.group_ids[7] == "x"`)), of("B", priority(1))}, crm, ask(), "B"},
		{[]flow.Rule{of("A", revokes, when(`beneficiary.group_ids[7] == "x"`)), of("B", revokes)}, crm, ask(revoke), "the app's approvers"},
	}},
	{"Limits", []row{
		{[]flow.Rule{of("A", most(24*time.Hour))}, crm, ask(until(24 * time.Hour)), "A"},
		{[]flow.Rule{of("A", priority(1), most(24*time.Hour)), of("B")}, crm, ask(until(25 * time.Hour)), "refused: LONGER_THAN_ALLOWED"},
		{[]flow.Rule{of("A", priority(1), most(24*time.Hour)), of("B")}, crm, ask(), "refused: LONGER_THAN_ALLOWED"},
		{[]flow.Rule{of("A", most(24*time.Hour)), of("B", priority(1))}, crm, ask(), "B"},
		{[]flow.Rule{of("A", priority(1), words(20)), of("B")}, crm, ask(func(q *flow.Request) { q.Justification = "please" }), "refused: JUSTIFICATION_TOO_SHORT"},
		{[]flow.Rule{of("A", priority(1), field("ticket")), of("B")}, crm, ask(), "refused: FIELD_MISSING"},
		{[]flow.Rule{of("A", priority(1), mondays), of("B")}, crm, ask(), "refused: OUTSIDE_WEEKLY_HOURS"},
		{[]flow.Rule{of("A", most(24*time.Hour), words(20), mondays, revokes)}, crm, ask(revoke), "A"},
	}},
	{"Kept to some", []row{
		{[]flow.Rule{of("A", only, group("board")), of("B", priority(9))}, crm, ask(), "refused: NOT_GIVEN_TO_BENEFICIARY"},
		{[]flow.Rule{of("A", only, group("staff")), of("B", priority(9))}, crm, ask(), "B"},
		{[]flow.Rule{of("A", only, group("board")), of("B", only, group("staff"))}, crm, ask(), "B"},
		{[]flow.Rule{of("A", only, group("board"))}, crm, ask(revoke), "the app's approvers"},
		{nil, with(crm, func(it *flow.Item) { it.OnlyByFlow = true }), ask(), "refused: NOT_COVERED_BY_FLOW"},
		{[]flow.Rule{of("A")}, with(crm, func(it *flow.Item) { it.OnlyByFlow = true }), ask(), "A"},
		{nil, with(crm, func(it *flow.Item) { it.OnlyByFlow = true }), ask(revoke), "the app's approvers"},
	}},
	{"Environments", []row{
		{[]flow.Rule{of("A", north)}, crm, ask(), "the app's approvers"},
		{[]flow.Rule{of("A", north)}, crm, ask(inNorth), "A"},
		{[]flow.Rule{of("A", north, priority(9)), of("B")}, crm, ask(inNorth), "B"},
		{[]flow.Rule{of("A", north, priority(9)), of("B")}, with(crm, func(it *flow.Item) { it.OfOrganization = false }), ask(inNorth), "A"},
		{[]flow.Rule{of("A", only, group("board")), of("B", north, only)}, crm, ask(inNorth), "refused: NOT_GIVEN_TO_BENEFICIARY"},
	}},
}

func with(it flow.Item, change func(*flow.Item)) flow.Item {
	change(&it)
	return it
}

// TestDecisionTable: B-REQ-18, B-APR-01. What docs/decision-table.md says is what is
// decided.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, part := range table {
		fmt.Fprintf(&b, "## %s\n\n| flows | asked | decides |\n|---|---|---|\n", part.title)
		for _, r := range part.rows {
			d := flow.Decide(r.flows, func(r *flow.Rule) *flow.Rule { return r }, r.asked, r.item)
			got := "the app's approvers"
			switch {
			case d.Refusal != "":
				got = "refused: " + string(d.Refusal)
			case d.Flow != nil:
				got = d.Flow.ID
			}
			line := fmt.Sprintf("| %s | %s | %s |\n", describeFlows(r.flows), describeAsked(r.asked, r.item), r.want)
			if got != r.want {
				t.Errorf("%s%s", line, got)
			}
			b.WriteString(line)
		}
		b.WriteString("\n")
	}
	const path = "../../docs/decision-table.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := bytes.Cut(page, []byte("## "))
	if !ok {
		t.Fatalf("%s has no table", path)
	}
	want := append(head, strings.TrimRight(b.String(), "\n")+"\n"...)
	switch {
	case bytes.Equal(page, want):
	case *update:
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says something else; run go test ./flow -run TestDecisionTable -update", path)
	}
}

func describeFlows(flows []flow.Rule) string {
	if len(flows) == 0 {
		return "none"
	}
	var all []string
	for _, r := range flows {
		var says []string
		say := func(is bool, format string, args ...any) {
			if is {
				says = append(says, fmt.Sprintf(format, args...))
			}
		}
		say(!r.Enabled, "switched off")
		say(r.Trigger == flow.OnJoin, "a join-flow")
		say(r.EnvironmentID != "", "of %s", r.EnvironmentID)
		say(len(r.Kinds) > 0, "for revokes")
		say(!r.Audience.Everyone, "for group %s", strings.Join(r.Audience.GroupIDs, ", "))
		say(r.OnlyAudience, "and nobody else")
		say(r.Scope.Any, "any app")
		say(len(r.Scope.AppIDs) > 0 && r.Scope.AppIDs[0] != "CRM", "app %s", strings.Join(r.Scope.AppIDs, ", "))
		say(len(r.Scope.EntitlementIDs) > 0, "entitlement %s", strings.Join(r.Scope.EntitlementIDs, ", "))
		say(len(r.Scope.Categories) > 0, "category %s", strings.Join(r.Scope.Categories, ", "))
		say(len(r.Scope.Risks) > 0, "risk %s", strings.Join(r.Scope.Risks, ", "))
		say(r.Condition != "", "if `%s`", r.Condition)
		say(r.MaxDuration > 0, "%d h at most", int(r.MaxDuration.Hours()))
		say(r.MinJustification > 0, "justification of %d", r.MinJustification)
		say(len(r.Fields) > 0, "asks for a field")
		say(r.WeeklyHours != nil, "Mondays 9 to 11")
		say(r.Priority != 0, "priority %d", r.Priority)
		text := r.ID
		if len(says) > 0 {
			text += ": " + strings.Join(says, ", ")
		}
		all = append(all, text)
	}
	return strings.Join(all, "<br>")
}

func describeAsked(q flow.Request, it flow.Item) string {
	var says []string
	say := func(is bool, format string, args ...any) {
		if is {
			says = append(says, fmt.Sprintf(format, args...))
		}
	}
	say(q.Kind == flow.Revoke, "revoke")
	say(!q.Permanent(), "for %d h", int(q.Length().Hours()))
	say(q.Justification != "", "justification %q", q.Justification)
	say(!q.Beneficiary.Active, "for somebody suspended")
	say(q.Beneficiary.EnvironmentID != "", "for somebody of %s", q.Beneficiary.EnvironmentID)
	say(it.OnlyByFlow, "app only by flow")
	say(!it.OfOrganization, "app of %s", "North")
	say(it.Risk == "", "not rated")
	if len(says) == 0 {
		return "access, for good"
	}
	return strings.Join(says, ", ")
}
