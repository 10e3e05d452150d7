package request_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func TestPeopleAreNamedByUserName(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps, requests := w.apps(t, "zoe"), w.requests(t, "zoe")

	// An app: single fields and lists, made and changed.
	made, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Wiki", OwnerId: "ANN", AdminIds: []string{"ada", w.id("zoe")}, ApproverIds: []string{"pia"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := made.GetApp(); a.GetOwnerId() != w.id("ann") || !slices.Equal(a.GetAdminIds(), []string{w.id("ada"), w.id("zoe")}) || !slices.Equal(a.GetApproverIds(), []string{w.id("pia")}) {
		t.Errorf("got %v", a)
	}
	changed, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: made.GetApp().GetId(), OwnerId: "ben"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"owner_id"}},
	})
	if err != nil || changed.GetApp().GetOwnerId() != w.id("ben") {
		t.Errorf("got %v, %v", changed, err)
	}
	_, err = apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: made.GetApp().GetId(), ApproverIds: []string{"pia", "ghost"}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"approver_ids"}},
	})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN", "app.approver_ids[1]")

	// A request; a repeated call is the same by name and by id.
	in := w.grantOf("editor")
	in.BeneficiaryId, in.RequestId = "ben", id.New().String()
	first := w.submit(t, "zoe", in)
	if first.GetBeneficiary().GetUserId() != w.id("ben") {
		t.Errorf("got %v", first)
	}
	in.BeneficiaryId = w.id("ben")
	if again := w.submit(t, "zoe", in); again.GetId() != first.GetId() {
		t.Errorf("got %v, want %s", again, first.GetId())
	}
	listed, err := requests.ListRequests(t.Context(), &requestv1.ListRequestsRequest{BeneficiaryId: "Ben"})
	if err != nil || len(listed.GetRequests()) != 1 || listed.GetRequests()[0].GetId() != first.GetId() {
		t.Errorf("listed %v, %v", listed, err)
	}

	// An assignment: nobody is named twice, by name and by id.
	give := w.toAssign([]string{"ann"}, "viewer")
	give.UserIds = append(give.UserIds, "ben")
	if out, err := w.assign(t, "zoe", give); err != nil || len(out.GetRequests()) != 2 {
		t.Errorf("got %v, %v", out, err)
	}
	give.UserIds = append(give.UserIds, "ann")
	_, err = requests.AssignAccess(t.Context(), give)
	wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT", "user_ids")
	give.UserIds[2] = "ghost"
	_, err = requests.PreviewAssignment(t.Context(), &requestv1.PreviewAssignmentRequest{Assignment: give})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN", "assignment.user_ids[2]")
}

// Somebody from outside sees nobody, and is answered alike whether there is somebody of a
// name or not.
func TestNamesTellExternalsNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.requests(t, "ext")
	answer := func(beneficiary string) (code codes.Code, reason string, fields []string) {
		in := w.grantOf("editor")
		in.BeneficiaryId = beneficiary
		_, err := c.CreateRequest(t.Context(), in)
		return status.Code(err), rpctest.Reason(err), rpctest.Fields(err)
	}
	for _, name := range []string{"ben", "zoe", "ghost"} {
		if code, reason, fields := answer(name); code != codes.InvalidArgument || reason != "USER_UNKNOWN" || !slices.Equal(fields, []string{"beneficiary_id"}) {
			t.Errorf("%s: %s %s %q", name, code, reason, fields)
		}
	}
	// Of themselves the answer is that of a call without a beneficiary.
	_, without, _ := answer("")
	if _, reason, _ := answer("ext"); reason != without {
		t.Errorf("by name %q, without %q", reason, without)
	}
}

// Of a name that is free again it is the new one who is meant, and nobody who has left.
func TestNameOfSomebodyWhoLeft(t *testing.T) {
	t.Parallel()
	w := start(t)
	before := w.id("ben")
	w.leave(t, "ben")
	w.handled(t)
	in := w.grantOf("editor")
	in.BeneficiaryId = "ben"
	_, err := w.requests(t, "zoe").CreateRequest(t.Context(), in)
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN", "beneficiary_id")
	w.join(t, "ben", w.roles["ben"])
	r := w.submit(t, "zoe", in)
	if got := r.GetBeneficiary().GetUserId(); got != w.id("ben") || got == before {
		t.Errorf("for %s", got)
	}
	servicetest.Eventually(t, "listed under the new one", func() bool {
		l, err := w.requests(t, "zoe").ListRequests(t.Context(), &requestv1.ListRequestsRequest{BeneficiaryId: "ben"})
		return err == nil && len(l.GetRequests()) == 1
	})
}
