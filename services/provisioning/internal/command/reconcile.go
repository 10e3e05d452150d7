package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// view is the assignment as lifecycle sees it.
func view(s *store.Assignment) lifecycle.Assignment {
	v := lifecycle.Assignment{
		Mode: s.App.Mode, Leaving: s.Person.Removed, Suspended: s.Person.Suspended, Observed: s.Account.Observed,
		Ask: asks(s.App), RemovalUnset: s.App.RemovalUnset, LeftBehind: leftBehind(s),
		Profile: personFor(s.Person).Fingerprint(), Manager: s.Manager.Wanted(s.App),
		LastWord: s.App.Removed && s.Account.Said,
	}
	if v.Observed.Found {
		v.Found = foundText(s)
	}
	if v.Looks = s.Looks(); v.Looks {
		v.Words, v.Blind, v.Questioned = s.Account.Words, blind(s), s.Account.Questioned
	}
	if s.Moved() {
		v.Observed = v.Observed.Elsewhere()
	}
	for _, g := range s.Grants {
		if g.State != lifecycle.Revoked {
			v.Grants = append(v.Grants, grantOf(s, g))
		}
	}
	for _, r := range s.Revocations {
		if !r.Done {
			v.Revocations = append(v.Revocations, lifecycle.Revocation{ID: r.ItemID, Grants: store.IDs(r.GrantIDs)})
		}
	}
	for _, i := range s.Items {
		if i.State == "open" {
			v.Items = append(v.Items, itemOf(i))
		}
	}
	if o := s.Operation; o != nil {
		v.Operation = lifecycle.Operation{State: o.State, Plan: store.Changes(o.Plan), Error: o.Error, Looks: o.Looks, Late: o.Late, Failing: o.Looks && o.Error != "" && o.Tries > 1}
	}
	return v
}

// grantOf is a grant as lifecycle sees it.
func grantOf(s *store.Assignment, g *store.Grant) lifecycle.Grant {
	request := g.RequestID
	if g.RevokeRequestID.Valid {
		request = g.RevokeRequestID.UUID
	}
	return lifecycle.Grant{
		ID: g.ID, Entitlement: g.EntitlementID, Account: s.Entitlements[g.EntitlementID].IsAccount(), State: g.State,
		Request: request, Join: g.Join, WasActive: g.ActivateTime != nil, GivenUp: g.End == endGivenUp, Error: g.Error,
	}
}

// itemOf is a work item as lifecycle sees it.
func itemOf(i *store.WorkItem) lifecycle.Item {
	return lifecycle.Item{
		ID: i.ID, Kind: i.Kind, Entitlements: store.IDs(i.EntitlementIDs), Requests: store.IDs(i.RequestIDs), List: i.List, Error: i.Error,
	}
}

// blind are the entitlements of which nobody has said what the app calls them.
func blind(s *store.Assignment) lifecycle.Set {
	out := lifecycle.Set{}
	for id, e := range s.Entitlements {
		if strings.TrimSpace(e.Ref) == "" {
			out[lifecycle.ID(id)] = struct{}{}
		}
	}
	return out
}

// foundText says which account was found, and what can be done about it.
func foundText(s *store.Assignment) string {
	if s.App.Mode != lifecycle.Automatic && s.Account.Observed.AccountInDoubt {
		return fmt.Sprintf("the app has an account with the user name %s (id %s), and it is not known whether it was made for %s. Remove it if it is theirs, and resolve this item in either case.",
			s.Account.FoundName, s.Account.FoundID, s.Person.DisplayName)
	}
	if s.App.Mode != lifecycle.Automatic && !asks(s.App) {
		return fmt.Sprintf("the app had an account with the user name %s (id %s) before this item was opened, and is set to refuse such accounts: give %s's another user name, or that one.",
			s.Account.FoundName, s.Account.FoundID, s.Person.DisplayName)
	}
	if s.App.Mode != lifecycle.Automatic {
		return fmt.Sprintf("the app had an account with the user name %s (id %s) before this item was opened. Resolve this item if it is %s's: it is used for them from then on, and stays when their access ends. "+
			"If it is not, give one of the two another user name.", s.Account.FoundName, s.Account.FoundID, s.Person.DisplayName)
	}
	return fmt.Sprintf("the app has an account with the user name %s (id %s). Resolve this item if it is %s's: it is used for them from then on, and stays when their access ends. "+
		"If it is not, give one of the two another user name and retry this item, or end the access.", s.Account.FoundName, s.Account.FoundID, s.Person.DisplayName)
}

// leftBehind says which accounts stand where the integration does not reach.
func leftBehind(s *store.Assignment) (places []string) {
	for _, p := range s.Account.LeftBehind {
		places = append(places, p.String())
	}
	return places
}

// reconcile does what lifecycle returns for the assignment.
func (cs *changeset) reconcile(s *store.Assignment) {
	v := view(s)
	v.Reopened, v.Saw = cs.reopened[s], cs.seen[s]
	out := lifecycle.Reconcile(v)
	if d := out.Doubt; d != nil {
		cs.setObserved(s, d.Observed, "", "")
		if d.Words != nil {
			s.Account.Words = d.Words
		}
	}
	if out.Forget {
		s.Account.Observed.Found, s.Account.FoundID, s.Account.FoundName, s.Account.Changed = false, "", "", true
	}
	cs.reconcileOperation(s, &out)
	cs.reconcileWorkItems(s, &out)
	cs.reconcileGrants(s, &out)
	for _, done := range out.Revocations {
		for _, r := range s.Revocations {
			if r.ItemID == done {
				r.Done, r.Changed = true, true
				r.Version++
				cs.emit(r.ItemID, &eventv1.RevocationCompleted{
					Context: cs.context(s, r.Version, r.RequestID), RequestId: r.RequestID.String(), ItemId: r.ItemID.String(), GrantIds: convert.Strings(r.GrantIDs),
				})
			}
		}
	}
	cs.forgetNone(s)
	if s.Account.AppVersion != s.App.Version {
		s.Account.AppVersion, s.Account.Changed = s.App.Version, true
	}
}

func (cs *changeset) reconcileOperation(s *store.Assignment, out *lifecycle.Outcome) {
	o := s.Operation
	if o != nil && (out.Finish || out.Cancel) {
		o.State, o.Changed = lifecycle.Succeeded, true
		if out.Cancel {
			o.State = lifecycle.Cancelled
		}
		if !o.New { // or else it never was
			s.Finished = append(s.Finished, o)
		}
		s.Operation, o = nil, nil
	}
	plan, looks := out.Plan, len(out.Look) > 0
	if looks {
		plan = out.Look
	}
	// What an entitlement is called in the app may have been corrected meanwhile.
	called := o != nil && (o.Looks == looks) && !store.CalledAlike(o.Plan, s.Steps(plan))
	moved := o != nil && (o.State != lifecycle.Running && s.App.Mode == lifecycle.Automatic || o.Looks) && o.IntegrationID != s.App.IntegrationID.UUID
	switch {
	case out.Enqueue && o == nil:
		s.Operation = &store.Operation{
			ID: id.New(), IntegrationID: s.App.IntegrationID.UUID, State: lifecycle.Queued, Plan: s.Steps(plan), NotBefore: &cs.now, AtOnce: true, New: true, Looks: looks,
		}
	case called && o.State == lifecycle.Running && !o.Looks: // its result will be recorded, and what is left is planned anew
	case out.Enqueue, moved, called:
		o.State, o.Plan, o.IntegrationID, o.Tries, o.NotBefore = lifecycle.Queued, s.Steps(plan), s.App.IntegrationID.UUID, 0, &cs.now
		o.Changed, o.AtOnce = true, out.Enqueue || called
		cs.queued = cs.queued || moved || called
		if o.Looks {
			o.Claim = uuid.NullUUID{} // what is looked at now is of no interest
		}
	case out.Replan:
		o.Plan, o.Changed = s.Steps(out.Plan), true
	}
	if o := s.Operation; o != nil && (o.New || o.Changed) {
		o.Bulk = isBulk(s) || lifecycle.Updates(store.Changes(o.Plan)) || o.Looks
		if out.Enqueue {
			o.Traceparent = cs.traceparent
		}
	}
}

// isBulk says that an assignment is to be given what join-flows give, and
// nothing else is to be done about it.
func isBulk(s *store.Assignment) bool {
	pending := false
	for _, g := range s.Grants {
		switch g.State {
		case lifecycle.Pending:
			if !g.Join {
				return false
			}
			pending = true
		case lifecycle.Revoking:
			return false
		}
	}
	return pending && !s.Person.Removed
}

func (cs *changeset) reconcileGrants(s *store.Assignment, out *lifecycle.Outcome) {
	for _, t := range out.Grants {
		i := slices.IndexFunc(s.Grants, func(g *store.Grant) bool { return g.ID == t.ID })
		g := s.Grants[i]
		at := cs.now
		g.State, g.Error = t.To, t.Error
		g.Version++
		switch t.To {
		case lifecycle.InPlace:
			if g.ActivateTime == nil {
				g.ActivateTime = &at
				took := cs.now.Sub(g.CreateTime)
				cs.tx.AfterCommit(func() { cs.e.metrics.activated(took) })
			}
			cs.emitGrant(s, g, "activated")
		case lifecycle.Held:
			cs.emitGrant(s, g, "held")
		case lifecycle.Revoked:
			g.RevokeTime = &at
			cs.emitGrant(s, g, "revoked")
		case lifecycle.Failed, lifecycle.Revoking:
			cs.emitGrant(s, g, "failed")
		}
	}
}

func (cs *changeset) reconcileWorkItems(s *store.Assignment, out *lifecycle.Outcome) {
	find := func(id lifecycle.ID) *store.WorkItem {
		i := slices.IndexFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
		return s.Items[i]
	}
	for _, id := range out.Resolve {
		i := find(id)
		i.ResolverName = cs.actor.GetDisplayName()
		note := "the integration has done it"
		if i.Kind != lifecycle.ItemFixOperation {
			note = noteSeen
		}
		cs.closeItem(s, i, "resolved", note)
	}
	for _, d := range out.Cancellation {
		cs.closeItem(s, find(d.ID), "cancelled", d.Reason)
	}
	for _, next := range out.Change {
		cs.changeItem(s, find(next.ID), next)
	}
	for _, open := range out.Open {
		i := &store.WorkItem{
			ID: id.New(), UserID: s.User, AppID: s.Key.App, Kind: open.Kind, State: "open",
			EntitlementIDs: store.UUIDs(open.Entitlements), RequestIDs: store.UUIDs(open.Requests), List: open.List, Error: open.Error,
			CreateTime: cs.now, Version: 1, New: true,
		}
		if open.Reopens != (lifecycle.ID{}) {
			i.Reopens, i.ReopenReason = uuid.NullUUID{UUID: open.Reopens, Valid: true}, cs.reopenReasons[s]
		}
		cs.addToChecklist(s, i, open.List)
		s.Items = append(s.Items, i)
		cs.emitWorkItem(s, i, "opened", i.RequestIDs)
	}
}

// changeItem gives an open item new content. Requests that it serves from now
// on get the event as if it had been opened for them.
func (cs *changeset) changeItem(s *store.Assignment, i *store.WorkItem, next lifecycle.Item) {
	var added []uuid.UUID
	for _, r := range next.Requests {
		if !slices.Contains(i.RequestIDs, uuid.UUID(r)) {
			added = append(added, r)
		}
	}
	i.EntitlementIDs, i.RequestIDs, i.Error = store.UUIDs(next.Entitlements), store.UUIDs(next.Requests), next.Error
	if next.List != i.List {
		cs.removeFromChecklist(i, true)
		cs.addToChecklist(s, i, next.List)
	}
	i.Version++
	if len(added) > 0 {
		cs.emitWorkItem(s, i, "opened", added)
	}
}

// closeItem resolves or drops an item.
func (cs *changeset) closeItem(s *store.Assignment, i *store.WorkItem, state, note string) {
	at := cs.now
	i.State, i.Note, i.ResolveTime = state, note, &at
	i.Version++
	cs.removeFromChecklist(i, false)
	cs.emitWorkItem(s, i, state, i.RequestIDs)
}
