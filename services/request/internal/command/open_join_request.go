package command

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// JoinMatch is a join-flow that has matched somebody.
type JoinMatch struct {
	// Event is what said so.
	Event          inbox.Event
	FlowID, UserID uuid.UUID
	FlowName       string
	FlowVersion    int32
	// JoinCount is how often the user had joined, and MatchCount how often the flow has
	// matched them since.
	JoinCount, MatchCount int32
	EntitlementIDs        []uuid.UUID
	Duration              *time.Duration // nil: permanently
}

// key names the match.
func (m JoinMatch) key() store.JoinRequest {
	return store.JoinRequest{FlowID: m.FlowID, UserID: m.UserID, JoinCount: m.JoinCount, MatchCount: m.MatchCount}
}

// OpenJoinRequests opens the requests of join-flows of one organization, once for
// each time that a flow matches a user, also for what the user holds or has requested:
// each flow is a reason of its own to hold it. It fails with inbox.NotYet while a user
// or an entitlement is not known yet.
func (c *Commands) OpenJoinRequests(ctx context.Context, tx *postgres.Tx, matches []JoinMatch) error {
	lookups := postgres.Column(matches, func(m JoinMatch) *store.Lookup {
		entitlements := slices.Clone(m.EntitlementIDs)
		slices.SortFunc(entitlements, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		return &store.Lookup{BeneficiaryID: m.UserID, EntitlementIDs: slices.Compact(entitlements), Kind: lifecycle.Grant}
	})
	if err := store.LoadCandidates(ctx, tx, true, nil, lookups...); err != nil {
		return err
	}
	// With the users locked: who lets them go at the same moment is waited for.
	exist, err := store.FindJoinRequests(ctx, tx, postgres.Column(matches, JoinMatch.key))
	if err != nil {
		return err
	}
	// One that has ended, or was seen before, changes nothing.
	var begins []begin
	for n, m := range matches {
		if exist[n].Grant != uuid.Nil || exist[n].Unmatched {
			continue
		}
		r, err := m.request(lookups[n], c.Clock.Now())
		if err != nil {
			return inbox.Failed(m.Event, err)
		}
		if r != nil {
			begins = append(begins, begin{m, r})
		}
	}
	changes := store.NewChanges(matches[0].Event.OrganizationID)
	if err := c.endAsking(ctx, tx, changes, begins); err != nil {
		return err
	}
	var made []*store.Request
	for _, b := range begins {
		made = append(made, b.request)
		changes.Cause(b.Event.Traceparent)
		insertRequest(changes, convert.System(), store.New{Request: b.request})
	}
	if err := c.awaitEnds(tx, made...); err != nil {
		return err
	}
	// Where another replica was faster the insert is refused, and the next try
	// sees its request.
	return changes.Save(ctx, tx, c.Events, "insert requests of join-flows")
}

// begin is a match with the request that it makes.
type begin struct {
	JoinMatch
	request *store.Request
}

// endAsking has what is still being asked about earlier matches of the same flows with the
// same people cancelled, of what they are given again. What those matches gave stays, and is
// looked at when this one ends. About what a flow does not give any more it is still asked.
func (c *Commands) endAsking(ctx context.Context, tx *postgres.Tx, changes *store.Changes, begins []begin) error {
	var earlier []store.JoinRequest
	var of []begin
	for _, b := range begins {
		for _, key := range b.key().Earlier() {
			earlier, of = append(earlier, key), append(of, b)
		}
	}
	if len(earlier) == 0 {
		return nil
	}
	found, err := store.FindJoinRequests(ctx, tx, earlier)
	if err != nil {
		return err
	}
	requests, err := store.Load(ctx, tx, revokesOf(found))
	if err != nil {
		return err
	}
	for n, f := range found {
		r := requests[f.Revoke]
		if r == nil {
			continue
		}
		changes.Cause(of[n].Event.Traceparent)
		cancelPointless(changes, r, givenAgain(of[n].request), forThemAgain(of[n].FlowName), c.Clock.Now())
	}
	return nil
}

// givenAgain says of an item that takes something away whether a request gives it again.
func givenAgain(by *store.Request) func(*store.Item) bool {
	return func(i *store.Item) bool {
		return slices.ContainsFunc(by.Items, func(given *store.Item) bool { return given.EntitlementID == i.EntitlementID })
	}
}

func forThemAgain(flowName string) string { return "the flow " + flowName + " is for them again" }

// revokesOf are the requests that take back what matches gave.
func revokesOf(found []store.JoinRequests) []uuid.UUID {
	var out []uuid.UUID
	for _, f := range found {
		if f.Revoke != uuid.Nil {
			out = append(out, f.Revoke)
		}
	}
	return out
}

// request makes the request of a match; nil if nothing is left to be requested.
func (m JoinMatch) request(l *store.Lookup, now time.Time) (*store.Request, error) {
	u := l.Beneficiary
	switch {
	case u.ID == uuid.Nil || u.JoinCount < m.JoinCount:
		return nil, inbox.NotYet("user %s, who has joined %d times", m.UserID, m.JoinCount)
	case u.JoinCount > m.JoinCount || u.State == "removed":
		return nil, nil // has left since
	case u.State != "active":
		return nil, inbox.NotYet("user %s to be active", m.UserID)
	case len(l.Candidates) < len(l.EntitlementIDs):
		return nil, inbox.NotYet("entitlements of flow %s", m.FlowID)
	}
	now = notBefore(now, m.Event.Time.UTC().Truncate(time.Microsecond))
	r := &store.Request{
		ID: id.New(), OrganizationID: m.Event.OrganizationID, Kind: lifecycle.Grant, Origin: store.OriginJoin,
		Beneficiary: store.Person{ID: u.ID, Name: u.Name, Email: u.Email},
		JoinCount:   m.JoinCount, MatchCount: m.MatchCount,
		Justification: "Given by the flow " + m.FlowName, State: lifecycle.Submitted,
		FlowID: convert.Nullable(m.FlowID), FlowVersion: m.FlowVersion, CreateTime: now, UpdateTime: now, Version: 1,
	}
	if m.Duration != nil {
		until := now.Add(*m.Duration).Truncate(time.Microsecond)
		r.Until = &until
	}
	r.EnvironmentID = u.EnvironmentID
	for _, candidate := range l.Candidates {
		environment, ok := scope.Meet(r.EnvironmentID, candidate.AppEnvironmentID)
		if !candidate.Visible || !ok {
			continue
		}
		r.EnvironmentID = environment
		r.Items = append(r.Items, newItem(candidate))
	}
	if len(r.Items) == 0 {
		return nil, nil
	}
	return r, nil
}
