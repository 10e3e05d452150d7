package provisioning_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// place is an environment, or the organization itself, with one manual app, one
// person who is to get into it, and one integration.
type place struct {
	environment string
	user        *identityv1.User
	app         *requestv1.App
	account     *requestv1.Entitlement
	grant       *provisioningv1.Grant
	item        *provisioningv1.WorkItem
	checklist   *provisioningv1.Checklist
	integration *provisioningv1.Integration
}

// in makes a caller whose role is held in an environment; the nil id is the
// organization.
func (w *world) in(role authzv1.Caller, environment string) authz.Caller {
	c := w.caller(role)
	if environment != "" {
		c.EnvironmentID = uuid.MustParse(environment)
	}
	return c
}

func (w *world) place(t *testing.T, environment, name string) *place {
	t.Helper()
	p := &place{environment: environment, user: &identityv1.User{
		Id: id.New().String(), OrganizationId: w.org.String(), EnvironmentId: environment, UserName: name, DisplayName: "person of " + name,
		State: identityv1.UserState_USER_STATE_ACTIVE, Version: 1, JoinCount: 1,
	}}
	w.Publish(t, w.org, uuid.MustParse(p.user.GetId()), &eventv1.UserJoined{User: p.user})
	p.app = &requestv1.App{Id: id.New().String(), OrganizationId: w.org.String(), EnvironmentId: environment, Name: "app of " + name, Provisioning: manual, Version: 1}
	w.Publish(t, w.org, uuid.MustParse(p.app.GetId()), &eventv1.AppCreated{App: proto.CloneOf(p.app)})
	p.account = &requestv1.Entitlement{
		Id: id.New().String(), OrganizationId: w.org.String(), EnvironmentId: environment, AppId: p.app.GetId(), Name: "account", Kind: accountKind, Version: 1,
	}
	w.Publish(t, w.org, uuid.MustParse(p.account.GetId()), &eventv1.EntitlementCreated{Entitlement: p.account})
	r := w.give(t, p.user, ask{join: true}, p.account)
	p.item = w.open(t, p.user, p.app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	p.grant = w.becomes(t, r, provisioningv1.GrantState_GRANT_STATE_PENDING)[0]
	p.checklist = w.lists(t, p.user, false)[0]
	made, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
		Name: "the same name", Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, EnvironmentId: environment,
		Scim: &provisioningv1.ScimSettings{BaseUrl: newApp(t).URL, Token: scimToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.integration = made.GetIntegration()
	for what, got := range map[string]string{
		"grant": p.grant.GetEnvironmentId(), "work item": p.item.GetEnvironmentId(), "checklist": p.checklist.GetEnvironmentId(),
		"integration": p.integration.GetEnvironmentId(),
		"event":       servicetest.Wait(t, w.Harness, func(m *eventv1.GrantCreated) bool { return m.GetGrant().GetId() == p.grant.GetId() }).GetContext().GetEnvironmentId(),
	} {
		if got != environment {
			t.Errorf("%s of %s is of environment %q", what, name, got)
		}
	}
	return p
}

// B-USR-12: every RPC, called by admins of two environments and of the
// organization about things of each: an environment sees and changes its own,
// the organization everything, and what is not seen is as if it did not exist.
func TestScope(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := id.New().String(), id.New().String()
	places := []*place{w.place(t, a, "a"), w.place(t, b, "b"), w.place(t, "", "organization")}
	for name, environment := range map[string]string{"admin of a": a, "admin of b": b, "admin of the organization": ""} {
		t.Run(name, func(t *testing.T) {
			conn := w.Conn(t, w.in(authzv1.Caller_CALLER_ADMIN, environment))
			grants, accounts, items, checklists, integrations := clients(conn)
			seen := 0
			for _, p := range places {
				ctx := t.Context()
				visible := environment == "" || environment == p.environment
				check := func(what string, err error, reason string, fields ...string) {
					t.Helper()
					switch {
					case !visible && len(fields) > 0:
						wantReason(t, err, "InvalidArgument", reason, fields...)
					case !visible:
						wantReason(t, err, "NotFound", reason)
					case err != nil:
						t.Errorf("%s: %v", what, err)
					}
				}
				if visible {
					seen++
				}
				_, err := grants.GetGrant(ctx, &provisioningv1.GetGrantRequest{Id: p.grant.GetId()})
				check("get grant", err, "GRANT_NOT_FOUND")
				_, err = items.GetWorkItem(ctx, &provisioningv1.GetWorkItemRequest{Id: p.item.GetId()})
				check("get work item", err, "WORK_ITEM_NOT_FOUND")
				_, err = checklists.GetChecklist(ctx, &provisioningv1.GetChecklistRequest{Id: p.checklist.GetId()})
				check("get checklist", err, "CHECKLIST_NOT_FOUND")
				_, err = checklists.UpdateChecklist(ctx, &provisioningv1.UpdateChecklistRequest{
					Checklist: &provisioningv1.Checklist{Id: p.checklist.GetId(), DueTime: timestamppb.New(time.Now().Add(time.Hour))}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"due_time"}},
				})
				check("update checklist", err, "CHECKLIST_NOT_FOUND")
				_, err = integrations.GetIntegration(ctx, &provisioningv1.GetIntegrationRequest{Id: p.integration.GetId()})
				check("get integration", err, "INTEGRATION_NOT_FOUND")
				_, err = integrations.TestIntegration(ctx, &provisioningv1.TestIntegrationRequest{Id: p.integration.GetId()})
				check("test integration", err, "INTEGRATION_NOT_FOUND")
				_, err = integrations.UpdateIntegration(ctx, change(&provisioningv1.Integration{Id: p.integration.GetId(), Name: "the same name"}, "name"))
				check("update integration", err, "INTEGRATION_NOT_FOUND")
				_, err = integrations.CreateIntegration(ctx, &provisioningv1.CreateIntegrationRequest{
					Name: name, Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, EnvironmentId: p.environment,
					Scim: &provisioningv1.ScimSettings{BaseUrl: p.integration.GetScim().GetBaseUrl(), Token: scimToken},
				})
				if p.environment != "" { // or else it is the caller's
					check("create integration", err, "ENVIRONMENT_NOT_FOUND", "environment_id")
				}
				if !visible {
					_, err = items.RetryWorkItem(ctx, &provisioningv1.RetryWorkItemRequest{Id: p.item.GetId()})
					check("retry work item", err, "WORK_ITEM_NOT_FOUND")
					_, err = checklists.ResolveWorkItems(ctx, &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{p.item.GetId()}})
					check("resolve work item", err, "WORK_ITEM_NOT_FOUND", "work_item_ids[0]")
					_, err = checklists.ReopenWorkItems(ctx, &provisioningv1.ReopenWorkItemsRequest{WorkItemIds: []string{p.item.GetId()}, Reason: "x"})
					check("reopen work item", err, "WORK_ITEM_NOT_FOUND", "work_item_ids[0]")
				}
			}
			ctx := t.Context()
			lg, err := grants.ListGrants(ctx, &provisioningv1.ListGrantsRequest{})
			if err != nil || len(lg.GetGrants()) != seen || lg.GetGrants()[0].GetUser().GetDisplayName() == "" {
				t.Errorf("grants %v %v", lg, err)
			}
			la, err := accounts.ListAccounts(ctx, &provisioningv1.ListAccountsRequest{})
			if err != nil || len(la.GetAccounts()) != 0 {
				t.Errorf("accounts %v %v", la, err)
			}
			li, err := items.ListWorkItems(ctx, &provisioningv1.ListWorkItemsRequest{})
			if err != nil || len(li.GetWorkItems()) != seen {
				t.Errorf("work items %v %v", li, err)
			}
			lc, err := checklists.ListChecklists(ctx, &provisioningv1.ListChecklistsRequest{})
			if err != nil || len(lc.GetChecklists()) != seen || int(lc.GetTotalSize()) != seen {
				t.Errorf("checklists %v %v", lc, err)
			}
			ex, err := checklists.ExportChecklists(ctx, &provisioningv1.ExportChecklistsRequest{Format: "csv"})
			if err != nil {
				t.Fatal(err)
			}
			rows := 0
			for _, c := range ex.GetData() {
				if c == '\n' {
					rows++
				}
			}
			if rows != seen+1 {
				t.Errorf("%d rows exported", rows)
			}
			lt, err := integrations.ListIntegrations(ctx, &provisioningv1.ListIntegrationsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range lt.GetIntegrations() {
				if environment != "" && i.GetEnvironmentId() != environment {
					t.Errorf("sees integration of %q", i.GetEnvironmentId())
				}
			}
		})
	}

	// A member of an environment sees their own, and nothing of others.
	self := authz.Caller{
		Subject: places[0].user.GetId(), UserID: uuid.MustParse(places[0].user.GetId()), OrganizationID: w.org,
		EnvironmentID: uuid.MustParse(a), Role: authzv1.Caller_CALLER_MEMBER,
	}
	grants, _, items, _, _ := clients(w.Conn(t, self))
	for i, p := range places {
		_, err := grants.GetGrant(t.Context(), &provisioningv1.GetGrantRequest{Id: p.grant.GetId()})
		if i == 0 && err != nil {
			t.Error(err)
		} else if i > 0 {
			wantReason(t, err, "NotFound", "GRANT_NOT_FOUND")
		}
		_, err = items.GetWorkItem(t.Context(), &provisioningv1.GetWorkItemRequest{Id: p.item.GetId()})
		wantReason(t, err, "NotFound", "WORK_ITEM_NOT_FOUND")
	}

	// An admin of an environment resolves the work items of the environment, also
	// those of somebody of the organization in the environment's app.
	guest := w.give(t, places[2].user, ask{}, places[0].account)
	item := w.open(t, places[2].user, places[0].app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	_, _, _, checklists, _ := clients(w.Conn(t, w.in(authzv1.Caller_CALLER_ADMIN, a)))
	if _, err := checklists.ResolveWorkItems(t.Context(), &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{item.GetId(), places[0].item.GetId()}}); err != nil {
		t.Error(err)
	}
	if g := w.becomes(t, guest, active)[0]; g.GetEnvironmentId() != a {
		t.Errorf("the grant is of environment %q", g.GetEnvironmentId())
	}
	// And reopens them.
	again, err := checklists.ReopenWorkItems(t.Context(), &provisioningv1.ReopenWorkItemsRequest{WorkItemIds: []string{item.GetId()}, Reason: "somebody else's"})
	if err != nil || len(again.GetWorkItems()) != 1 || again.GetWorkItems()[0].GetEnvironmentId() != a {
		t.Errorf("reopened by %v %v", again, err)
	}
	w.becomes(t, guest, pending)

	// A person of one environment gets into no app of another.
	w.give(t, places[0].user, ask{}, places[1].account)
	servicetest.Eventually(t, "the approval is not taken", func() bool {
		return w.count(t, `select count(*) from inbox_attempt`)+w.count(t, `select count(*) from parked_event`) > 0
	})
	if n := w.count(t, `select count(*) from access_grant where user_id = '`+places[0].user.GetId()+`'`); n != 1 {
		t.Errorf("%d grants", n)
	}
}

// B-USR-12, in part: request learns of an integration what whoever asks may see, and
// nobody but request may ask so.
func TestLookUpIntegration(t *testing.T) {
	t.Parallel()
	w := start(t)
	north, south := id.New().String(), id.New().String()
	made, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
		Name: "North", Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, EnvironmentId: north,
		Scim: &provisioningv1.ScimSettings{BaseUrl: newApp(t).URL, Token: scimToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(who authz.Caller, organization, environment string) (*provisioningv1.LookUpIntegrationResponse, error) {
		return provisioningv1.NewIntegrationServiceClient(w.Conn(t, who)).LookUpIntegration(t.Context(), &provisioningv1.LookUpIntegrationRequest{
			Id: made.GetIntegration().GetId(), OrganizationId: organization, EnvironmentId: environment,
		})
	}
	request := rpctest.Service("request")
	for _, environment := range []string{"", north} {
		r, err := ask(request, w.org.String(), environment)
		if err != nil || r.GetIntegration().GetId() != made.GetIntegration().GetId() || r.GetIntegration().GetScim().GetToken() != "" {
			t.Errorf("in %q: %v %v", environment, r, err)
		}
	}
	for name, tt := range map[string]struct {
		who                       authz.Caller
		organization, environment string
		reason                    string
	}{
		"another environment":     {request, w.org.String(), south, "INTEGRATION_NOT_FOUND"},
		"another organization":    {request, id.New().String(), "", "INTEGRATION_NOT_FOUND"},
		"every organization":      {request, uuid.Max.String(), "", "INTEGRATION_NOT_FOUND"},
		"an admin, for somebody":  {w.admin, w.org.String(), "", "ROLE_NOT_ALLOWED"},
		"another service as well": {rpctest.Service("approval"), w.org.String(), "", "ROLE_NOT_ALLOWED"},
	} {
		if _, err := ask(tt.who, tt.organization, tt.environment); rpctest.Reason(err) != tt.reason {
			t.Errorf("%s: %v, want %s", name, err, tt.reason)
		}
	}
	if _, err := ask(request, uuid.Nil.String(), ""); !slices.Equal(rpctest.Fields(err), []string{"organization_id"}) {
		t.Errorf("no organization: %v", err)
	}
}
