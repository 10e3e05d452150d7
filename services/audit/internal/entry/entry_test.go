package entry_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/event"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/audit/internal/entry"
)

var (
	ann   = &identityv1.Person{UserId: "0192f0c1-7a3b-7cde-8f00-000000000001", DisplayName: "Ann"}
	ben   = &identityv1.Person{UserId: "0192f0c1-7a3b-7cde-8f00-000000000002", DisplayName: "Ben"}
	mia   = &identityv1.Person{UserId: "0192f0c1-7a3b-7cde-8f00-000000000003", DisplayName: "Mia"}
	pia   = &identityv1.Person{UserId: "0192f0c1-7a3b-7cde-8f00-000000000004", Email: "pia@example.org"}
	until = timestamppb.New(time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC))
	group = &identityv1.Group{DisplayName: "Sales"}
	user  = &identityv1.User{DisplayName: "Ann", JoinCount: 1, Role: identityv1.Role_ROLE_IT_ADMIN}
)

func request(change ...func(*requestv1.Request)) *requestv1.Request {
	r := &requestv1.Request{
		Id: "0192f0c1-7a3b-7cde-8f00-000000000009", Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
		Origin: requestv1.RequestOrigin_REQUEST_ORIGIN_USER, Requester: ann, Beneficiary: ben, Justification: "to sell",
		Items: []*requestv1.RequestItem{{EntitlementName: "Seller", AppName: "CRM"}, {EntitlementName: "Account", AppName: "Wiki"}},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// reopened is an item that reopens another.
func reopened() *provisioningv1.WorkItem {
	i := item(provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	i.ReopenedItemId, i.ReopenReason = "1", "the wrong Ben"
	return i
}

func grant(change ...func(*provisioningv1.Grant)) *provisioningv1.Grant {
	g := &provisioningv1.Grant{User: ben, AppName: "CRM", EntitlementName: "Seller", Until: until}
	for _, f := range change {
		f(g)
	}
	return g
}

func item(kind provisioningv1.WorkItemKind) *provisioningv1.WorkItem {
	return &provisioningv1.WorkItem{Kind: kind, User: ben, AppName: "CRM", EntitlementNames: []string{"Seller", "Buyer"}}
}

func note(i *provisioningv1.WorkItem, note string, resolver *identityv1.Person) *provisioningv1.WorkItem {
	i.Note, i.Resolver = note, resolver
	return i
}

var summaries = []struct {
	message proto.Message
	want    string
}{
	{&eventv1.OrganizationCreated{Organization: &identityv1.Organization{Name: "Acme"}}, `Organization "Acme" was created`},
	{&eventv1.OrganizationUpdated{
		Organization: &identityv1.Organization{Name: "Acme Ltd", SignInName: "acme"}, Previous: &identityv1.Organization{Name: "Acme", SignInName: "acme-x2y3z"},
		ChangedFields: []string{"name", "sign_in_name"},
	}, `Organization "Acme" was changed: its name to "Acme Ltd" and its sign-in name from "acme-x2y3z" to "acme"`},
	{&eventv1.OrganizationUpdated{
		Organization: &identityv1.Organization{Name: "Acme", RemoveSuspendedAfter: durationpb.New(90 * 24 * time.Hour)}, Previous: &identityv1.Organization{Name: "Acme"},
		ChangedFields: []string{"remove_suspended_after"},
	}, `Organization "Acme" was changed: after how long suspended people are removed from never to 90 days`},
	{&eventv1.OrganizationUpdated{
		Organization: &identityv1.Organization{Name: "Acme"}, Previous: &identityv1.Organization{Name: "Acme", RemoveSuspendedAfter: durationpb.New(24 * time.Hour)},
		ChangedFields: []string{"remove_suspended_after"},
	}, `Organization "Acme" was changed: after how long suspended people are removed from 1 day to never`},
	{&eventv1.OrganizationVersionsRaised{
		Organization: &identityv1.Organization{Name: "Acme"}, Environments: 1, Users: 300, Groups: 12,
	}, `The versions of 1 environment, 300 users and 12 groups were raised at the machine, as after a restored backup`},
	{&eventv1.EnvironmentCreated{Environment: &identityv1.Environment{Name: "North"}}, `Environment "North" was created`},
	{&eventv1.EnvironmentUpdated{Environment: &identityv1.Environment{Name: "North"}}, `Environment "North" was changed`},
	{&eventv1.SourceCreated{Source: &identityv1.Source{Name: "Directory"}}, `Source "Directory" was created`},
	{&eventv1.SourceUpdated{Source: &identityv1.Source{Name: "Directory"}, ChangedFields: []string{"name"}}, `Source "Directory" was changed: name`},
	{&eventv1.SourceDeleted{Source: &identityv1.Source{Name: "Directory"}}, `Source "Directory" was deleted: its people stay`},
	{&eventv1.SourceDeleted{Source: &identityv1.Source{Name: "Directory"}, UsersLeave: true}, `Source "Directory" was deleted: its people leave`},
	{&eventv1.SourceTokenRotated{Source: &identityv1.Source{Name: "Directory"}}, `Source "Directory" got a new token`},
	{&eventv1.RoleChanged{User: user, PreviousRole: identityv1.Role_ROLE_MEMBER}, `Ann's role was changed from member to IT admin`},
	{&eventv1.SessionStarted{Session: &identityv1.Session{UserId: "u"}}, `Signed in`},
	{&eventv1.SessionStarted{Session: &identityv1.Session{UserId: "u", Method: identityv1.SignInMethod_SIGN_IN_METHOD_LINK}}, `Signed in with a one-time link`},
	{&eventv1.SessionStarted{Session: &identityv1.Session{UserId: "u", Method: identityv1.SignInMethod_SIGN_IN_METHOD_DEVELOPMENT}}, `Signed in by the development sign-in`},
	{&eventv1.SessionConfirmed{Session: &identityv1.Session{UserId: "u"}}, `Confirmed at the identity provider who they are`},
	{&eventv1.SignInRefused{Subject: "00u1", Reason: "SIGN_IN_USER_UNKNOWN"}, `Sign-in as "00u1" was refused: user unknown`},
	{&eventv1.SignInLinkCreated{User: user}, `A one-time link to sign in Ann was made at the machine`},
	{&eventv1.IdentityProviderCreated{IdentityProvider: &identityv1.IdentityProvider{Name: "Okta"}}, `Identity provider "Okta" was created`},
	{&eventv1.IdentityProviderUpdated{IdentityProvider: &identityv1.IdentityProvider{Name: "Okta"}, ChangedFields: []string{"client_secret"}}, `Identity provider "Okta" was changed: client secret`},
	{&eventv1.IdentityProviderDeleted{IdentityProvider: &identityv1.IdentityProvider{Name: "Okta"}}, `Identity provider "Okta" was removed`},
	{&eventv1.UserIdentityLinked{UserIdentity: &identityv1.UserIdentity{Subject: "00u1"}}, `Identity "00u1" was linked to the user`},
	{&eventv1.UserIdentityDeleted{UserIdentity: &identityv1.UserIdentity{Subject: "00u1"}}, `Identity "00u1" was taken from the user`},
	{&eventv1.SessionEnded{Session: &identityv1.Session{UserId: "u"}, User: user}, `Ann was signed out`},
	{&eventv1.SessionEnded{Context: &eventv1.Context{Actor: &eventv1.Actor{Id: "u"}}, Session: &identityv1.Session{UserId: "u"}, User: user}, `Ann signed out`},
	{&eventv1.ApiTokenCreated{ApiToken: &identityv1.ApiToken{Name: "ci", ReadOnly: true, ExpireTime: until}}, `API token "ci" was created, read-only, until 2026-07-01 12:30 UTC`},
	{&eventv1.ApiTokenCreated{ApiToken: &identityv1.ApiToken{Name: "ci", Scopes: []string{"apps:read", "requests:write"}, ExpireTime: until}}, `API token "ci" was created, for apps:read and requests:write, until 2026-07-01 12:30 UTC`},
	{&eventv1.ApiTokenRevoked{ApiToken: &identityv1.ApiToken{Name: "ci"}}, `API token "ci" was revoked`},
	{&eventv1.UserJoined{User: user}, `Ann joined`},
	{&eventv1.UserJoined{User: &identityv1.User{DisplayName: "Ann", JoinCount: 2}}, `Ann came back`},
	{&eventv1.UserUpdated{User: user, ChangedFields: []string{"title", "manager_id", "given_name"}}, `Ann was changed: title, manager and given name`},
	{&eventv1.UserSuspended{User: user}, `Ann was suspended`},
	{&eventv1.UserRemoved{User: &identityv1.User{UserName: "ann"}}, `ann left`},
	{&eventv1.UserRemoved{User: user, Reason: eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG}, `Ann was removed, having been suspended for as long as the organization lets people be`},
	{&eventv1.GroupCreated{Group: group}, `Group "Sales" was created`},
	{&eventv1.GroupUpdated{Group: group}, `Group "Sales" was changed`},
	{&eventv1.GroupRemoved{Group: group}, `Group "Sales" was removed, and with it all its memberships`},
	{&eventv1.GroupMemberAdded{Group: group, Member: ann}, `Ann was added to the group "Sales"`},
	{&eventv1.GroupMemberRemoved{Group: group, Member: ann}, `Ann was removed from the group "Sales"`},
	{&eventv1.AppCreated{App: &requestv1.App{Name: "CRM"}}, `App "CRM" was added to the catalog`},
	{&eventv1.AppUpdated{App: &requestv1.App{Name: "CRM"}, ChangedFields: []string{"approver_ids"}}, `App "CRM" was changed: approvers`},
	{&eventv1.AppDeleted{App: &requestv1.App{Name: "CRM"}}, `App "CRM" was deleted: what people hold in it ends`},
	{&eventv1.EntitlementDeleted{Entitlement: &requestv1.Entitlement{Name: "Seller"}, AppName: "CRM"}, `"Seller" in CRM was deleted: who holds it does not any more`},
	{&eventv1.EntitlementCreated{Entitlement: &requestv1.Entitlement{Name: "Seller"}, AppName: "CRM"}, `"Seller" in CRM can now be requested`},
	{
		&eventv1.EntitlementUpdated{Entitlement: &requestv1.Entitlement{Name: "Seller"}, AppName: "CRM", ChangedFields: []string{"description"}},
		`"Seller" in CRM was changed: description`,
	},
	{&eventv1.RequestSubmitted{Request: request()}, `Ann asked for "Seller" in CRM and "Account" in Wiki for Ben: to sell`},
	{&eventv1.RequestSubmitted{Request: request(func(r *requestv1.Request) { r.Requester, r.Until = ben, until })}, `Ben asked for "Seller" in CRM and "Account" in Wiki until 2026-07-01 12:30 UTC: to sell`},
	{&eventv1.RequestSubmitted{Request: request(func(r *requestv1.Request) { r.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE })}, `Ann asked that "Seller" in CRM and "Account" in Wiki be taken from Ben: to sell`},
	{&eventv1.RequestSubmitted{Request: request(func(r *requestv1.Request) {
		r.Origin, r.Requester, r.Justification = requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, nil, ""
	})}, `A join-flow asked for "Seller" in CRM and "Account" in Wiki for Ben`},
	{&eventv1.RequestSubmitted{Request: request(func(r *requestv1.Request) {
		r.Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT
	})}, `Ann assigned "Seller" in CRM and "Account" in Wiki to Ben: to sell`},
	{&eventv1.ApprovalGranted{Request: request(func(r *requestv1.Request) {
		r.Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT
	})}, `Approved: "Seller" in CRM and "Account" in Wiki for Ben, assigned by Ann`},
	{&eventv1.ApprovalDenied{Reason: "Ann is not an active admin"}, `The request was denied: Ann is not an active admin`},
	{&eventv1.RequestCancelRequested{Reason: "Ben has left"}, `The request is to be cancelled: Ben has left`},
	{&eventv1.RequestGiveUpRequested{Request: request(func(r *requestv1.Request) { r.Items[1].Id = "2" }), ItemIds: []string{"2"}, Reason: "the app is broken"}, `"Account" in Wiki for Ben is to be given up: the app is broken`},
	{&eventv1.RequestClosed{Request: request(func(r *requestv1.Request) { r.State = requestv1.RequestState_REQUEST_STATE_FULFILLED })}, `The request is fulfilled: Ben has "Seller" in CRM and "Account" in Wiki`},
	{&eventv1.RequestClosed{Request: request(func(r *requestv1.Request) {
		r.State, r.ClosedBy, r.ClosingReason = requestv1.RequestState_REQUEST_STATE_DENIED, mia, "no need"
	})}, `The request was denied by Mia: no need`},
	{&eventv1.RequestClosed{Request: request(func(r *requestv1.Request) { r.State = requestv1.RequestState_REQUEST_STATE_CANCELLED })}, `The request was cancelled`},
	{&eventv1.RequestClosed{Request: request(func(r *requestv1.Request) {
		r.State, r.ClosingReason = requestv1.RequestState_REQUEST_STATE_PARTLY_FULFILLED, "in part denied, cancelled or not put in place"
		r.Items[0].State, r.Items[1].State = requestv1.ItemState_ITEM_STATE_FULFILLED, requestv1.ItemState_ITEM_STATE_DENIED
	})}, `The request is fulfilled in part: Ben has "Seller" in CRM; not done: "Account" in Wiki`},
	{&eventv1.CommentAdded{Comment: &requestv1.Comment{Author: ann, Text: "it is\nurgent"}}, `Ann commented: it is urgent`},
	{&eventv1.FlowCreated{Flow: &approvalv1.Flow{Name: "Starters"}}, `Flow "Starters" was created`},
	{&eventv1.FlowDeleted{Flow: &approvalv1.Flow{Name: "Starters", Version: 3}}, `Flow "Starters" was deleted`},
	{&eventv1.FlowUpdated{Flow: &approvalv1.Flow{Name: "Starters", Version: 3}}, `Flow "Starters" was changed: now version 3`},
	{&eventv1.FlowMatched{FlowName: "Starters", FlowVersion: 3}, `Join-flow "Starters", version 3, matched: a request is to be opened`},
	{&eventv1.ApprovalRequested{StepName: "Manager", Tasks: []*approvalv1.Task{{Reviewer: mia}, {Reviewer: pia, Substitution: "Ann asks herself"}}}, `Step "Manager" opened: Mia and pia@example.org asked to decide: Ann asks herself`},
	{&eventv1.ApprovalRequested{StepName: "Manager"}, `Step "Manager" opened, and nobody can decide it yet`},
	{&eventv1.BundleCreated{Bundle: &requestv1.Bundle{Name: "Sales", EntitlementIds: []string{"a", "b"}}}, `Bundle "Sales" was created: 2 entitlements are requested as one`},
	{&eventv1.BundleUpdated{Bundle: &requestv1.Bundle{Name: "Sales"}, ChangedFields: []string{"name", "entitlement_ids"}}, `Bundle "Sales" was changed: name, entitlement_ids`},
	{&eventv1.BundleDeleted{Bundle: &requestv1.Bundle{Name: "Sales"}}, `Bundle "Sales" was deleted`},
	{&eventv1.ConversationStarted{Conversation: &requestv1.Conversation{AppName: "CRM"}, Message: &requestv1.Message{Author: ann, Text: "how?"}}, `Ann asked those who run "CRM" for help: how?`},
	{&eventv1.ConversationMessageAdded{Conversation: &requestv1.Conversation{AppName: "CRM", Asker: ann}, Message: &requestv1.Message{Author: mia, Text: "so"}}, `Mia wrote in Ann's conversation about "CRM": so`},
	{&eventv1.ConversationClosed{Conversation: &requestv1.Conversation{AppName: "CRM", Asker: ann, ClosingReason: "Ann has left"}}, `Ann's conversation about "CRM" was closed: Ann has left`},
	{&eventv1.ApprovalDecided{Task: &approvalv1.Task{Reviewer: mia, StepName: "Manager", State: approvalv1.TaskState_TASK_STATE_APPROVED, Comment: "fine"}, StepApproved: true}, `Mia approved at step "Manager", which is now approved: fine`},
	{&eventv1.ApprovalGranted{Request: request(), Automatic: true}, `Approved: "Seller" in CRM and "Account" in Wiki for Ben, by the flow itself`},
	{&eventv1.ApprovalDenied{Reviewer: mia, StepName: "Manager", Reason: "no need"}, `Mia denied the request at step "Manager": no need`},
	{&eventv1.FlowUnmatched{FlowName: "Sales", FlowVersion: 2, Action: approvalv1.UnmatchAction_UNMATCH_ACTION_ASK}, `Join-flow "Sales", version 2, matches no more: it is to be asked whether what it gave is taken away`},
	{&eventv1.ApprovalCancelled{Reason: "Ben has left"}, `What was not decided yet ended, as the request was cancelled: Ben has left`},
	{&eventv1.DelegationCreated{Delegation: &approvalv1.Delegation{Delegator: mia, Delegate: ann, Reason: "holiday", From: timestamppb.New(time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)), Until: timestamppb.New(time.Date(2026, 12, 14, 8, 0, 0, 0, time.UTC))}}, `What Mia decides is delegated to Ann from 2026-12-01 08:00 UTC until 2026-12-14 08:00 UTC: holiday`},
	{&eventv1.DelegationEnded{Delegation: &approvalv1.Delegation{Delegator: mia, Delegate: ann, EndedBy: mia}}, `What Mia decides is not delegated to Ann any more`},
	{&eventv1.DelegationEnded{Delegation: &approvalv1.Delegation{Delegator: mia, Delegate: ann}}, `What Mia decides is not delegated to Ann any more: its end came`},
	{&eventv1.ApprovalDenied{Reviewer: ann, StepName: "Manager", Task: &approvalv1.Task{OnBehalfOf: mia, Reviewer: ann}}, `Ann on behalf of Mia denied the request at step "Manager"`},
	{&eventv1.TaskReminded{Tasks: []*approvalv1.Task{{Reviewer: mia}, {Reviewer: pia}, {Reviewer: mia}}}, `Reminded to decide: Mia and pia@example.org`},
	{&eventv1.ApprovalEscalated{StepName: "Manager", Reason: "not decided in 24 working hours", Tasks: []*approvalv1.Task{{Reviewer: ann}}}, `Step "Manager" was not decided in 24 working hours; also asked: Ann`},
	{&eventv1.ApprovalEscalated{StepName: "Manager", Reason: "not decided in 24 working hours; there is nobody further who could decide"}, `Step "Manager" was not decided in 24 working hours; there is nobody further who could decide`},
	{&eventv1.TaskReassigned{From: &approvalv1.Task{Reviewer: mia, StepName: "Manager"}, To: &approvalv1.Task{Reviewer: ann}, Reason: "away"}, `Mia's decision at step "Manager" was given to Ann: away`},
	{&eventv1.TaskReassigned{From: &approvalv1.Task{Reviewer: mia, StepName: "Manager"}}, `Mia's decision at step "Manager" was taken back, and nobody can decide it yet`},
	{&eventv1.GrantCreated{Grant: grant()}, `Ben is to get "Seller" in CRM until 2026-07-01 12:30 UTC`},
	{&eventv1.GrantActivated{Grant: grant()}, `Ben has "Seller" in CRM until 2026-07-01 12:30 UTC`},
	{&eventv1.GrantHeld{Grant: grant()}, `Ben is to be without "Seller" in CRM while suspended`},
	{&eventv1.GrantExpiring{Grant: grant()}, `Ben will soon lose "Seller" in CRM: its end time is 2026-07-01 12:30 UTC`},
	{&eventv1.GrantEnded{Grant: grant(func(g *provisioningv1.Grant) {
		g.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED
	})}, `Ben is to lose "Seller" in CRM: the app was deleted`},
	{&eventv1.GrantEnded{Grant: grant(func(g *provisioningv1.Grant) {
		g.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_ENTITLEMENT_DELETED
	})}, `Ben is to lose "Seller" in CRM: it was deleted from the app`},
	{&eventv1.GrantEnded{Grant: grant(func(g *provisioningv1.Grant) { g.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED })}, `Ben is to lose "Seller" in CRM: its end time came`},
	{&eventv1.GrantEnded{Grant: grant(func(g *provisioningv1.Grant) { g.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP })}, `Ben is not to get "Seller" in CRM: it was given up`},
	{&eventv1.GrantRevoked{Grant: grant()}, `Ben no longer has "Seller" in CRM by this grant`},
	{&eventv1.GrantFailed{Grant: grant(func(g *provisioningv1.Grant) { g.Error = "no answer" })}, `"Seller" in CRM could not be given to Ben: no answer`},
	{&eventv1.GrantFailed{Grant: grant(func(g *provisioningv1.Grant) { g.State = provisioningv1.GrantState_GRANT_STATE_REVOKING })}, `"Seller" in CRM could not be taken from Ben`},
	{&eventv1.GrantReopened{Grant: grant()}, `Ben does not have "Seller" in CRM: it was said to be in place by mistake`},
	{&eventv1.GrantReopened{Grant: grant(func(g *provisioningv1.Grant) { g.State = provisioningv1.GrantState_GRANT_STATE_REVOKING })}, `Ben still has "Seller" in CRM, which is to be taken away again: it was said to be gone by mistake`},
	{&eventv1.RevocationReopened{GrantIds: []string{"1"}}, `The revoke request is not done: it was said by mistake that what it ended is gone`},
	{&eventv1.RevocationCompleted{GrantIds: []string{"1"}}, `The revoke request is done: 1 grant ended`},
	{&eventv1.AccountCreated{Account: &provisioningv1.Account{User: ben, AppName: "CRM"}}, `Ben has an account in CRM`},
	{&eventv1.AccountRemoved{Account: &provisioningv1.Account{User: ben, AppName: "CRM"}}, `Ben's account in CRM is gone`},
	{&eventv1.AccountRemoved{Account: &provisioningv1.Account{User: ben, AppName: "CRM", State: provisioningv1.AccountState_ACCOUNT_STATE_DISABLED}}, `Ben's account in CRM is disabled`},
	{&eventv1.WorkItemOpened{WorkItem: item(provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)}, `Work item opened: create an account in CRM for Ben with "Seller" and "Buyer"`},
	{&eventv1.WorkItemOpened{WorkItem: reopened()}, `Work item reopened: create an account in CRM for Ben with "Seller" and "Buyer": the wrong Ben`},
	{&eventv1.WorkItemResolved{WorkItem: note(item(provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT), "ticket 7", mia)}, `Work item done by Mia: remove Ben's account in CRM: ticket 7`},
	{&eventv1.WorkItemCancelled{WorkItem: note(item(provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN), "Ben has left", nil)}, `Work item cancelled: give Ben "Seller" and "Buyer" in CRM: Ben has left`},
	{&eventv1.ChecklistOpened{Checklist: &provisioningv1.Checklist{User: ben, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING, OpenCount: 2}}, `Ben's onboarding has begun: 2 open items`},
	{&eventv1.ChecklistOverdue{Checklist: &provisioningv1.Checklist{User: ben, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING, OpenCount: 1}}, `Ben's onboarding is overdue: 1 open item`},
	{&eventv1.ChecklistUpdated{Checklist: &provisioningv1.Checklist{User: ben, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING, DueTime: until}}, `Ben's offboarding is to be done until 2026-07-01 12:30 UTC`},
	{&eventv1.WorkingTimeUpdated{WorkingTime: &approvalv1.WorkingTime{TimeZone: "Europe/Berlin"}}, `The working time of the organization was changed`},
	{&eventv1.WorkingTimeUpdated{EnvironmentName: "North", WorkingTime: &approvalv1.WorkingTime{Inherited: true}}, `The working time of "North" is that of the organization from now on`},
	{&eventv1.ChecklistSettingsUpdated{ChecklistSettings: &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(72 * time.Hour), OffboardingPeriod: durationpb.New(90 * time.Minute)}}, `From now on there are 3 days for an onboarding and 1h30m0s for an offboarding`},
	{&eventv1.ChecklistClosed{Checklist: &provisioningv1.Checklist{User: ben, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING}}, `Ben's offboarding is done`},
	{&eventv1.IntegrationCreated{Integration: &provisioningv1.Integration{Name: "CRM by SCIM", State: provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING}}, `Integration "CRM by SCIM" was created; it works`},
	{&eventv1.IntegrationDeleted{Integration: &provisioningv1.Integration{Name: "CRM by SCIM"}}, `Integration "CRM by SCIM" was deleted, and its secret erased`},
	{&eventv1.IntegrationUpdated{Integration: &provisioningv1.Integration{Name: "CRM by SCIM", State: provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING, StateDetail: "401"}}, `Integration "CRM by SCIM" was changed or tested; its test failed: 401`},
	{&eventv1.CallDenied{Method: "gatehouse.request.v1.AppService/CreateApp", Reason: "ROLE_NOT_ALLOWED", CredentialId: "c1", Address: "192.0.2.7", Count: 1}, `A call of AppService.CreateApp was denied: role not allowed (credential c1, address 192.0.2.7)`},
	{&eventv1.CallDenied{Method: "/scim/v2", Reason: "SOURCE_TOKEN_REPLACED", Count: 199}, `199 calls of /scim/v2 were denied: source token replaced`},
	{&eventv1.CallDenied{CredentialId: "c1", Count: 7}, `7 calls of different kinds were denied (credential c1)`},
	{&eventv1.ReportDownloaded{RequestId: "r1", Format: "csv", EntryCount: 1, CredentialId: "c1", Address: "192.0.2.7"}, `The report of request r1 was downloaded as CSV: 1 row (credential c1, address 192.0.2.7)`},
	{&eventv1.ChecklistExported{Format: "xlsx", ItemCount: 12}, `Open checklists were exported as XLSX: 12 rows`},
	{&eventv1.ChecklistExported{Context: &eventv1.Context{UserId: "u"}, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING, Closed: true, Format: "csv"}, `Closed offboarding checklists of one person were exported as CSV: 0 rows`},
}

// render gives the content of a message that was recorded.
func render(t *testing.T, r *entry.Renderer, m proto.Message) entry.Content {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Render(&entry.Entry{Type: string(m.ProtoReflect().Descriptor().FullName()), Aggregate: "x", Name: "y", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	renderer := entry.NewRenderer()
	seen := map[protoreflect.FullName]bool{}
	for _, s := range summaries {
		typ := s.message.ProtoReflect().Descriptor().FullName()
		seen[typ] = true
		if c := render(t, renderer, s.message); c.Summary != s.want {
			t.Errorf("%s:\n got %s\nwant %s", typ, c.Summary, s.want)
		}
	}
	// A new event type gets a summary, and shows it here.
	n := 0
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		if d.ParentFile().Package() != "gatehouse.event.v1" || d.Fields().ByName("context") == nil {
			return true
		}
		n++
		if c := render(t, renderer, mt.New().Interface()); c.Summary == "x.y" || c.Summary == "" {
			t.Errorf("%s has no summary: %q", d.FullName(), c.Summary)
		}
		if !seen[d.FullName()] {
			t.Errorf("%s is not in this test", d.FullName())
		}
		return true
	})
	if n < 40 {
		t.Errorf("only %d types of events are linked in", n)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	r := request()
	m := &eventv1.RequestSubmitted{
		Context: &eventv1.Context{
			Actor:      event.UserActor(ann.GetUserId(), "Ann"),
			RequestIds: []string{r.GetId(), r.GetId(), "not an id"}, UserId: ben.GetUserId(), AppId: "neither",
		},
		Request: r,
	}
	k, malformed := entry.Index(m)
	if k.ActorID != ann.GetUserId() || k.UserID != uuid.MustParse(ben.GetUserId()) || k.AppID != uuid.Nil {
		t.Errorf("got %+v", k)
	}
	if !slices.Equal(k.RequestIDs, []uuid.UUID{uuid.MustParse(r.GetId())}) || !slices.Equal(malformed, []string{"neither", "not an id"}) {
		t.Errorf("requests %v, malformed %v", k.RequestIDs, malformed)
	}
	if k.PartiesOf.String() != r.GetId() || !slices.Equal(k.Parties, []uuid.UUID{uuid.MustParse(ann.GetUserId()), uuid.MustParse(ben.GetUserId())}) {
		t.Errorf("parties of %v: %v", k.PartiesOf, k.Parties)
	}
	if a := render(t, entry.NewRenderer(), m).Actor; a.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER || a.GetDisplayName() != "Ann" {
		t.Errorf("actor %v", a)
	}
}

// An event without a context and without a summary is recorded and shown all the
// same, and so is one of an unknown type. Bytes that are no event are an error.
func TestUnknownEvents(t *testing.T) {
	t.Parallel()
	m := timestamppb.New(time.Unix(1, 0))
	if k, malformed := entry.Index(m); k.UserID != uuid.Nil || len(k.RequestIDs) > 0 || len(malformed) > 0 {
		t.Errorf("got %+v, %v", k, malformed)
	}
	r := entry.NewRenderer()
	if c := render(t, r, m); c.Summary != "x.y" || c.Actor.GetKind() != eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED || len(c.JSON) == 0 {
		t.Errorf("got %+v", c)
	}
	e := &entry.Entry{Type: "gatehouse.event.v9.NotYet", Aggregate: "thing", Name: "happened", Data: []byte("\xff"), Keys: entry.Keys{ActorID: "ann"}}
	if c, err := r.Render(e); err != nil || c.Summary != "thing.happened" || c.Actor.GetId() != "ann" || string(c.JSON) != "{}" {
		t.Errorf("got %+v, %v", c, err)
	}
	e.Type = "gatehouse.event.v1.UserJoined"
	if c, err := r.Render(e); err == nil {
		t.Errorf("bytes that are no event give %+v", c)
	}
}

func TestSummaryIsOneShortLine(t *testing.T) {
	t.Parallel()
	m := &eventv1.CommentAdded{
		Context: &eventv1.Context{Actor: &eventv1.Actor{Id: strings.Repeat("ü", 5000)}},
		Comment: &requestv1.Comment{Text: "a\x00b\r\n\tc " + strings.Repeat("é", 5000)},
	}
	c := render(t, entry.NewRenderer(), m)
	if n := utf8.RuneCountInString(c.Summary); n != 1000 || !strings.HasPrefix(c.Summary, "somebody commented: a\uFFFDb c é") || !strings.HasSuffix(c.Summary, "…") {
		t.Errorf("%d characters: %.60q", n, c.Summary)
	}
	k, _ := entry.Index(m)
	if n := utf8.RuneCountInString(k.ActorID); n != 200 || c.Actor.GetId() != k.ActorID {
		t.Errorf("actor of %d characters", n)
	}
}

// B-AUD-07: a secret does not reach the log, even if the event's owner forgot to
// leave it out. Every other event is kept byte for byte.
func TestSecretsAreLeftOut(t *testing.T) {
	t.Parallel()
	m := &eventv1.IntegrationCreated{Integration: &provisioningv1.Integration{
		Name: "CRM", Scim: &provisioningv1.ScimSettings{BaseUrl: "https://crm.example", Token: "hush"},
	}}
	before := proto.Clone(m)
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	redactor := entry.NewRedactor()
	kept, err := redactor.Redact(m, data)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(kept, []byte("hush")) || !bytes.Contains(kept, []byte("crm.example")) {
		t.Errorf("kept %q", kept)
	}
	if !proto.Equal(m, before) {
		t.Errorf("the event was changed: %v", m)
	}
	// As emitted by a newer version, with a field that this one does not know.
	newer := []byte("\xc2\x3e\x03new")
	if kept, err := redactor.Redact(&eventv1.UserJoined{}, newer); err != nil || !bytes.Equal(kept, newer) {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func BenchmarkRecord(b *testing.B) {
	redactor := entry.NewRedactor()
	m, data := decided(b)
	for b.Loop() {
		entry.Index(m)
		if _, err := redactor.Redact(m, data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(data)), "bytes")
}

func BenchmarkRender(b *testing.B) {
	renderer := entry.NewRenderer()
	m, data := decided(b)
	e := &entry.Entry{Type: string(m.ProtoReflect().Descriptor().FullName()), Data: data}
	var size int
	for b.Loop() {
		c, err := renderer.Render(e)
		if err != nil {
			b.Fatal(err)
		}
		size = len(c.JSON)
	}
	b.ReportMetric(float64(size), "bytes")
}

// decided is an event of usual size.
func decided(b *testing.B) (m proto.Message, data []byte) {
	b.Helper()
	r := request()
	m = &eventv1.ApprovalRequested{
		Context: &eventv1.Context{RequestIds: []string{r.GetId()}, UserId: ben.GetUserId()}, RequestId: r.GetId(), StepName: "Manager",
		Tasks: []*approvalv1.Task{{Reviewer: mia, Request: r}, {Reviewer: pia, Request: r}},
	}
	data, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	return m, data
}
