package lifecycle

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse.dev/libs/flow"
)

// The words of the decision table.
type (
	// Trigger is what sets a flow off.
	Trigger = flow.Trigger
	// Kind is whether access is to come or to go.
	Kind = flow.Kind
	// Audience is whom a flow is for.
	Audience = flow.Audience
	// Requesters says who may ask by a flow.
	Requesters = flow.Requesters
	// Member is a person as audiences see them.
	Member = flow.Member
	// Scope is what a flow is about.
	Scope = flow.Scope
)

// The triggers and kinds.
const (
	OnRequest = flow.OnRequest
	OnJoin    = flow.OnJoin
	Grant     = flow.Grant
	Revoke    = flow.Revoke
)

// StepSpec is a step as a flow describes it.
type StepSpec struct {
	Name      string    `json:"name"`
	Reviewers Reviewers `json:"reviewers"`
	UserIDs   []string  `json:"user_ids,omitempty"`
	GroupIDs  []string  `json:"group_ids,omitempty"`
	Need      Need      `json:"need"`
	NeedCount int       `json:"need_count,omitempty"`
	// RemindAfter and EscalateAfter are after how much working time reviewers who have not
	// decided are reminded, and more people asked; 0: after the default.
	RemindAfter   time.Duration `json:"remind_after,omitempty"`
	EscalateAfter time.Duration `json:"escalate_after,omitempty"`
	// Distinct says that who has approved an earlier step of the item is not asked; it is
	// set in the steps of an approval, by the flow's DistinctReviewers.
	Distinct bool `json:"distinct,omitempty"`
}

// Flow is one version of a flow. It is stored under the names in the tags.
type Flow struct {
	// Rule has no ID for the built-in default.
	flow.Rule
	Name        string     `json:"name"`
	Version     int32      `json:"version"`
	AutoApprove bool       `json:"auto_approve,omitempty"`
	Steps       []StepSpec `json:"steps,omitempty"`
	// DistinctReviewers says that nobody decides in two steps of one item.
	DistinctReviewers bool      `json:"distinct_reviewers,omitempty"`
	UpdateTime        time.Time `json:"update_time"`
	// EditorIDs are the users who made it, and changed it since.
	EditorIDs []string `json:"editor_ids,omitempty"`
	// Unmatch is what a join-flow does for whom it is not for any more; empty counts as
	// TakeAway.
	Unmatch Unmatch `json:"unmatch,omitempty"`
	// UnmatchAfter is how long a join-flow waits before it does that: who comes to match
	// again within it loses nothing.
	UnmatchAfter time.Duration `json:"unmatch_after,omitempty"`
	// DecideWithin is how long an item may wait for its decisions; 0: without limit.
	DecideWithin time.Duration `json:"decide_within,omitempty"`
}

// Unmatch is what a join-flow does for whom it is not for any more.
type Unmatch string

// What a join-flow does then.
const (
	TakeAway Unmatch = "take_away"
	Ask      Unmatch = "ask"
	Keep     Unmatch = "keep"
)

func (f *Flow) rule() *flow.Rule { return &f.Rule }

// Default is the flow that decides where no other does: the app's approvers,
// any one of them.
func Default() Flow {
	return Flow{
		Rule:  flow.Rule{Trigger: OnRequest, Enabled: true, Kinds: []Kind{Grant, Revoke}, Scope: Scope{Any: true}},
		Steps: []StepSpec{{Name: "App approvers", Reviewers: AppApprovers, Need: NeedAny}},
	}
}

// Item is one entitlement that is requested.
type Item struct {
	ID string
	// Item is what the decision table looks at: what the catalog said of it when it was
	// asked for.
	flow.Item
	// EnvironmentID is the environment that the app belongs to; empty if it is the
	// organization's own, which OfOrganization says too.
	EnvironmentID string
	// GrantItemID is the item of another request by which that was given which is to be
	// taken away; empty for all of it.
	GrantItemID string
	// NotInPlace says of what a join-flow takes away that it was never approved.
	NotInPlace bool
}

// Request is what the rules need of a request.
type Request struct {
	RequestID string
	// EnvironmentID is the environment that the request belongs to; empty if it
	// is the organization's own.
	EnvironmentID string
	Kind          Kind
	Parties
	// Member is the beneficiary, and Asker the requester, as audiences and conditions see
	// them.
	Member, Asker Member
	Items         []Item
	CreateTime    time.Time
	Until         time.Time // zero: permanent
	// What whoever asked has written.
	Justification string
	Fields        map[string]string
	// JoinFlow is the version of the flow that requested, if one did.
	JoinFlow *Flow
	// Imagined says that it is not submitted, but looked at: limits do not refuse it, as
	// who asks has not said yet all that they look at.
	Imagined bool
	// Assigner is the requester of what was assigned, as they are now: nobody else is
	// asked. Nil for every other request.
	Assigner *User
}

// Passed reports whether the access that is asked for would have ended by now.
func (r Request) Passed(now time.Time) bool {
	return r.Kind == Grant && !r.Until.IsZero() && !r.Until.After(now)
}

// submitted is when the request was made.
func (r Request) submitted(now time.Time) time.Time {
	if r.CreateTime.IsZero() {
		return now
	}
	return r.CreateTime
}

// Parties are those whom a request concerns.
type Parties struct {
	Requester   Person // no ID if a join-flow requested
	Beneficiary Person
	// AccountableIDs are who answers for these, if they are services or agents: what
	// a program asks for or gets, its person does.
	AccountableIDs []string
}

// IsParty reports whether a user is one of them.
func (p Parties) IsParty(userID string) bool {
	return userID != "" && (userID == p.Requester.ID || userID == p.Beneficiary.ID || slices.Contains(p.AccountableIDs, userID))
}

// SelectFlow returns the flow that decides an item. A join-flow decides what it
// requested itself, as long as that is what it gives; what it takes away from whom it
// is not for any more it decides by itself, or asks the default's reviewers. Else the
// decision table does; if no flow matches it is the default.
//
// Whoever wrote a flow does not profit from it alone: where it would approve by
// itself what one of its editors requests or would get, the default's reviewers
// are asked instead. So they are where an environment's flow would approve by itself
// what the organization has, and where a condition cannot be evaluated: what is to be
// given is refused then.
func SelectFlow(flows []Flow, request Request, it Item) Flow {
	f := selectFlow(flows, request, it)
	if f.AutoApprove && (slices.ContainsFunc(f.EditorIDs, request.IsParty) || f.EnvironmentID != "" && it.OfOrganization) {
		f.AutoApprove, f.Steps = false, Default().Steps
	}
	return f
}

func selectFlow(flows []Flow, request Request, it Item) Flow {
	if j := request.JoinFlow; j != nil {
		switch {
		case j.Trigger != OnJoin:
			return Default()
		case request.Kind == Revoke && j.Unmatch == Ask && !it.NotInPlace:
			return Default()
		case request.Kind == Revoke:
			return Flow{Rule: flow.Rule{ID: j.ID, Trigger: OnJoin}, Version: j.Version, AutoApprove: true}
		case slices.Contains(j.Scope.EntitlementIDs, it.EntitlementID):
			return *j
		}
		return Default()
	}
	if d := flow.Decide(flows, (*Flow).rule, request.asked(), it.Item); d.Flow != nil && d.Refusal != flow.ConditionFailed {
		return *d.Flow
	}
	return Default()
}

// refuse says why an item is not given, whoever would approve it; empty if it may be.
// What a join-flow gives is covered by it, for as long as it says; what other flows give
// to their audience alone it gives to nobody else either.
func (r Request) refuse(flows []Flow, it Item) string {
	d := flow.Decide(flows, (*Flow).rule, r.asked(), it.Item)
	switch {
	case d.Refusal == flow.ToOthersOnly:
		return toOthersOnly
	case r.JoinFlow != nil:
		return ""
	case d.Refusal == flow.NotCovered:
		return "the app is closed to what no flow covers"
	case d.Refusal == flow.ConditionFailed:
		return fmt.Sprintf("the condition of the flow %q cannot be evaluated", d.Flow.Name)
	case len(d.Over) > 0 && !r.Imagined:
		return "its flow gives it " + d.Over[0].Text
	}
	return ""
}

// toOthersOnly is why something is not given that flows give to their audience alone.
const toOthersOnly = "a flow gives it to others only"

// GivenToOthers reports whether flows give an item to others only, and not to the person.
func GivenToOthers(flows []Flow, m Member, it Item) bool {
	return flow.Forbids(flows, (*Flow).rule, flow.Request{Kind: Grant, Beneficiary: m}, it.Item)
}

// asked is the request as the decision table has it.
func (r Request) asked() flow.Request {
	return flow.Request{
		Kind: r.Kind, Beneficiary: r.Member, Requester: r.Asker, CreateTime: r.CreateTime, Until: r.Until,
		Justification: r.Justification, Fields: r.Fields, Unasked: r.Assigner != nil,
	}
}

// MatchesJoiner reports whether the join-flow gives the person its
// entitlements. Nothing is given by a condition that cannot be evaluated.
func (f Flow) MatchesJoiner(m Member) bool {
	is, err := f.IsForJoiner(m)
	return f.Enabled && f.Trigger == OnJoin && m.Active && is && err == nil
}

// Unmatches reports whether the join-flow, which has matched the person, is not for them
// any more. Who is suspended keeps the reasons for what they hold. A flow that is
// switched off ends nothing, nor does a condition that cannot be evaluated.
func (f Flow) Unmatches(m Member) bool {
	m.Active = true
	is, err := f.IsForJoiner(m)
	return f.Enabled && f.Trigger == OnJoin && !is && err == nil
}

// Problem is what is wrong with one field of a flow.
type Problem struct {
	// Field is its path in a flow, such as "steps[0].user_ids".
	Field  string
	Reason string
	Text   string
}

// Check says what keeps a flow from being saved.
func (f Flow) Check() []Problem {
	var out []Problem
	add := func(field, reason, text string) {
		out = append(out, Problem{Field: field, Reason: reason, Text: text})
	}
	if !f.Audience.Everyone && len(f.Audience.GroupIDs) == 0 && len(f.Audience.UserIDs) == 0 {
		add("audience", "AUDIENCE_EMPTY", "a flow is for everyone, or for groups, or for users")
	}
	if f.OnlyAudience && f.Trigger == OnJoin {
		add("only_audience", "NOT_FOR_JOIN", "a join-flow keeps nobody else from anything")
	}
	switch {
	case f.Requesters != nil && f.Trigger == OnJoin:
		add("requesters", "NOT_FOR_JOIN", "nobody asks by a join-flow")
	case f.Requesters.Empty():
		add("requesters", "REQUESTERS_EMPTY", "by this flow nobody could ask; leave it out for who may ask without a flow")
	}
	if f.Unmatch != "" && f.Trigger != OnJoin {
		add("unmatch_action", "ONLY_FOR_JOIN", "only a join-flow takes away what it gave")
	}
	if f.UnmatchAfter != 0 && f.Trigger != OnJoin {
		add("unmatch_after", "ONLY_FOR_JOIN", "only a join-flow takes away what it gave")
	}
	if f.Trigger == OnJoin {
		if f.Scope.Any {
			add("scope.any", "NOT_FOR_JOIN", "a join-flow gives the entitlements it names")
		}
		if len(f.Scope.AppIDs) > 0 {
			add("scope.app_ids", "NOT_FOR_JOIN", "a join-flow gives the entitlements it names")
		}
		if len(f.Scope.EntitlementIDs) == 0 {
			add("scope.entitlement_ids", "SCOPE_EMPTY", "a join-flow names what it gives")
		}
		if len(f.Kinds) > 0 {
			add("kinds", "NOT_FOR_JOIN", "a join-flow only gives")
		}
		f.checkJoinScope(add)
	} else if f.Scope.Empty() {
		add("scope", "SCOPE_EMPTY", "a flow is about any app, or about apps, entitlements or categories")
	}
	f.checkCondition(add)
	f.checkLimits(add)
	switch {
	case f.AutoApprove && len(f.Steps) > 0:
		add("steps", "STEPS_NOT_ALLOWED", "a flow that approves by itself has no steps")
	case !f.AutoApprove && len(f.Steps) == 0:
		add("steps", "STEPS_MISSING", "a flow has at least one step, unless auto_approve is set")
	}
	for i, s := range f.Steps {
		field := "steps[" + strconv.Itoa(i) + "]."
		if named := len(s.UserIDs) > 0; named != (s.Reviewers == NamedUsers) {
			if named {
				add(field+"user_ids", "USERS_NOT_ALLOWED", "only a step of named users names users")
			} else {
				add(field+"user_ids", "USERS_MISSING", "a step of named users names at least one")
			}
		}
		if named := len(s.GroupIDs) > 0; named != (s.Reviewers == NamedGroups) {
			if named {
				add(field+"group_ids", "GROUPS_NOT_ALLOWED", "only a step of groups names groups")
			} else {
				add(field+"group_ids", "GROUPS_MISSING", "a step of groups names at least one")
			}
		}
		if s.Need == NeedCount && s.NeedCount < 1 {
			add(field+"need_count", "NEED_COUNT_MISSING", "how many must approve, at least 1")
		}
	}
	return out
}

// maxFields is how many fields a flow asks for.
const maxFields = 20

// fieldKey is what a field's key looks like.
var fieldKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// checkCondition says what keeps the flow's condition from being saved.
func (f Flow) checkCondition(add func(field, reason, text string)) {
	err := flow.CheckCondition(f.Trigger, f.Condition)
	var wrong *flow.ConditionError
	switch {
	case err == nil:
	case !errors.As(err, &wrong):
		add("condition", "CONDITION_INVALID", "it cannot be checked")
	case wrong.TooCostly:
		add("condition", "CONDITION_TOO_COSTLY", wrong.Text)
	case wrong.Fails:
		add("condition", "CONDITION_FAILS", wrong.Text)
	default:
		add("condition", "CONDITION_INVALID", wrong.Text)
	}
}

// checkJoinScope says what a join-flow cannot be about besides apps: it gives what it
// names, and nothing that becomes something else by itself.
func (f Flow) checkJoinScope(add func(field, reason, text string)) {
	for field, list := range map[string][]string{"scope.categories": f.Scope.Categories, "scope.risks": f.Scope.Risks} {
		if len(list) > 0 {
			add(field, "NOT_FOR_JOIN", "a join-flow gives the entitlements it names")
		}
	}
}

// checkLimits says what is wrong with the flow's limits.
func (f Flow) checkLimits(add func(field, reason, text string)) {
	if f.Trigger == OnJoin {
		if f.MinJustification > 0 {
			add("min_justification_length", "NOT_FOR_JOIN", "nobody asks by a join-flow")
		}
		if len(f.Fields) > 0 {
			add("fields", "NOT_FOR_JOIN", "nobody asks by a join-flow")
		}
		if f.WeeklyHours != nil {
			add("weekly_hours", "NOT_FOR_JOIN", "nobody asks by a join-flow")
		}
	}
	if len(f.Fields) > maxFields {
		add("fields", "TOO_MANY_FIELDS", fmt.Sprintf("a flow asks for %d fields at most", maxFields))
	}
	seen := make(map[string]bool, len(f.Fields))
	for i, field := range f.Fields {
		path := "fields[" + strconv.Itoa(i) + "]."
		switch {
		case !fieldKey.MatchString(field.Key):
			add(path+"key", "FIELD_KEY_INVALID", "a key has small letters, digits and _, begins with a letter, and has 40 characters at most")
		case seen[field.Key]:
			add(path+"key", "FIELD_KEY_TWICE", "each field has a key of its own")
		}
		seen[field.Key] = true
		options := make(map[string]bool, len(field.Options))
		for _, o := range field.Options {
			if strings.TrimSpace(o) != o || o == "" || options[o] {
				add(path+"options", "FIELD_OPTION_INVALID", "options are not empty, without spaces around them, and each stands there once")
				break
			}
			options[o] = true
		}
		switch choice := field.Kind == flow.ChoiceField; {
		case choice && len(field.Options) == 0:
			add(path+"options", "FIELD_OPTIONS_MISSING", "a choice has options")
		case !choice && len(field.Options) > 0:
			add(path+"options", "FIELD_OPTIONS_NOT_ALLOWED", "only a choice has options")
		}
	}
	if field, reason, text := f.CheckWeeklyHours(); reason != "" {
		add("weekly_hours."+field, reason, text)
	}
}
