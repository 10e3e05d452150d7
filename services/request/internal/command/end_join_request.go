package command

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// JoinEnd is a join-flow that is not for somebody any more whom it had matched.
type JoinEnd struct {
	// Event is what said so.
	Event          inbox.Event
	FlowID, UserID uuid.UUID
	FlowName       string
	FlowVersion    int32
	// JoinCount and MatchCount name the match, see [JoinMatch].
	JoinCount, MatchCount int32
	// Keep says that what the flow gave stays, and Ask that somebody is asked whether it is
	// to be taken away.
	Keep, Ask bool
}

func (e JoinEnd) key() store.JoinRequest {
	return store.JoinRequest{FlowID: e.FlowID, UserID: e.UserID, JoinCount: e.JoinCount, MatchCount: e.MatchCount}
}

// EndJoinRequests ends what join-flows of one organization have begun for people whom
// they are not for any more: what is not approved yet is to be cancelled, and unless it
// is kept a request is opened to take away what that match of the flow gave, and
// nothing else. A match that is heard of later than its end begins nothing. It fails
// with inbox.NotYet while a user is not known yet.
func (c *Commands) EndJoinRequests(ctx context.Context, tx *postgres.Tx, ends []JoinEnd) error {
	organization := ends[0].Event.OrganizationID
	users, err := store.LockUsers(ctx, tx, postgres.Column(ends, func(e JoinEnd) uuid.UUID { return e.UserID }))
	if err != nil {
		return err
	}
	for _, e := range ends {
		if u := users[e.UserID]; u.ID == uuid.Nil || u.JoinCount < e.JoinCount {
			return inbox.Failed(e.Event, inbox.NotYet("user %s, who has joined %d times", e.UserID, e.JoinCount))
		}
	}
	keys := postgres.Column(ends, JoinEnd.key)
	if err := store.AddUnmatched(ctx, tx, organization, keys, c.Clock.Now()); err != nil {
		return err
	}
	found, err := store.FindJoinRequests(ctx, tx, keys)
	if err != nil {
		return err
	}
	var others []store.JoinRequest // the earlier ones of all ends, and the next ones
	for _, key := range keys {
		others = append(append(others, key.Earlier()...), key.Next())
	}
	list, err := store.FindJoinRequests(ctx, tx, others)
	if err != nil {
		return err
	}
	before := make(map[store.JoinRequest]store.JoinRequests, len(others))
	for n, key := range others {
		before[key] = list[n]
	}
	var begun []uuid.UUID
	for n, key := range keys {
		if found[n].Grant == uuid.Nil || found[n].Revoke != uuid.Nil {
			continue
		}
		begun = append(begun, found[n].Grant)
		for _, key := range key.Earlier() {
			if f := before[key]; f.Revoke != uuid.Nil && f.Grant != uuid.Nil {
				begun = append(begun, f.Grant, f.Revoke)
			}
		}
		if f := before[key.Next()]; f.Grant != uuid.Nil && !f.Unmatched {
			begun = append(begun, f.Grant)
		}
	}
	if len(begun) == 0 {
		return nil
	}
	requests, err := store.Load(ctx, tx, begun)
	if err != nil {
		return err
	}
	held, err := store.Held(ctx, tx, requests)
	if err != nil {
		return err
	}
	changes, done := store.NewChanges(organization), map[uuid.UUID]bool{}
	for n, e := range ends {
		given := requests[found[n].Grant]
		if u := users[e.UserID]; given == nil || found[n].Revoke != uuid.Nil || u.State == "removed" || u.JoinCount > e.JoinCount {
			continue // nothing was given, or it has ended with the person's leaving
		}
		if done[found[n].Grant] {
			continue // said twice, it is done once
		}
		done[found[n].Grant] = true
		m := givenBy{request: given, held: held, left: leftOf(keys[n], before, requests, held)}
		if next := before[keys[n].Next()]; !next.Unmatched {
			m.again = requests[next.Grant]
		}
		c.endJoinRequest(changes, e, m)
	}
	return changes.Save(ctx, tx, c.Events, "insert requests of join-flows")
}

// leftOf are the items of earlier matches that are still held, and about which somebody was
// asked until the flow was for the person again. What was decided since, or is asked by
// another request now, is not among them. Approval may not have answered yet that it asks no
// more: then it is among them, and may be asked about once more.
func leftOf(end store.JoinRequest, before map[store.JoinRequest]store.JoinRequests, requests map[uuid.UUID]*store.Request, held map[uuid.UUID]bool) []*store.Item {
	undecided := map[uuid.UUID]bool{} // as the last request says that was about it
	for _, key := range end.Earlier() {
		if r := requests[before[key].Revoke]; r != nil {
			for _, i := range r.Items {
				undecided[i.GrantItemID.UUID] = i.Pointless && (i.State == lifecycle.ItemCancelled || i.State == lifecycle.ItemPending)
			}
		}
	}
	var out []*store.Item
	for _, key := range end.Earlier() {
		if r := requests[before[key].Grant]; r != nil {
			for _, i := range r.Items {
				if held[i.ID] && undecided[i.ID] {
					out = append(out, i)
				}
			}
		}
	}
	return out
}

// givenBy is what is known of a match that ends.
type givenBy struct {
	request *store.Request
	// held are the items whose grants are, and left those of earlier matches that are to be
	// taken away with it.
	held map[uuid.UUID]bool
	left []*store.Item
	// again is what the flow gives the person by now, who matches again; nil: they do not,
	// or it gives nothing.
	again *store.Request
}

// endJoinRequest ends one request of a join-flow.
func (c *Commands) endJoinRequest(changes *store.Changes, e JoinEnd, m givenBy) {
	given := m.request
	changes.Cause(e.Event.Traceparent)
	at := notBefore(notBefore(c.Clock.Now(), e.Event.Time.UTC().Truncate(time.Microsecond)), given.UpdateTime)
	why := "The flow " + e.FlowName + " is not for them any more"
	var items []*store.Item
	for _, i := range slices.Concat(given.Items, m.left) {
		// What is approved may be in place already, which is heard of later than the end of
		// the flow if many get something: somebody is asked about it. What is not, and is
		// approved at this moment, may still be on its way.
		if i.State.Open() || m.held[i.ID] {
			items = append(items, &store.Item{
				ID: id.New(), EntitlementID: i.EntitlementID, EntitlementName: i.EntitlementName, AppID: i.AppID, AppName: i.AppName,
				State: lifecycle.ItemPending, Provisioning: i.Provisioning, GrantItemID: uuid.NullUUID{UUID: i.ID, Valid: true},
				NotInPlace: i.State == lifecycle.ItemPending,
			})
		}
	}
	if lifecycle.CanMove(given.State, lifecycle.Cancelling) {
		requestCancellation(changes, given, convert.System(), store.Closing{Reason: why}, at)
	}
	if len(items) == 0 {
		return
	}
	asks := e.Ask && slices.ContainsFunc(items, func(i *store.Item) bool { return !i.NotInPlace })
	if e.Keep || asks {
		text := why + "; what it gave stays, as the flow says"
		if asks {
			text = why + "; it is asked whether what it gave is taken away"
		}
		changes.AddEntry(given.ID, store.TimelineEntry{
			EventID: e.Event.ID, Time: at, Event: "flow.unmatched", ActorName: convert.System().GetDisplayName(), Text: text,
		})
	}
	if e.Keep {
		return
	}
	taken := &store.Request{
		ID: id.New(), OrganizationID: given.OrganizationID, EnvironmentID: given.EnvironmentID, Kind: lifecycle.Revoke, Origin: store.OriginJoin,
		Beneficiary: given.Beneficiary, JoinCount: e.JoinCount, MatchCount: e.MatchCount, Justification: why, State: lifecycle.Submitted,
		FlowID: convert.Nullable(e.FlowID), FlowVersion: e.FlowVersion, CreateTime: at, UpdateTime: at, Version: 1, Items: items,
		GivenRequestID: convert.Nullable(given.ID),
	}
	insertRequest(changes, convert.System(), store.New{Request: taken})
	if e.Ask && m.again != nil { // the next match was heard of first
		cancelPointless(changes, taken, givenAgain(m.again), forThemAgain(e.FlowName), at)
	}
}
