package command

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Approve creates the grants of approved requests, or ends those that approved
// revoke requests are about, one request after the other, as if each were
// handled by itself. All are of one organization. Repeating it does nothing. An
// error that is one event's is an inbox.Failed. ctx must end with the
// transaction.
func (e *Engine) Approve(ctx context.Context, tx *postgres.Tx, approvals []*convert.Approval) error {
	if len(approvals) == 0 {
		return nil
	}
	query := store.Query{Create: true}
	for _, a := range approvals {
		query.LockUsers = append(query.LockUsers, a.User)
		for _, it := range a.Items {
			query.Keys = append(query.Keys, a.Key(it))
			query.Entitlements = append(query.Entitlements, it.Entitlement)
			if a.Revoke {
				query.Revoked = append(query.Revoked, it.ID)
			} else {
				query.Granted = append(query.Granted, it.ID)
			}
		}
	}
	cs := e.begin(tx, approvals[0].Event.OrganizationID, system())
	loaded, err := cs.loadKnown(ctx, query)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		if err := cs.approve(loaded, a); err != nil {
			return inbox.Failed(a.Event, err)
		}
	}
	cs.traceparent = "" // what follows is of all of them
	return cs.save(ctx)
}

// approve applies one approved request, and reconciles its assignments: what comes
// after it finds them as they would be had it been saved.
func (cs *changeset) approve(found *store.Loaded, a *convert.Approval) error {
	var assignments []*store.Assignment
	cs.step++
	cs.traceparent = a.Event.Traceparent
	for _, it := range a.Items {
		s := found.Assignment(a.Key(it))
		if s == nil || !s.Complete() {
			return inbox.NotYet("user %s, app %s or an entitlement that they hold there", a.User, it.App)
		}
		if ent, ok := found.Entitlements[it.Entitlement]; !ok || ent.AppID != it.App {
			return inbox.NotYet("entitlement %s of app %s", it.Entitlement, it.App)
		}
		if !slices.Contains(assignments, s) {
			assignments = append(assignments, s)
		}
		switch {
		case found.Items[it.ID]: // done already
		case a.Revoke:
			cs.revoke(s, a, it)
			if it.Grant != uuid.Nil {
				found.Ended[it.Grant] = a.Request // also if it is given only after this
			}
		default:
			cs.open(s, a, it, found)
		}
		found.Items[it.ID] = true
	}
	for _, s := range assignments {
		cs.reconcile(s)
	}
	return nil
}

// open opens a grant. If the person has left, the app or the entitlement was
// deleted, it was given up, a revoke request has ended it before, or its end has come
// already, it is over at once.
func (cs *changeset) open(s *store.Assignment, a *convert.Approval, it convert.ApprovalItem, found *store.Loaded) {
	g := &store.Grant{
		ID: id.New(), UserID: s.User, AppID: s.Key.App, EntitlementID: it.Entitlement, RequestID: a.Request, ItemID: it.ID,
		Join: a.Join, JoinCount: s.Person.JoinCount, State: lifecycle.Pending, Until: a.Until, CreateTime: cs.now, Version: 1, New: true,
	}
	s.Grants = append(s.Grants, g)
	switch {
	case gone(s, g) != "":
		g.End = gone(s, g)
	case found.GivenUp[it.ID]:
		g.End = endGivenUp
	case found.Ended[it.ID] != uuid.Nil:
		g.End, g.RevokeRequestID = "requested", uuid.NullUUID{UUID: found.Ended[it.ID], Valid: true}
	case a.Until != nil && !a.Until.After(cs.now):
		g.End = "expired"
	default:
		if a.Until != nil {
			cs.awaitEnd(g, warning(cs.now, *a.Until))
		}
		cs.emitGrant(s, g, "created")
		return
	}
	at := cs.now
	g.State, g.EndTime, g.RevokeTime = lifecycle.Revoked, &at, &at
	cs.emitGrant(s, g, "revoked")
}

// warning is when to warn of the end of a grant: a day before, or when three
// quarters of its time have passed.
func warning(from, until time.Time) time.Time {
	return until.Add(-min(24*time.Hour, until.Sub(from)/4)).Truncate(time.Microsecond)
}

// revoke ends the grants of what a revoke request names: those of an entitlement, or the
// one of another request's item. What is being taken away already is waited for too.
func (cs *changeset) revoke(s *store.Assignment, a *convert.Approval, it convert.ApprovalItem) {
	r := &store.Revocation{ItemID: it.ID, RequestID: a.Request, EntitlementID: it.Entitlement, GrantIDs: []uuid.UUID{}, New: true}
	if it.Grant != uuid.Nil {
		r.GrantItemID = uuid.NullUUID{UUID: it.Grant, Valid: true}
	}
	for _, g := range s.Grants {
		other := it.Grant != uuid.Nil && g.ItemID != it.Grant
		if g.EntitlementID != it.Entitlement || other || g.State == lifecycle.Revoked {
			continue
		}
		if g.State.Live() {
			cs.end(s, g, "requested", uuid.NullUUID{UUID: a.Request, Valid: true})
		}
		r.GrantIDs = append(r.GrantIDs, g.ID)
	}
	s.Revocations = append(s.Revocations, r)
}
