package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/worktime"
)

// What keeps a condition from being saved: types are checked, and what it costs is
// bounded.
func TestCheckCondition(t *testing.T) {
	t.Parallel()
	long := `["` + strings.Repeat(`a", "`, 90) + `b"]`
	for _, tt := range []struct {
		name, condition string
		trigger         flow.Trigger
		want            string // in the error; empty: none
		costly, fails   bool
	}{
		{name: "none", trigger: flow.OnRequest},
		{name: "a person", condition: `beneficiary.department == "Sales" && requester.id != beneficiary.id`, trigger: flow.OnRequest},
		{name: "a group", condition: `"g1" in beneficiary.group_ids`, trigger: flow.OnRequest},
		{name: "one of some groups", condition: `beneficiary.group_ids.exists(g, g in ["g1", "g2"])`, trigger: flow.OnRequest},
		{name: "an item", condition: `entitlement.risk in ["high", "critical"] || app.category == "Finance" || "pci" in app.tags`, trigger: flow.OnRequest},
		{name: "the time", condition: `request.time.getHours("Europe/Berlin") < 18 && !request.permanent && request.duration <= duration("720h")`, trigger: flow.OnRequest},
		{name: "a pattern", condition: `beneficiary.email.matches("@example[.]com$")`, trigger: flow.OnRequest},
		{name: "of a join-flow", condition: `beneficiary.department == "Sales"`, trigger: flow.OnJoin},

		{name: "no CEL", condition: `beneficiary.department == `, trigger: flow.OnRequest, want: "line 1, column 27: "},
		{name: "the second line", condition: "true &&\n nobody", trigger: flow.OnRequest, want: "line 2, column 2: "},
		{name: "no field", condition: `beneficiary.salary > 5`, trigger: flow.OnRequest, want: "undefined field 'salary'"},
		{name: "a wrong type", condition: `beneficiary.department > 5`, trigger: flow.OnRequest, want: "no matching overload"},
		{name: "no bool", condition: `beneficiary.department`, trigger: flow.OnRequest, want: "true or false; this is of type string"},
		{name: "a join-flow has no request", condition: `request.permanent`, trigger: flow.OnJoin, want: "undeclared reference to 'request'"},
		{name: "too long", condition: `true` + strings.Repeat(" ", flow.MaxConditionLength), trigger: flow.OnRequest, want: "2000 characters at most"},
		{name: "too deep", condition: strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), trigger: flow.OnRequest, want: "recursion"},
		{name: "each of each", condition: `beneficiary.group_ids.exists(a, requester.group_ids.exists(b, a == b))`, trigger: flow.OnRequest, want: "too long", costly: true},
		{name: "each of many", condition: `beneficiary.group_ids.all(g, ` + long + `.exists(x, g.contains(x)))`, trigger: flow.OnRequest, want: "too long", costly: true},
		{name: "no such time zone", condition: `request.time.getHours("Mars/Olympus") < 18`, trigger: flow.OnRequest, want: "Mars/Olympus", fails: true},
		{name: "not for everybody", condition: `beneficiary.group_ids[0] == "g1"`, trigger: flow.OnRequest, want: "nothing is known", fails: true},
		{name: "no number", condition: `int(beneficiary.title) > 3`, trigger: flow.OnRequest, want: "nothing is known", fails: true},
	} {
		err := flow.CheckCondition(tt.trigger, tt.condition)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		var wrong *flow.ConditionError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Text, tt.want) || wrong.TooCostly != tt.costly || wrong.Fails != tt.fails {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "flow.") {
			t.Errorf("%s: the error has a name from within: %v", tt.name, err)
		}
	}
}

// A person in very many groups is not refused for it.
func TestConditionWithManyGroups(t *testing.T) {
	t.Parallel()
	m := flow.Member{ID: "ann", Active: true, GroupIDs: make([]string, 2000)}
	for i := range m.GroupIDs {
		m.GroupIDs[i] = strings.Repeat("0", 36)
	}
	r := flow.Rule{Enabled: true, Trigger: flow.OnJoin, Audience: flow.Audience{Everyone: true}, Condition: `beneficiary.group_ids.exists(g, g in ["g1", "g2"])`}
	if is, err := r.IsForJoiner(m); is || err != nil {
		t.Errorf("not in the groups: %t, %v", is, err)
	}
	m.GroupIDs[1999] = "g2"
	if is, err := r.IsForJoiner(m); !is || err != nil {
		t.Errorf("in the last: %t, %v", is, err)
	}
}

// hours are a window of some days of every week.
func hours(zone string, windows map[time.Weekday]worktime.SpecWindow) *worktime.Spec {
	s := &worktime.Spec{Zone: zone}
	for day, w := range windows {
		s.Week[day] = append(s.Week[day], w)
	}
	return s
}

// B-REQ-18: each limit refuses what is over it, names the field, and holds for what is to
// be given alone.
func TestLimits(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 3, 23, 9, 0, 0, 0, time.UTC) // 10:00 in Berlin
	limits := flow.Limits{
		MaxDuration: 30 * 24 * time.Hour, MinJustification: 10,
		Fields: []flow.Field{
			{Key: "cost_centre", Label: "Cost centre", Kind: flow.TextField, Required: true},
			{Key: "amount", Label: "Amount", Kind: flow.NumberField},
			{Key: "start", Label: "Start", Kind: flow.DateField},
			{Key: "why", Label: "Why", Kind: flow.ChoiceField, Options: []string{"project", "support"}},
		},
		WeeklyHours: hours("Europe/Berlin", map[time.Weekday]worktime.SpecWindow{time.Monday: {From: "09:00", To: "17:00"}, time.Sunday: {From: "02:00", To: "03:00"}}),
	}
	fine := func() flow.Request {
		return flow.Request{
			Kind: flow.Grant, CreateTime: monday, Until: monday.Add(30 * 24 * time.Hour), Justification: "for the audit of March",
			Fields: map[string]string{"cost_centre": "4711", "amount": "-12.50", "start": "2026-04-01", "why": "project"},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*flow.Request)
		limit  flow.Refusal // empty: within
		path   string
		text   string
	}{
		{name: "within"},
		{"longer", func(q *flow.Request) { q.Until = q.Until.Add(time.Second) }, flow.TooLong, "until", "for 30 days at most"},
		{"for ever", func(q *flow.Request) { q.Until = time.Time{} }, flow.TooLong, "until", ""},
		{"a short justification", func(q *flow.Request) { q.Justification = "   I want   " }, flow.JustificationTooShort, "justification", "10 characters"},
		{"letters count, not bytes", func(q *flow.Request) { q.Justification = strings.Repeat("ä", 10) }, "", "", ""},
		{"no value", func(q *flow.Request) { q.Fields["cost_centre"] = " " }, flow.FieldMissing, `fields["cost_centre"]`, "Cost centre"},
		{"not needed", func(q *flow.Request) { delete(q.Fields, "amount") }, "", "", ""},
		{"no number", func(q *flow.Request) { q.Fields["amount"] = "1e9" }, flow.FieldInvalid, `fields["amount"]`, "a number"},
		{"not a number", func(q *flow.Request) { q.Fields["amount"] = "NaN" }, flow.FieldInvalid, `fields["amount"]`, "a number"},
		{"no date", func(q *flow.Request) { q.Fields["start"] = "2026-02-30" }, flow.FieldInvalid, `fields["start"]`, "a date"},
		{"no option", func(q *flow.Request) { q.Fields["why"] = "fun" }, flow.FieldInvalid, `fields["why"]`, "project, support"},
		{"too long", func(q *flow.Request) { q.Fields["cost_centre"] = strings.Repeat("x", 1001) }, flow.FieldInvalid, `fields["cost_centre"]`, "1000 characters"},
		{"an admin assigns: nobody is asked for fields", func(q *flow.Request) { q.Fields, q.Unasked = nil, true }, "", "", ""},
		{"before the hours", func(q *flow.Request) { q.CreateTime = monday.Add(-time.Hour - time.Second) }, flow.OutsideWeeklyHours, "", "Monday 2026-03-23 09:00 CET"},
		{"at their end", func(q *flow.Request) { q.CreateTime = monday.Add(7 * time.Hour) }, flow.OutsideWeeklyHours, "", "Monday 2026-03-30 09:00 CEST"},
		{"in the gap of that Sunday there are no hours", func(q *flow.Request) { q.CreateTime = monday.AddDate(0, 0, 5) }, flow.OutsideWeeklyHours, "", "Monday 2026-03-30 09:00 CEST"},
		{"another Sunday", func(q *flow.Request) { q.CreateTime = monday.AddDate(0, 0, -2) }, flow.OutsideWeeklyHours, "", "Sunday 2026-03-22 02:00 CET"},
		{"taking away", func(q *flow.Request) { *q = flow.Request{Kind: flow.Revoke, CreateTime: monday.AddDate(0, 0, 1)} }, "", "", ""},
	} {
		q := fine()
		if tt.change != nil {
			tt.change(&q)
			if q.Kind == flow.Grant && !strings.HasPrefix(string(tt.limit), "LONGER") { // the length is not what this is about
				q.Until = q.CreateTime.Add(time.Hour)
			}
		}
		over := limits.Exceeds(q)
		if tt.limit == "" {
			if len(over) != 0 {
				t.Errorf("%s: %+v", tt.name, over)
			}
			continue
		}
		if len(over) != 1 || over[0].Refusal != tt.limit || over[0].Path != tt.path || !strings.Contains(over[0].Text, tt.text) {
			t.Errorf("%s: %+v", tt.name, over)
		}
	}
	nowhere := flow.Limits{WeeklyHours: hours("Mars/Olympus", map[time.Weekday]worktime.SpecWindow{time.Monday: {From: "00:00", To: "24:00"}})}
	if over := nowhere.Exceeds(fine()); len(over) != 1 {
		t.Errorf("hours of an unknown time zone: %+v", over)
	}
}
