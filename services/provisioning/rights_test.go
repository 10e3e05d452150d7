package provisioning_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// B-USR-19, in part: an IT admin who is none any more neither reads nor writes
// with the signed token of before, and has no app called.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	called := make(chan struct{}, 100)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer target.Close()
	u := w.user(t, "ian")
	c := w.caller(authzv1.Caller_CALLER_IT_ADMIN)
	c.UserID, c.Subject, c.UserVersion = uuid.MustParse(u.GetId()), u.GetId(), u.GetVersion()
	grants, _, items, checklists, integrations := clients(w.Conn(t, c))
	create := func() error {
		_, err := integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
			Name: "App", Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM,
			Scim: &provisioningv1.ScimSettings{BaseUrl: target.URL, Token: "t"},
		})
		return err
	}
	u.Version++
	w.Publish(t, w.org, uuid.MustParse(u.GetId()), &eventv1.UserUpdated{User: u, ChangedFields: []string{"role"}})
	w.Handled(t, "provisioning")
	for what, call := range map[string]func() error{
		"an integration": create,
		"grants": func() error {
			_, err := grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{})
			return err
		},
		"work items": func() error {
			_, err := items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{})
			return err
		},
		"checklists": func() error {
			_, err := checklists.ListChecklists(t.Context(), &provisioningv1.ListChecklistsRequest{})
			return err
		},
	} {
		if err := call(); rpctest.Reason(err) != "TOKEN_STALE" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(called) > 0 {
		t.Error("the app was called")
	}
}
