package audit_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/audit"
	"gatehouse.dev/services/audit/migrations"
)

func TestMain(m *testing.M) {
	bustest.VerifyNoLeaks(m)
}

// world is audit under test, with an organization around it.
type world struct {
	*servicetest.Harness
	org           uuid.UUID
	ann, ben, mia *identityv1.Person
	crm           uuid.UUID
}

func start(t testing.TB) *world {
	t.Helper()
	h := servicetest.Start(t, migrations.FS, func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		return audit.Run(ctx, audit.Config{Config: cfg}, lis, log)
	})
	return &world{Harness: h, org: id.New(), ann: person("Ann Lee"), ben: person("Ben Ruiz"), mia: person("Mia Okoye"), crm: id.New()}
}

func person(name string) *identityv1.Person {
	return &identityv1.Person{UserId: id.New().String(), DisplayName: name}
}

// as calls as somebody of the organization; a nil person is somebody else.
func (w *world) as(t testing.TB, role authzv1.Caller, p *identityv1.Person) auditv1.AuditServiceClient {
	t.Helper()
	return w.in(t, w.org, role, p)
}

func (w *world) in(t testing.TB, org uuid.UUID, role authzv1.Caller, p *identityv1.Person) auditv1.AuditServiceClient {
	t.Helper()
	user := id.New()
	if p != nil {
		user = uuid.MustParse(p.GetUserId())
	}
	c := authz.Caller{Subject: user.String(), UserID: user, OrganizationID: org, Role: role, Name: p.GetDisplayName()}
	return auditv1.NewAuditServiceClient(w.Conn(t, c))
}

func (w *world) admin(t testing.TB) auditv1.AuditServiceClient {
	t.Helper()
	return w.as(t, authzv1.Caller_CALLER_ADMIN, nil)
}

// context is an event's: ann did it, it is about ben and the app crm.
func (w *world) context(requests ...*requestv1.Request) *eventv1.Context {
	c := &eventv1.Context{
		Actor:  event.UserActor(w.ann.GetUserId(), w.ann.GetDisplayName()),
		UserId: w.ben.GetUserId(), AppId: w.crm.String(),
	}
	for _, r := range requests {
		c.RequestIds = append(c.RequestIds, r.GetId())
	}
	return c
}

// request is ann's for ben.
func (w *world) request() *requestv1.Request {
	return &requestv1.Request{
		Id: id.New().String(), OrganizationId: w.org.String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
		Origin: requestv1.RequestOrigin_REQUEST_ORIGIN_USER, Requester: w.ann, Beneficiary: w.ben, Justification: "to sell",
		Items:      []*requestv1.RequestItem{{Id: id.New().String(), EntitlementName: "Seller", AppId: w.crm.String(), AppName: "CRM"}},
		State:      requestv1.RequestState_REQUEST_STATE_SUBMITTED,
		CreateTime: timestamppb.Now(), Version: 1,
	}
}

// submit says that a request was submitted.
func (w *world) submit(t testing.TB, r *requestv1.Request) uuid.UUID {
	t.Helper()
	return w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Context: w.context(r), Request: r})
}

// comment says that somebody said something on a request.
func (w *world) comment(r *requestv1.Request, text string) *eventv1.CommentAdded {
	return &eventv1.CommentAdded{Context: w.context(r), Comment: &requestv1.Comment{
		Id: id.New().String(), RequestId: r.GetId(), Author: w.mia, Text: text,
	}}
}

// handled waits until everything that was said is written down.
func (w *world) handled(t testing.TB) {
	t.Helper()
	w.Handled(t, "audit")
}

// list gives all entries, page by page.
func list(t testing.TB, c auditv1.AuditServiceClient, req *auditv1.ListAuditEntriesRequest) []*auditv1.AuditEntry {
	t.Helper()
	var all []*auditv1.AuditEntry
	for {
		resp, err := c.ListAuditEntries(t.Context(), req, grpc.MaxCallRecvMsgSize(64<<20))
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		all = append(all, resp.GetAuditEntries()...)
		if resp.GetNextPageToken() == "" {
			return all
		}
		req = proto.CloneOf(req)
		req.PageToken = resp.GetNextPageToken()
	}
}

// fill sets every field of a message to something that fits its name.
func (w *world) fill(m protoreflect.Message, depth int) {
	if depth == 0 {
		return
	}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			e := m.Mutable(f).List().AppendMutable().Message()
			w.fill(e, depth-1)
		case f.IsList():
			m.Mutable(f).List().Append(w.value(f))
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			m.Set(f, protoreflect.ValueOfMessage(timestamppb.Now().ProtoReflect()))
		case f.Message() != nil:
			w.fill(m.Mutable(f).Message(), depth-1)
		default:
			m.Set(f, w.value(f))
		}
	}
}

func (w *world) value(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		if n := string(f.Name()); n == "id" || len(n) > 3 && (n[len(n)-3:] == "_id" || n[len(n)-4:] == "_ids") {
			return protoreflect.ValueOfString(id.New().String())
		}
		return protoreflect.ValueOfString("some " + string(f.Name()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(7)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(7)
	}
	return f.Default()
}
