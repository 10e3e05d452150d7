package provisioning_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// wantReason checks code and reason of an error.
func wantReason(t *testing.T, err error, code, reason string, fields ...string) {
	t.Helper()
	st := status.Convert(err)
	got, named := "", map[string]bool{}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			got = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				named[v.GetField()] = true
			}
		}
	}
	if st.Code().String() != code || got != reason {
		t.Errorf("got %s %s (%s), want %s %s", st.Code(), got, st.Message(), code, reason)
	}
	for _, f := range fields {
		if !named[f] {
			t.Errorf("field %s is not named: %v", f, named)
		}
	}
}

// count looks at the database as no one else can.
func (w *world) count(t *testing.T, sql string) (n int) {
	t.Helper()
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, sql).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stranger is an admin of another organization.
func stranger() authz.Caller {
	user := id.New()
	return authz.Caller{Subject: user.String(), UserID: user, OrganizationID: id.New(), Role: authzv1.Caller_CALLER_ADMIN}
}

// steal ends the lease of every running operation, as if whoever has it had
// died.
func (w *world) steal(t *testing.T) {
	t.Helper()
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update operation set lease_until = now() - interval '1 s' where state = 'running'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIntegrations(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	ctx := t.Context()
	create := func(name, url, token string) (*provisioningv1.CreateIntegrationResponse, error) {
		return w.integrations.CreateIntegration(ctx, &provisioningv1.CreateIntegrationRequest{
			Name: name, Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, Scim: &provisioningv1.ScimSettings{BaseUrl: url, Token: token},
		})
	}
	made, err := create("one", target.URL, scimToken)
	if err != nil {
		t.Fatal(err)
	}
	one := made.GetIntegration()
	if one.GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING || one.GetTestTime() == nil || one.GetScim().GetToken() != "" {
		t.Errorf("integration %v", one)
	}

	_, err = create("one", target.URL, scimToken)
	wantReason(t, err, "AlreadyExists", "INTEGRATION_NAME_TAKEN", "name")
	_, err = create("two", "ftp://example.com", scimToken)
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "scim.base_url")
	_, err = create("two", "http://user:pass@example.com", scimToken)
	wantReason(t, err, "InvalidArgument", "INTEGRATION_SETTINGS_INVALID", "scim.base_url")
	_, err = create("two", target.URL, "")
	wantReason(t, err, "InvalidArgument", "INTEGRATION_SETTINGS_INVALID", "scim.token")
	made, err = create("two", target.URL, "wrong")
	if err != nil || made.GetIntegration().GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING || made.GetIntegration().GetStateDetail() == "" {
		t.Errorf("integration %v %v", made, err)
	}

	// Made once for a request_id, also where the app is called before.
	repeated := &provisioningv1.CreateIntegrationRequest{
		Name: "repeated", Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, RequestId: id.New().String(),
		Scim: &provisioningv1.ScimSettings{BaseUrl: target.URL, Token: scimToken},
	}
	answers := make([]*provisioningv1.CreateIntegrationResponse, 2)
	var both sync.WaitGroup
	for i := range answers {
		both.Go(func() {
			var err error
			if answers[i], err = w.integrations.CreateIntegration(ctx, repeated); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if !proto.Equal(answers[0], answers[1]) {
		t.Errorf("two were made: %v", answers)
	}
	repeated.Scim.Token = "another"
	_, err = w.integrations.CreateIntegration(ctx, repeated)
	wantReason(t, err, "FailedPrecondition", "REQUEST_ID_REUSED", "request_id")

	// B-PRV-06: at rest it is sealed.
	var secret []byte
	if err := w.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select secret from integration where name = 'one'`).Scan(&secret)
	}); err != nil || len(secret) == 0 || strings.Contains(string(secret), scimToken) {
		t.Errorf("secret %q %v", secret, err)
	}

	// An empty token keeps the one there is.
	up, err := w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Name: "uno", Etag: one.GetEtag()}, "name"))
	if err != nil || up.GetIntegration().GetName() != "uno" || up.GetIntegration().GetVersion() != 2 ||
		up.GetIntegration().GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING {
		t.Errorf("integration %v %v", up, err)
	}
	// But not for another address, which would be sent it.
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Scim: &provisioningv1.ScimSettings{BaseUrl: target.URL + "/elsewhere"}}, "scim.base_url"))
	wantReason(t, err, "InvalidArgument", "INTEGRATION_SETTINGS_INVALID", "integration.scim.token")
	// What the mask names is held to the rules of a new one, and nothing else.
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Name: "two"}, "name"))
	wantReason(t, err, "AlreadyExists", "INTEGRATION_NAME_TAKEN", "integration.name")
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Scim: &provisioningv1.ScimSettings{BaseUrl: "http://user:pass@example.com", Token: "x"}}, "scim"))
	wantReason(t, err, "InvalidArgument", "INTEGRATION_SETTINGS_INVALID", "integration.scim.base_url")
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Name: strings.Repeat("x", 201)}, "name"))
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "integration.name")
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Scim: &provisioningv1.ScimSettings{BaseUrl: "ftp://x"}}, "scim.base_url"))
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "integration.scim.base_url")
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId()}, "kind"))
	wantReason(t, err, "InvalidArgument", "FIELD_NOT_CHANGEABLE", "update_mask")
	_, err = w.integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Name: "once more", Etag: one.GetEtag()}, "name"))
	wantReason(t, err, "Aborted", "ETAG_MISMATCH")
	target.Close()
	tested, err := w.integrations.TestIntegration(ctx, &provisioningv1.TestIntegrationRequest{Id: one.GetId()})
	if err != nil || tested.GetIntegration().GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING {
		t.Errorf("integration %v %v", tested, err)
	}

	first, err := w.integrations.ListIntegrations(ctx, &provisioningv1.ListIntegrationsRequest{PageSize: 1})
	if err != nil || len(first.GetIntegrations()) != 1 || first.GetIntegrations()[0].GetName() != "repeated" {
		t.Fatalf("list %v %v", first, err)
	}
	second, err := w.integrations.ListIntegrations(ctx, &provisioningv1.ListIntegrationsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	if err == nil {
		second, err = w.integrations.ListIntegrations(ctx, &provisioningv1.ListIntegrationsRequest{PageSize: 1, PageToken: second.GetNextPageToken()})
	}
	if err != nil || len(second.GetIntegrations()) != 1 || second.GetIntegrations()[0].GetName() != "uno" || second.GetNextPageToken() != "" {
		t.Errorf("list %v %v", second, err)
	}
	_, err = w.integrations.ListIntegrations(ctx, &provisioningv1.ListIntegrationsRequest{PageToken: "x"})
	wantReason(t, err, "InvalidArgument", "PAGE_TOKEN_INVALID", "page_token")

	other := stranger()
	_, _, _, _, foreign := clients(w.Conn(t, other))
	_, err = foreign.GetIntegration(ctx, &provisioningv1.GetIntegrationRequest{Id: one.GetId()})
	wantReason(t, err, "NotFound", "INTEGRATION_NOT_FOUND")
	_, err = foreign.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: one.GetId(), Name: "mine"}, "name"))
	wantReason(t, err, "NotFound", "INTEGRATION_NOT_FOUND")
	_, _, _, _, member := clients(w.Conn(t, w.caller(authzv1.Caller_CALLER_MEMBER)))
	_, err = member.GetIntegration(ctx, &provisioningv1.GetIntegrationRequest{Id: one.GetId()})
	wantReason(t, err, "PermissionDenied", "ROLE_NOT_ALLOWED")
}

// PersonRef sees and may do what; other organizations' ids; bad input.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	w := start(t)
	ctx := t.Context()
	boss := w.caller(authzv1.Caller_CALLER_MEMBER)
	app := w.app(t, "Run by boss", manual, "", boss.UserID.String())
	other := w.app(t, "Run by others", manual, "", id.New().String())
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, w.entitlement(t, app, accountKind, "account"), w.entitlement(t, other, accountKind, "account"))
	mine := w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	theirs := w.open(t, ann, other, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	grants := w.becomes(t, r, provisioningv1.GrantState_GRANT_STATE_PENDING)

	// An app admin: the items of their app, nothing else.
	bossGrants, _, bossItems, bossLists, _ := clients(w.Conn(t, boss))
	l, err := bossItems.ListWorkItems(ctx, &provisioningv1.ListWorkItemsRequest{})
	if err != nil || len(l.GetWorkItems()) != 1 || l.GetWorkItems()[0].GetId() != mine.GetId() {
		t.Errorf("items %v %v", l, err)
	}
	_, err = bossItems.GetWorkItem(ctx, &provisioningv1.GetWorkItemRequest{Id: theirs.GetId()})
	wantReason(t, err, "NotFound", "WORK_ITEM_NOT_FOUND")
	_, err = bossItems.RetryWorkItem(ctx, &provisioningv1.RetryWorkItemRequest{Id: theirs.GetId()})
	wantReason(t, err, "NotFound", "WORK_ITEM_NOT_FOUND")
	_, err = bossItems.RetryWorkItem(ctx, &provisioningv1.RetryWorkItemRequest{Id: mine.GetId()})
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_NOT_RETRYABLE")
	_, err = bossLists.ResolveWorkItems(ctx, &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{mine.GetId(), theirs.GetId()}})
	wantReason(t, err, "InvalidArgument", "WORK_ITEM_NOT_FOUND", "work_item_ids[1]")
	_, err = bossLists.ListChecklists(ctx, &provisioningv1.ListChecklistsRequest{})
	wantReason(t, err, "PermissionDenied", "ROLE_NOT_ALLOWED")
	_, err = bossGrants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{UserId: ann.GetId()})
	wantReason(t, err, "PermissionDenied", "NOT_YOURS", "user_id")
	for _, g := range grants {
		_, err = bossGrants.GetGrant(ctx, &provisioningv1.GetGrantRequest{Id: g.GetId()})
		if g.GetAppId() == app.GetId() && err == nil {
			continue
		}
		wantReason(t, err, "NotFound", "GRANT_NOT_FOUND")
	}
	if _, err := bossLists.ResolveWorkItems(ctx, &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{mine.GetId()}}); err != nil {
		t.Error(err)
	}

	// The person themselves.
	self := authz.Caller{Subject: ann.GetId(), UserID: uuid.MustParse(ann.GetId()), OrganizationID: w.org, Role: authzv1.Caller_CALLER_MEMBER}
	selfGrants, selfAccounts, _, _, _ := clients(w.Conn(t, self))
	page, err := selfGrants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{PageSize: 1})
	if err != nil || len(page.GetGrants()) != 1 || page.GetNextPageToken() == "" {
		t.Fatalf("grants %v %v", page, err)
	}
	page, err = selfGrants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetGrants()) != 1 || page.GetNextPageToken() != "" {
		t.Errorf("grants %v %v", page, err)
	}
	if a, err := selfAccounts.ListAccounts(ctx, &provisioningv1.ListAccountsRequest{}); err != nil || len(a.GetAccounts()) != 1 {
		t.Errorf("accounts %v %v", a, err)
	}

	// Another organization: none of it exists.
	alien := stranger()
	alienGrants, alienAccounts, alienItems, alienLists, _ := clients(w.Conn(t, alien))
	_, err = alienGrants.GetGrant(ctx, &provisioningv1.GetGrantRequest{Id: grants[0].GetId()})
	wantReason(t, err, "NotFound", "GRANT_NOT_FOUND")
	_, err = alienItems.GetWorkItem(ctx, &provisioningv1.GetWorkItemRequest{Id: theirs.GetId()})
	wantReason(t, err, "NotFound", "WORK_ITEM_NOT_FOUND")
	_, err = alienLists.ResolveWorkItems(ctx, &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{theirs.GetId()}})
	wantReason(t, err, "InvalidArgument", "WORK_ITEM_NOT_FOUND", "work_item_ids[0]")
	_, err = alienLists.GetChecklist(ctx, &provisioningv1.GetChecklistRequest{Id: id.New().String()})
	wantReason(t, err, "NotFound", "CHECKLIST_NOT_FOUND")
	if g, err := alienGrants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{UserId: ann.GetId()}); err != nil || len(g.GetGrants()) != 0 {
		t.Errorf("grants %v %v", g, err)
	}
	if a, err := alienAccounts.ListAccounts(ctx, &provisioningv1.ListAccountsRequest{AppId: app.GetId()}); err != nil || len(a.GetAccounts()) != 0 {
		t.Errorf("accounts %v %v", a, err)
	}

	// Bad input.
	_, err = w.grants.GetGrant(ctx, &provisioningv1.GetGrantRequest{Id: "x"})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "id")
	_, err = w.grants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{PageSize: -1})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "page_size")
	_, err = w.grants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{PageToken: "x"})
	wantReason(t, err, "InvalidArgument", "PAGE_TOKEN_INVALID", "page_token")
	_, err = w.checklists.ListChecklists(ctx, &provisioningv1.ListChecklistsRequest{PageToken: "x"})
	wantReason(t, err, "InvalidArgument", "PAGE_TOKEN_INVALID", "page_token")
	_, err = w.checklists.ResolveWorkItems(ctx, &provisioningv1.ResolveWorkItemsRequest{})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "work_item_ids")
	_, err = w.checklists.ExportChecklists(ctx, &provisioningv1.ExportChecklistsRequest{Format: "docx"})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "format")
}

// change is a change of the fields of an integration that are named.
func change(i *provisioningv1.Integration, paths ...string) *provisioningv1.UpdateIntegrationRequest {
	return &provisioningv1.UpdateIntegrationRequest{Integration: i, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}
}
