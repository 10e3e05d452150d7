package e2e_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/rpctest"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// testPrograms: a program of the organization's calls a service between machines with
// the certificate that gatehouse init has made for it, as the user whose token it has
// and as nobody else: not as a service, whose secret it may have got. And nobody calls
// as a user with a service's certificate.
func testPrograms(t *testing.T, c *cluster) {
	w := newWorld(t, &standalone{base: c.base}, nil)
	w.admin.must(t, "POST", "/v1/apps", object{"name": "Payroll"})
	user := c.signedTokens(t, w.admin.token)["request"]
	secret := c.installation.setting(t, "approval", "GATEHOUSE_CLIENT_SECRET")
	service, err := authz.ClientTokens(c.dial(t, "approval", "identity-sync"), "approval", secret, "request")(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	listApps := func(ctx context.Context, conn *grpc.ClientConn) error {
		apps, err := requestv1.NewAppServiceClient(conn).ListApps(ctx, &requestv1.ListAppsRequest{})
		if err == nil && len(apps.GetApps()) != 1 {
			t.Errorf("%d apps", len(apps.GetApps()))
		}
		return err
	}
	snapshot := func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := opsv1.NewSnapshotServiceClient(conn).StreamSnapshot(ctx, &opsv1.StreamSnapshotRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for _, tt := range []struct {
		name, part, token string
		call              func(context.Context, *grpc.ClientConn) error
		code              codes.Code
		reason            string
	}{
		{"a program, for a user", aProgram, user, listApps, codes.OK, ""},
		{"a service, for a user", "approval", user, listApps, codes.PermissionDenied, "CERTIFICATE_NOT_ALLOWED"},
		{"a service, as itself", "approval", service, snapshot, codes.OK, ""},
		{"a program, as a service", aProgram, service, snapshot, codes.PermissionDenied, "CERTIFICATE_NOT_ALLOWED"},
		{"a program, for a user, what is for services", aProgram, user, snapshot, codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tt.token)
		err := tt.call(ctx, c.dial(t, tt.part, "request"))
		if status.Code(err) != tt.code || rpctest.Reason(err) != tt.reason {
			t.Errorf("%s: %v; want %s %s", tt.name, err, tt.code, tt.reason)
		}
	}
}
