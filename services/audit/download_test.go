package audit_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/servicetest"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// Whoever is given the trail of a request as a file is in the log, in each format, and
// reading a trail does not make it longer.
func TestReportsAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	w.submit(t, r)
	w.handled(t)
	user := id.New()
	c := authz.Caller{
		Subject: user.String(), UserID: user, OrganizationID: w.org, CredentialID: id.New(), Role: authzv1.Caller_CALLER_RISK_MANAGER,
		Name: "Rita Risk", Email: "rita@corp.example",
	}
	rita := auditv1.NewAuditServiceClient(w.Conn(t, c))
	for _, format := range []string{"", "json", "csv", "xlsx", "pdf"} {
		// Whoever is not the gateway does not choose the address.
		ctx := metadata.AppendToOutgoingContext(t.Context(), "gatehouse-client-address", "192.0.2.7")
		if _, err := rita.GetRequestReport(ctx, &auditv1.GetRequestReportRequest{RequestId: r.GetId(), Format: format}); err != nil {
			t.Fatalf("%q: %v", format, err)
		}
	}
	for format, want := range map[string]int{"json": 2, "csv": 1, "xlsx": 1, "pdf": 1} {
		servicetest.Wait(t, w.Harness, func(ev *eventv1.ReportDownloaded) bool { return ev.GetFormat() == format })
		got := 0
		for _, ev := range servicetest.Said[*eventv1.ReportDownloaded](t, w.Harness, "audit") {
			if ev.GetFormat() != format {
				continue
			}
			got++
			if ev.GetRequestId() != r.GetId() || ev.GetEntryCount() != 1 || ev.GetCredentialId() != c.CredentialID.String() ||
				ev.GetAddress() != "127.0.0.1" || ev.GetContext().GetActor().GetId() != user.String() {
				t.Errorf("%s: %v", format, ev)
			}
		}
		if got != want {
			t.Errorf("%s: %d, want %d", format, got, want)
		}
	}
	entries := list(t, w.admin(t), &auditv1.ListAuditEntriesRequest{Event: "report.downloaded", ActorId: user.String()})
	if len(entries) != 5 {
		t.Fatalf("%d entries", len(entries))
	}
	want := "The report of request " + r.GetId() + " was downloaded as PDF: 1 row (credential " + c.CredentialID.String() + ", address 127.0.0.1)"
	if got := entries[0].GetSummary(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if all := trail(t, w.admin(t), r.GetId()); len(all) != 1 {
		t.Errorf("the trail has grown by being read: %q", events(all))
	}
	if others := list(t, w.in(t, id.New(), authzv1.Caller_CALLER_ADMIN, nil), &auditv1.ListAuditEntriesRequest{}); len(others) != 0 {
		t.Errorf("another organization sees %q", events(others))
	}
}

// A report that cannot be written down is not given.
func TestReportIsRefusedIfItCannotBeWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request()
	w.submit(t, r)
	w.handled(t)
	admin := w.admin(t)
	breakOutbox(t, w.Config.Postgres.URL, func() {
		file, err := admin.GetRequestReport(t.Context(), &auditv1.GetRequestReportRequest{RequestId: r.GetId()})
		if err == nil || len(file.GetData()) > 0 {
			t.Errorf("given: %v %s", err, file.GetData())
		}
	})
	trail(t, admin, r.GetId())
}

// breakOutbox has nothing go into the outbox of a database while do runs.
func breakOutbox(t *testing.T, url string, do func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for i, sql := range []string{"alter table outbox add constraint broken check (false) not valid", "alter table outbox drop constraint broken"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			do()
		}
	}
}

// Denied calls are seen where other entries are: by those who see the log, within their
// environment.
func TestDeniedCallsAreSeenInTheirEnvironment(t *testing.T) {
	t.Parallel()
	w := start(t)
	north, south := id.New(), id.New()
	for _, environment := range []uuid.UUID{north, south} {
		w.Publish(t, w.org, id.New(), &eventv1.CallDenied{
			Context: &eventv1.Context{
				Actor: w.context().GetActor(), UserId: w.ann.GetUserId(), EnvironmentId: environment.String(),
			},
			Method: "gatehouse.request.v1.AppService/CreateApp", Reason: "ROLE_NOT_ALLOWED", Address: "192.0.2.7", Count: 3,
		})
	}
	w.handled(t)
	for _, role := range []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_IT_ADMIN, authzv1.Caller_CALLER_RISK_MANAGER} {
		user := id.New()
		c := authz.Caller{Subject: user.String(), UserID: user, OrganizationID: w.org, EnvironmentID: north, Role: role}
		entries := list(t, auditv1.NewAuditServiceClient(w.Conn(t, c)), &auditv1.ListAuditEntriesRequest{Event: "call.denied"})
		if len(entries) != 1 || entries[0].GetEnvironmentId() != north.String() || entries[0].GetUserId() != w.ann.GetUserId() ||
			entries[0].GetSummary() != "3 calls of AppService.CreateApp were denied: role not allowed (address 192.0.2.7)" {
			t.Errorf("%s of the environment: %v", role, entries)
		}
		if entries := list(t, w.as(t, role, nil), &auditv1.ListAuditEntriesRequest{Event: "call.denied"}); len(entries) != 2 {
			t.Errorf("%s of the organization: %d entries", role, len(entries))
		}
	}
	_, err := w.as(t, authzv1.Caller_CALLER_MEMBER, w.ann).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a member reads the log: %v", err)
	}
}
