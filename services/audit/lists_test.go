package audit_test

import (
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/id"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/audit/internal/store"
)

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", store.EntryList)
	w := start(t)
	r := w.request()
	w.submit(t, r)
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), w.comment(r, "why?"))
	user := id.New()
	w.Publish(t, w.org, user, &eventv1.UserJoined{User: &identityv1.User{Id: user.String(), OrganizationId: w.org.String(), DisplayName: "Al", Version: 1}})
	w.handled(t)
	admin := id.New()
	conn := w.Conn(t, authz.Caller{Subject: admin.String(), UserID: admin, OrganizationID: w.org, Role: authzv1.Caller_CALLER_ADMIN})
	filtertest.Door(t, conn, store.EntryList, &auditv1.ListAuditEntriesRequest{})
}
