package request_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// An app that nobody uses is deleted: it is out of the catalog, its name is free, and
// what was asked for in it is still told.
func TestDeleteApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	apps := w.apps(t, "ian")
	r, g := w.hold(t, "ann", w.grantOf("editor"))
	w.handled(t)
	remove := func(in *requestv1.DeleteAppRequest) error {
		in.Id = w.crm.GetId()
		_, err := apps.DeleteApp(t.Context(), in)
		return err
	}
	_, err := w.apps(t, "ann").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: w.crm.GetId()})
	wantError(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	_, err = w.apps(t, "olga").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: w.crm.GetId(), EndAccess: true})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	wantError(t, remove(&requestv1.DeleteAppRequest{Etag: "another", EndAccess: true}), codes.Aborted, "ETAG_MISMATCH")
	err = remove(&requestv1.DeleteAppRequest{})
	wantError(t, err, codes.FailedPrecondition, "APP_IN_USE")
	if metadata(err, "grants") != "1" || metadata(err, "open_requests") != "0" {
		t.Errorf("got %v", err)
	}
	w.publishAll(t, take(g)...)
	open := w.submit(t, "ben", w.grantOf("viewer"))
	w.handled(t)
	err = remove(&requestv1.DeleteAppRequest{})
	wantError(t, err, codes.FailedPrecondition, "APP_IN_USE")
	if metadata(err, "grants") != "0" || metadata(err, "open_requests") != "1" {
		t.Errorf("got %v", err)
	}
	if _, err := w.requests(t, "ben").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: open.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.publishAll(t, w.cancelled(open, "ben", "not needed"))
	w.wantState(t, open, requestv1.RequestState_REQUEST_STATE_CANCELLED)

	if err := remove(&requestv1.DeleteAppRequest{Etag: w.crm.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.AppDeleted) bool { return m.GetApp().GetId() == w.crm.GetId() })
	if ev.GetApp().GetDeleteTime() == nil || ev.GetApp().GetVersion() != 2 || ev.GetContext().GetVersion() != 2 || ev.GetContext().GetActor().GetId() != w.id("ian") {
		t.Errorf("emitted %v", ev)
	}
	got, err := w.apps(t, "ann").GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()})
	if err != nil || !proto.Equal(got.GetApp(), ev.GetApp()) {
		t.Errorf("got %v, %v", got, err)
	}
	listed, err := apps.ListApps(t.Context(), &requestv1.ListAppsRequest{})
	if err != nil || len(listed.GetApps()) != 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
	wantError(t, remove(&requestv1.DeleteAppRequest{}), codes.NotFound, "APP_NOT_FOUND")
	_, err = apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: w.crm.GetId(), Name: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
	})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: w.crm.GetId(), Name: "x", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: w.crm.GetId()})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	if all, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: "-"}); err != nil || len(all.GetEntitlements()) != 0 {
		t.Errorf("in all apps: %v, %v", all, err)
	}
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), w.grantOf("viewer"))
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN")
	if told := w.get(t, r); told.GetItems()[0].GetAppName() != "CRM" {
		t.Errorf("told %v", told)
	}
	// A join-flow that still names it gives nothing of it, and is not held up.
	flow := id.New().String()
	w.publish(t, flow, &eventv1.FlowMatched{FlowId: flow, FlowVersion: 1, FlowName: "Staff", UserId: w.id("ben"), JoinCount: 1, EntitlementIds: []string{w.access["viewer"]}})
	w.handled(t)
	if _, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "crm"}); err != nil {
		t.Errorf("its name is not free: %v", err)
	}
}

// With end_access what is open is cancelled, as a whole, with the reason in its
// trail, and the event has the rest end.
func TestDeleteAppEndsAccess(t *testing.T) {
	t.Parallel()
	w := start(t)
	other := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", ApproverIds: []string{w.id("pia")}}, other)
	both := w.grantOf("editor")
	both.EntitlementIds = append(both.EntitlementIds, other["account"])
	pending, beside := w.submit(t, "ann", both), w.submit(t, "ben", &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{other["account"]}, Justification: "x",
	})
	w.publishAll(t, w.requested(pending, "pia"))
	approved := w.submit(t, "ben", w.grantOf("viewer"))
	w.publishAll(t, w.granted(approved))
	w.wantState(t, approved, requestv1.RequestState_REQUEST_STATE_APPROVED)

	out, err := w.apps(t, "zoe").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: w.crm.GetId(), EndAccess: true})
	if err != nil || out.GetApp().GetDeleteTime() == nil {
		t.Fatalf("got %v, %v", out, err)
	}
	w.wantState(t, pending, requestv1.RequestState_REQUEST_STATE_CANCELLING)
	asked := servicetest.Wait(t, w.Harness, func(m *eventv1.RequestCancelRequested) bool { return m.GetRequestId() == pending.GetId() })
	if asked.GetReason() != "the app CRM was deleted" || asked.GetContext().GetActor().GetId() != w.id("zoe") {
		t.Errorf("asked %v", asked)
	}
	w.wantState(t, beside, requestv1.RequestState_REQUEST_STATE_SUBMITTED)
	// What was approved before is provisioning's to end; the item says why.
	g := grant(approved, 0)
	g.State, g.EndReason = provisioningv1.GrantState_GRANT_STATE_REVOKED, provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED
	w.publishAll(t, grantEvent("revoked", g))
	if got := w.wantState(t, approved, requestv1.RequestState_REQUEST_STATE_CANCELLED, requestv1.ItemState_ITEM_STATE_CANCELLED); got.GetClosingReason() != "not put in place: the app was deleted" {
		t.Errorf("closed: %q", got.GetClosingReason())
	}
}

func TestDeleteEntitlement(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "ian")
	remove := func(name string, in *requestv1.DeleteEntitlementRequest) error {
		in.AppId, in.Id = w.crm.GetId(), w.access[name]
		_, err := apps.DeleteEntitlement(t.Context(), in)
		return err
	}
	wantError(t, remove("account", &requestv1.DeleteEntitlementRequest{EndAccess: true}), codes.FailedPrecondition, "ACCOUNT_ENTITLEMENT")
	open := w.submit(t, "ann", w.grantOf("editor"))
	err := remove("editor", &requestv1.DeleteEntitlementRequest{})
	wantError(t, err, codes.FailedPrecondition, "ENTITLEMENT_IN_USE")
	if metadata(err, "open_requests") != "1" {
		t.Errorf("got %v", err)
	}
	wantError(t, remove("editor", &requestv1.DeleteEntitlementRequest{Etag: "x", EndAccess: true}), codes.Aborted, "ETAG_MISMATCH")
	if err := remove("editor", &requestv1.DeleteEntitlementRequest{EndAccess: true}); err != nil {
		t.Fatal(err)
	}
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.EntitlementDeleted) bool { return m.GetEntitlement().GetId() == w.access["editor"] })
	if ev.GetEntitlement().GetDeleteTime() == nil || ev.GetContext().GetVersion() != 2 || ev.GetAppName() != "CRM" {
		t.Errorf("emitted %v", ev)
	}
	w.wantState(t, open, requestv1.RequestState_REQUEST_STATE_CANCELLING)
	wantError(t, remove("editor", &requestv1.DeleteEntitlementRequest{}), codes.NotFound, "ENTITLEMENT_NOT_FOUND")
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), w.grantOf("editor"))
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN")
	for _, of := range []string{w.crm.GetId(), "-"} {
		listed, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: of, Filter: `appId = "` + w.crm.GetId() + `"`})
		if err != nil || len(listed.GetEntitlements()) != 2 {
			t.Errorf("listed of %s %v, %v", of, listed, err)
		}
	}
	if _, err := apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: w.crm.GetId(), Name: "Editor", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE}); err != nil {
		t.Errorf("its name is not free: %v", err)
	}
}

// A request that is made while its app is deleted is either there before, and then
// keeps the app or is cancelled, or is refused.
func TestRequestBesideDeletion(t *testing.T) {
	t.Parallel()
	w := start(t)
	for range 12 {
		ids := map[string]string{}
		a := w.app(t, &requestv1.CreateAppRequest{Name: uuid.NewString()}, ids)
		var both sync.WaitGroup
		var made *requestv1.Request
		var refused, kept error
		both.Go(func() {
			r, err := w.requests(t, "ann").CreateRequest(t.Context(), &requestv1.CreateRequestRequest{
				Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{ids["account"]}, Justification: "x",
			})
			made, refused = r.GetRequest(), err
		})
		both.Go(func() {
			_, kept = w.apps(t, "zoe").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: a.GetId()})
		})
		both.Wait()
		switch {
		case refused == nil && kept == nil:
			t.Fatalf("request %s is for an app that was deleted as unused", made.GetId())
		case refused != nil && kept != nil:
			t.Fatalf("neither: %v, %v", refused, kept)
		case refused != nil && rpctest.Reason(refused) != "ENTITLEMENT_UNKNOWN":
			t.Fatal(refused)
		case kept != nil && rpctest.Reason(kept) != "APP_IN_USE":
			t.Fatal(kept)
		}
	}
}
