package rpctest_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// seen answers with whoever calls.
type seen struct {
	opsv1.UnimplementedParkedEventServiceServer
	caller *authz.Caller
}

func (s seen) ListParkedEvents(ctx context.Context, _ *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	*s.caller = authz.Must(ctx)
	return &opsv1.ListParkedEventsResponse{}, nil
}

func TestConn(t *testing.T) {
	t.Parallel()
	var caller authz.Caller
	srv := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) { opsv1.RegisterParkedEventServiceServer(s, seen{caller: &caller}) })
	list := func(who authz.Caller, req *opsv1.ListParkedEventsRequest) error {
		_, err := opsv1.NewParkedEventServiceClient(rpctest.Conn(t, srv, who)).ListParkedEvents(t.Context(), req)
		return err
	}
	admin := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	if err := list(admin, &opsv1.ListParkedEventsRequest{}); err != nil || caller.UserID != admin.UserID {
		t.Errorf("as %v: %v, the service saw %v", admin, err, caller)
	}
	if err := list(authz.Caller{}, &opsv1.ListParkedEventsRequest{}); rpctest.Reason(err) != "TOKEN_MISSING" {
		t.Errorf("as nobody: %v", err)
	}
	for _, who := range []authz.Caller{rpctest.User(authzv1.Caller_CALLER_MEMBER), rpctest.Service("request")} {
		if err := list(who, &opsv1.ListParkedEventsRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("as %v: %v", who, err)
		}
	}
	err := list(admin, &opsv1.ListParkedEventsRequest{PageSize: -1})
	if d := cmp.Diff([]string{"page_size"}, rpctest.Fields(err)); d != "" {
		t.Error(d)
	}
	if rpctest.Reason(nil) != "" || rpctest.Fields(nil) != nil {
		t.Error("no error has a reason or fields")
	}
}

// A service gets the keys from where they are served, as from identity-sync.
func TestServe(t *testing.T) {
	t.Parallel()
	tokens := rpctest.NewTokens(t)
	v := &authz.Verifier{Audience: "audit", Keys: authz.KeysFrom(tokens.Dial(t, tokens.Serve(t), authz.Caller{}))}
	admin := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	if got, err := v.Verify(t.Context(), tokens.Mint(admin)); err != nil || got.UserID != admin.UserID {
		t.Errorf("Verify = %v, %v", got, err)
	}
	if _, err := v.Verify(t.Context(), rpctest.NewTokens(t).Mint(admin)); err == nil {
		t.Error("a token of another issuer is taken")
	}
}
