package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/store"
	"gatehouse.dev/services/audit/migrations"
)

// BenchmarkRecord is one event of a batch, recorded in the database.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			db := pgtest.Open(b, outbox.Schema(), postgres.Set{FS: migrations.FS})
			org, actor := id.New(), id.New()
			for n := 0; n < b.N; n += size {
				batch := make([]entry.Entry, 0, size)
				for range min(size, b.N-n) {
					batch = append(batch, newEntry(b, org, requested(actor)))
				}
				err := db.AsSystem(b.Context(), func(_ context.Context, tx *postgres.Tx) error {
					store.Record(tx, time.Now(), batch)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func requested(actor uuid.UUID) proto.Message {
	r := &requestv1.Request{
		Id: id.New().String(), OrganizationId: id.New().String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
		Requester:   &identityv1.Person{UserId: id.New().String(), DisplayName: "Ann Lee", Email: "ann@example.org"},
		Beneficiary: &identityv1.Person{UserId: id.New().String(), DisplayName: "Ben Ruiz", Email: "ben@example.org"},
		Items: []*requestv1.RequestItem{{
			Id: id.New().String(), EntitlementId: id.New().String(), EntitlementName: "Seller", AppId: id.New().String(), AppName: "CRM",
		}},
		Justification: "to sell",
	}
	return &eventv1.ApprovalRequested{
		Context: &eventv1.Context{
			Actor:      event.UserActor(actor.String(), "Ann Lee"),
			RequestIds: []string{r.GetId()}, UserId: r.GetBeneficiary().GetUserId(), AppId: r.GetItems()[0].GetAppId(),
		},
		RequestId: r.GetId(), StepName: "Manager", Tasks: []*approvalv1.Task{{Id: id.New().String(), Reviewer: r.GetRequester(), Request: r}},
	}
}

func newEntry(b *testing.B, org uuid.UUID, m proto.Message) entry.Entry {
	b.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	keys, _ := entry.Index(m)
	return entry.Entry{
		EventID: id.New(), OrganizationID: org, Type: "gatehouse.event.v1.ApprovalRequested", Aggregate: "approval", Name: "requested",
		Time: time.Now(), Keys: keys, Data: data,
	}
}
