package command

import (
	"context"
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
	// Keep says that what the flow gave stays.
	Keep bool
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
	var begun []uuid.UUID
	for n := range ends {
		if found[n].Grant != uuid.Nil && found[n].Revoke == uuid.Nil {
			begun = append(begun, found[n].Grant)
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
	changes := store.NewChanges(organization)
	for n, e := range ends {
		given := requests[found[n].Grant]
		if u := users[e.UserID]; given == nil || found[n].Revoke != uuid.Nil || u.State == "removed" || u.JoinCount > e.JoinCount {
			continue // nothing was given, or it has ended with the person's leaving
		}
		requests[found[n].Grant] = nil // said twice, it is done once
		c.endJoinRequest(changes, e, given, held)
	}
	return changes.Save(ctx, tx, c.Events, "insert requests of join-flows")
}

// endJoinRequest ends one request of a join-flow; held are the items whose grants are.
func (c *Commands) endJoinRequest(changes *store.Changes, e JoinEnd, given *store.Request, held map[uuid.UUID]bool) {
	changes.Cause(e.Event.Traceparent)
	at := notBefore(notBefore(c.Clock.Now(), e.Event.Time.UTC().Truncate(time.Microsecond)), given.UpdateTime)
	why := "The flow " + e.FlowName + " is not for them any more"
	var items []*store.Item
	for _, i := range given.Items {
		// What is approved at this moment may still be on its way.
		if i.State.Open() || held[i.ID] {
			items = append(items, &store.Item{
				ID: id.New(), EntitlementID: i.EntitlementID, EntitlementName: i.EntitlementName, AppID: i.AppID, AppName: i.AppName,
				State: lifecycle.ItemPending, Provisioning: i.Provisioning, GrantItemID: uuid.NullUUID{UUID: i.ID, Valid: true},
			})
		}
	}
	if lifecycle.CanMove(given.State, lifecycle.Cancelling) {
		requestCancellation(changes, given, convert.System(), store.Closing{Reason: why}, at)
	}
	if len(items) == 0 || e.Keep {
		return
	}
	insertRequest(changes, convert.System(), store.New{Request: &store.Request{
		ID: id.New(), OrganizationID: given.OrganizationID, EnvironmentID: given.EnvironmentID, Kind: lifecycle.Revoke, Origin: store.OriginJoin,
		Beneficiary: given.Beneficiary, JoinCount: e.JoinCount, MatchCount: e.MatchCount, Justification: why, State: lifecycle.Submitted,
		FlowID: convert.Nullable(e.FlowID), FlowVersion: e.FlowVersion, CreateTime: at, UpdateTime: at, Version: 1, Items: items,
	}})
}
