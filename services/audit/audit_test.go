package audit_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/libs/sheet/sheettest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

type ctx = context.Context

// B-AUD-01, B-RUN-02: every kind of event is written down, as it was, and once,
// however often it is delivered.
func TestEveryEventIsWrittenDownOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	type happened struct {
		event   string
		message proto.Message
	}
	var ids []uuid.UUID
	said := map[uuid.UUID]happened{}
	types := event.Types()
	for _, typ := range types {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(typ.Message)
		if err != nil {
			t.Fatal(err)
		}
		m := mt.New()
		w.fill(m, 6)
		eventID := w.Publish(t, w.org, id.New(), m.Interface())
		said[eventID] = happened{event: typ.String(), message: m.Interface()}
		ids = append(ids, eventID)
	}
	w.handled(t)
	for eventID, h := range said { // as after a backup of the bus was restored
		w.PublishAgain(t, eventID, w.org, id.New(), h.message)
	}
	w.handled(t)

	entries := list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{})
	if len(entries) != len(said) || len(said) != len(types) {
		t.Fatalf("%d entries of %d events", len(entries), len(said))
	}
	slices.Reverse(entries)
	for i, e := range entries {
		h := said[uuid.MustParse(e.GetEventId())]
		c := event.ContextOf(h.message)
		if e.GetEventId() != ids[i].String() || i > 0 && e.GetPosition() <= entries[i-1].GetPosition() {
			t.Errorf("%s is not in its place", e.GetEvent())
		}
		if e.GetEvent() != h.event || e.GetOrganizationId() != w.org.String() || !proto.Equal(e.GetActor(), c.GetActor()) ||
			e.GetUserId() != c.GetUserId() || e.GetAppId() != c.GetAppId() || !slices.Equal(e.GetRequestIds(), c.GetRequestIds()) {
			t.Errorf("%s: got %v", h.event, e)
		}
		if e.GetSummary() == "" || e.GetSummary() == e.GetEvent() {
			t.Errorf("%s has no words: %q", h.event, e.GetSummary())
		}
		if e.GetRecordTime().AsTime().Before(e.GetTime().AsTime()) || time.Since(e.GetRecordTime().AsTime()) > time.Minute {
			t.Errorf("%s happened %v, was recorded %v", h.event, e.GetTime().AsTime(), e.GetRecordTime().AsTime())
		}
		data, err := protojson.Marshal(e.GetData())
		if err != nil {
			t.Fatal(err)
		}
		back := h.message.ProtoReflect().New().Interface()
		if err := protojson.Unmarshal(data, back); err != nil {
			t.Errorf("%s: data cannot be read: %v", h.event, err)
		}
		if strings.Contains(string(data), "some token") || strings.Contains(string(data), "some client_secret") { // B-AUD-07
			t.Errorf("%s: a secret is in the log: %s", h.event, data)
		}
		secret := strings.HasPrefix(h.event, "integration.") || strings.HasPrefix(h.event, "identity_provider.")
		if !secret && !proto.Equal(back, h.message) {
			t.Errorf("%s: data\n got %v\nwant %v", h.event, back, h.message)
		}
	}
	if n := parked(t, w); n != 0 {
		t.Errorf("%d events are parked", n)
	}
}

func parked(t *testing.T, w *world) (n int) {
	t.Helper()
	err := w.DB.AsSystemRead(t.Context(), func(ctx ctx, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from parked_event").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// B-RUN-02: nothing is lost and nothing doubled while replicas come and go, and
// even if the inbox has forgotten an event.
func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, _, stop := w.StoppableReplica(t)
	r := w.request()
	w.submit(t, r)
	var last uuid.UUID
	for n := range 300 {
		if n == 150 {
			stop()
		}
		last = w.Publish(t, w.org, id.New(), w.comment(r, fmt.Sprint("comment ", n)))
	}
	w.Replica(t)
	w.handled(t)
	entries := list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{PageSize: 100})
	if len(entries) != 301 {
		t.Fatalf("%d entries", len(entries))
	}

	err := w.DB.AsSystem(t.Context(), func(ctx ctx, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, "delete from inbox")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.PublishAgain(t, last, w.org, id.New(), w.comment(r, "forged"))
	w.Publish(t, w.org, id.New(), w.comment(r, "another"))
	w.handled(t)
	entries = list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{RequestId: r.GetId()})
	if len(entries) != 302 || entries[0].GetSummary() != "Mia Okoye commented: another" || entries[1].GetSummary() != "Mia Okoye commented: comment 299" {
		t.Errorf("%d entries, %v", len(entries), entries[0])
	}
}

// B-AUD-01: the trail is in the order in which things happened, whatever the
// order in which they were heard.
func TestHeardOutOfOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	now := time.Now()
	w.PublishAt(t, now.Add(2*time.Second), w.org, id.New(), &eventv1.RequestClosed{Context: w.context(r), Request: r})
	w.PublishAt(t, now.Add(time.Second), w.org, id.New(), &eventv1.ApprovalGranted{Context: w.context(r), Request: r})
	w.PublishAt(t, now.Add(time.Second), w.org, id.New(), &eventv1.GrantCreated{Context: w.context(r)})
	w.PublishAt(t, now, w.org, id.New(), &eventv1.RequestSubmitted{Context: w.context(r), Request: r})
	w.handled(t)
	want := []string{"request.submitted", "approval.granted", "grant.created", "request.closed"}
	if got := events(trail(t, w.admin(t), r.GetId())); !slices.Equal(got, want) {
		t.Errorf("trail %q", got)
	}
	slices.Reverse(want)
	if got := events(list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{PageSize: 1, RequestId: r.GetId()})); !slices.Equal(got, want) {
		t.Errorf("list %q", got)
	}
}

func events(entries []*auditv1.AuditEntry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.GetEvent())
	}
	return out
}

// trail gives a request's report in JSON, read again.
func trail(t *testing.T, c auditv1.AuditServiceClient, request string) []*auditv1.AuditEntry {
	t.Helper()
	file, err := c.GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: request}, grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		t.Fatalf("report: %v", err)
	}
	if file.GetContentType() != "application/json" {
		t.Errorf("content type %q", file.GetContentType())
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(file.GetData(), &raw); err != nil {
		t.Fatalf("report is not JSON: %v", err)
	}
	entries := make([]*auditv1.AuditEntry, len(raw))
	for i := range raw {
		entries[i] = new(auditv1.AuditEntry)
		if err := protojson.Unmarshal(raw[i], entries[i]); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	return entries
}

func TestWhoMayReadAReport(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	w.submit(t, r)
	// The requester and the beneficiary may be known by any event that tells.
	later := w.request()
	later.Beneficiary = w.mia
	w.Publish(t, w.org, id.New(), &eventv1.ApprovalGranted{Context: w.context(later), Request: later})
	w.handled(t)

	foreign := id.New()
	const (
		member, external = authzv1.Caller_CALLER_MEMBER, authzv1.Caller_CALLER_EXTERNAL
		admin, it, risk  = authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_IT_ADMIN, authzv1.Caller_CALLER_RISK_MANAGER
	)
	for _, c := range []struct {
		name    string
		org     uuid.UUID
		role    authzv1.Caller
		who     *identityv1.Person
		request string
		want    codes.Code
		reason  string
	}{
		{"admin", w.org, admin, nil, r.GetId(), codes.OK, ""},
		{"IT admin", w.org, it, nil, r.GetId(), codes.OK, ""},
		{"risk manager", w.org, risk, nil, r.GetId(), codes.OK, ""},
		{"requester", w.org, member, w.ann, r.GetId(), codes.OK, ""},
		{"beneficiary", w.org, member, w.ben, r.GetId(), codes.OK, ""},
		{"beneficiary from outside", w.org, external, w.ben, r.GetId(), codes.OK, ""},
		{"beneficiary of a later event", w.org, member, w.mia, later.GetId(), codes.OK, ""},
		{"requester of a later event", w.org, member, w.ann, later.GetId(), codes.OK, ""},
		{"somebody else", w.org, member, nil, r.GetId(), codes.NotFound, "REQUEST_NOT_FOUND"},
		{"party of another request", w.org, member, w.mia, r.GetId(), codes.NotFound, "REQUEST_NOT_FOUND"},
		{"unknown request", w.org, admin, nil, id.New().String(), codes.NotFound, "REQUEST_NOT_FOUND"},
		{"admin of a foreign organization", foreign, admin, nil, r.GetId(), codes.NotFound, "REQUEST_NOT_FOUND"},
		{"requester in a foreign organization", foreign, member, w.ann, r.GetId(), codes.NotFound, "REQUEST_NOT_FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file, err := w.in(t, c.org, c.role, c.who).GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: c.request})
			if status.Code(err) != c.want || rpctest.Reason(err) != c.reason {
				t.Fatalf("got %v", err)
			}
			if c.want == codes.OK && !bytes.Contains(file.GetData(), []byte(c.request)) {
				t.Errorf("report %s", file.GetData())
			}
			_, err = w.in(t, c.org, c.role, c.who).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{})
			if sees := c.role != member && c.role != external; sees != (err == nil) || !sees && status.Code(err) != codes.PermissionDenied {
				t.Errorf("list: %v", err)
			}
		})
	}
	_, err := auditv1.NewAuditServiceClient(w.Conn(t, authz.Caller{})).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("nobody: %v", err)
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	w := start(t)
	now := time.Now().Truncate(time.Second)
	r1, r2, foreign := w.request(), w.request(), id.New()
	wiki := id.New().String()
	w.PublishAt(t, now.Add(1*time.Second), w.org, id.New(), &eventv1.RequestSubmitted{Context: w.context(r1), Request: r1})
	w.PublishAt(t, now.Add(2*time.Second), w.org, id.New(), &eventv1.RequestSubmitted{Context: w.context(r2), Request: r2})
	both := &eventv1.WorkItemResolved{Context: w.context(r1, r2)}
	both.Context.Actor = event.SystemActor("provisioning")
	w.PublishAt(t, now.Add(3*time.Second), w.org, id.New(), both)
	closed := &eventv1.RequestClosed{Context: w.context(r1), Request: r1}
	closed.Context.UserId, closed.Context.AppId = w.mia.GetUserId(), wiki
	w.PublishAt(t, now.Add(4*time.Second), w.org, id.New(), closed)
	w.PublishAt(t, now.Add(2*time.Second), foreign, id.New(), &eventv1.RequestSubmitted{Context: w.context(r1), Request: r1})
	w.handled(t)

	const submitted, resolved, ended = "request.submitted", "work_item.resolved", "request.closed"
	stamp := func(seconds int) *timestamppb.Timestamp {
		return timestamppb.New(now.Add(time.Duration(seconds) * time.Second))
	}
	for _, c := range []struct {
		name string
		req  *auditv1.ListAuditEntriesRequest
		want []string
	}{
		{"all", &auditv1.ListAuditEntriesRequest{}, []string{ended, resolved, submitted, submitted}},
		{"by a person", &auditv1.ListAuditEntriesRequest{ActorId: w.ann.GetUserId()}, []string{ended, submitted, submitted}},
		{"by the system", &auditv1.ListAuditEntriesRequest{ActorId: "provisioning"}, []string{resolved}},
		{"about a user", &auditv1.ListAuditEntriesRequest{UserId: w.mia.GetUserId()}, []string{ended}},
		{"about an app", &auditv1.ListAuditEntriesRequest{AppId: w.crm.String()}, []string{resolved, submitted, submitted}},
		{"of a request", &auditv1.ListAuditEntriesRequest{RequestId: r2.GetId()}, []string{resolved, submitted}},
		{"of a name", &auditv1.ListAuditEntriesRequest{Event: submitted}, []string{submitted, submitted}},
		{"of an aggregate", &auditv1.ListAuditEntriesRequest{Event: "request"}, []string{ended, submitted, submitted}},
		{"of half a name", &auditv1.ListAuditEntriesRequest{Event: "reques"}, nil},
		{"since", &auditv1.ListAuditEntriesRequest{Since: stamp(3)}, []string{ended, resolved}},
		{"before", &auditv1.ListAuditEntriesRequest{Before: stamp(3)}, []string{submitted, submitted}},
		{"all at once", &auditv1.ListAuditEntriesRequest{
			ActorId: w.ann.GetUserId(), UserId: w.ben.GetUserId(), AppId: w.crm.String(), RequestId: r1.GetId(), Event: submitted, Since: stamp(1), Before: stamp(2),
		}, []string{submitted}},
		{"nothing", &auditv1.ListAuditEntriesRequest{UserId: id.New().String()}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int32{0, 1} {
				req := proto.CloneOf(c.req)
				req.PageSize = size
				if got := events(list(t, w.as(t, authzv1.Caller_CALLER_RISK_MANAGER, nil), req)); !slices.Equal(got, c.want) {
					t.Errorf("page size %d: got %q", size, got)
				}
			}
		})
	}
	other := list(t, w.in(t, foreign, authzv1.Caller_CALLER_ADMIN, nil), &auditv1.ListAuditEntriesRequest{RequestId: r1.GetId()})
	if len(other) != 1 || other[0].GetOrganizationId() != foreign.String() {
		t.Errorf("foreign organization sees %v", other)
	}
}

// Pages neither repeat nor miss an entry: also where many happened at the same
// moment, while others are added, and where events are large.
func TestPages(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	moment := time.Now()
	want := map[string]bool{}
	large := strings.Repeat("x", 400_000)
	for n := range 45 {
		text := "small"
		if n%2 == 0 {
			text = large
		}
		want[w.PublishAt(t, moment, w.org, id.New(), w.comment(r, text)).String()] = true
	}
	w.handled(t)
	seen := map[string]bool{}
	req := &auditv1.ListAuditEntriesRequest{PageSize: 20}
	pages := 0
	admin := w.admin(t)
	for {
		resp, err := admin.ListAuditEntries(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, e := range resp.GetAuditEntries() {
			if seen[e.GetEventId()] || !want[e.GetEventId()] {
				t.Errorf("%s comes twice, or was not asked for", e.GetEventId())
			}
			seen[e.GetEventId()] = true
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
		w.PublishAt(t, moment.Add(time.Second), w.org, id.New(), w.comment(r, "meanwhile"))
		w.handled(t)
	}
	if len(seen) != len(want) || pages < 4 {
		t.Errorf("%d of %d entries in %d pages", len(seen), len(want), pages)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.admin(t)
	type request = auditv1.ListAuditEntriesRequest
	for _, c := range []struct {
		name  string
		call  func() error
		field string
	}{
		{"page size", lists(t, admin, &request{PageSize: -1}), "page_size"},
		{"page token", lists(t, admin, &request{PageToken: "nonsense"}), "page_token"},
		{"page token of another list", lists(t, admin, &request{PageToken: "WyJhIiwiYiJd"}), "page_token"},
		{"page token out of time", lists(t, admin, &request{PageToken: "WyI5MjIzMzcyMDM2ODU0Nzc1ODA3IiwiMSJd"}), "page_token"},
		{"actor", lists(t, admin, &request{ActorId: "a\x00b"}), "actor_id"},
		{"actor too long", lists(t, admin, &request{ActorId: strings.Repeat("a", 201)}), "actor_id"},
		{"user", lists(t, admin, &request{UserId: "ben"}), "user_id"},
		{"nil user", lists(t, admin, &request{UserId: uuid.Nil.String()}), "user_id"},
		{"app", lists(t, admin, &request{AppId: "crm"}), "app_id"},
		{"request", lists(t, admin, &request{RequestId: "1"}), "request_id"},
		{"event", lists(t, admin, &request{Event: "Grant Activated"}), "event"},
		{"event of three parts", lists(t, admin, &request{Event: "a.b.c"}), "event"},
		{"since", lists(t, admin, &request{Since: &timestamppb.Timestamp{Seconds: 1 << 60}}), "since"},
		{"before", lists(t, admin, &request{Before: &timestamppb.Timestamp{Nanos: -1}}), "before"},
		{"before since", lists(t, admin, &request{Since: timestamppb.Now(), Before: timestamppb.New(time.Unix(0, 0))}), "before"},
		{"report without request", reports(t, admin, "", "csv"), "request_id"},
		{"report of no id", reports(t, admin, "first", ""), "request_id"},
		{"report in no format", reports(t, admin, id.New().String(), "doc"), "format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.call()
			if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), c.field) {
				t.Errorf("got %v, fields %q", err, rpctest.Fields(err))
			}
		})
	}
}

func lists(t *testing.T, c auditv1.AuditServiceClient, req *auditv1.ListAuditEntriesRequest) func() error {
	return func() error {
		_, err := c.ListAuditEntries(t.Context(), req)
		return err
	}
}

func reports(t *testing.T, c auditv1.AuditServiceClient, request, format string) func() error {
	return func() error {
		_, err := c.GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: request, Format: format})
		return err
	}
}

// An event that its owner got wrong is written down all the same, and stands in
// nobody's way.
func TestStrangeEvents(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	odd := w.comment(r, "a\x00b")
	odd.Context.UserId, odd.Context.RequestIds = "not an id", []string{"nor this", r.GetId()}
	odd.Context.Actor.DisplayName, odd.Context.Actor.Kind = "A\x00nn", 99
	w.Publish(t, w.org, id.New(), odd)
	w.Publish(t, w.org, id.New(), &eventv1.CommentAdded{})
	w.Publish(t, w.org, id.New(), w.comment(r, "fine"))
	w.handled(t)
	entries := list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{})
	if len(entries) != 3 || parked(t, w) != 0 {
		t.Fatalf("%d entries, %d parked", len(entries), parked(t, w))
	}
	e := entries[2]
	if e.GetUserId() != "" || !slices.Equal(e.GetRequestIds(), []string{r.GetId()}) || e.GetActor().GetDisplayName() != "A\uFFFDnn" ||
		e.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED || !strings.Contains(e.GetData().String(), "not an id") {
		t.Errorf("got %v", e)
	}
	if e := entries[1]; e.GetActor().GetId() != "" || e.GetSummary() != "somebody commented" {
		t.Errorf("got %v", e)
	}
}

// B-AUD-03, as far as the database can hold it: the log is only ever added to. The
// service's roles may do nothing else with it, and a trigger refuses others.
func TestAppendOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	pgtest.CheckRowSecurity(t, w.DB)
	r := w.request()
	w.submit(t, r)
	w.handled(t)
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.Config.Postgres.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, sql := range []string{
		"update audit_entry set data = ''", "delete from audit_entry", "truncate audit_entry", "delete from audit_entry where false",
		"update audit_entry_request set request_id = gen_random_uuid()", "delete from audit_entry_request", "truncate audit_entry_request",
		"update request_party set user_id = gen_random_uuid()", "delete from request_party", "truncate request_party",
		"insert into audit_entry select * from audit_entry on conflict (event_id) do update set summary = 'nothing'",
		"truncate audit_entry, audit_entry_request, request_party cascade",
	} {
		refused := func(who, code string, err error) {
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != code && !strings.Contains(sql, "insert") {
				t.Errorf("%s: %s: %v", who, sql, err)
			}
		}
		err := w.DB.AsSystem(t.Context(), func(ctx ctx, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		refused("service", "42501", err)
		_, err = admin.Exec(t.Context(), sql)
		refused("superuser", "23001", err)
		_, err = admin.Exec(t.Context(), "set session_replication_role = replica; "+sql)
		refused("replication", "23001", err)
		if _, err := admin.Exec(t.Context(), "reset session_replication_role"); err != nil {
			t.Fatal(err)
		}
	}
	if got := trail(t, w.as(t, authzv1.Caller_CALLER_MEMBER, w.ben), r.GetId()); len(got) != 1 || got[0].GetSummary() == "nothing" {
		t.Errorf("trail %v", got)
	}
}

var header = []string{"Time", "Recorded", "Event", "Actor", "Summary", "User", "App"}

// B-AUD-01: the full trail can be downloaded in four forms, and each opens.
// Nobody but audit knows the request here, and whoever is in it was removed.
func TestReportInEveryFormat(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	r.Justification = `=HYPERLINK("http://bad"), "quoted", ünï`
	w.submit(t, r)
	task := &approvalv1.Task{Reviewer: w.mia, StepName: "Manager", State: approvalv1.TaskState_TASK_STATE_APPROVED}
	w.Publish(t, w.org, id.New(), &eventv1.ApprovalDecided{Context: w.context(r), Task: task, StepApproved: true})
	grant := &provisioningv1.Grant{User: w.ben, AppId: w.crm.String(), AppName: "CRM", EntitlementName: "Seller"}
	w.Publish(t, w.org, id.New(), &eventv1.GrantActivated{Context: w.context(r), Grant: grant})
	w.Publish(t, w.org, id.New(), &eventv1.UserRemoved{User: &identityv1.User{Id: w.ben.GetUserId(), DisplayName: "Ben Ruiz"}})
	formula := w.comment(r, "bye")
	formula.Comment.Author = &identityv1.Person{DisplayName: "=cmd"}
	w.Publish(t, w.org, id.New(), formula)
	w.handled(t)

	entries := trail(t, w.admin(t), r.GetId())
	want := [][]string{header}
	for i, e := range entries {
		words := []string{
			`Ann Lee asked for "Seller" in CRM for Ben Ruiz: =HYPERLINK("http://bad"), "quoted", ünï`,
			`Mia Okoye approved at step "Manager", which is now approved`, `Ben Ruiz has "Seller" in CRM`, "=cmd commented: bye",
		}[i]
		if e.GetSummary() != words || e.GetData() == nil {
			t.Errorf("entry %d: %v", i, e)
		}
		at := func(s *timestamppb.Timestamp) string { return s.AsTime().Format("2006-01-02T15:04:05.000Z") }
		want = append(want, []string{at(e.GetTime()), at(e.GetRecordTime()), e.GetEvent(), "Ann Lee", words, "Ben Ruiz", "CRM"})
	}
	if len(entries) != 4 {
		t.Fatalf("%d entries", len(entries))
	}
	file := func(format, contentType string) []byte {
		body, err := w.as(t, authzv1.Caller_CALLER_MEMBER, w.ann).GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: r.GetId(), Format: format})
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if !strings.HasPrefix(body.GetContentType(), contentType) {
			t.Errorf("%s: content type %q", format, body.GetContentType())
		}
		return body.GetData()
	}

	inCSV := slices.Clone(want)
	inCSV[4] = slices.Clone(want[4])
	inCSV[4][4] = "'=cmd commented: bye" // no formula
	if got := readCSV(t, file("csv", "text/csv")); !equal(got, inCSV) {
		t.Errorf("csv\n got %q\nwant %q", got, inCSV)
	}
	if got := readXLSX(t, file("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")); !equal(got, want) {
		t.Errorf("xlsx\n got %q\nwant %q", got, want)
	}
	text := strings.Join(readPDF(t, file("pdf", "application/pdf")), "\n")
	for _, s := range []string{"Trail of request " + r.GetId(), "Recorded", "grant.activated", "Mia Okoye", "Ben Ruiz", "Page 1 of "} {
		if !strings.Contains(text, s) {
			t.Errorf("pdf does not say %q:\n%s", s, text)
		}
	}
	body := file("json", "application/json")
	// As REST shows entries: what is empty is there too.
	var raw []map[string]any
	if err := json.Unmarshal(body, &raw); err != nil || len(raw) != 4 || raw[0]["userId"] != w.ben.GetUserId() || raw[0]["data"] == nil {
		t.Errorf("json: %v, %s", err, body)
	}
	if _, ok := raw[0]["requestIds"]; !ok || len(raw[0]) != (&auditv1.AuditEntry{}).ProtoReflect().Descriptor().Fields().Len() {
		t.Errorf("json: %v", raw[0])
	}
}

// B-AUD-01: whatever its size.
func TestBigTrail(t *testing.T) { //nolint:paralleltest // it takes much of the machine, and the calls of others time out beside it
	w := start(t)
	const n = 5000
	r := w.request()
	w.submit(t, r)
	now := time.Now().Add(time.Second)
	for i := 1; i < n; i++ {
		m := servicetest.Message(t, id.New(), now.Add(time.Duration(i)*time.Millisecond), w.org, id.New(), w.comment(r, fmt.Sprint("comment ", i)))
		if _, err := w.Bus.JetStream().PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-w.Bus.JetStream().PublishAsyncComplete()
	w.handled(t)

	began := time.Now()
	entries := trail(t, w.as(t, authzv1.Caller_CALLER_MEMBER, w.ben), r.GetId())
	t.Logf("json: %s", time.Since(began))
	if len(entries) != n || !slices.IsSortedFunc(entries, func(a, b *auditv1.AuditEntry) int { return a.GetTime().AsTime().Compare(b.GetTime().AsTime()) }) {
		t.Fatalf("%d entries", len(entries))
	}
	for format, read := range map[string]func([]byte) int{
		"csv":  func(b []byte) int { return len(readCSV(t, b)) - 1 },
		"xlsx": func(b []byte) int { return len(readXLSX(t, b)) - 1 },
		"pdf":  func(b []byte) int { return strings.Count(strings.Join(readPDF(t, b), "\n"), "Mia Okoye commented") },
	} {
		began := time.Now()
		file, err := w.admin(t).GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: r.GetId(), Format: format})
		t.Logf("%s: %s, %d bytes", format, time.Since(began), len(file.GetData()))
		if err != nil {
			t.Errorf("%s: %v", format, err)
		} else if got := read(file.GetData()); got != cmp.Or(map[string]int{"pdf": n - 1}[format], n) {
			t.Errorf("%s: %d rows", format, got)
		}
	}
	if got := list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{PageSize: 1000, RequestId: r.GetId()}); len(got) != n {
		t.Errorf("list: %d entries", len(got))
	}
}

func readCSV(t *testing.T, b []byte) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Errorf("csv: %v", err)
	}
	return rows
}

func readXLSX(t *testing.T, b []byte) [][]string {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("xlsx: %v", err)
	}
	defer f.Close()
	rows, err := f.GetRows(f.GetSheetName(0))
	if err != nil {
		t.Errorf("xlsx: %v", err)
	}
	return rows
}

// readPDF gives the lines of text of all pages.
func readPDF(t *testing.T, b []byte) []string {
	t.Helper()
	return slices.Concat(sheettest.PDFPages(t, b)...)
}

func equal(a, b [][]string) bool { return slices.EqualFunc(a, b, slices.Equal) }

// BenchmarkWrite writes events down: published before, so that batches are
// full. What it measures is all of the consumer's work for one event.
func BenchmarkWrite(b *testing.B) {
	w := start(b)
	r := w.request()
	for range b.N {
		m := servicetest.Message(b, id.New(), time.Now(), w.org, id.New(), &eventv1.ApprovalRequested{
			Context: w.context(r), RequestId: r.GetId(), StepName: "Manager", Tasks: []*approvalv1.Task{{Id: id.New().String(), Reviewer: w.mia, Request: r}},
		})
		m.Header.Set("Nats-Msg-Id", m.Header.Get("ce-id"))
		if _, err := w.Bus.JetStream().PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-w.Bus.JetStream().PublishAsyncComplete()
	began := time.Now()
	w.handled(b)
	var first, last time.Time
	var n int
	err := w.DB.AsSystemRead(b.Context(), func(ctx ctx, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select min(record_time), max(record_time), count(*) from audit_entry").Scan(&first, &last, &n)
	})
	if err != nil || n != b.N {
		b.Fatalf("%d of %d entries, %v", n, b.N, err)
	}
	b.ReportMetric(float64(last.Sub(first).Microseconds())/float64(n), "µs/event")
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-behind")
}

// B-USR-12: an admin of an environment sees what belongs to it, and nothing of
// another environment or of the organization; the organization sees all.
func TestEnvironmentsSeeTheirOwn(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := id.New(), id.New()
	requests := map[uuid.UUID]*requestv1.Request{}
	for _, environment := range []uuid.UUID{a, b, uuid.Nil} {
		r := w.request()
		requests[environment] = r
		c := w.context(r)
		if environment != uuid.Nil {
			c.EnvironmentId = environment.String()
		}
		w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Context: c, Request: r})
	}
	w.handled(t)
	user := id.New()
	caller := authz.Caller{Subject: user.String(), UserID: user, OrganizationID: w.org, EnvironmentID: a, Role: authzv1.Caller_CALLER_ADMIN}
	north := auditv1.NewAuditServiceClient(w.Conn(t, caller))
	entries := list(t, north, &auditv1.ListAuditEntriesRequest{})
	if len(entries) != 1 || entries[0].GetEnvironmentId() != a.String() {
		t.Errorf("an admin of the environment sees %v", entries)
	}
	for environment, r := range requests {
		_, err := north.GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: r.GetId()})
		want := codes.NotFound
		if environment == a {
			want = codes.OK
		}
		if got := status.Code(err); got != want {
			t.Errorf("report of a request of environment %s: %s, want %s", environment, got, want)
		}
	}
	if n := len(list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{Event: "request"})); n != 3 {
		t.Errorf("the organization sees %d entries, want 3", n)
	}
}

// B-USR-19, in part: whoever read the log a moment ago reads nothing with the
// signed token of that moment.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	user := id.New()
	c := authz.Caller{Subject: user.String(), UserID: user, OrganizationID: w.org, Role: authzv1.Caller_CALLER_ADMIN, UserVersion: 1}
	held := auditv1.NewAuditServiceClient(w.Conn(t, c))
	read := func() error {
		_, err := held.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{})
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	demoted := &identityv1.User{Id: user.String(), DisplayName: "Eve", Version: 2}
	w.Publish(t, w.org, user, &eventv1.RoleChanged{Context: w.context(), User: demoted, PreviousRole: identityv1.Role_ROLE_ADMIN})
	w.Handled(t, "audit")
	if err := read(); rpctest.Reason(err) != "TOKEN_STALE" {
		t.Errorf("read by %v", err)
	}
	c.UserVersion = 2
	held = auditv1.NewAuditServiceClient(w.Conn(t, c))
	if err := read(); err != nil {
		t.Errorf("with a token of now: %v", err)
	}
}
