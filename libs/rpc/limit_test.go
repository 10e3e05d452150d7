package rpc_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

type integrations struct {
	provisioningv1.UnimplementedIntegrationServiceServer
}

func (integrations) GetIntegration(context.Context, *provisioningv1.GetIntegrationRequest) (*provisioningv1.GetIntegrationResponse, error) {
	return &provisioningv1.GetIntegrationResponse{}, nil
}

func (integrations) TestIntegration(context.Context, *provisioningv1.TestIntegrationRequest) (*provisioningv1.TestIntegrationResponse, error) {
	return &provisioningv1.TestIntegrationResponse{}, nil
}

func (integrations) LookUpIntegration(context.Context, *provisioningv1.LookUpIntegrationRequest) (*provisioningv1.LookUpIntegrationResponse, error) {
	return &provisioningv1.LookUpIntegrationResponse{}, nil
}

// Users are held to limits whatever they call with: an account, an organization,
// and calls to systems outside; one does not use up what is another's, and services
// are not limited.
func TestLimits(t *testing.T) {
	t.Parallel()
	slow := func(burst int) ratelimit.Limit { return ratelimit.Limit{PerSecond: 1e-6, Burst: burst} }
	tokens := rpctest.NewTokens(t)
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), Limits: &ratelimit.Limits{
		AccountReads: slow(3), AccountWrites: slow(2), OrganizationReads: slow(4), OrganizationWrites: slow(3), Outgoing: slow(1),
	}}, func(s grpc.ServiceRegistrar) { provisioningv1.RegisterIntegrationServiceServer(s, integrations{}) })

	as := func(c authz.Caller) provisioningv1.IntegrationServiceClient {
		return provisioningv1.NewIntegrationServiceClient(tokens.Dial(t, addr, c))
	}
	read := func(c authz.Caller) func() error {
		client := as(c)
		return func() error {
			_, err := client.GetIntegration(t.Context(), &provisioningv1.GetIntegrationRequest{Id: id.New().String()})
			return err
		}
	}
	test := func(c authz.Caller) func() error {
		client := as(c)
		return func() error {
			_, err := client.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: id.New().String()})
			return err
		}
	}
	times := func(what string, want int, limit string, call func() error) {
		t.Helper()
		for n := range want {
			if err := call(); err != nil {
				t.Errorf("%s, call %d: %v", what, n+1, err)
			}
		}
		err := call()
		if status.Code(err) != codes.ResourceExhausted || rpctest.Reason(err) != ratelimit.Reason || !strings.Contains(status.Convert(err).String(), "too many") {
			t.Errorf("%s, one too many: %v", what, err)
		}
		if got := info(err).GetMetadata()["limit"]; got != limit {
			t.Errorf("%s: the limit is %q, want %q", what, got, limit)
		}
	}
	ann := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	ben := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	ben.OrganizationID = ann.OrganizationID
	other := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	times("ann reads", 3, "reads of an account", read(ann))
	times("ben reads", 1, "reads of an organization", read(ben))
	times("somebody of another organization reads", 3, "reads of an account", read(other))
	times("ann tests", 1, "calls to systems outside", test(ann))
	times("ben tests", 0, "calls to systems outside", test(ben))

	service := as(rpctest.Service("request"))
	for range 10 {
		if _, err := service.LookUpIntegration(t.Context(), &provisioningv1.LookUpIntegrationRequest{Id: id.New().String(), OrganizationId: id.New().String()}); err != nil {
			t.Fatalf("a service: %v", err)
		}
	}
}

// What holds if nothing else is set: an account is stopped long after what people do,
// and told by which limit.
func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	tokens := rpctest.NewTokens(t)
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), Limits: ratelimit.DefaultLimits()}, func(s grpc.ServiceRegistrar) {
		provisioningv1.RegisterIntegrationServiceServer(s, integrations{})
	})
	ann := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	client := provisioningv1.NewIntegrationServiceClient(tokens.Dial(t, addr, ann))
	for name, tt := range map[string]struct {
		atLeast int
		quota   string
		call    func() error
	}{
		"reads of an account": {1000, "1000", func() error {
			_, err := client.GetIntegration(t.Context(), &provisioningv1.GetIntegrationRequest{Id: id.New().String()})
			return err
		}},
		"calls to systems outside": {20, "20", func() error {
			_, err := client.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: id.New().String()})
			return err
		}},
	} {
		taken := 0
		err := tt.call()
		for ; err == nil && taken < 100_000; err = tt.call() {
			taken++
		}
		if m := info(err).GetMetadata(); taken < tt.atLeast || rpctest.Reason(err) != ratelimit.Reason || m["limit"] != name || m["quota"] != tt.quota || m["window"] == "" {
			t.Errorf("%s: after %d calls %v %v", name, taken, err, m)
		}
	}
}
