package lifecycle

import (
	"slices"
	"strconv"
	"time"
)

// Trigger is what sets a flow off.
type Trigger string

// The triggers.
const (
	OnRequest Trigger = "request"
	OnJoin    Trigger = "join"
)

// Kind is whether access is to come or to go.
type Kind string

// The kinds.
const (
	Grant  Kind = "grant"
	Revoke Kind = "revoke"
)

// Audience is whom a flow is for.
type Audience struct {
	Everyone bool
	GroupIDs []string
	UserIDs  []string
}

// Includes reports whether the audience has the person in it. Everyone means
// everyone who is active.
func (a Audience) Includes(m Member) bool {
	return a.Everyone && m.Active ||
		slices.Contains(a.UserIDs, m.ID) ||
		slices.ContainsFunc(m.GroupIDs, func(id string) bool { return slices.Contains(a.GroupIDs, id) })
}

// Member is a person as an audience sees them.
type Member struct {
	ID       string
	Active   bool
	GroupIDs []string
}

// Scope is what a flow is about.
type Scope struct {
	Any            bool
	AppIDs         []string
	EntitlementIDs []string
}

// Covers reports whether the scope has the item in it.
func (s Scope) Covers(it Item) bool {
	return s.Any || slices.Contains(s.AppIDs, it.AppID) || slices.Contains(s.EntitlementIDs, it.EntitlementID)
}

// StepSpec is a step as a flow describes it.
type StepSpec struct {
	Name      string
	Reviewers Reviewers
	UserIDs   []string
	GroupIDs  []string
	Need      Need
	NeedCount int
}

// Flow is one version of a flow.
type Flow struct {
	// ID is empty for the built-in default.
	ID          string
	Version     int32
	Trigger     Trigger
	Kinds       []Kind // none: grants only
	Audience    Audience
	Scope       Scope
	AutoApprove bool
	Steps       []StepSpec
	Priority    int32
	MaxDuration time.Duration // zero: no limit
	Enabled     bool
	CreateTime  time.Time
}

// Default is the flow that decides where no other does: the app's approvers,
// any one of them.
func Default() Flow {
	return Flow{
		Trigger: OnRequest,
		Enabled: true,
		Kinds:   []Kind{Grant, Revoke},
		Scope:   Scope{Any: true},
		Steps:   []StepSpec{{Name: "App approvers", Reviewers: AppApprovers, Need: NeedAny}},
	}
}

// Item is one entitlement that is asked for.
type Item struct {
	ID            string
	AppID         string
	AppName       string
	EntitlementID string
}

// Ask is a request, as far as the rules care.
type Ask struct {
	RequestID   string
	Kind        Kind
	Requester   Person // no ID if a join-flow asked
	Beneficiary Person
	// Member is the beneficiary as audiences see them.
	Member     Member
	Items      []Item
	CreateTime time.Time
	Until      time.Time // zero: permanent
	// Join is the flow version that asked, if one did.
	Join *Flow
}

// Concerns reports whether the request is from the person or about them.
func (a Ask) Concerns(userID string) bool {
	return userID != "" && (userID == a.Requester.ID || userID == a.Beneficiary.ID)
}

// matches reports whether the flow may decide the item.
func (f Flow) matches(ask Ask, it Item) bool {
	if !f.Enabled || f.Trigger != OnRequest || !f.Scope.Covers(it) || !f.Audience.Includes(ask.Member) {
		return false
	}
	if len(f.Kinds) == 0 && ask.Kind != Grant || len(f.Kinds) > 0 && !slices.Contains(f.Kinds, ask.Kind) {
		return false
	}
	if f.MaxDuration > 0 && ask.Kind == Grant {
		return !ask.Until.IsZero() && ask.Until.Sub(ask.CreateTime) <= f.MaxDuration
	}
	return true
}

// Pick returns the flow that decides the item. A join-flow decides what it
// asked for itself, as long as that is what it gives. Else it is the matching
// flow of highest priority, of these the oldest; if none matches, the default.
//
// Each item picks for itself: a strict flow on one app cannot be got around by
// asking for something else in the same request.
func Pick(flows []Flow, ask Ask, it Item) Flow {
	if ask.Join != nil {
		if ask.Join.Trigger == OnJoin && slices.Contains(ask.Join.Scope.EntitlementIDs, it.EntitlementID) {
			return *ask.Join
		}
		return Default()
	}
	var best *Flow
	for i := range flows {
		if f := &flows[i]; f.matches(ask, it) && (best == nil || f.before(best)) {
			best = f
		}
	}
	if best == nil {
		return Default()
	}
	return *best
}

// before reports whether f decides where both match.
func (f *Flow) before(g *Flow) bool {
	if f.Priority != g.Priority {
		return f.Priority > g.Priority
	}
	if !f.CreateTime.Equal(g.CreateTime) {
		return f.CreateTime.Before(g.CreateTime)
	}
	return f.ID < g.ID
}

// Joins reports whether the flow gives the person what it has for those who
// join.
func (f Flow) Joins(m Member) bool {
	return f.Enabled && f.Trigger == OnJoin && m.Active && f.Audience.Includes(m)
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
	} else if !f.Scope.Any && len(f.Scope.AppIDs) == 0 && len(f.Scope.EntitlementIDs) == 0 {
		add("scope", "SCOPE_EMPTY", "a flow is about any app, or about apps, or about entitlements")
	}
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
