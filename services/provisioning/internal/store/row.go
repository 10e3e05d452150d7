package store

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

type pgconnTag = pgconn.CommandTag

// Change returns the step as lifecycle knows it.
func (s Step) Change() lifecycle.Change {
	c := lifecycle.Change{Do: s.Do, Profile: s.Profile, Manager: s.Manager}
	if s.Entitlement != nil {
		c.Entitlement = *s.Entitlement
	}
	return c
}

// Changes returns the steps as lifecycle knows them.
func Changes(steps []Step) []lifecycle.Change {
	out := make([]lifecycle.Change, len(steps))
	for i, s := range steps {
		out[i] = s.Change()
	}
	return out
}

// Steps returns a plan with all that its calls need. What is to be added to an account
// that was there before is looked for first, unless it was given before already.
func (s *Assignment) Steps(plan []lifecycle.Change) []Step {
	out := make([]Step, len(plan))
	for i, c := range plan {
		out[i].Do, out[i].Profile, out[i].Manager = c.Do, c.Profile, c.Manager
		if c.Entitlement != (lifecycle.ID{}) {
			e := uuid.UUID(c.Entitlement)
			out[i].Entitlement = &e
			out[i].Kind, out[i].Ref = s.Entitlements[e].Kind, s.Entitlements[e].Ref
			out[i].Look = c.Do == lifecycle.Add && s.Account.Observed.Adopted && !s.Account.Observed.Held.Has(e) && !s.Account.Observed.InDoubt.Has(e)
		}
	}
	return out
}

// CalledAlike reports whether two plans name the entitlements that they are both about by
// the same kind and ref.
func CalledAlike(a, b []Step) bool {
	called := make(map[uuid.UUID]Step, len(a))
	for _, s := range a {
		if s.Entitlement != nil {
			called[*s.Entitlement] = s
		}
	}
	for _, s := range b {
		if s.Entitlement == nil {
			continue
		}
		if o, ok := called[*s.Entitlement]; ok && (o.Kind != s.Kind || o.Ref != s.Ref) {
			return false
		}
	}
	return true
}

// LookNoMore has an entitlement that was tried to be added not be taken for one that
// was there before.
func (s *Assignment) LookNoMore(steps []Step) {
	for i := range steps {
		if steps[i].Look && s.Account.Observed.InDoubt.Has(*steps[i].Entitlement) {
			steps[i].Look = false
		}
	}
}

func set(list []uuid.UUID) lifecycle.Set {
	if len(list) == 0 {
		return nil
	}
	s := make(lifecycle.Set, len(list))
	for _, e := range list {
		s[e] = struct{}{}
	}
	return s
}

func ids(s lifecycle.Set) []uuid.UUID { return UUIDs(s.Sorted()) }

// UUIDs returns ids of lifecycle as uuids, never nil.
func UUIDs(in []lifecycle.ID) []uuid.UUID {
	out := make([]uuid.UUID, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

// IDs returns uuids as ids of lifecycle.
func IDs(in []uuid.UUID) []lifecycle.ID {
	out := make([]lifecycle.ID, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

// grantColumns are read by scanGrant, of access_grant as g.
const grantColumns = `g.id, g.user_id, g.app_id, g.entitlement_id, g.request_id, g.item_id, g.origin_join, g.join_count, g.state, g.until,
	g.create_time, g.activate_time, g.end_time, g.revoke_time, coalesce(g.end_reason, ''), g.revoke_request_id, g.error, g.version`

func scanGrant(row pgx.Row, more ...any) (Grant, error) {
	var g Grant
	err := row.Scan(append([]any{
		&g.ID, &g.UserID, &g.AppID, &g.EntitlementID, &g.RequestID, &g.ItemID, &g.Join, &g.JoinCount, &g.State, &g.Until,
		&g.CreateTime, &g.ActivateTime, &g.EndTime, &g.RevokeTime, &g.End, &g.RevokeRequestID, &g.Error, &g.Version,
	}, more...)...)
	g.loaded = g.Version
	return g, err
}

// itemColumns are read by scanItem, of work_item as w and checklist as c.
const itemColumns = `w.id, w.user_id, w.app_id, w.kind, w.state, w.entitlement_ids, w.request_ids, w.checklist_id, coalesce(c.kind, ''), w.error,
	w.resolver_id, w.resolver_name, w.resolver_email, w.note, w.create_time, w.resolve_time, w.version, w.reopens, w.reopen_reason`

func scanItem(row pgx.Row, more ...any) (WorkItem, error) {
	var i WorkItem
	err := row.Scan(append([]any{
		&i.ID, &i.UserID, &i.AppID, &i.Kind, &i.State, &i.EntitlementIDs, &i.RequestIDs, &i.ChecklistID, &i.List, &i.Error,
		&i.ResolverID, &i.ResolverName, &i.ResolverEmail, &i.Note, &i.CreateTime, &i.ResolveTime, &i.Version, &i.Reopens, &i.ReopenReason,
	}, more...)...)
	i.loaded = i.Version
	return i, err
}
