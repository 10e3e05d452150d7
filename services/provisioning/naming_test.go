package provisioning_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

func TestPeopleAreNamedByUserName(t *testing.T) {
	t.Parallel()
	w := start(t)
	vera, ida := w.user(t, "vera"), w.user(t, "ida")
	app := w.app(t, "Payroll", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	w.give(t, ida, ask{join: true}, account)
	w.becomes(t, w.give(t, vera, ask{join: true}, account), pending)
	item := w.open(t, vera, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)

	ctx := t.Context()
	grants, err := w.grants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{UserId: "VERA"})
	if err != nil || len(grants.GetGrants()) != 1 || grants.GetGrants()[0].GetUser().GetUserId() != vera.GetId() {
		t.Errorf("got %v, %v", grants, err)
	}
	items, err := w.items.ListWorkItems(ctx, &provisioningv1.ListWorkItemsRequest{UserId: "vera"})
	if err != nil || len(items.GetWorkItems()) != 1 || items.GetWorkItems()[0].GetId() != item.GetId() {
		t.Errorf("got %v, %v", items, err)
	}
	lists, err := w.checklists.ListChecklists(ctx, &provisioningv1.ListChecklistsRequest{UserId: "vera"})
	if err != nil || len(lists.GetChecklists()) != 1 || lists.GetChecklists()[0].GetUser().GetUserId() != vera.GetId() {
		t.Errorf("got %v, %v", lists, err)
	}
	file, err := w.checklists.ExportChecklists(ctx, &provisioningv1.ExportChecklistsRequest{UserId: "vera"})
	if text := string(file.GetData()); err != nil || !strings.Contains(text, "vera@example.com") || strings.Contains(text, "ida@example.com") {
		t.Errorf("got %s, %v", text, err)
	}
	_, err = w.accounts.ListAccounts(ctx, &provisioningv1.ListAccountsRequest{UserId: "ghost"})
	if f := rpctest.Fields(err); status.Code(err) != codes.InvalidArgument || rpctest.Reason(err) != "USER_UNKNOWN" || len(f) != 1 || f[0] != "user_id" {
		t.Errorf("got %v", err)
	}
	// To somebody from outside there is nobody.
	external, _, _, _, _ := clients(w.Conn(t, w.caller(authzv1.Caller_CALLER_EXTERNAL)))
	for _, name := range []string{"vera", "ghost"} {
		if _, err := external.ListGrants(ctx, &provisioningv1.ListGrantsRequest{UserId: name}); rpctest.Reason(err) != "USER_UNKNOWN" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
