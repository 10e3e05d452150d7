package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Key names a seat.
type Key struct{ User, App uuid.UUID }

// seatSpace is where seats' ids are.
var seatSpace = uuid.MustParse("0d0c9bd4-3f3c-4ac7-8a42-1f4d6cf1a0a5")

// ID is the id of the seat's row.
func (k Key) ID() uuid.UUID {
	return uuid.NewSHA1(seatSpace, append(append(make([]byte, 0, 32), k.User[:]...), k.App[:]...))
}

func (k Key) compare(o Key) int {
	if c := bytes.Compare(k.User[:], o.User[:]); c != 0 {
		return c
	}
	return bytes.Compare(k.App[:], o.App[:])
}

// Person is the copy of a user.
type Person struct {
	ID                                                                     uuid.UUID
	UserName, DisplayName, GivenName, FamilyName, Email, Title, Department string
	Removed                                                                bool
	Tenure                                                                 int32
}

// App is the copy of an app.
type App struct {
	ID            uuid.UUID
	Name          string
	Mode          lifecycle.Mode
	IntegrationID uuid.NullUUID
	Disable       bool
	AdminIDs      []uuid.UUID
	Version       int64
}

// Left is what is left of an account of the app that is ended.
func (a App) Left() lifecycle.AccountState {
	if a.Disable {
		return lifecycle.Disabled
	}
	return lifecycle.Absent
}

// Entitlement is the copy of an entitlement.
type Entitlement struct {
	ID, AppID uuid.UUID
	Name      string
	// Kind is account, role, group or license.
	Kind string
	Ref  string
}

// IsAccount tells whether the entitlement is the account itself.
func (e Entitlement) IsAccount() bool { return e.Kind == "account" }

// Account is the row that a seat turns on.
type Account struct {
	ID         uuid.UUID
	Know       lifecycle.Knowledge
	ExternalID string
	UserName   string
	AppVersion int64
	CreateTime *time.Time
	UpdateTime time.Time
	Version    int64

	Changed bool
}

// Grant is one row of access_grant.
type Grant struct {
	ID, UserID, AppID, EntitlementID, RequestID, ItemID uuid.UUID
	Join                                                bool
	Tenure                                              int32
	State                                               lifecycle.GrantState
	Until, Due                                          *time.Time
	CreateTime                                          time.Time
	ActivateTime, EndTime, RevokeTime                   *time.Time
	// End is why it ended: requested, expired or user_removed; empty if it has not.
	End             string
	RevokeRequestID uuid.NullUUID
	Error           string
	Version         int64

	// New is not in the database yet.
	New       bool
	loaded    int64
	loadedDue *time.Time
}

// Revocation is one row of revocation.
type Revocation struct {
	ItemID, RequestID, EntitlementID uuid.UUID
	GrantIDs                         []uuid.UUID
	Done                             bool

	New, Changed bool
}

// WorkItem is one row of work_item.
type WorkItem struct {
	ID, UserID, AppID uuid.UUID
	Kind              lifecycle.ItemKind
	State             string // open, resolved, dropped
	EntitlementIDs    []uuid.UUID
	RequestIDs        []uuid.UUID
	ChecklistID       uuid.NullUUID
	List              lifecycle.List
	Error             string
	ResolverID        uuid.NullUUID
	ResolverName      string
	ResolverEmail     string
	Note              string
	CreateTime        time.Time
	ResolveTime       *time.Time
	Version           int64

	New    bool
	loaded int64
}

// Step is one change of an operation's plan, with all that its call needs.
type Step struct {
	Do          string     `json:"do"`
	Entitlement *uuid.UUID `json:"entitlement,omitempty"`
	Kind        string     `json:"kind,omitempty"`
	Ref         string     `json:"ref,omitempty"`
}

// Operation is one row of operation that is not over.
type Operation struct {
	ID            uuid.UUID
	IntegrationID uuid.UUID
	State         string // queued, running, stuck; done and cancelled when it is to be over
	Plan          []Step
	Tries         int
	Claim         uuid.NullUUID
	Error         string
	// Wait is until it may be tried, from now; negative waits for a person.
	Wait time.Duration

	New, Changed bool
	// Again says that Wait is to be written.
	Again bool
}

// Seat is one person in one app, under lock, with everything that is open
// about it.
type Seat struct {
	Key
	Organization uuid.UUID
	Person       Person
	App          App
	Account      Account
	Grants       []*Grant // not revoked
	Revocations  []*Revocation
	Items        []*WorkItem // open
	Operation    *Operation
	// Finished are operations that are over now.
	Finished []*Operation
	// Entitlements are those that anything above names.
	Entitlements map[uuid.UUID]Entitlement

	found bool // person and app are known
}

// Known tells whether the person and the app have arrived.
func (s *Seat) Known() bool { return s.found }

// Want says what to lock and what to read with it.
type Want struct {
	Organization uuid.UUID
	Keys         []Key
	// Create makes the seats that are not there.
	Create bool
	// Stay keeps this user from being removed until the transaction ends.
	Stay uuid.UUID
	// Granted and Revoked are request items: Found.Items has those of them
	// that have a grant, or a revocation, already.
	Granted, Revoked []uuid.UUID
	// Entitlements are read besides those that the seats name.
	Entitlements []uuid.UUID
}

// Found is what Lock read.
type Found struct {
	// Seats are those that there are, in the order of their locks.
	Seats        []*Seat
	Items        map[uuid.UUID]bool
	Entitlements map[uuid.UUID]Entitlement
}

// Seat returns one of the seats, nil if there is none.
func (f *Found) Seat(k Key) *Seat {
	for _, s := range f.Seats {
		if s.Key == k {
			return s
		}
	}
	return nil
}

// entitlementColumns are read by scanEntitlement.
const entitlementColumns = `id, app_id, name, kind, ref`

// Lock locks seats and reads them, in one round trip, two if something is left
// over from grants that have gone.
func Lock(ctx context.Context, tx *postgres.Tx, w Want) (*Found, error) {
	keys := slices.Clone(w.Keys)
	slices.SortFunc(keys, Key.compare)
	keys = slices.Compact(keys)

	f := &Found{Items: map[uuid.UUID]bool{}, Entitlements: map[uuid.UUID]Entitlement{}}
	b := &pgx.Batch{}
	if w.Stay != uuid.Nil {
		b.Queue(`select 1 from user_copy where id = $1 for share`, w.Stay)
	}
	had := func(rows pgx.Rows) error {
		var item uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&item}, func() error { f.Items[item] = true; return nil })
		return err
	}
	if len(w.Granted) > 0 {
		b.Queue(`select item_id from access_grant where item_id = any($1)`, w.Granted).Query(had)
	}
	if len(w.Revoked) > 0 {
		b.Queue(`select item_id from revocation where item_id = any($1)`, w.Revoked).Query(had)
	}
	if len(w.Entitlements) > 0 {
		b.Queue(`select `+entitlementColumns+` from entitlement_copy where id = any($1)`, w.Entitlements).
			Query(func(rows pgx.Rows) error { return scanEntitlements(rows, f.Entitlements) })
	}
	seats := make([]*Seat, len(keys))
	for i, k := range keys {
		seats[i] = &Seat{Key: k, Organization: w.Organization, Entitlements: f.Entitlements}
		seats[i].queueLoad(b, w.Create)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("lock seats: %w", err)
	}
	var missing []uuid.UUID
	for _, s := range seats {
		if s.Account.ID != uuid.Nil {
			f.Seats = append(f.Seats, s)
			missing = append(missing, s.missing()...)
		}
	}
	if len(missing) > 0 {
		rows, err := tx.Query(ctx, `select `+entitlementColumns+` from entitlement_copy where id = any($1)`, missing)
		if err == nil {
			err = scanEntitlements(rows, f.Entitlements)
		}
		if err != nil {
			return nil, fmt.Errorf("read entitlements of seats: %w", err)
		}
	}
	return f, nil
}

func (s *Seat) queueLoad(b *pgx.Batch, create bool) {
	seat := s.ID()
	if create {
		b.Queue(`
			insert into account (id, organization_id, user_id, app_id, state, unsure, held, doubt, external_id, user_name,
			    app_version, seat_time, update_time, version)
			values ($1, $2, $3, $4, 'absent', false, '{}', '{}', '', '', coalesce((select version from app_copy where id = $4), 0), $5, $5, 1)
			on conflict (id) do nothing`,
			seat, s.Organization, s.User, s.Key.App, now())
	}
	b.Queue(`
		select id, state, unsure, held, doubt, external_id, user_name, app_version, create_time, update_time, version
		from account where id = $1 for update`, seat).
		QueryRow(func(row pgx.Row) error { return ignoreNone(s.scanAccount(row)) })
	b.Queue(`
		select u.id, u.user_name, u.display_name, u.given_name, u.family_name, u.email, u.title, u.department, u.removed, u.tenure,
		       p.id, p.name, p.mode, p.integration_id, p.disable, p.admin_ids, p.version
		from user_copy u, app_copy p where u.id = $1 and p.id = $2`, s.User, s.Key.App).
		QueryRow(func(row pgx.Row) error {
			var mode string
			u, p := &s.Person, &s.App
			err := row.Scan(&u.ID, &u.UserName, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department, &u.Removed, &u.Tenure,
				&p.ID, &p.Name, &mode, &p.IntegrationID, &p.Disable, &p.AdminIDs, &p.Version)
			p.Mode, s.found = parse(modes, mode), err == nil
			return ignoreNone(err)
		})
	b.Queue(`
		select `+grantColumns+`, e.id, e.app_id, e.name, e.kind, e.ref
		from access_grant g, lateral (select * from entitlement_copy e where e.id = g.entitlement_id limit 1) e
		where g.account_id = $1 and g.revoke_time is null order by g.id`, seat).
		Query(func(rows pgx.Rows) (err error) {
			s.Grants, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Grant, error) {
				var e Entitlement
				g, err := scanGrant(r, &e.ID, &e.AppID, &e.Name, &e.Kind, &e.Ref)
				s.Entitlements[e.ID] = e
				return &g, err
			})
			return err
		})
	b.Queue(`
		select item_id, request_id, entitlement_id, grant_ids
		from revocation where account_id = $1 and not done order by item_id`, seat).
		Query(func(rows pgx.Rows) error {
			var r Revocation
			_, err := pgx.ForEachRow(rows, []any{&r.ItemID, &r.RequestID, &r.EntitlementID, &r.GrantIDs}, func() error {
				one := r
				one.GrantIDs = slices.Clone(r.GrantIDs)
				s.Revocations = append(s.Revocations, &one)
				return nil
			})
			return err
		})
	b.Queue(`
		select `+itemColumns+`
		from work_item w left join lateral (select kind from checklist c where c.id = w.checklist_id limit 1) c on true
		where w.account_id = $1 and w.state = 'open' order by w.id`, seat).
		Query(func(rows pgx.Rows) (err error) {
			s.Items, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*WorkItem, error) { i, err := scanItem(r); return &i, err })
			return err
		})
	b.Queue(`
		select id, integration_id, state, plan, tries, claim, error
		from operation where account_id = $1 and state in ('queued', 'running', 'stuck') for update`, seat).
		QueryRow(func(row pgx.Row) error {
			o := &Operation{}
			var plan []byte
			err := row.Scan(&o.ID, &o.IntegrationID, &o.State, &plan, &o.Tries, &o.Claim, &o.Error)
			if err == nil {
				s.Operation, err = o, json.Unmarshal(plan, &o.Plan)
			}
			return ignoreNone(err)
		})
}

// missing are the entitlements that the seat names and that were not read with
// its grants: what was left over when its last grant had gone.
func (s *Seat) missing() (out []uuid.UUID) {
	add := func(e uuid.UUID) {
		if _, ok := s.Entitlements[e]; !ok {
			out = append(out, e)
		}
	}
	for e := range s.Account.Know.Held {
		add(e)
	}
	for e := range s.Account.Know.Doubt {
		add(e)
	}
	for _, i := range s.Items {
		for _, e := range i.EntitlementIDs {
			add(e)
		}
	}
	return out
}

func (s *Seat) scanAccount(row pgx.Row) error {
	a := &s.Account
	var state string
	var held, doubt []uuid.UUID
	if err := row.Scan(&a.ID, &state, &a.Know.Unsure, &held, &doubt, &a.ExternalID, &a.UserName, &a.AppVersion,
		&a.CreateTime, &a.UpdateTime, &a.Version); err != nil {
		return err
	}
	a.Know.Account = parse(accountStates, state)
	a.Know.Held, a.Know.Doubt = set(held), set(doubt)
	return nil
}

func scanEntitlements(rows pgx.Rows, into map[uuid.UUID]Entitlement) error {
	var e Entitlement
	_, err := pgx.ForEachRow(rows, []any{&e.ID, &e.AppID, &e.Name, &e.Kind, &e.Ref}, func() error { into[e.ID] = e; return nil })
	return err
}

// errStale says that a row of a seat was changed without the seat's lock.
type errStale struct{ what string }

func (e errStale) Error() string { return e.what + " was changed without the lock of its seat" }

func one(b *pgx.Batch, what, sql string, args ...any) {
	b.Queue(sql, args...).Exec(func(tag pgconnTag) error {
		if tag.RowsAffected() != 1 {
			return errStale{what}
		}
		return nil
	})
}

// Save queues what has changed about the seat.
func (s *Seat) Save(b *pgx.Batch) error {
	if a := &s.Account; a.Changed {
		one(b, "account", `
			update account set state = $3, unsure = $4, held = $5, doubt = $6, external_id = $7, user_name = $8,
			    app_version = $9, create_time = $10, update_time = $11, version = version + 1
			where id = $1 and version = $2`,
			a.ID, a.Version, format(accountStates, a.Know.Account), a.Know.Unsure, ids(a.Know.Held), ids(a.Know.Doubt),
			a.ExternalID, a.UserName, a.AppVersion, a.CreateTime, a.UpdateTime)
	}
	for _, g := range s.Grants {
		switch {
		case g.New:
			b.Queue(`
				insert into access_grant (id, organization_id, account_id, user_id, app_id, entitlement_id, request_id, item_id, origin_join, tenure, state,
				    until, due_time, create_time, activate_time, end_time, revoke_time, end_reason, revoke_request_id, error, version)
				values ($1, $2, $20, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $21, $15, nullif($16, ''), $17, $18, $19)`,
				g.ID, s.Organization, g.UserID, g.AppID, g.EntitlementID, g.RequestID, g.ItemID, g.Join, g.Tenure, format(grantStates, g.State),
				g.Until, g.Due, g.CreateTime, g.ActivateTime, g.RevokeTime, g.End, g.RevokeRequestID, g.Error, g.Version, s.Account.ID, g.EndTime)
		case g.Version != g.loaded || g.dueChanged():
			one(b, "grant", `
				update access_grant set state = $2, due_time = $3, activate_time = $4, revoke_time = $5, end_reason = nullif($6, ''),
				    revoke_request_id = $7, error = $8, version = $9, end_time = $11
				where id = $1 and version = $10`,
				g.ID, format(grantStates, g.State), g.Due, g.ActivateTime, g.RevokeTime, g.End,
				g.RevokeRequestID, g.Error, g.Version, g.loaded, g.EndTime)
		}
	}
	for _, r := range s.Revocations {
		switch {
		case r.New:
			b.Queue(`
				insert into revocation (item_id, organization_id, request_id, account_id, user_id, app_id, entitlement_id, grant_ids, done)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				r.ItemID, s.Organization, r.RequestID, s.Account.ID, s.User, s.Key.App, r.EntitlementID, r.GrantIDs, r.Done)
		case r.Changed:
			one(b, "revocation", `update revocation set done = $2 where item_id = $1 and not done`, r.ItemID, r.Done)
		}
	}
	for _, i := range s.Items {
		switch {
		case i.New:
			b.Queue(`
				insert into work_item (id, organization_id, account_id, user_id, app_id, kind, state, entitlement_ids, request_ids, checklist_id, error,
				    resolver_id, resolver_name, resolver_email, note, create_time, resolve_time, version)
				values ($1, $2, $18, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
				i.ID, s.Organization, i.UserID, i.AppID, format(itemKinds, i.Kind), i.State, i.EntitlementIDs, i.RequestIDs, i.ChecklistID, i.Error,
				i.ResolverID, i.ResolverName, i.ResolverEmail, i.Note, i.CreateTime, i.ResolveTime, i.Version, s.Account.ID)
		case i.Version != i.loaded:
			one(b, "work item", `
				update work_item set state = $2, entitlement_ids = $3, request_ids = $4, checklist_id = $5, error = $6,
				    resolver_id = $7, resolver_name = $8, resolver_email = $9, note = $10, resolve_time = $11, version = $12
				where id = $1 and version = $13 and state = 'open'`,
				i.ID, i.State, i.EntitlementIDs, i.RequestIDs, i.ChecklistID, i.Error,
				i.ResolverID, i.ResolverName, i.ResolverEmail, i.Note, i.ResolveTime, i.Version, i.loaded)
		}
	}
	for _, o := range append(slices.Clone(s.Finished), s.Operation) {
		if err := s.saveOperation(b, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *Seat) saveOperation(b *pgx.Batch, o *Operation) error {
	if o == nil || !o.New && !o.Changed {
		return nil
	}
	plan, err := json.Marshal(o.Plan)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if o.New {
		b.Queue(`
			insert into operation (id, organization_id, account_id, user_id, app_id, integration_id, state, plan, tries, not_before, error, create_time)
			values ($1, $2, $10, $3, $4, $5, $6, $7, $8, statement_timestamp(), $9, statement_timestamp())`,
			o.ID, s.Organization, s.User, s.Key.App, o.IntegrationID, o.State, plan, o.Tries, o.Error, s.Account.ID)
		return nil
	}
	// A running one keeps its lease.
	one(b, "operation", `
		update operation set state = $2, plan = $3, tries = $4, error = $5, integration_id = $6,
		    not_before = case when not $7 then not_before when $8::float8 < 0 then 'infinity' else statement_timestamp() + make_interval(secs => $8) end,
		    lease_until = case when $2 = 'running' then lease_until end,
		    end_time = case when $2 in ('done', 'cancelled') then statement_timestamp() end
		where id = $1 and state in ('queued', 'running', 'stuck')`,
		o.ID, o.State, plan, o.Tries, o.Error, o.IntegrationID, o.Again, o.Wait.Seconds())
	return nil
}
