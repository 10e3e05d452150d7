package request_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const itemGivenUp = requestv1.ItemState_ITEM_STATE_GIVEN_UP

func (w *world) giveUp(t testing.TB, who string, r *requestv1.Request, items ...int) (*requestv1.Request, error) {
	t.Helper()
	in := &requestv1.GiveUpRequestRequest{Id: r.GetId(), Reason: " the app is broken "}
	for _, i := range items {
		in.ItemIds = append(in.ItemIds, r.GetItems()[i].GetId())
	}
	out, err := w.requests(t, who).GiveUpRequest(t.Context(), in)
	return out.GetRequest(), err
}

// failing has provisioning fail to put an item in place.
func failing(r *requestv1.Request, item int) (*provisioningv1.Grant, []emission) {
	g := grant(r, item)
	bad := next(g, provisioningv1.GrantState_GRANT_STATE_FAILED)
	return bad, []emission{grantEvent("created", g), grantEvent("failed", bad)}
}

// endedAsGivenUp has provisioning end a grant that was given up, and take away what was there.
func endedAsGivenUp(g *provisioningv1.Grant) []emission {
	revoking := next(g, provisioningv1.GrantState_GRANT_STATE_REVOKING)
	revoking.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP
	revoked := next(revoking, provisioningv1.GrantState_GRANT_STATE_REVOKED)
	revoked.EndReason = revoking.GetEndReason()
	return []emission{grantEvent("ended", revoking), grantEvent("revoked", revoked)}
}

// B-PRV-16: a request whose app fails is given up by who made it, and says so; asking
// again changes nothing, and what provisioning says of it is taken once.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor"))
	bad, emissions := failing(r, 0)
	w.publishAll(t, append([]emission{w.granted(r)}, emissions...)...)
	w.wantState(t, r, approved, itemFailed)
	got, err := w.giveUp(t, "ann", r)
	if err != nil || !proto.Equal(got, w.get(t, r)) {
		t.Fatalf("got %v %v", got, err)
	}
	if g := got.GetItems()[0].GetGiveUp(); g.GetBy().GetUserId() != w.id("ann") || g.GetReason() != "the app is broken" || g.GetTime() == nil || got.GetState() != approved {
		t.Errorf("to be given up: %v", got)
	}
	if again, err := w.giveUp(t, "zoe", r, 0); err != nil || !proto.Equal(again, got) {
		t.Errorf("again: %v %v", again, err)
	}
	asked := emitted[*eventv1.RequestGiveUpRequested](t, w)
	if len(asked) != 1 || !slices.Equal(asked[0].GetItemIds(), []string{r.GetItems()[0].GetId()}) || asked[0].GetReason() != "the app is broken" ||
		asked[0].GetContext().GetActor().GetId() != w.id("ann") || asked[0].GetContext().GetUserId() != w.id("ann") || asked[0].GetContext().GetAppId() != w.crm.GetId() ||
		!proto.Equal(asked[0].GetRequest(), asTold(got)) {
		t.Fatalf("emitted %v", asked)
	}

	w.twice(t, append(endedAsGivenUp(bad), emissions...)...)
	closed := w.closed(t, r).GetRequest()
	got = w.wantState(t, r, cancelled, itemGivenUp)
	if !proto.Equal(closed, asTold(got)) || got.GetClosingReason() != "given up: the app is broken" || got.GetClosedBy().GetUserId() != w.id("ann") || got.GetItems()[0].GetGiveUp() == nil {
		t.Errorf("emitted\n%v, reads\n%v", closed, got)
	}
	if n := w.closings(t, r); n != 1 {
		t.Errorf("closed %d times", n)
	}
	events := w.timeline(t, r)
	for _, e := range []string{"request.give_up_requested", "grant.ended", "grant.revoked", "request.closed"} {
		if !slices.Contains(events, e) {
			t.Errorf("timeline %q", events)
		}
	}
	if got, err := w.giveUp(t, "ann", r); err != nil || got.GetState() != cancelled {
		t.Errorf("once more: %v %v", got, err)
	}
	list, err := w.requests(t, "zoe").ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: "items.state : ITEM_STATE_GIVEN_UP"})
	if err != nil || len(list.GetRequests()) != 1 {
		t.Errorf("listed: %v %v", list, err)
	}
	w.submit(t, "ann", w.grantOf("editor")) // it can be asked for again
}

// B-PRV-16: provisioning has the last word, in whatever order it is heard.
func TestGiveUpOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		name  string
		item  string
		said  func(g *provisioningv1.Grant) []emission
		want  requestv1.ItemState
		state requestv1.RequestState
	}{
		{"before there is a grant, which is over at once", "account", func(g *provisioningv1.Grant) []emission { return endedAsGivenUp(g)[1:] }, itemGivenUp, cancelled},
		{"gone is heard before ended", "editor", func(g *provisioningv1.Grant) []emission {
			es := append([]emission{grantEvent("created", g)}, endedAsGivenUp(g)...)
			slices.Reverse(es)
			return es
		}, itemGivenUp, cancelled},
		{"in place first", "viewer", func(g *provisioningv1.Grant) []emission {
			return []emission{grantEvent("created", g), grantEvent("activated", next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE))}
		}, itemFulfilled, fulfilled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.submit(t, "ben", w.grantOf(tt.item))
			w.publishAll(t, w.granted(r))
			w.wantState(t, r, approved, itemApproved)
			if _, err := w.giveUp(t, "ben", r, 0); err != nil {
				t.Fatal(err)
			}
			w.publishAll(t, tt.said(grant(r, 0))...)
			if got := w.wantState(t, r, tt.state, tt.want); got.GetItems()[0].GetGiveUp() == nil {
				t.Errorf("does not say who wanted it given up: %v", got)
			}
			if n := w.closings(t, r); n != 1 {
				t.Errorf("closed %d times", n)
			}
		})
	}
}

// B-REQ-19, B-REQ-20, B-PRV-16: of several items those that can be are given up; the
// others go on with the approval that there is, and the request says how each ended.
func TestGiveUpPart(t *testing.T) {
	t.Parallel()
	w := start(t)
	other := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", ApproverIds: []string{w.id("ben")}}, other)
	in := w.grantOf("editor", "viewer")
	in.EntitlementIds = append(in.EntitlementIds, other["account"])
	r := w.submit(t, "ann", in)
	_, place := give(r, 0)
	bad, fail := failing(r, 1)
	wiki, wikiFails := failing(r, 2)
	w.publishAll(t, slices.Concat([]emission{w.requested(r, "pia"), w.granted(r)}, place, fail, wikiFails)...)
	w.wantState(t, r, approved, itemFulfilled, itemFailed, itemFailed)
	_, err := w.giveUp(t, "ann", r, 0, 1)
	wantError(t, err, codes.FailedPrecondition, "ITEM_FULFILLED")
	if metadata(err, "item") != r.GetItems()[0].GetId() || !strings.Contains(err.Error(), "CRM: editor") || w.get(t, r).GetItems()[1].GetGiveUp() != nil {
		t.Errorf("refused as %v", err)
	}
	got, err := w.giveUp(t, "ann", r)
	if err != nil || got.GetItems()[0].GetGiveUp() != nil || got.GetItems()[1].GetGiveUp() == nil || got.GetItems()[2].GetGiveUp() == nil {
		t.Fatalf("got %v %v", got, err)
	}
	// Who sees the part of one app does not read of another's.
	out, err := w.requests(t, "pia").ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
	if err != nil || !slices.ContainsFunc(out.GetEntries(), func(e *requestv1.TimelineEntry) bool {
		return e.GetText() == "2 items are to be given up: the app is broken"
	}) {
		t.Errorf("pia reads %v %v", out, err)
	}
	end := endedAsGivenUp(bad)
	w.publishAll(t, end[0]) // what may be left in the app does not hold it up
	w.wantState(t, r, approved, itemFulfilled, itemGivenUp, itemFailed)
	w.publishAll(t, end[1])
	w.wantState(t, r, approved, itemFulfilled, itemGivenUp, itemFailed)
	active := next(wiki, provisioningv1.GrantState_GRANT_STATE_ACTIVE) // mended before that was heard
	w.publishAll(t, grantEvent("activated", active))
	if got := w.wantState(t, r, partly, itemFulfilled, itemGivenUp, itemFulfilled); got.GetClosingReason() == "" || w.closings(t, r) != 1 {
		t.Errorf("closed as %v", got)
	}
}

// B-PRV-16, B-PRV-11: who may not give up, and what cannot be; what is refused changes
// nothing.
func TestGiveUpRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ben", w.grantOf("editor"))
	w.publishAll(t, w.requested(r, "pia"))
	w.wantState(t, r, pending, itemWaiting)
	_, err := w.giveUp(t, "ben", r, 0)
	wantError(t, err, codes.FailedPrecondition, "ITEM_NOT_APPROVED")
	_, err = w.giveUp(t, "ben", r)
	wantError(t, err, codes.FailedPrecondition, "NOTHING_TO_GIVE_UP")
	w.publishAll(t, w.granted(r))
	w.wantState(t, r, approved, itemApproved)
	for _, who := range []string{"pia", "ada", "ria"} { // who see it
		_, err = w.giveUp(t, who, r)
		wantError(t, err, codes.PermissionDenied, "NOT_YOUR_REQUEST")
	}
	for _, who := range []string{"ann", "ext"} { // ben's manager, who did not ask
		_, err = w.giveUp(t, who, r)
		wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
	}
	c := w.requests(t, "ben")
	_, err = c.GiveUpRequest(t.Context(), &requestv1.GiveUpRequestRequest{Id: r.GetId(), Reason: "x", ItemIds: []string{id.New().String()}})
	wantError(t, err, codes.InvalidArgument, "ITEM_UNKNOWN")
	_, err = c.GiveUpRequest(t.Context(), &requestv1.GiveUpRequestRequest{Id: r.GetId(), Reason: "  "})
	wantError(t, err, codes.InvalidArgument, "BLANK")
	_, err = c.GiveUpRequest(t.Context(), &requestv1.GiveUpRequestRequest{Id: r.GetId()})
	wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT", "reason")
	if got := w.get(t, r); got.GetItems()[0].GetGiveUp() != nil || len(emitted[*eventv1.RequestGiveUpRequested](t, w)) != 0 {
		t.Errorf("refused, and yet %v", got)
	}
	if _, err := w.giveUp(t, "ian", r); err != nil {
		t.Error(err)
	}

	// Who asked for somebody else, and what takes away.
	forBen := w.grantOf("viewer")
	forBen.BeneficiaryId = w.id("ben")
	asked := w.submit(t, "ann", forBen)
	w.publishAll(t, w.granted(asked))
	w.wantState(t, asked, approved)
	if _, err := w.giveUp(t, "ann", asked); err != nil {
		t.Error(err)
	}
	w.hold(t, "ann", w.grantOf("account"))
	back := w.submit(t, "ann", w.revokeOf("account"))
	w.publishAll(t, w.granted(back))
	w.wantState(t, back, approved)
	_, err = w.giveUp(t, "ann", back)
	wantError(t, err, codes.FailedPrecondition, "REVOCATION_NOT_GIVEN_UP")
	denied := w.submit(t, "ann", w.grantOf("editor"))
	w.publishAll(t, w.denied(denied, "pia", "no"))
	w.closed(t, denied)
	_, err = w.giveUp(t, "ann", denied, 0)
	wantError(t, err, codes.FailedPrecondition, "ITEM_CLOSED")
}

// Two who give up at the same moment, and the event that says that it is in place: each
// sees what the other has done.
func TestGiveUpBesideEvents(t *testing.T) {
	t.Parallel()
	w := start(t)
	for range 8 {
		r := w.submit(t, "ann", w.grantOf("editor"))
		w.publishAll(t, w.granted(r))
		w.wantState(t, r, approved)
		g, place := give(r, 0)
		done := make(chan error)
		for range 2 {
			go func() {
				_, err := w.requests(t, "ann").GiveUpRequest(t.Context(), &requestv1.GiveUpRequestRequest{Id: r.GetId(), Reason: "no"})
				done <- err
			}()
		}
		w.publishAll(t, place...)
		for range 2 {
			if err := <-done; err != nil {
				wantError(t, err, codes.FailedPrecondition, "NOTHING_TO_GIVE_UP")
			}
		}
		w.wantState(t, r, fulfilled, itemFulfilled)
		n := 0
		for _, m := range servicetest.All[*eventv1.RequestGiveUpRequested](w.Harness) {
			if m.GetRequest().GetId() == r.GetId() {
				n++
			}
		}
		if n > 1 {
			t.Errorf("asked for %d times", n)
		}
		w.publishAll(t, take(g)...)
		w.handled(t)
	}
}

// B-PRV-16: what a flow or an admin gives is given up by admins, and not by who gets it.
func TestGiveUpWhatWasGiven(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	w.publishAll(t, f.matches(1, "account"))
	r := f.made(t, 1)[0]
	w.publishAll(t, w.granted(r))
	w.wantState(t, r, approved, itemApproved)
	for name, reason := range map[string]string{"ben": "NOT_YOUR_REQUEST", "zoe": ""} {
		if _, err := w.giveUp(t, name, r); rpctest.Reason(err) != reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}
