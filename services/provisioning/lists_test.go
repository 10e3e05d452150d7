package provisioning_test

import (
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/filter/filtertest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/store"
)

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", store.IntegrationList, store.GrantList, store.AccountList, store.ItemList, store.ChecklistList)
	w := start(t)
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	manual := w.app(t, `Wiki "beta"`, requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL, "")
	crm := w.app(t, "CRM", requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL, "")
	wiki := w.entitlement(t, manual, requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT, "account")
	seller := w.entitlement(t, crm, requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT, "account")
	w.give(t, ann, ask{}, wiki)
	w.give(t, ben, ask{}, wiki)
	w.give(t, ann, ask{}, seller)
	done := []*provisioningv1.WorkItem{
		w.open(t, ann, manual, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT),
		w.open(t, ben, manual, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT),
	}
	w.open(t, ann, crm, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	w.resolve(t, done...)
	w.leave(t, ann)
	w.leave(t, ben)
	w.open(t, ann, manual, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	w.open(t, ben, manual, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	for _, name := range []string{"one", "two"} {
		if _, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{Name: name, Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, Scim: &provisioningv1.ScimSettings{BaseUrl: "http://127.0.0.1:1/" + name, Token: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	admin := w.Conn(t, w.admin)
	filtertest.Door(t, admin, store.IntegrationList, &provisioningv1.ListIntegrationsRequest{})
	filtertest.Door(t, admin, store.GrantList, &provisioningv1.ListGrantsRequest{})
	filtertest.Door(t, admin, store.AccountList, &provisioningv1.ListAccountsRequest{})
	filtertest.Door(t, admin, store.ItemList, &provisioningv1.ListWorkItemsRequest{})
	filtertest.Door(t, admin, store.ItemList, &provisioningv1.ListWorkItemsRequest{State: provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED})
	filtertest.Door(t, admin, store.ChecklistList, &provisioningv1.ListChecklistsRequest{})

	// total_size counts what passes the filter, on all pages.
	some, err := w.checklists.ListChecklists(t.Context(), &provisioningv1.ListChecklistsRequest{Filter: `user.userId = "` + ben.GetId() + `"`, PageSize: 1})
	if err != nil || some.GetTotalSize() != 1 || len(some.GetChecklists()) != 1 {
		t.Errorf("%v %v", some, err)
	}
	// Who sees only their own finds nobody else's.
	user := uuid.MustParse(ann.GetId())
	grants, accounts, items, _, _ := clients(w.Conn(t, authz.Caller{Subject: ann.GetId(), UserID: user, OrganizationID: w.org, Role: authzv1.Caller_CALLER_MEMBER}))
	g, err := grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{Filter: `user.userId = "` + ben.GetId() + `" OR version < 0`})
	if err != nil || len(g.GetGrants()) != 0 {
		t.Errorf("%v %v", g, err)
	}
	a, err := accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{Filter: `user.displayName = ben OR user.displayName = ann`})
	if err != nil || len(a.GetAccounts()) != 1 {
		t.Errorf("%v %v", a, err)
	}
	i, err := items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{Filter: `version > 0`})
	if err != nil || len(i.GetWorkItems()) != 0 {
		t.Errorf("%v %v", i, err)
	}
}
