package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
	"gatehouse.dev/services/request/migrations"
)

// seed makes a person, an app with two entitlements, and a request of the
// person for both.
func seed(t *testing.T, db *postgres.DB, org uuid.UUID) *requestv1.Request {
	t.Helper()
	now := timestamppb.New(time.Now().UTC().Truncate(time.Microsecond))
	user := &identityv1.User{Id: id.New().String(), OrganizationId: org.String(), DisplayName: "ann", State: 2, Version: 1, JoinCount: 1}
	app := &requestv1.App{Id: id.New().String(), OrganizationId: org.String(), Name: "CRM", CreateTime: now, UpdateTime: now, Version: 1}
	r := &requestv1.Request{
		Id: id.New().String(), OrganizationId: org.String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, Origin: requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
		Requester: &identityv1.Person{UserId: user.GetId()}, Beneficiary: &identityv1.Person{UserId: user.GetId()},
		State: requestv1.RequestState_REQUEST_STATE_SUBMITTED, CreateTime: now, UpdateTime: now, Version: 1,
	}
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := store.CopyUser(ctx, tx, user); err != nil {
			return err
		}
		account := &requestv1.Entitlement{
			Id: id.New().String(), OrganizationId: org.String(), AppId: app.GetId(), Name: "account", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT,
			CreateTime: now, Version: 1,
		}
		if err := store.InsertApp(ctx, tx, app, account); err != nil {
			return err
		}
		role := &requestv1.Entitlement{
			Id: id.New().String(), OrganizationId: org.String(), AppId: app.GetId(), Name: "role", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE,
			CreateTime: now, Version: 1,
		}
		if err := store.InsertEntitlement(ctx, tx, role); err != nil {
			return err
		}
		for _, e := range []*requestv1.Entitlement{account, role} {
			r.Items = append(r.Items, &requestv1.RequestItem{
				Id: id.New().String(), EntitlementId: e.GetId(), EntitlementName: e.GetName(), AppId: app.GetId(), AppName: "CRM",
				Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL,
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

func insert(ctx context.Context, tx *postgres.Tx, org uuid.UUID, r *requestv1.Request) error {
	c := store.NewChanges(org)
	c.Insert(store.New{Request: r})
	return c.Write(ctx, tx, events, "insert")
}

// finish brings an item of a request to its end, and says how all of them then
// stand.
func finish(org uuid.UUID, request, item string, after *[]lifecycle.Item, then func()) func(context.Context, *postgres.Tx) error {
	return func(ctx context.Context, tx *postgres.Tx) error {
		requestID, itemID := uuid.MustParse(request), uuid.MustParse(item)
		found, err := store.Load(ctx, tx, []uuid.UUID{requestID, id.New(), requestID})
		if err != nil {
			return err
		}
		r, c := found[requestID], store.NewChanges(org)
		c.MoveItem(r, itemID, lifecycle.ItemFulfilled, time.Now())
		if err := c.Write(ctx, tx, events, "finish"); err != nil {
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
	db := pgtest.Open(t, outbox.Schema(), postgres.Set{FS: migrations.FS})
	org := id.New()
	r := seed(t, db, org)
	var first, second []lifecycle.Item
	ended := make(chan error, 1)
	one, other := r.GetItems()[0].GetId(), r.GetItems()[1].GetId()
	err := db.InOrganization(t.Context(), org, finish(org, r.GetId(), one, &first, func() {
		go func() {
			ended <- db.InOrganization(t.Context(), org, finish(org, r.GetId(), other, &second, func() {}))
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

// A person who is removed while somebody asks for them: the removal waits, and
// then finds the request.
func TestRemovalWaitsForAnAsk(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, outbox.Schema(), postgres.Set{FS: migrations.FS})
	org := id.New()
	old := seed(t, db, org)
	user := old.GetBeneficiary().GetUserId()
	var found []*store.Request
	ended := make(chan error, 1)
	r := requestv1.Request{
		Id: id.New().String(), OrganizationId: org.String(), Kind: requestv1.RequestKind_REQUEST_KIND_REVOKE, Origin: requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
		Requester: old.GetRequester(), Beneficiary: old.GetBeneficiary(), State: requestv1.RequestState_REQUEST_STATE_SUBMITTED,
		CreateTime: old.GetCreateTime(), UpdateTime: old.GetCreateTime(), Version: 1,
	}
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		who, _, err := store.Survey(ctx, tx, user, []string{old.GetItems()[0].GetEntitlementId()}, r.GetKind(), true)
		if err != nil || !who.Known || who.State != "active" {
			t.Errorf("finds %v, %v", who, err)
		}
		go func() {
			ended <- db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				_, err := store.CopyUser(ctx, tx, &identityv1.User{Id: user, OrganizationId: org.String(), State: 4, Version: 2, JoinCount: 1})
				if err != nil {
					return err
				}
				found, err = store.Open(ctx, tx, user, nil)
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
	if len(found) != 2 || found[1].ID.String() != r.GetId() {
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
