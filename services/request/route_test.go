package request_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-CAT-05: a preview says who would decide each item that would be taken, as approval
// says; while it does not, asking goes on. Nothing is asked about what somebody may not
// ask for.
func TestPreviewSaysWhoDecides(t *testing.T) {
	t.Parallel()
	w := start(t)
	held := w.submit(t, "ben", &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{w.access["viewer"]}, Justification: "to read",
	})
	until := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Second))
	in := &requestv1.PreviewRequestRequest{Request: &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, BeneficiaryId: w.users["ben"].GetId(), Until: until, Justification: "to write",
		EntitlementIds: []string{w.access["account"], w.access["viewer"], w.access["editor"]},
	}}
	look := func() []*requestv1.PreviewItem {
		t.Helper()
		out, err := w.requests(t, "ann").PreviewRequest(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetItems()
	}

	// Approval is away.
	for _, i := range look() {
		if i.GetRoute() != nil {
			t.Errorf("a route from nowhere: %v", i)
		}
	}

	manager := &requestv1.Route{Steps: []*requestv1.RouteStep{{Name: "Manager", NeededApprovals: 1, ReviewerCount: 1}}}
	w.routes.Store(&[]*requestv1.Route{manager, {Automatic: true}})
	items := look()
	if items[0].GetRoute().GetSteps()[0].GetName() != "Manager" || items[1].GetRoute() != nil || !items[2].GetRoute().GetAutomatic() {
		t.Errorf("%v", items)
	}
	if items[1].GetRefusal() != "ALREADY_REQUESTED" {
		t.Errorf("%s is requested by %s: %v", w.access["viewer"], held.GetId(), items[1])
	}
	asked := w.asked.Load()
	if len(asked.GetItems()) != 2 || asked.GetItems()[1].GetEntitlementId() != w.access["editor"] || asked.GetItems()[0].GetAppId() != w.crm.GetId() ||
		asked.GetRequester().GetUserId() != w.users["ann"].GetId() || asked.GetBeneficiary().GetUserId() != w.users["ben"].GetId() ||
		!asked.GetUntil().AsTime().Equal(until.AsTime()) || asked.GetKind() != requestv1.RequestKind_REQUEST_KIND_GRANT {
		t.Errorf("asked about %v", asked)
	}

	// An item that approval would refuse has no route.
	w.routes.Store(&[]*requestv1.Route{{}, manager})
	if items := look(); items[0].GetRoute() != nil || items[2].GetRoute() == nil {
		t.Errorf("%v", items)
	}

	// Somebody external, who asks for what they were let in for, is told names and no addresses.
	w.flow(t, func(f *approvalv1.Flow) { f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ext")}} })
	w.routes.Store(&[]*requestv1.Route{{Steps: []*requestv1.RouteStep{{Name: "Approver", Reviewers: []*requestv1.RouteReviewer{{Person: w.person("pia")}}}}}})
	for _, who := range []string{"ext", "ann"} {
		out, err := w.requests(t, who).PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: &requestv1.CreateRequestRequest{
			Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{w.access["account"]}, Justification: "to write",
		}})
		if err != nil || len(out.GetItems()[0].GetRoute().GetSteps()) != 1 {
			t.Fatal(who, out, err)
		}
		p := out.GetItems()[0].GetRoute().GetSteps()[0].GetReviewers()[0].GetPerson()
		if p.GetDisplayName() != w.person("pia").GetDisplayName() || (p.GetEmail() != "") != (who == "ann") {
			t.Errorf("%s is told of %v", who, p)
		}
	}

	w.asked.Store(nil)
	_, err := w.requests(t, "ext").PreviewRequest(t.Context(), in)
	if rpctest.Reason(err) != "ONLY_FOR_ONESELF" || w.asked.Load() != nil {
		t.Errorf("somebody else's: %v, asked %v", err, w.asked.Load())
	}
}
