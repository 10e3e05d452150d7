package lifecycle

import "time"

// OperationState is where an operation stands.
type OperationState string

// The states of an operation that Reconcile tells apart.
const (
	// NoOperation means that none is outstanding.
	NoOperation OperationState = ""
	// Queued waits for its time.
	Queued OperationState = "queued"
	// Running is being done right now by somebody, or was when they died.
	Running OperationState = "running"
	// Stuck needs a person, and is tried again now and then while it takes
	// something away.
	Stuck OperationState = "stuck"
	// Succeeded has just been done: Reconcile finishes it.
	Succeeded OperationState = "done"
	// Cancelled is not needed any more.
	Cancelled OperationState = "cancelled"
)

// Operation is the outstanding operation of an assignment.
type Operation struct {
	State OperationState
	// Plan is what it does; of a running one what is being done.
	Plan []Change
	// Error is what the last failed try said.
	Error string
	// Looks means that it changes nothing: its Plan is what is looked at.
	Looks bool
	// Late means that it takes something away, and has waited for its turn for so long that
	// a person is to know.
	Late bool
	// Failing means that the app could not be looked at, and has been tried more than once.
	Failing bool
}

// Answer is how a change came out.
type Answer uint8

// The answers.
const (
	// Done is surely made.
	Done Answer = iota + 1
	// Unknown may or may not be made; another try may help.
	Unknown
	// Refused is surely not made, and will not be until a person changes
	// something.
	Refused
	// Missing found no account to change.
	Missing
	// Made is an account that surely was not there before.
	Made
	// There is an entitlement that was there already, or, of Look, an account that
	// can be used: nothing has happened.
	There
	// FoundOne is an account that may be the person's or not: nothing has happened.
	FoundOne
)

// Result is a change that was asked for, and how it came out.
type Result struct {
	Change Change
	Answer Answer
}

// MaxTries is how often an operation is tried without progress before a person is
// asked.
const MaxTries = 8

// Progress reports whether a run has brought anything about that stays. An account that
// was made and then not found has not.
func Progress(results []Result) bool {
	progress := false
	for _, r := range results {
		switch r.Answer {
		case Done, Made, There:
			progress = true
		case Missing:
			return false
		case Unknown, Refused, FoundOne:
		}
	}
	return progress
}

// After returns where an operation stands after its given try of those that count, the
// first being 1: Succeeded, Queued to be tried again, or Stuck.
func After(results []Result, try int) OperationState {
	passing, lasting := false, false
	for _, r := range results {
		switch r.Answer {
		case Unknown:
			passing = true
		case Missing:
			passing = passing || r.Change.Do != Look
		case Refused:
			lasting = true
		case Done, Made, There, FoundOne:
		}
	}
	switch {
	case passing && try < MaxTries:
		return Queued
	case passing || lasting:
		return Stuck
	default:
		return Succeeded
	}
}

// Lost are the results of a run of which nothing was heard.
func Lost(plan []Change) []Result {
	out := make([]Result, len(plan))
	for i, c := range plan {
		out[i] = Result{c, Unknown}
	}
	return out
}

// Backoff returns the pause after the given failed try, the first being 1:
// twice as long each time, at most longest, and by chance, a number of [0, 1),
// down to half of that, so that those who failed together do not come back
// together. It is never shorter than what the app asked for.
func Backoff(try int, first, longest, asked time.Duration, chance float64) time.Duration {
	d := longest
	if try < 1 {
		try = 1
	}
	if try <= 30 && first<<(try-1) < longest {
		d = first << (try - 1)
	}
	d = d/2 + time.Duration(chance*float64(d/2))
	return max(d, asked)
}
