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
	Everyone bool     `json:"everyone,omitempty"`
	GroupIDs []string `json:"group_ids,omitempty"`
	UserIDs  []string `json:"user_ids,omitempty"`
}

// Includes reports whether a person is in the audience. Everyone means everyone
// who is active.
func (a Audience) Includes(m Member) bool {
	return a.Everyone && m.Active ||
		slices.Contains(a.UserIDs, m.ID) ||
		slices.ContainsFunc(m.GroupIDs, func(id string) bool { return slices.Contains(a.GroupIDs, id) })
}

// Member is a person as audiences see them.
type Member struct {
	ID string
	// EnvironmentID is the environment that the person belongs to; empty for one
	// of the organization's own.
	EnvironmentID string
	Active        bool
	GroupIDs      []string
}

// Scope is what a flow is about.
type Scope struct {
	Any            bool     `json:"any,omitempty"`
	AppIDs         []string `json:"app_ids,omitempty"`
	EntitlementIDs []string `json:"entitlement_ids,omitempty"`
}

// Covers reports whether an item is in the scope.
func (s Scope) Covers(it Item) bool {
	return s.Any || slices.Contains(s.AppIDs, it.AppID) || slices.Contains(s.EntitlementIDs, it.EntitlementID)
}

// StepSpec is a step as a flow describes it.
type StepSpec struct {
	Name      string    `json:"name"`
	Reviewers Reviewers `json:"reviewers"`
	UserIDs   []string  `json:"user_ids,omitempty"`
	GroupIDs  []string  `json:"group_ids,omitempty"`
	Need      Need      `json:"need"`
	NeedCount int       `json:"need_count,omitempty"`
}

// Flow is one version of a flow. It is stored under the names in the tags.
type Flow struct {
	// ID is empty for the built-in default.
	ID   string `json:"id"`
	Name string `json:"name"`
	// EnvironmentID is the environment that owns the flow, which is then for its
	// people only; empty if the organization does, then it is for all.
	EnvironmentID string        `json:"environment_id,omitempty"`
	Version       int32         `json:"version"`
	Trigger       Trigger       `json:"trigger"`
	Kinds         []Kind        `json:"kinds,omitempty"` // none: grants only
	Audience      Audience      `json:"audience"`
	Scope         Scope         `json:"scope"`
	AutoApprove   bool          `json:"auto_approve,omitempty"`
	Steps         []StepSpec    `json:"steps,omitempty"`
	Priority      int32         `json:"priority,omitempty"`
	MaxDuration   time.Duration `json:"max_duration,omitempty"` // zero: no limit
	Enabled       bool          `json:"enabled"`
	CreateTime    time.Time     `json:"create_time"`
	UpdateTime    time.Time     `json:"update_time"`
}

// IsFor reports whether the flow is for a person: one of its environment's, if
// an environment owns it, and in its audience.
func (f Flow) IsFor(m Member) bool {
	return (f.EnvironmentID == "" || f.EnvironmentID == m.EnvironmentID) && f.Audience.Includes(m)
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

// Item is one entitlement that is requested.
type Item struct {
	ID            string
	AppID         string
	AppName       string
	EntitlementID string
}

// Request is what the rules need of a request.
type Request struct {
	RequestID string
	// EnvironmentID is the environment that the request belongs to; empty if it
	// is the organization's own.
	EnvironmentID string
	Kind          Kind
	Requester     Person // no ID if a join-flow requested
	Beneficiary   Person
	// Member is the beneficiary as audiences see them.
	Member     Member
	Items      []Item
	CreateTime time.Time
	Until      time.Time // zero: permanent
	// JoinFlow is the version of the flow that requested, if one did.
	JoinFlow *Flow
}

// IsParty reports whether a user is the requester or the beneficiary.
func (r Request) IsParty(userID string) bool {
	return userID != "" && (userID == r.Requester.ID || userID == r.Beneficiary.ID)
}

// matches reports whether the flow may decide the item.
func (f Flow) matches(request Request, it Item) bool {
	if !f.Enabled || f.Trigger != OnRequest || !f.Scope.Covers(it) || !f.IsFor(request.Member) {
		return false
	}
	if len(f.Kinds) == 0 && request.Kind != Grant || len(f.Kinds) > 0 && !slices.Contains(f.Kinds, request.Kind) {
		return false
	}
	if f.MaxDuration > 0 && request.Kind == Grant {
		return !request.Until.IsZero() && request.Until.Sub(request.CreateTime) <= f.MaxDuration
	}
	return true
}

// SelectFlow returns the flow that decides an item. A join-flow decides what it
// requested itself, as long as that is what it gives. Else it is the matching
// flow of highest priority, of these the oldest; if none matches, the default.
// Flows of the organization and of the person's environment compete alike.
//
// Each item has its own flow: a strict flow on one app cannot be avoided by
// requesting something else with it.
func SelectFlow(flows []Flow, request Request, it Item) Flow {
	if request.JoinFlow != nil {
		if request.JoinFlow.Trigger == OnJoin && slices.Contains(request.JoinFlow.Scope.EntitlementIDs, it.EntitlementID) {
			return *request.JoinFlow
		}
		return Default()
	}
	var best *Flow
	for i := range flows {
		if f := &flows[i]; f.matches(request, it) && (best == nil || f.before(best)) {
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

// MatchesJoiner reports whether the join-flow gives the person its
// entitlements.
func (f Flow) MatchesJoiner(m Member) bool {
	return f.Enabled && f.Trigger == OnJoin && m.Active && f.IsFor(m)
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
