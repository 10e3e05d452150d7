package provisioning_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// A provider sets how many integrations a customer may have, and the operator how many an
// organization may have in all: one too many is refused, also of many that are made at
// once.
func TestQuotas(t *testing.T) {
	t.Parallel()
	w := startAt(t, nil, func(c *backend.Config) { c.Quotas = quota.Organization{"integrations": 4} })
	a, b := id.New().String(), id.New().String()
	for environment, quotas := range map[string]*identityv1.EnvironmentQuotas{a: {Integrations: 2}, b: nil} {
		w.Publish(t, w.org, uuid.MustParse(environment), &eventv1.EnvironmentCreated{Environment: &identityv1.Environment{
			Id: environment, OrganizationId: w.org.String(), Name: environment, Version: 1, Quotas: quotas,
		}})
	}
	w.Handled(t, "provisioning")
	app := newApp(t)
	create := func(environment, name string) error {
		client := provisioningv1.NewIntegrationServiceClient(w.Conn(t, w.in(authzv1.Caller_CALLER_ADMIN, environment)))
		_, err := client.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
			Name: name, Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, Scim: &provisioningv1.ScimSettings{BaseUrl: app.URL, Token: scimToken},
		})
		return err
	}
	full := func(err error) bool {
		return status.Code(err) == codes.FailedPrecondition && rpctest.Reason(err) == quota.Reason
	}
	atOnce := func(environment string, want int) {
		t.Helper()
		var made atomic.Int32
		var all sync.WaitGroup
		var odd error
		var mu sync.Mutex
		for n := range 4 {
			all.Go(func() {
				switch err := create(environment, fmt.Sprintf("number %d", n)); {
				case err == nil:
					made.Add(1)
				case !full(err):
					mu.Lock()
					odd = errors.Join(odd, err)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if n := int(made.Load()); n != want || odd != nil {
			t.Errorf("%d were made in %q, want %d: %v", n, environment, want, odd)
		}
	}
	atOnce(a, 2) // by its own quota
	if err := create(b, "first"); err != nil {
		t.Errorf("in B: %v", err)
	}
	atOnce(b, 1) // by the organization's
	err := create("", "of the organization")
	if !full(err) || status.Convert(err).Message() != "the organization may have 4 integrations and no more" {
		t.Errorf("in the organization: %v", err)
	}
}
