package store

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

type pgconnTag = pgconn.CommandTag

// word is a state and how it is written in the database.
type word[T comparable] struct {
	value T
	text  string
}

// The words of the database.
var (
	modes         = []word[lifecycle.Mode]{{lifecycle.Manual, "manual"}, {lifecycle.Shared, "shared"}, {lifecycle.Automatic, "automatic"}}
	accountStates = []word[lifecycle.AccountState]{{lifecycle.Absent, "absent"}, {lifecycle.Active, "active"}, {lifecycle.Disabled, "disabled"}}
	grantStates   = []word[lifecycle.GrantState]{
		{lifecycle.Pending, "pending"},
		{lifecycle.InPlace, "active"},
		{lifecycle.Failed, "failed"},
		{lifecycle.Revoking, "revoking"},
		{lifecycle.Revoked, "revoked"},
	}
	itemKinds = []word[lifecycle.ItemKind]{
		{lifecycle.CreateByHand, "create_account"},
		{lifecycle.AssignByHand, "assign"},
		{lifecycle.UnassignByHand, "unassign"},
		{lifecycle.RemoveByHand, "remove_account"},
		{lifecycle.Mend, "fix_operation"},
		{lifecycle.ChangeSecret, "change_secret"},
	}
	lists = []word[lifecycle.List]{{lifecycle.NoList, ""}, {lifecycle.Onboarding, "onboarding"}, {lifecycle.Offboarding, "offboarding"}}
	dos   = []word[lifecycle.Do]{
		{lifecycle.CreateAccount, "create_account"}, {lifecycle.Remove, "remove"}, {lifecycle.Add, "add"}, {lifecycle.RemoveAccount, "remove_account"},
	}
)

func format[T comparable](words []word[T], v T) string {
	for _, w := range words {
		if w.value == v {
			return w.text
		}
	}
	panic(fmt.Sprintf("store: no word for %v", v)) // a mistake of the program
}

func parse[T comparable](words []word[T], s string) (zero T) {
	for _, w := range words {
		if w.text == s {
			return w.value
		}
	}
	return zero
}

// Change returns the step as lifecycle knows it.
func (s Step) Change() lifecycle.Change {
	c := lifecycle.Change{Do: parse(dos, s.Do)}
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

// Steps returns a plan with all that its calls need.
func (s *Seat) Steps(plan []lifecycle.Change) []Step {
	out := make([]Step, len(plan))
	for i, c := range plan {
		out[i].Do = format(dos, c.Do)
		if c.Do == lifecycle.Add || c.Do == lifecycle.Remove {
			e := uuid.UUID(c.Entitlement)
			out[i].Entitlement = &e
			out[i].Kind, out[i].Ref = s.Entitlements[e].Kind, s.Entitlements[e].Ref
		}
	}
	return out
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

func ignoreNone(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// grantColumns are read by scanGrant, of access_grant as g.
const grantColumns = `g.id, g.user_id, g.app_id, g.entitlement_id, g.request_id, g.item_id, g.origin_join, g.join_count, g.state, g.until,
	g.create_time, g.activate_time, g.end_time, g.revoke_time, coalesce(g.end_reason, ''), g.revoke_request_id, g.error, g.version`

func scanGrant(row pgx.Row, more ...any) (Grant, error) {
	var g Grant
	var state string
	err := row.Scan(append([]any{
		&g.ID, &g.UserID, &g.AppID, &g.EntitlementID, &g.RequestID, &g.ItemID, &g.Join, &g.JoinCount, &state, &g.Until,
		&g.CreateTime, &g.ActivateTime, &g.EndTime, &g.RevokeTime, &g.End, &g.RevokeRequestID, &g.Error, &g.Version,
	}, more...)...)
	g.State, g.loaded = parse(grantStates, state), g.Version
	return g, err
}

// itemColumns are read by scanItem, of work_item as w and checklist as c.
const itemColumns = `w.id, w.user_id, w.app_id, w.kind, w.state, w.entitlement_ids, w.request_ids, w.checklist_id, coalesce(c.kind, ''), w.error,
	w.resolver_id, w.resolver_name, w.resolver_email, w.note, w.create_time, w.resolve_time, w.version`

func scanItem(row pgx.Row, more ...any) (WorkItem, error) {
	var i WorkItem
	var kind, list string
	err := row.Scan(append([]any{
		&i.ID, &i.UserID, &i.AppID, &kind, &i.State, &i.EntitlementIDs, &i.RequestIDs, &i.ChecklistID, &list, &i.Error,
		&i.ResolverID, &i.ResolverName, &i.ResolverEmail, &i.Note, &i.CreateTime, &i.ResolveTime, &i.Version,
	}, more...)...)
	i.Kind, i.List, i.loaded = parse(itemKinds, kind), parse(lists, list), i.Version
	return i, err
}
