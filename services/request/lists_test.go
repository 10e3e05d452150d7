package request_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/filter/filtertest"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/store"
)

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", store.AppList, store.EntitlementList, store.CatalogList, store.BundleList, store.RequestList, store.CommentList, store.TimelineList)
	w := start(t)
	w.app(t, &requestv1.CreateAppRequest{Name: `Wiki "beta"`, Description: "a\\b", OwnerId: w.id("ben"), OfferedToAllEnvironments: true}, map[string]string{})
	admin := w.Conn(t, w.caller("zoe"))
	filtertest.Door(t, admin, store.AppList, &requestv1.ListAppsRequest{})
	filtertest.Door(t, admin, store.CatalogList, &requestv1.SearchCatalogRequest{})
	w.bundle(t, `For "all"`, w.access["viewer"])
	w.bundle(t, "For others", w.access["editor"])
	filtertest.Door(t, admin, store.BundleList, &requestv1.ListBundlesRequest{})
	filtertest.Door(t, admin, store.EntitlementList, &requestv1.ListEntitlementsRequest{AppId: w.crm.GetId()})

	asked := w.grantOf("editor", "viewer")
	asked.Justification, asked.Until = "it's \"needed\"", timestamppb.New(timestamppb.Now().AsTime().AddDate(1, 0, 0))
	r := w.submit(t, "ben", asked)
	gone := w.submit(t, "ann", w.grantOf("editor"))
	if _, err := w.requests(t, "ann").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: gone.GetId(), Reason: "no more"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ben", "ada"} {
		if _, err := w.requests(t, name).AddComment(t.Context(), &requestv1.AddCommentRequest{Id: r.GetId(), Text: "says " + name}); err != nil {
			t.Fatal(err)
		}
	}
	filtertest.Door(t, admin, store.RequestList, &requestv1.ListRequestsRequest{})
	filtertest.Door(t, w.Conn(t, w.caller("ada")), store.RequestList, &requestv1.ListRequestsRequest{})
	filtertest.Door(t, admin, store.CommentList, &requestv1.ListCommentsRequest{Id: r.GetId()})
	filtertest.Door(t, admin, store.TimelineList, &requestv1.ListTimelineRequest{Id: r.GetId()})
}

// Who may not see a request does not find it by a filter either.
func TestFilterFindsNothingHidden(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor"))
	for _, f := range []string{
		`id = "` + r.GetId() + `"`, `NOT id = ""`, `requester.userId = "` + w.id("ann") + `" OR version > 0`, `items.appId:"` + w.crm.GetId() + `"`,
		`-justification = "*never*"`,
	} {
		for name, n := range map[string]int{"ben": 0, "ext": 0, "ann": 1, "zoe": 1, "pia": 1} {
			l, err := w.requests(t, name).ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: f, OrderBy: "createTime"})
			if err != nil || len(l.GetRequests()) != n {
				t.Errorf("%s, %s: %v %v", name, f, l, err)
			}
		}
	}
	_, err := w.requests(t, "ben").ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: `fingerprint = "x"`})
	wantError(t, err, codes.InvalidArgument, "FILTER_INVALID", "filter")
	_, err = w.requests(t, "ben").ListRequests(t.Context(), &requestv1.ListRequestsRequest{OrderBy: "justification"})
	wantError(t, err, codes.InvalidArgument, "ORDER_BY_INVALID", "order_by")
}

// Who sees a part of a request does not find it by the other part.
func TestFilterFindsNoHiddenItem(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]string{}
	other := w.app(t, &requestv1.CreateAppRequest{Name: "Payroll"}, ids)
	asked := w.grantOf("editor")
	asked.EntitlementIds = append(asked.EntitlementIds, ids["account"])
	w.submit(t, "ann", asked)
	for name, n := range map[string]int{"ada": 0, "ann": 1, "zoe": 1} {
		for _, f := range []string{`items.appId:"` + other.GetId() + `"`, `items.appName:Payroll`, `items.entitlementId:"` + ids["account"] + `"`} {
			l, err := w.requests(t, name).ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: f})
			if err != nil || len(l.GetRequests()) != n {
				t.Errorf("%s, %s: %v %v", name, f, l, err)
			}
		}
		l, err := w.requests(t, name).ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: `items.appId:"` + w.crm.GetId() + `"`})
		if err != nil || len(l.GetRequests()) != 1 {
			t.Errorf("%s sees no part: %v %v", name, l, err)
		}
	}
}
