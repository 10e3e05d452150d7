package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
	"gatehouse.dev/services/request/migrations"
)

// seed makes a person, an app with two entitlements, and a request of the
// person for both.
func seed(t *testing.T, db *postgres.DB, org uuid.UUID) *store.Request {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	user := store.User{ID: id.New(), OrganizationID: org, Name: "ann"}
	app := store.App{
		ID: id.New(), OrganizationID: org, Name: "CRM", Provisioning: "manual", DeprovisioningAction: "remove", AccountAdoption: "unspecified", CatalogState: "unspecified", CreateTime: now, UpdateTime: now, Version: 1,
	}
	person := store.Person{ID: user.ID, Name: "ann"}
	r := &store.Request{
		ID: id.New(), OrganizationID: org, Kind: lifecycle.Grant, Origin: store.OriginUser, Requester: person, Beneficiary: person,
		JoinCount: 1, State: lifecycle.Submitted, CreateTime: now, UpdateTime: now, Version: 1,
	}
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into user_copy (id, organization_id, environment_id, user_name, display_name, given_name, family_name, email, title, department,
				state, kind, role, role_environment_id, join_count, version, removed, data)
			values ($1, $2, $3, 'ann', 'ann', '', '', '', '', '', 'active', 'employee', 'member', $3, 1, 1, false, '')`, user.ID, org, uuid.Nil)
		if err != nil {
			return err
		}
		account := store.Entitlement{ID: id.New(), OrganizationID: org, AppID: app.ID, Name: "account", Kind: "account", Risk: "unspecified", CreateTime: now, Version: 1}
		if err := store.InsertApp(ctx, tx, app, account); err != nil {
			return err
		}
		role := account
		role.ID, role.Name, role.Kind = id.New(), "role", "role"
		if err := store.InsertEntitlement(ctx, tx, role); err != nil {
			return err
		}
		for _, e := range []store.Entitlement{account, role} {
			r.Items = append(r.Items, &store.Item{
				ID: id.New(), EntitlementID: e.ID, EntitlementName: e.Name, AppID: app.ID, AppName: "CRM", State: lifecycle.ItemPending, Provisioning: "manual",
			})
		}
		return insert(ctx, tx, org, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var events = outbox.NewWriter("request", nil)

func insert(ctx context.Context, tx *postgres.Tx, org uuid.UUID, r *store.Request) error {
	c := store.NewChanges(org)
	c.Insert(store.New{Request: r})
	return c.Save(ctx, tx, events, "insert")
}

// finish brings an item of a request to its end, and says how all of them then
// stand.
func finish(org uuid.UUID, requestID, itemID uuid.UUID, after *[]lifecycle.Item, then func()) func(context.Context, *postgres.Tx) error {
	return func(ctx context.Context, tx *postgres.Tx) error {
		found, err := store.Load(ctx, tx, []uuid.UUID{requestID, id.New(), requestID})
		if err != nil {
			return err
		}
		r, c := found[requestID], store.NewChanges(org)
		c.SetItemState(r, itemID, lifecycle.ItemFulfilled, time.Now())
		if err := c.Save(ctx, tx, events, "finish"); err != nil {
			return err
		}
		*after = r.ItemStates()
		then()
		return nil
	}
}

// Two replicas that bring the last two items of a request to their end at the
// same moment: one of them sees both done, or the request would stay open.
func TestLastItemsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	org := id.New()
	r := seed(t, db, org)
	var first, second []lifecycle.Item
	ended := make(chan error, 1)
	one, other := r.Items[0].ID, r.Items[1].ID
	err := db.InOrganization(t.Context(), org, finish(org, r.ID, one, &first, func() {
		go func() {
			ended <- db.InOrganization(t.Context(), org, finish(org, r.ID, other, &second, func() {}))
		}()
		waiting(t, db)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, done := lifecycle.Outcome(first); done {
		t.Errorf("the first sees %v", first)
	}
	if got, done := lifecycle.Outcome(second); !done || got != lifecycle.Fulfilled {
		t.Errorf("the second sees %v", second)
	}
}

// A person who is removed while somebody makes a request for them: the removal waits, and
// then finds the request.
func TestRemovalWaitsForARequest(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	org := id.New()
	old := seed(t, db, org)
	user := old.Beneficiary.ID
	var found []*store.Request
	ended := make(chan error, 1)
	r := store.Request{
		ID: id.New(), OrganizationID: org, Kind: lifecycle.Revoke, Origin: store.OriginUser, Requester: old.Requester, Beneficiary: old.Beneficiary,
		JoinCount: 1, State: lifecycle.Submitted, CreateTime: old.CreateTime, UpdateTime: old.CreateTime, Version: 1,
	}
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		look := &store.Lookup{BeneficiaryID: user, EntitlementIDs: []uuid.UUID{old.Items[0].EntitlementID}, Kind: r.Kind}
		err := store.LoadCandidates(ctx, tx, true, nil, look)
		who := look.Beneficiary
		if err != nil || who.ID != user || who.State != "active" {
			t.Errorf("finds %v, %v", who, err)
		}
		go func() {
			ended <- db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := tx.Exec(ctx, `update user_copy set state = 'removed', removed = true where id = $1`, user); err != nil {
					return err
				}
				var err error
				found, err = store.LockOpen(ctx, tx, user, 2)
				return err
			})
		}()
		waiting(t, db)
		return insert(ctx, tx, org, &r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[1].ID != r.ID {
		t.Errorf("finds %v", found)
	}
}

// waiting waits until a transaction waits for a lock of another.
func waiting(t *testing.T, db *postgres.DB) {
	t.Helper()
	for n := 0; n == 0; {
		if err := db.Pool().QueryRow(t.Context(), `
			select count(*) from pg_locks l join pg_database d on d.datname = current_database()
			where not l.granted and l.pid in (select pid from pg_stat_activity where datname = current_database())`).Scan(&n); err != nil {
			t.Error(err)
			return
		}
	}
}
