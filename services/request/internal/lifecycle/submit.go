package lifecycle

import "time"

// Kind is what a request asks for.
type Kind string

// The kinds of requests.
const (
	Grant  Kind = "grant"
	Revoke Kind = "revoke"
)

// Candidate is an entitlement that somebody wants to request, as things stand
// for the beneficiary.
type Candidate struct {
	// OpenRequest is an open request of the same kind for it; empty for none.
	OpenRequest string
	// Held says that a live grant gives it, until HeldUntil; nil: permanently.
	Held      bool
	HeldUntil *time.Time
}

// Refusal is why an entitlement cannot be requested; empty if it can.
type Refusal string

// The reasons, as callers see them.
const (
	AlreadyRequested Refusal = "ALREADY_REQUESTED"
	AlreadyHeld      Refusal = "ALREADY_HELD"
	NothingToRevoke  Refusal = "NOTHING_TO_REVOKE"
	// ConditionFailed is of a flow whose condition cannot be evaluated.
	ConditionFailed Refusal = "CONDITION_FAILED"
	// NotForBeneficiary is what flows give to others only.
	NotForBeneficiary Refusal = "NOT_GIVEN_TO_BENEFICIARY"
	// NotCovered is of an app that is closed to what no flow covers.
	NotCovered Refusal = "NOT_COVERED_BY_FLOW"
	// Unlisted is of an app that is not in the catalog.
	Unlisted Refusal = "APP_UNLISTED"
	// NotDescribed is of what nobody has said what it opens.
	NotDescribed Refusal = "ENTITLEMENT_NOT_DESCRIBED"
	// NotForOneself is what others ask for, by the flow that decides it.
	NotForOneself Refusal = "NOT_FOR_ONESELF"
)

// Refuse says why an entitlement cannot be requested until a time; nil:
// permanently.
func (c Candidate) Refuse(kind Kind, until *time.Time) Refusal {
	switch {
	case c.OpenRequest != "":
		return AlreadyRequested
	case kind == Revoke && !c.Held:
		return NothingToRevoke
	case kind == Grant && c.Held && covers(c.HeldUntil, until):
		return AlreadyHeld
	}
	return ""
}

// covers reports whether what is held until one time makes a grant until
// another needless. Nil is for ever.
func covers(held, asked *time.Time) bool {
	return held == nil || asked != nil && !asked.After(*held)
}
