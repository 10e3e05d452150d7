package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Query is what to lock and what to read with it.
type Query struct {
	Organization uuid.UUID
	Now          time.Time
	Keys         []Key
	// Create makes the assignments that are not there.
	Create bool
	// LockUsers keeps these users from being removed until the transaction ends.
	LockUsers []uuid.UUID
	// Granted and Revoked are request items: Loaded.Items has those of them
	// that have a grant, or a revocation, already.
	Granted, Revoked []uuid.UUID
	// Entitlements are read besides those that the assignments name.
	Entitlements []uuid.UUID
}

// Loaded is what Load read.
type Loaded struct {
	// Assignments are those that there are, in the order of their locks.
	Assignments []*Assignment
	Items       map[uuid.UUID]bool
	// GivenUp are those of Query.Granted that were given up before they had a grant, and
	// Ended those that a revoke request has ended before, with the request.
	GivenUp      map[uuid.UUID]bool
	Ended        map[uuid.UUID]uuid.UUID
	Entitlements map[uuid.UUID]Entitlement

	byKey map[Key]*Assignment
}

// Assignment returns one of the assignments, nil if there is none.
func (f *Loaded) Assignment(k Key) *Assignment { return f.byKey[k] }

// entitlementColumns are read by scanEntitlements.
const entitlementColumns = `id, app_id, name, kind, ref, removed`

// Load locks assignments and reads them, in one round trip, two if something is left
// over from grants that have gone. However many assignments they are, the statements
// are the same.
//
// Rows are locked users first, then assignments, then their operations, each by the
// id of user or assignment, by everybody who locks more than one: so nobody waits for
// somebody who waits for them. What belongs to an assignment is read by statements
// that begin when its lock is held, and so see what its last holder has
// written.
func Load(ctx context.Context, tx *postgres.Tx, w Query) (*Loaded, error) {
	f := &Loaded{
		Items: map[uuid.UUID]bool{}, GivenUp: map[uuid.UUID]bool{}, Ended: map[uuid.UUID]uuid.UUID{},
		Entitlements: map[uuid.UUID]Entitlement{}, byKey: make(map[Key]*Assignment, len(w.Keys)),
	}
	assignments := make(assignmentsByID, len(w.Keys))
	for _, k := range w.Keys {
		assignments[k.ID()] = &Assignment{Key: k, Organization: w.Organization, Entitlements: f.Entitlements}
	}
	b := &pgx.Batch{}
	if len(w.LockUsers) > 0 {
		b.Queue(`select 1 from user_copy where id = any($1) order by id for share`, distinct(w.LockUsers))
	}
	ids := slices.SortedFunc(maps.Keys(assignments), compareIDs)
	if len(ids) > 0 {
		assignments.queueLock(b, ids, w)
		assignments.queueRead(b, ids, w.Now)
	}
	had := func(rows pgx.Rows) error {
		var item uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&item}, func() error { f.Items[item] = true; return nil })
		return err
	}
	if len(w.Granted) > 0 {
		b.Queue(readGranted, w.Granted).Query(func(rows pgx.Rows) error {
			var item uuid.UUID
			var givenUp bool
			var ended uuid.NullUUID
			_, err := pgx.ForEachRow(rows, []any{&item, &givenUp, &ended}, func() error {
				switch {
				case givenUp:
					f.GivenUp[item] = true
				case ended.Valid:
					f.Ended[item] = ended.UUID
				default:
					f.Items[item] = true
				}
				return nil
			})
			return err
		})
	}
	if len(w.Revoked) > 0 {
		b.Queue(`select item_id from revocation where item_id = any($1)`, w.Revoked).Query(had)
	}
	if len(w.Entitlements) > 0 {
		b.Queue(readEntitlements, distinct(w.Entitlements)).
			Query(func(rows pgx.Rows) error { return scanEntitlements(rows, f.Entitlements) })
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("lock assignments: %w", err)
	}
	var missing []uuid.UUID
	for _, id := range ids {
		if s := assignments[id]; s.Account.ID != uuid.Nil {
			f.Assignments = append(f.Assignments, s)
			f.byKey[s.Key] = s
			missing = append(missing, s.missing()...)
		}
	}
	if len(missing) > 0 {
		rows, err := tx.Query(ctx, readEntitlements, distinct(missing))
		if err == nil {
			err = scanEntitlements(rows, f.Entitlements)
		}
		if err != nil {
			return nil, fmt.Errorf("read entitlements of assignments: %w", err)
		}
		for _, s := range f.Assignments {
			s.unknown = s.unknown || len(s.missing()) > 0
		}
	}
	return f, nil
}

const readGranted = `
	select item_id, false, null::uuid from access_grant where item_id = any($1)
	union all select item_id, true, null from given_up_item where item_id = any($1)
	union all select grant_item_id, false, request_id from revocation where grant_item_id = any($1)`

const readEntitlements = `select ` + entitlementColumns + ` from entitlement_copy where id = any($1)`

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// distinct returns the ids in order, each once.
func distinct(ids []uuid.UUID) []uuid.UUID {
	out := slices.Clone(ids)
	slices.SortFunc(out, compareIDs)
	return slices.Compact(out)
}

// assignmentsByID are assignments by the id of their row.
type assignmentsByID map[uuid.UUID]*Assignment

// queueLock queues what locks the assignments, and makes those that are not there if
// they are wanted.
func (assignments assignmentsByID) queueLock(b *pgx.Batch, ids []uuid.UUID, w Query) {
	if w.Create {
		users, apps := assignments.usersAndApps(ids)
		// A person of one environment and an app of another do not meet.
		b.Queue(`
			insert into account (id, organization_id, environment_id, user_id, app_id, state, account_in_doubt, held, in_doubt, external_id, user_name,
			    app_version, insert_time, update_time, version)
			select k.id, $4, greatest(u.environment_id, p.environment_id), k.user_id, k.app_id, 'absent', false, '{}', '{}', '', '',
			    p.version, $5, $5, 1
			from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (id, user_id, app_id),
			    lateral (select u.environment_id from user_copy u where u.id = k.user_id limit 1) u,
			    lateral (select p.environment_id, p.version from app_copy p where p.id = k.app_id limit 1) p
			where u.environment_id = p.environment_id or '00000000-0000-0000-0000-000000000000' in (u.environment_id, p.environment_id)
			order by k.id
			on conflict (id) do nothing`,
			ids, users, apps, w.Organization, w.Now)
	}
	b.Queue(`
		select id, environment_id, state, account_in_doubt, held, in_doubt, adopted, had, external_id, user_name, tenant_id, found_id, found_name, left_behind,
		    words, profile, manager, none_tenant_id, none_user_name, by_name, questioned, app_version, create_time, update_time, version
		from account where id = any($1) order by id for update`, ids).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var a Account
				var environment uuid.UUID
				if err := scanAccount(rows, &a, &environment); err != nil {
					return err
				}
				s := assignments[a.ID]
				s.Account, s.Environment, s.stood = a, environment, a.standing()
				return nil
			})
		})
}

func (assignments assignmentsByID) usersAndApps(ids []uuid.UUID) (users, apps []uuid.UUID) {
	users, apps = make([]uuid.UUID, len(ids)), make([]uuid.UUID, len(ids))
	for i, id := range ids {
		users[i], apps[i] = assignments[id].User, assignments[id].Key.App
	}
	return users, apps
}

var managerOfPerson = fmt.Sprintf(managerLateral, "k.app_id")

// queueRead queues what reads all that belongs to the assignments.
func (assignments assignmentsByID) queueRead(b *pgx.Batch, ids []uuid.UUID, now time.Time) {
	users, apps := assignments.usersAndApps(ids)
	b.Queue(`
		select k.id, u.*, `+managerColumns+`, p.*,
		    coalesce(i.version, 0), coalesce(i.paused_until > $4, false), i.tenant_id,
		    coalesce(i.environment_id in ('00000000-0000-0000-0000-000000000000', p.environment_id), false)
		from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (id, user_id, app_id),
		    lateral (select `+personColumns+`, u.state = 'suspended', u.removed, u.join_count, u.environment_id, u.manager_id from user_copy u where u.id = k.user_id limit 1) u,
		    lateral (
		        select p.id, p.name, `+appMode+`, p.integration_id, p.deprovisioning_action = 'disable', p.deprovisioning_action = 'unspecified',
		            p.account_adoption, p.admin_ids, p.environment_id, p.version, p.removed
		        from app_copy p where p.id = k.app_id limit 1) p
		    left join lateral (select version, paused_until, tenant_id, environment_id from integration i where i.id = p.integration_id limit 1) i on true`+managerOfPerson,
		ids, users, apps, now).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var id uuid.UUID
				var u Person
				var p App
				var m Manager
				if err := rows.Scan(slices.Concat(
					[]any{&id, &u.ID, &u.UserName, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department},
					[]any{&u.Suspended, &u.Removed, &u.JoinCount, &u.EnvironmentID},
					m.columns(),
					[]any{&p.ID, &p.Name, &p.Mode, &p.IntegrationID, &p.Disable, &p.RemovalUnset, &p.Adoption, &p.AdminIDs, &p.EnvironmentID, &p.Version, &p.Removed},
					[]any{&p.IntegrationVersion, &p.Paused, &p.Tenant, &p.Reached},
				)...); err != nil {
					return err //nolint:wrapcheck // Load says what it does
				}
				s := assignments[id]
				s.Person, s.Manager, s.App, s.found = u, m, p, true
				return nil
			})
		})
	b.Queue(`
		select `+grantColumns+`, g.account_id, e.id is not null, coalesce(e.name, ''), coalesce(e.kind, ''), coalesce(e.ref, ''), coalesce(e.removed, false)
		from access_grant g left join lateral (
		    select e.id, e.name, e.kind, e.ref, e.removed from entitlement_copy e where e.id = g.entitlement_id limit 1) e on true
		where g.account_id = any($1) and g.revoke_time is null order by g.id`, ids).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var assignment uuid.UUID
				var e Entitlement
				var known bool
				g, err := scanGrant(rows, &assignment, &known, &e.Name, &e.Kind, &e.Ref, &e.Removed)
				if err != nil {
					return err
				}
				s := assignments[assignment]
				s.Grants = append(s.Grants, &g)
				if !known {
					s.unknown = true
					return nil
				}
				e.ID, e.AppID = g.EntitlementID, g.AppID
				s.Entitlements[e.ID] = e
				return nil
			})
		})
	b.Queue(`
		select account_id, item_id, request_id, entitlement_id, grant_ids, version
		from revocation where account_id = any($1) and not done order by item_id`, ids).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var assignment uuid.UUID
				var r Revocation
				if err := rows.Scan(&assignment, &r.ItemID, &r.RequestID, &r.EntitlementID, &r.GrantIDs, &r.Version); err != nil {
					return err
				}
				assignments[assignment].Revocations = append(assignments[assignment].Revocations, &r)
				return nil
			})
		})
	b.Queue(`
		select `+itemColumns+`, w.account_id
		from work_item w left join lateral (select kind from checklist c where c.id = w.checklist_id limit 1) c on true
		where w.account_id = any($1) and w.state = 'open' order by w.id`, ids).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var assignment uuid.UUID
				i, err := scanItem(rows, &assignment)
				if err != nil {
					return err
				}
				assignments[assignment].Items = append(assignments[assignment].Items, &i)
				return nil
			})
		})
	b.Queue(`
		select account_id, id, integration_id, state, bulk, coalesce(look, plan), look is not null, tries, claim, error, not_before, lease_until, traceparent, listed_from, coalesce(listed_from <= $2, false)
		from operation where account_id = any($1) and state in ('queued', 'running', 'stuck') order by account_id for update`, ids, now).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var assignment uuid.UUID
				var plan []byte
				o := &Operation{}
				err := rows.Scan(&assignment, &o.ID, &o.IntegrationID, &o.State, &o.Bulk, &plan, &o.Looks, &o.Tries, &o.Claim, &o.Error, &o.NotBefore, &o.LeaseUntil, &o.Traceparent, &o.ListedFrom, &o.Late)
				if err == nil {
					assignments[assignment].Operation, err = o, json.Unmarshal(plan, &o.Plan)
				}
				return err
			})
		})
}

// eachRow calls f at every row.
func eachRow(rows pgx.Rows, f func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// missing are the entitlements that the assignment names and that were not read with
// its grants: what was left over when its last grant had gone.
func (s *Assignment) missing() (out []uuid.UUID) {
	add := func(e uuid.UUID) {
		if _, ok := s.Entitlements[e]; !ok {
			out = append(out, e)
		}
	}
	for e := range s.Account.Observed.Held {
		add(e)
	}
	for e := range s.Account.Observed.InDoubt {
		add(e)
	}
	for e := range s.Account.Observed.Had {
		add(e)
	}
	for _, i := range s.Items {
		for _, e := range i.EntitlementIDs {
			add(e)
		}
	}
	return out
}

func scanAccount(row pgx.Row, a *Account, environment *uuid.UUID) error {
	var held, doubt, had []uuid.UUID
	var left, words, manager []byte
	var profile *string
	if err := row.Scan(&a.ID, environment, &a.Observed.Account, &a.Observed.AccountInDoubt, &held, &doubt, &a.Observed.Adopted, &had, &a.ExternalID, &a.UserName,
		&a.Tenant, &a.FoundID, &a.FoundName, &left, &words, &profile, &manager, &a.NoneTenant, &a.NoneUserName, &a.ByName, &a.Questioned, &a.AppVersion, &a.CreateTime, &a.UpdateTime, &a.Version); err != nil {
		return err
	}
	a.Observed.Held, a.Observed.InDoubt, a.Observed.Had, a.Observed.Found = set(held), set(doubt), set(had), a.FoundID != ""
	a.Observed.Profile, a.Observed.ProfileInDoubt = profileOf(profile)
	if err := readManager(manager, &a.Observed.Manager); err != nil {
		return err
	}
	if err := readPlaces(left, &a.LeftBehind); err != nil {
		return err
	}
	return readWords(words, &a.Words)
}

// profileOf reads account.profile.
func profileOf(kept *string) (profile string, inDoubt bool) {
	if kept == nil {
		return "", false
	}
	return *kept, *kept == ""
}

// profile is account.profile; nil if it is not known.
func profile(k lifecycle.Observed) *string {
	if k.Profile == "" && !k.ProfileInDoubt {
		return nil
	}
	return &k.Profile
}

// readPlaces reads left_behind; nothing is the usual case.
func readPlaces(data []byte, into *[]Place) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read accounts left behind: %w", err)
	}
	return nil
}

func scanEntitlements(rows pgx.Rows, into map[uuid.UUID]Entitlement) error {
	var e Entitlement
	_, err := pgx.ForEachRow(rows, []any{&e.ID, &e.AppID, &e.Name, &e.Kind, &e.Ref, &e.Removed}, func() error { into[e.ID] = e; return nil })
	return err
}
