package audit_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// How long was waited is measured in the log: until somebody is asked, from the last
// approval until access is in place, from the end time until it is gone, from an event
// until it is written down. What people do by hand is not Gatehouse's time. B-RUN-04.
func TestLatencies(t *testing.T) {
	t.Parallel()
	w := start(t)
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(d time.Duration, m proto.Message) { w.PublishAt(t, begin.Add(d), w.org, id.New(), m) }
	by := func(service string, requests ...*requestv1.Request) *eventv1.Context {
		c := w.context(requests...)
		c.Actor = event.SystemActor(service)
		return c
	}
	const ms = time.Millisecond
	for i := range 100 {
		r := w.request()
		start := time.Duration(i) * time.Second
		grant := &provisioningv1.Grant{
			Id: id.New().String(), RequestId: r.GetId(), EndReason: provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED,
			Until: timestamppb.New(begin.Add(start + 400*ms)),
		}
		wait := time.Duration(i+1) * ms
		at(start, &eventv1.RequestSubmitted{Context: w.context(r), Request: r})
		at(start+wait, &eventv1.ApprovalRequested{Context: by("approval", r), RequestId: r.GetId()})
		at(start+150*ms, &eventv1.ApprovalGranted{Context: w.context(r), Request: r})
		at(start+200*ms, &eventv1.ApprovalGranted{Context: w.context(r), Request: r}) // of another item
		at(start+200*ms+2*wait, &eventv1.GrantActivated{Context: by("provisioning", r), Grant: grant})
		at(start+401*ms, &eventv1.GrantEnded{Context: by("provisioning", r), Grant: grant})
		at(start+400*ms+3*wait, &eventv1.GrantRevoked{Context: by("provisioning", r), Grant: grant})
	}
	// None of these counts: an hour that a person took, what came back after it was held,
	// what ended otherwise, what is not gone yet, what failed and was done again by a person,
	// calls that were gathered, another organization's.
	byHand, held, ended, open, failed, stuck := w.request(), w.request(), w.request(), w.request(), w.request(), w.request()
	at(0, &eventv1.ApprovalGranted{Context: w.context(byHand), Request: byHand})
	at(50*time.Minute, &eventv1.GrantActivated{Context: w.context(byHand), Grant: &provisioningv1.Grant{}})
	at(0, &eventv1.ApprovalGranted{Context: w.context(held), Request: held})
	at(time.Minute, &eventv1.GrantHeld{Context: by("provisioning", held), Grant: &provisioningv1.Grant{}})
	at(50*time.Minute, &eventv1.GrantActivated{Context: by("provisioning", held), Grant: &provisioningv1.Grant{}})
	at(0, &eventv1.GrantEnded{Context: by("provisioning", ended), Grant: &provisioningv1.Grant{EndReason: provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED}})
	at(50*time.Minute, &eventv1.GrantRevoked{Context: by("provisioning", ended), Grant: &provisioningv1.Grant{}})
	at(0, &eventv1.GrantEnded{Context: by("provisioning", open), Grant: &provisioningv1.Grant{EndReason: provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED, Until: timestamppb.New(begin)}})
	at(0, &eventv1.ApprovalGranted{Context: w.context(failed), Request: failed})
	at(time.Minute, &eventv1.GrantFailed{Context: by("provisioning", failed), Grant: &provisioningv1.Grant{}})
	at(50*time.Minute, &eventv1.GrantActivated{Context: by("provisioning", failed), Grant: &provisioningv1.Grant{}})
	at(0, &eventv1.GrantEnded{Context: by("provisioning", stuck), Grant: &provisioningv1.Grant{EndReason: provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED, Until: timestamppb.New(begin)}})
	at(time.Minute, &eventv1.GrantFailed{Context: by("provisioning", stuck), Grant: &provisioningv1.Grant{}})
	at(50*time.Minute, &eventv1.GrantRevoked{Context: by("provisioning", stuck), Grant: &provisioningv1.Grant{}})
	at(0, &eventv1.CallDenied{Context: w.context(), CallId: id.New().String(), Count: 3})
	w.PublishAt(t, begin, id.New(), id.New(), &eventv1.RequestSubmitted{Context: w.context(open), Request: open})
	w.handled(t)

	resp, err := w.as(t, authzv1.Caller_CALLER_RISK_MANAGER, nil).GetLatencies(t.Context(), &auditv1.GetLatenciesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetBefore().AsTime().Sub(resp.GetSince().AsTime()); got != 24*time.Hour {
		t.Errorf("about %s", got)
	}
	for i, want := range []struct {
		kind              auditv1.LatencyKind
		p50, p99, longest time.Duration
	}{
		{auditv1.LatencyKind_LATENCY_KIND_PENDING, 50 * ms, 99 * ms, 100 * ms},
		{auditv1.LatencyKind_LATENCY_KIND_ACCESS, 100 * ms, 198 * ms, 200 * ms},
		{auditv1.LatencyKind_LATENCY_KIND_REMOVAL, 150 * ms, 297 * ms, 300 * ms},
	} {
		got := resp.GetLatencies()[i]
		if got.GetKind() != want.kind || got.GetCount() != 100 || got.GetP50().AsDuration() != want.p50 || got.GetP99().AsDuration() != want.p99 || got.GetLongest().AsDuration() != want.longest {
			t.Errorf("%s: %v", want.kind, got)
		}
	}
	if got := resp.GetLatencies()[3]; got.GetKind() != auditv1.LatencyKind_LATENCY_KIND_AUDIT || got.GetCount() != 714 || got.GetP50().AsDuration() < 50*time.Minute {
		t.Errorf("audit: %v", got)
	}

	none, err := w.admin(t).GetLatencies(t.Context(), &auditv1.GetLatenciesRequest{Before: timestamppb.New(begin.Add(-time.Minute))})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range none.GetLatencies() {
		if l.GetCount() != 0 || l.P50 != nil || l.P99 != nil || l.Longest != nil {
			t.Errorf("of another time: %v", l)
		}
	}

	for reason, req := range map[string]*auditv1.GetLatenciesRequest{
		"SINCE_INVALID":  {Since: timestamppb.New(begin.Add(-32 * 24 * time.Hour))},
		"BEFORE_INVALID": {Since: timestamppb.New(begin), Before: timestamppb.New(begin)},
		"TIME_INVALID":   {Since: &timestamppb.Timestamp{Seconds: 1 << 60}},
	} {
		_, err := w.admin(t).GetLatencies(t.Context(), req)
		if e, ok := apierr.From(apierr.FromCall(err)); !ok || e.Code != codes.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
