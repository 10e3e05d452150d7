package request_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-USR-12 in part: the catalog and requests do not know environments, so that
// they are closed to who holds a role in one, by every RPC. Missing: that an
// environment has a catalog and requests of its own.
func TestClosedToEnvironments(t *testing.T) {
	t.Parallel()
	w := start(t)
	user := id.New()
	conn := w.Conn(t, authz.Caller{
		Subject: user.String(), UserID: user, OrganizationID: w.org, EnvironmentID: id.New(), Role: authzv1.Caller_CALLER_ADMIN,
	})
	apps, requests := requestv1.NewAppServiceClient(conn), requestv1.NewRequestServiceClient(conn)
	app, entitlement, nobody := w.crm.GetId(), w.access["editor"], id.New().String()
	for name, call := range map[string]func(context.Context) error{
		"CreateApp": func(ctx context.Context) error {
			_, err := apps.CreateApp(ctx, &requestv1.CreateAppRequest{Name: "Mine"})
			return err
		},
		"GetApp": func(ctx context.Context) error {
			_, err := apps.GetApp(ctx, &requestv1.GetAppRequest{Id: app})
			return err
		},
		"ListApps": func(ctx context.Context) error {
			_, err := apps.ListApps(ctx, &requestv1.ListAppsRequest{})
			return err
		},
		"UpdateApp": func(ctx context.Context) error {
			_, err := apps.UpdateApp(ctx, &requestv1.UpdateAppRequest{
				App: &requestv1.App{Id: app, Name: "Mine"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
			})
			return err
		},
		"CreateEntitlement": func(ctx context.Context) error {
			_, err := apps.CreateEntitlement(ctx, &requestv1.CreateEntitlementRequest{
				AppId: app, Name: "Mine", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE, Ref: "mine",
			})
			return err
		},
		"ListEntitlements": func(ctx context.Context) error {
			_, err := apps.ListEntitlements(ctx, &requestv1.ListEntitlementsRequest{AppId: app})
			return err
		},
		"CreateRequest": func(ctx context.Context) error {
			_, err := requests.CreateRequest(ctx, &requestv1.CreateRequestRequest{
				Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{entitlement}, Justification: "please",
			})
			return err
		},
		"PreviewRequest": func(ctx context.Context) error {
			_, err := requests.PreviewRequest(ctx, &requestv1.PreviewRequestRequest{Request: &requestv1.CreateRequestRequest{
				Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{entitlement}, Justification: "please",
			}})
			return err
		},
		"GetRequest": func(ctx context.Context) error {
			_, err := requests.GetRequest(ctx, &requestv1.GetRequestRequest{Id: nobody})
			return err
		},
		"ListRequests": func(ctx context.Context) error {
			_, err := requests.ListRequests(ctx, &requestv1.ListRequestsRequest{})
			return err
		},
		"CancelRequest": func(ctx context.Context) error {
			_, err := requests.CancelRequest(ctx, &requestv1.CancelRequestRequest{Id: nobody})
			return err
		},
		"AddComment": func(ctx context.Context) error {
			_, err := requests.AddComment(ctx, &requestv1.AddCommentRequest{RequestId: nobody, Text: "hello"})
			return err
		},
		"ListComments": func(ctx context.Context) error {
			_, err := requests.ListComments(ctx, &requestv1.ListCommentsRequest{RequestId: nobody})
			return err
		},
		"ListTimeline": func(ctx context.Context) error {
			_, err := requests.ListTimeline(ctx, &requestv1.ListTimelineRequest{RequestId: nobody})
			return err
		},
	} {
		if err := call(t.Context()); status.Code(err) != codes.PermissionDenied || !apierr.HasReason(apierr.FromCall(err), "ENVIRONMENT_NOT_SERVED") {
			t.Errorf("%s: %v, want ENVIRONMENT_NOT_SERVED", name, err)
		}
	}
	for name, in := range map[string]*requestv1.CreateAppRequest{
		"environment_id":              {Name: "Mine", EnvironmentId: nobody},
		"offered_to_all_environments": {Name: "Mine", OfferedToAllEnvironments: true},
		"offered_environment_ids":     {Name: "Mine", OfferedEnvironmentIds: []string{nobody}},
	} {
		if _, err := w.apps(t, "zoe").CreateApp(t.Context(), in); status.Code(err) != codes.InvalidArgument {
			t.Errorf("an app with %s: %v, want InvalidArgument", name, err)
		}
	}
}
