package request_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/id"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Whatever is made is made once for a request_id.
func TestRepeatedCreate(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor"))
	apps, requests := w.apps(t, "zoe"), w.requests(t, "zoe")
	for name, create := range map[string]func(ctx context.Context, name, request string) (proto.Message, error){
		"app": func(ctx context.Context, name, request string) (proto.Message, error) {
			return apps.CreateApp(ctx, &requestv1.CreateAppRequest{Name: name, RequestId: request})
		},
		"entitlement": func(ctx context.Context, name, request string) (proto.Message, error) {
			return apps.CreateEntitlement(ctx, &requestv1.CreateEntitlementRequest{
				AppId: w.crm.GetId(), Name: name, Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE, RequestId: request,
			})
		},
		"comment": func(ctx context.Context, name, request string) (proto.Message, error) {
			return requests.AddComment(ctx, &requestv1.AddCommentRequest{Id: r.GetId(), Text: name, RequestId: request})
		},
	} {
		request := id.New().String()
		first, err := create(t.Context(), "one", request)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := create(t.Context(), "one", request)
		if err != nil || !proto.Equal(again, first) {
			t.Errorf("%s, again: %v, %v\nwant %v", name, again, err, first)
		}
		_, err = create(t.Context(), "two", request)
		wantError(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED", "request_id")

		request = id.New().String()
		answers := make([]proto.Message, 2)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				var err error
				if answers[i], err = create(t.Context(), "both", request); err != nil {
					t.Errorf("%s, at the same time: %v", name, err)
				}
			})
		}
		all.Wait()
		if !proto.Equal(answers[0], answers[1]) {
			t.Errorf("%s, at the same time: two were made: %v", name, answers)
		}
	}
	listed, err := requests.ListComments(t.Context(), &requestv1.ListCommentsRequest{Id: r.GetId()})
	if err != nil || len(listed.GetComments()) != 2 || len(emitted[*eventv1.CommentAdded](t, w)) != 2 {
		t.Errorf("comments: %v, %v", listed, err)
	}
}
