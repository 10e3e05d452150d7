// Package flow is the decision table of flows: which flow decides an item of a
// request, and who may ask by it. Approval decides by it, and request refuses by
// it before anything is told; so both take the same one. It is pure: it reads
// nothing and knows no clock.
//
//	for each item   of the flows that match: the highest priority, then the oldest;
//	                about an app of the organization its flows before an environment's
//	                none matches: the built-in default, which has no limits on who
//	its condition   one that cannot be evaluated refuses, if it is the flow's turn
//	who may ask     as the flow says; where it says nothing, as without a flow:
//	                the person, their managers, the app's admins, admins
//
//	its limits      refuse what is over them
//	only_audience   refuses for everybody else, whatever flow would decide, also what a
//	                join-flow gives
//
// A flow that does not let somebody ask, or not for so long, is not passed over for
// another: a rule on who may ask, or a limit, never leads to a weaker rule.
package flow

import (
	"slices"
	"strings"
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
func (a Audience) Includes(m Member) bool { return a.Everyone && m.Active || a.Names(m) }

// Names reports whether a person is in the audience by themselves or by a group,
// and not only as one of everyone.
func (a Audience) Names(m Member) bool { return names(a.UserIDs, a.GroupIDs, m) }

func names(userIDs, groupIDs []string, m Member) bool {
	return slices.Contains(userIDs, m.ID) ||
		slices.ContainsFunc(m.GroupIDs, func(id string) bool { return slices.Contains(groupIDs, id) })
}

// Member is a person as audiences see them.
type Member struct {
	ID string
	// EnvironmentID is the environment that the person belongs to; empty for one
	// of the organization's own.
	EnvironmentID string
	Active        bool
	GroupIDs      []string

	// What conditions see besides; empty if it is not known.
	UserName, Email, Department, Title string
	// Kind is a word of the user's kind, such as "employee".
	Kind string
}

// Scope is what a flow is about.
type Scope struct {
	Any            bool     `json:"any,omitempty"`
	AppIDs         []string `json:"app_ids,omitempty"`
	EntitlementIDs []string `json:"entitlement_ids,omitempty"`
	// Categories are those of apps, in any case of letters.
	Categories []string `json:"categories,omitempty"`
	// Risks, if there are any, narrow it to entitlements of these risks. One that was
	// never rated is of none of them.
	Risks []string `json:"risks,omitempty"`
}

// Covers reports whether an item is in the scope.
func (s Scope) Covers(it Item) bool {
	if len(s.Risks) > 0 && !slices.Contains(s.Risks, it.Risk) {
		return false
	}
	return s.Any || slices.Contains(s.AppIDs, it.AppID) || slices.Contains(s.EntitlementIDs, it.EntitlementID) ||
		it.Category != "" && slices.ContainsFunc(s.Categories, func(c string) bool { return strings.EqualFold(c, it.Category) })
}

// Empty reports whether it is about nothing.
func (s Scope) Empty() bool {
	return !s.Any && len(s.AppIDs) == 0 && len(s.EntitlementIDs) == 0 && len(s.Categories) == 0
}

// Requesters says who may ask by a flow. Nil is what holds without a flow.
type Requesters struct {
	// Beneficiary is the person for whom it is.
	Beneficiary bool `json:"beneficiary,omitempty"`
	// Managers are those above the person, at any height.
	Managers bool `json:"managers,omitempty"`
	// AppAdmins are the admins of the item's app.
	AppAdmins bool `json:"app_admins,omitempty"`
	// Admins are admins and IT admins.
	Admins bool `json:"admins,omitempty"`
	// Everyone is everybody who may ask for others at all.
	Everyone bool     `json:"everyone,omitempty"`
	GroupIDs []string `json:"group_ids,omitempty"`
	UserIDs  []string `json:"user_ids,omitempty"`
}

// unruled are those who may ask where no flow says who may.
var unruled = Requesters{Beneficiary: true, Managers: true, AppAdmins: true, Admins: true}

// Requester is somebody who asks, and what they are to the one for whom it is.
type Requester struct {
	Member
	// IsBeneficiary says that they ask for themselves.
	IsBeneficiary bool
	// Manages says that they stand above the person for whom they ask.
	Manages bool
	// RunsApp says that they are an admin of the item's app.
	RunsApp bool
	// Administers says that they are an admin or IT admin.
	Administers bool
}

// Allow reports whether somebody may ask.
func (r *Requesters) Allow(q Requester) bool {
	if r == nil {
		r = &unruled
	}
	return r.Beneficiary && q.IsBeneficiary || r.Managers && q.Manages || r.AppAdmins && q.RunsApp || r.Admins && q.Administers ||
		r.Everyone || names(r.UserIDs, r.GroupIDs, q.Member)
}

// Empty reports whether nobody may ask.
func (r *Requesters) Empty() bool {
	return r != nil && !r.Beneficiary && !r.Managers && !r.AppAdmins && !r.Admins && !r.Everyone && len(r.GroupIDs) == 0 && len(r.UserIDs) == 0
}

// Rule is what decides whether a flow decides, and who may ask by it. It is
// stored under the names in the tags.
type Rule struct {
	ID string `json:"id"`
	// EnvironmentID is the environment that owns the flow, which is then for its
	// people only; empty if the organization does, then it is for all.
	EnvironmentID string      `json:"environment_id,omitempty"`
	Trigger       Trigger     `json:"trigger"`
	Kinds         []Kind      `json:"kinds,omitempty"` // none: grants only
	Audience      Audience    `json:"audience"`
	Requesters    *Requesters `json:"requesters,omitempty"`
	Scope         Scope       `json:"scope"`
	// Condition is what must hold besides, in CEL; empty for nothing. See [CheckCondition].
	Condition string `json:"condition,omitempty"`
	Priority  int32  `json:"priority,omitempty"`
	Limits
	// OnlyAudience says that what it is about is given to its audience alone.
	OnlyAudience bool      `json:"only_audience,omitempty"`
	Enabled      bool      `json:"enabled"`
	CreateTime   time.Time `json:"create_time"`
}

// Item is one entitlement that is requested.
type Item struct {
	AppID, EntitlementID string
	// OfOrganization says that the app belongs to the organization itself, and not to
	// an environment.
	OfOrganization bool
	// OnlyByFlow says that the app is closed to what no flow covers.
	OnlyByFlow bool

	// What is said of them in the catalog.
	AppName, Category string
	Tags              []string
	EntitlementName   string
	// EntitlementKind and Risk are words, such as "role" and "high".
	EntitlementKind, Risk string
}

// Request is what the table looks at of a request.
type Request struct {
	Kind Kind
	// Beneficiary is for whom it is.
	Beneficiary Member
	// Requester is who asks; without an id if a join-flow does.
	Requester  Member
	CreateTime time.Time
	Until      time.Time // zero: permanent

	// What limits look at besides.
	Justification string
	Fields        map[string]string
	// Unasked says that nobody is asked for fields: an admin assigns, and nobody decides.
	Unasked bool
}

// Permanent reports whether the access has no end.
func (q Request) Permanent() bool { return q.Until.IsZero() }

// Length is how long the access is to be; zero if it has no end.
func (q Request) Length() time.Duration {
	if q.Permanent() {
		return 0
	}
	return q.Until.Sub(q.CreateTime)
}

// IsFor reports whether the flow is for a person: one of its environment's, if
// an environment owns it, and in its audience.
func (r *Rule) IsFor(m Member) bool {
	return (r.EnvironmentID == "" || r.EnvironmentID == m.EnvironmentID) && r.Audience.Includes(m)
}

// IsForJoiner reports whether a join-flow is for a person, also by its condition. An
// error says that this cannot be told.
func (r *Rule) IsForJoiner(m Member) (bool, error) {
	if !r.IsFor(m) {
		return false, nil
	}
	return evaluate(OnJoin, r.Condition, conditionFacts{Beneficiary: m})
}

// Mismatch is why a flow does not decide an item; empty if it may.
type Mismatch string

// The reasons, in the order in which they are looked for.
const (
	SwitchedOff   Mismatch = "SWITCHED_OFF"
	OtherTrigger  Mismatch = "OTHER_TRIGGER"
	OtherKind     Mismatch = "OTHER_KIND"
	NotInScope    Mismatch = "NOT_IN_SCOPE"
	NotInAudience Mismatch = "NOT_IN_AUDIENCE"
	// ConditionFalse says that its condition does not hold.
	ConditionFalse Mismatch = "CONDITION_FALSE"
)

// Match says whether the flow may decide an item, or why not. An error says that its
// condition cannot be evaluated: then nobody knows.
func (r *Rule) Match(q Request, it Item) (Mismatch, error) {
	switch {
	case !r.Enabled:
		return SwitchedOff, nil
	case r.Trigger != OnRequest:
		return OtherTrigger, nil
	case len(r.Kinds) == 0 && q.Kind != Grant || len(r.Kinds) > 0 && !slices.Contains(r.Kinds, q.Kind):
		return OtherKind, nil
	case !r.Scope.Covers(it):
		return NotInScope, nil
	case !r.IsFor(q.Beneficiary):
		return NotInAudience, nil
	}
	holds, err := evaluate(OnRequest, r.Condition, conditionFacts{Beneficiary: q.Beneficiary, Requester: q.Requester, Item: it, Request: q})
	if err == nil && !holds {
		return ConditionFalse, nil
	}
	return "", err
}

// Forbids reports whether an item is not given to the beneficiary at all, whatever flow
// would decide it: flows are about it that give it to their audience alone, and the
// beneficiary is in no such audience. What is the organization's is forbidden by its own
// flows and by those of the beneficiary's environment, each for itself: an environment
// lets nobody have what the organization keeps to others. What is taken away is never
// forbidden.
func Forbids[F any](flows []F, rule func(*F) *Rule, q Request, it Item) bool {
	var forbids, includes [2]bool
	for i := range flows {
		r := rule(&flows[i])
		switch {
		case q.Kind != Grant || !r.OnlyAudience || !r.Enabled || r.Trigger != OnRequest || !r.Scope.Covers(it),
			r.EnvironmentID != "" && r.EnvironmentID != q.Beneficiary.EnvironmentID:
			continue
		}
		of := 0
		if it.OfOrganization && r.EnvironmentID != "" {
			of = 1
		}
		if r.Audience.Includes(q.Beneficiary) {
			includes[of] = true
		} else {
			forbids[of] = true
		}
	}
	return forbids[0] && !includes[0] || forbids[1] && !includes[1]
}

// before reports whether r decides an item where both match.
func (r *Rule) before(o *Rule, it Item) bool {
	if it.OfOrganization && (r.EnvironmentID == "") != (o.EnvironmentID == "") {
		return r.EnvironmentID == ""
	}
	if r.Priority != o.Priority {
		return r.Priority > o.Priority
	}
	if !r.CreateTime.Equal(o.CreateTime) {
		return r.CreateTime.Before(o.CreateTime)
	}
	return r.ID < o.ID
}

// Order are the flows in the order in which they come about an item, whether they match
// or not.
func Order[F any](flows []F, rule func(*F) *Rule, it Item) []*F {
	out := make([]*F, len(flows))
	for i := range flows {
		out[i] = &flows[i]
	}
	slices.SortStableFunc(out, func(a, b *F) int {
		switch {
		case rule(a).before(rule(b), it):
			return -1
		case rule(b).before(rule(a), it):
			return 1
		}
		return 0
	})
	return out
}

// Select returns the flow that decides an item: of those that match the one of
// highest priority, of these the oldest; nil if none does. About an app of the
// organization its own flows come before those of the person's environment; about an
// app of the environment they compete alike.
//
// With an error the flow is the one whose turn it would be, and whose condition cannot
// be evaluated: nothing else decides instead, as that might be weaker.
//
// Each item has its own flow: a strict flow on one app cannot be avoided by
// requesting something else with it.
func Select[F any](flows []F, rule func(*F) *Rule, q Request, it Item) (best *F, failed error) {
	for i := range flows {
		f := &flows[i]
		if best != nil && !rule(f).before(rule(best), it) {
			continue
		}
		if mismatch, err := rule(f).Match(q, it); mismatch == "" {
			best, failed = f, err
		}
	}
	return best, failed
}

// Decision is what the table says of an item.
type Decision[F any] struct {
	// Flow is the one that decides, or whose limits refuse; nil for the built-in default.
	Flow *F
	// Refusal is why it is refused; empty if it is decided.
	Refusal Refusal
	// Over says which limits it is over, if that refuses it.
	Over []Excess
}

// Decide is the decision table: who decides an item, or why it is refused. What is to be
// taken away is never refused; where a condition cannot be evaluated, the default decides
// about that.
func Decide[F any](flows []F, rule func(*F) *Rule, q Request, it Item) (d Decision[F]) {
	var failed error
	d.Flow, failed = Select(flows, rule, q, it)
	switch {
	case q.Kind != Grant:
		if failed != nil {
			d.Flow = nil
		}
	case Forbids(flows, rule, q, it):
		d.Refusal = ToOthersOnly
	case failed != nil:
		d.Refusal = ConditionFailed
	case d.Flow == nil && it.OnlyByFlow:
		d.Refusal = NotCovered
	case d.Flow != nil:
		if d.Over = rule(d.Flow).Exceeds(q); len(d.Over) > 0 {
			d.Refusal = d.Over[0].Refusal
		}
	}
	return d
}
