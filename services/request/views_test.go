package request_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/rpctest"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// listed are the ids of the requests that somebody sees in a view, the newest first; it
// checks that as many are counted.
func (w *world) listed(t testing.TB, name string, view requestv1.RequestView, search string) (ids []string) {
	t.Helper()
	w.handled(t)
	list, err := w.requests(t, name).ListRequests(t.Context(), &requestv1.ListRequestsRequest{View: view, Search: search})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list.GetRequests() {
		ids = append(ids, r.GetId())
	}
	count, err := w.requests(t, name).CountRequests(t.Context(), &requestv1.CountRequestsRequest{View: view, Search: search})
	if err != nil || int(count.GetCount()) != len(ids) || count.GetMore() {
		t.Errorf("%s counts %v, %v of %d", name, count, err, len(ids))
	}
	return ids
}

const (
	viewOpen   = requestv1.RequestView_REQUEST_VIEW_OPEN
	viewClosed = requestv1.RequestView_REQUEST_VIEW_CLOSED
	viewAction = requestv1.RequestView_REQUEST_VIEW_ACTION_REQUIRED
)

// B-REQ-06, B-REQ-07: everybody sees in each view what is theirs to see, and as action
// required what waits for them, and nothing else.
func TestViews(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := make(map[string]string)
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki of writers", AdminIds: []string{w.id("ben")}}, ids)
	crm := w.submit(t, "ann", w.grantOf("account"))
	other := w.submit(t, "pia", &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{ids["account"]}})
	pia := w.taskIn(crm, 1, "pia")
	w.publishAll(t, w.opened(crm, 1, 2, []int32{1}, pia), w.opened(other, 1, 2, []int32{1}, w.taskIn(other, 1, "ben")))

	want := func(view requestv1.RequestView, search string, see map[string][]string) {
		t.Helper()
		for name, ids := range see {
			if got := w.listed(t, name, view, search); !slices.Equal(got, ids) {
				t.Errorf("%s, %s %q: sees %v, want %v", name, view, search, got, ids)
			}
		}
	}
	a, b := crm.GetId(), other.GetId()
	want(viewOpen, "", map[string][]string{"ann": {a}, "pia": {b, a}, "ada": {a}, "ben": {b}, "zoe": {b, a}, "ian": {b, a}, "ria": {b, a}, "ext": nil})
	want(viewAction, "", map[string][]string{"ann": nil, "pia": {a}, "ada": nil, "ben": {b}, "zoe": nil, "ian": nil, "ria": nil})

	// Names are found as they are now, of what is seen.
	want(viewOpen, "WRI", map[string][]string{"zoe": {b}, "ada": nil, "pia": {b}})
	want(viewOpen, "pi wi", map[string][]string{"zoe": {b}, "ben": {b}, "ann": nil})
	want(viewOpen, "an", map[string][]string{"zoe": {a}, "ada": {a}, "ben": nil})
	want(viewOpen, "iki", map[string][]string{"zoe": nil})
	if _, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{App: &requestv1.App{Id: wiki.GetId(), Name: "Almanac"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}}}); err != nil {
		t.Fatal(err)
	}
	want(viewOpen, "alma", map[string][]string{"zoe": {b}, "ben": {b}, "ada": nil})
	want(viewOpen, "wiki", map[string][]string{"zoe": nil})

	w.publishAll(t, w.granted(crm))
	want(viewAction, "", map[string][]string{"pia": nil})
	item, opened := w.workItem(crm, provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN)
	w.publishAll(t, opened)
	want(viewAction, "", map[string][]string{"ada": {a}, "ian": {a}, "zoe": {a}, "pia": nil, "ben": {b}, "ria": nil})
	_, emissions := give(crm, 0)
	w.publishAll(t, append(emissions, w.resolves(crm, item, "ada"))...)
	w.closed(t, crm)
	want(viewAction, "", map[string][]string{"ada": nil, "ian": nil})
	want(viewOpen, "", map[string][]string{"ada": nil, "pia": {b}, "zoe": {b}})
	want(viewClosed, "", map[string][]string{"ada": {a}, "pia": {a}, "ben": nil, "zoe": {a}, "ria": {a}})
}

// B-REQ-10: what is requested or held already leads to the request by which it is, those
// who may see that.
func TestFirstRequest(t *testing.T) {
	t.Parallel()
	w := start(t)
	in := w.grantOf("account")
	in.BeneficiaryId = w.id("ben")
	first := w.submit(t, "zoe", in)
	check := func(reason string) {
		t.Helper()
		for name, want := range map[string]string{"zoe": first.GetId(), "ada": first.GetId(), "ben": first.GetId(), "ann": ""} {
			preview, err := w.requests(t, name).PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
			if err != nil {
				t.Fatal(err)
			}
			if got := preview.GetItems()[0]; got.GetRefusal() != reason || got.GetRequestId() != want {
				t.Errorf("%s is shown %s of %q, want %q", name, got.GetRefusal(), got.GetRequestId(), want)
			}
			_, err = w.requests(t, name).CreateRequest(t.Context(), in)
			if rpctest.Reason(err) != reason || metadata(err, "request") != want {
				t.Errorf("%s is told %v of %q, want %q", name, err, metadata(err, "request"), want)
			}
		}
	}
	check("ALREADY_REQUESTED")
	_, emissions := give(first, 0)
	w.publishAll(t, append([]emission{w.granted(first)}, emissions...)...)
	w.closed(t, first)
	check("ALREADY_HELD")
}
