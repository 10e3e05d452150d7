package store

import (
	"bytes"
	"cmp"
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

// Before is how an assignment stood before a person resolved an item.
type Before struct {
	Account        lifecycle.AccountState `json:"account"`
	AccountInDoubt bool                   `json:"account_in_doubt,omitempty"`
	Adopted        bool                   `json:"adopted,omitempty"`
	Held           []uuid.UUID            `json:"held,omitempty"`
	InDoubt        []uuid.UUID            `json:"in_doubt,omitempty"`
	Had            []uuid.UUID            `json:"had,omitempty"`
	ExternalID     string                 `json:"external_id,omitempty"`
	UserName       string                 `json:"user_name,omitempty"`
	Tenant         uuid.NullUUID          `json:"tenant,omitzero"`
	FoundID        string                 `json:"found_id,omitempty"`
	FoundName      string                 `json:"found_name,omitempty"`
	LeftBehind     []Place                `json:"left_behind,omitempty"`
	CreateTime     *time.Time             `json:"create_time,omitempty"`
	Words          []word                 `json:"words,omitempty"`
	Profile        *string                `json:"profile,omitempty"` // as account.profile
	Manager        *managerRow            `json:"manager,omitempty"` // as account.manager
	// Grants are those that were not revoked.
	Grants []GrantBefore `json:"grants,omitempty"`
}

// GrantBefore is how a grant stood.
type GrantBefore struct {
	ID     uuid.UUID            `json:"id"`
	State  lifecycle.GrantState `json:"state"`
	Error  string               `json:"error,omitempty"`
	Active bool                 `json:"active,omitempty"` // it had been in place before
}

// word is one of lifecycle.Words.
type word struct {
	About       lifecycle.About `json:"about"`
	Entitlement uuid.NullUUID   `json:"entitlement,omitzero"`
	Item        uuid.UUID       `json:"item"`
}

// Now is how the assignment stands, for an item that is resolved after this.
func (s *Assignment) Now() *Before {
	a := &s.Account
	b := &Before{
		Account: a.Observed.Account, AccountInDoubt: a.Observed.AccountInDoubt, Adopted: a.Observed.Adopted,
		Held: ids(a.Observed.Held), InDoubt: ids(a.Observed.InDoubt), Had: ids(a.Observed.Had),
		ExternalID: a.ExternalID, UserName: a.UserName, Tenant: a.Tenant, FoundID: a.FoundID, FoundName: a.FoundName,
		LeftBehind: a.LeftBehind, CreateTime: a.CreateTime, Words: wordList(a.Words), Profile: profile(a.Observed), Manager: rowOf(a.Observed.Manager),
	}
	for _, g := range s.Grants {
		if g.State != lifecycle.Revoked {
			b.Grants = append(b.Grants, GrantBefore{ID: g.ID, State: g.State, Error: g.Error, Active: g.ActivateTime != nil})
		}
	}
	return b
}

// Observed is what was known.
func (b *Before) Observed() lifecycle.Observed {
	k := lifecycle.Observed{
		Account: b.Account, AccountInDoubt: b.AccountInDoubt, Adopted: b.Adopted, Held: set(b.Held), InDoubt: set(b.InDoubt), Had: set(b.Had), Found: b.FoundID != "",
	}
	k.Profile, k.ProfileInDoubt = profileOf(b.Profile)
	k.Manager = b.Manager.manager()
	return k
}

// Said are the words of then.
func (b *Before) Said() lifecycle.Words { return wordsOf(b.Words) }

// Grant is how a grant stood; nil if it was not there, or was revoked.
func (b *Before) Grant(id uuid.UUID) *GrantBefore {
	for i := range b.Grants {
		if b.Grants[i].ID == id {
			return &b.Grants[i]
		}
	}
	return nil
}

// text is the column; nil is nothing.
func (b *Before) text() *string {
	if b == nil {
		return nil
	}
	return jsonText(b)
}

func jsonText(v any) *string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, times and ids alone
	}
	text := string(data)
	return &text
}

func wordList(w lifecycle.Words) []word {
	var out []word
	for t, item := range w {
		out = append(out, word{About: t.About, Entitlement: uuid.NullUUID{UUID: t.Entitlement, Valid: t.About == lifecycle.AboutEntitlement}, Item: item})
	}
	slices.SortFunc(out, func(a, b word) int {
		return cmp.Or(cmp.Compare(a.About, b.About), bytes.Compare(a.Entitlement.UUID[:], b.Entitlement.UUID[:]))
	})
	return out
}

func wordsOf(list []word) lifecycle.Words {
	w := make(lifecycle.Words, len(list))
	for _, l := range list {
		w[lifecycle.Thing{About: l.About, Entitlement: l.Entitlement.UUID}] = l.Item
	}
	return w
}

// words is the column; nil is nothing.
func words(w lifecycle.Words) *string {
	if len(w) == 0 {
		return nil
	}
	return jsonText(wordList(w))
}

// readWords reads the column; nothing is the usual case.
func readWords(data []byte, into *lifecycle.Words) error {
	if len(data) == 0 {
		return nil
	}
	var list []word
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("read words: %w", err)
	}
	*into = wordsOf(list)
	return nil
}

// Items that are closed are found by their person.
const selectSaid = `
	select a.id from unnest($1::uuid[], $2::uuid[]) as a (id, user_id) where exists (select from work_item w
	    where w.user_id = a.user_id and w.account_id = a.id and w.state = 'resolved' and w.resolver_id is not null
	      and w.kind in ('fix_operation', 'remove_account')
	      and w.resolve_time >= (select max(g.end_time) from access_grant g where g.account_id = a.id and g.revoke_time is null))`

// LoadSaid adds to assignments of apps that were deleted whether a person has said already
// that what is to be gone is gone.
func LoadSaid(ctx context.Context, tx *postgres.Tx, assignments []*Assignment) error {
	by := make(map[uuid.UUID]*Assignment)
	var accounts, users []uuid.UUID
	for _, s := range assignments {
		if s.App.Removed {
			by[s.Account.ID] = s
			accounts, users = append(accounts, s.Account.ID), append(users, s.User)
		}
	}
	if len(by) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, selectSaid, accounts, users)
	if err != nil {
		return wrap(err, "read what people have said")
	}
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		by[id].Account.Said = true
		return nil
	})
	return wrap(err, "read what people have said")
}

// LoadResolved reads items that were resolved, and adds to their assignments, which are
// locked, the grants that they were about and that are revoked (Over), the revocations of
// these, and the entitlements that any of it names.
func LoadResolved(ctx context.Context, tx *postgres.Tx, f *Loaded, items []uuid.UUID) (map[uuid.UUID]*WorkItem, error) {
	rows, err := tx.Query(ctx, `
		select `+itemColumns+`, w.before, (select n.id from work_item n where n.reopens = w.id)
		from work_item w left join checklist c on c.id = w.checklist_id
		where w.id = any($1) and w.state = 'resolved'`, items)
	if err != nil {
		return nil, wrap(err, "read resolved work items")
	}
	found := make(map[uuid.UUID]*WorkItem, len(items))
	var grants, entitlements []uuid.UUID
	err = eachRow(rows, func() error {
		var before []byte
		var again uuid.NullUUID
		i, err := scanItem(rows, &before, &again)
		if err != nil {
			return err
		}
		i.ReopenedBy = again
		found[i.ID] = &i
		entitlements = append(entitlements, i.EntitlementIDs...)
		if len(before) == 0 {
			return nil
		}
		i.Before = &Before{}
		if err := json.Unmarshal(before, i.Before); err != nil {
			return fmt.Errorf("read how things stood: %w", err)
		}
		for _, named := range [][]uuid.UUID{i.Before.Held, i.Before.InDoubt, i.Before.Had} {
			entitlements = append(entitlements, named...)
		}
		grants = append(grants, postgres.Column(i.Before.Grants, func(g GrantBefore) uuid.UUID { return g.ID })...)
		return nil
	})
	if err != nil {
		return nil, wrap(err, "read resolved work items")
	}
	more, err := f.addRevoked(ctx, tx, distinct(grants))
	if err != nil {
		return nil, wrap(err, "read what was revoked")
	}
	rows, err = tx.Query(ctx, readEntitlements, distinct(append(entitlements, more...)))
	if err == nil {
		err = scanEntitlements(rows, f.Entitlements)
	}
	return found, wrap(err, "read entitlements of resolved work items")
}

// addRevoked adds grants that are revoked to their assignments, with the revocations that
// are done and about these. It returns the entitlements.
func (f *Loaded) addRevoked(ctx context.Context, tx *postgres.Tx, grants []uuid.UUID) (entitlements []uuid.UUID, err error) {
	byID := make(assignmentsByID, len(f.Assignments))
	for _, s := range f.Assignments {
		byID[s.Account.ID] = s
	}
	b := &pgx.Batch{}
	b.Queue(`select `+grantColumns+`, g.account_id from access_grant g where g.id = any($1) and g.revoke_time is not null order by g.id`, grants).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var account uuid.UUID
				g, err := scanGrant(rows, &account)
				if s := byID[account]; err == nil && s != nil {
					s.Over = append(s.Over, &g)
					entitlements = append(entitlements, g.EntitlementID)
				}
				return err
			})
		})
	b.Queue(`
		select account_id, item_id, request_id, entitlement_id, grant_ids, version
		from revocation where account_id = any($1) and done and grant_ids && $2 order by item_id`, slices.SortedFunc(maps.Keys(byID), compareIDs), grants).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func() error {
				var account uuid.UUID
				r := Revocation{Done: true}
				err := rows.Scan(&account, &r.ItemID, &r.RequestID, &r.EntitlementID, &r.GrantIDs, &r.Version)
				if err == nil {
					byID[account].Revocations = append(byID[account].Revocations, &r)
				}
				return err
			})
		})
	return entitlements, tx.SendBatch(ctx, b).Close() //nolint:wrapcheck // LoadResolved does
}
