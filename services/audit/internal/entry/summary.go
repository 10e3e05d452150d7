package entry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// summaries say what happened in one sentence, by event type. A test fails for a
// type without one.
type summaries map[protoreflect.FullName]func(proto.Message) string

func on[M proto.Message](s summaries, summarize func(M) string) {
	var zero M
	s[zero.ProtoReflect().Descriptor().FullName()] = func(m proto.Message) string { return summarize(m.(M)) }
}

func allSummaries() summaries {
	s := summaries{}
	identitySummaries(s)
	requestSummaries(s)
	approvalSummaries(s)
	accessSummaries(s)
	workItemSummaries(s)
	callSummaries(s)
	return s
}

func identitySummaries(w summaries) {
	on(w, func(m *eventv1.OrganizationCreated) string {
		return "Organization " + quoted(m.GetOrganization().GetName()) + " was created"
	})
	on(w, func(m *eventv1.OrganizationUpdated) string {
		before, after := m.GetPrevious(), m.GetOrganization()
		var what []string
		if before.GetName() != after.GetName() {
			what = append(what, "its name to "+quoted(after.GetName()))
		}
		if before.GetSignInName() != after.GetSignInName() {
			what = append(what, "its sign-in name from "+quoted(before.GetSignInName())+" to "+quoted(after.GetSignInName()))
		}
		if b, a := before.GetRemoveSuspendedAfter(), after.GetRemoveSuspendedAfter(); !proto.Equal(b, a) {
			what = append(what, "after how long suspended people are removed from "+days(b)+" to "+days(a))
		}
		return "Organization " + quoted(before.GetName()) + " was changed: " + list(what)
	})
	on(w, func(m *eventv1.OrganizationVersionsRaised) string {
		return fmt.Sprintf("The versions of %s, %s and %s were raised at the machine, as after a restored backup",
			count(int(m.GetEnvironments()), "environment"), count(int(m.GetUsers()), "user"), count(int(m.GetGroups()), "group"))
	})
	on(w, func(m *eventv1.EnvironmentCreated) string {
		return "Environment " + quoted(m.GetEnvironment().GetName()) + " was created"
	})
	on(w, func(m *eventv1.EnvironmentUpdated) string {
		return "Environment " + quoted(m.GetEnvironment().GetName()) + " was changed"
	})
	on(w, func(m *eventv1.SourceCreated) string {
		return "Source " + quoted(m.GetSource().GetName()) + " was created"
	})
	on(w, func(m *eventv1.SourceUpdated) string {
		return "Source " + quoted(m.GetSource().GetName()) + " was changed" + fields(m.GetChangedFields())
	})
	on(w, func(m *eventv1.SourceDeleted) string {
		if m.GetUsersLeave() {
			return "Source " + quoted(m.GetSource().GetName()) + " was deleted: its people leave"
		}
		return "Source " + quoted(m.GetSource().GetName()) + " was deleted: its people stay"
	})
	on(w, func(m *eventv1.SourceTokenRotated) string {
		return "Source " + quoted(m.GetSource().GetName()) + " got a new token"
	})
	on(w, func(m *eventv1.RoleChanged) string {
		return fmt.Sprintf("%s's role was changed from %s to %s", user(m.GetUser()), role(m.GetPreviousRole()), role(m.GetUser().GetRole()))
	})
	on(w, func(m *eventv1.SessionStarted) string {
		switch m.GetSession().GetMethod() {
		case identityv1.SignInMethod_SIGN_IN_METHOD_DEVELOPMENT:
			return "Signed in by the development sign-in"
		case identityv1.SignInMethod_SIGN_IN_METHOD_LINK:
			return "Signed in with a one-time link"
		}
		return "Signed in"
	})
	on(w, func(*eventv1.SessionConfirmed) string { return "Confirmed at the identity provider who they are" })
	on(w, func(m *eventv1.SignInRefused) string {
		return "Sign-in as " + quoted(m.GetSubject()) + " was refused: " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(m.GetReason(), "SIGN_IN_"), "_", " "))
	})
	on(w, func(m *eventv1.SignInLinkCreated) string {
		return "A one-time link to sign in " + user(m.GetUser()) + " was made at the machine"
	})
	on(w, func(m *eventv1.IdentityProviderCreated) string {
		return "Identity provider " + quoted(m.GetIdentityProvider().GetName()) + " was created"
	})
	on(w, func(m *eventv1.IdentityProviderUpdated) string {
		return "Identity provider " + quoted(m.GetIdentityProvider().GetName()) + " was changed" + fields(m.GetChangedFields())
	})
	on(w, func(m *eventv1.IdentityProviderDeleted) string {
		return "Identity provider " + quoted(m.GetIdentityProvider().GetName()) + " was removed"
	})
	on(w, func(m *eventv1.UserIdentityLinked) string {
		return "Identity " + quoted(m.GetUserIdentity().GetSubject()) + " was linked to the user"
	})
	on(w, func(m *eventv1.UserIdentityDeleted) string {
		return "Identity " + quoted(m.GetUserIdentity().GetSubject()) + " was taken from the user"
	})
	on(w, func(m *eventv1.SessionEnded) string {
		if m.GetContext().GetActor().GetId() == m.GetSession().GetUserId() {
			return user(m.GetUser()) + " signed out"
		}
		return user(m.GetUser()) + " was signed out"
	})
	on(w, func(m *eventv1.ApiTokenCreated) string {
		t := m.GetApiToken()
		s := "API token " + quoted(t.GetName()) + " was created"
		if t.GetReadOnly() {
			s += ", read-only"
		}
		if scopes := t.GetScopes(); len(scopes) > 0 {
			s += ", for " + list(scopes)
		}
		if t.GetExpireTime() != nil {
			s += "," + until(t.GetExpireTime())
		}
		return s
	})
	on(w, func(m *eventv1.ApiTokenRevoked) string {
		return "API token " + quoted(m.GetApiToken().GetName()) + " was revoked"
	})
	on(w, func(m *eventv1.UserJoined) string {
		if m.GetUser().GetJoinCount() > 1 {
			return user(m.GetUser()) + " came back"
		}
		return user(m.GetUser()) + " joined"
	})
	on(w, func(m *eventv1.UserUpdated) string {
		return user(m.GetUser()) + " was changed" + fields(m.GetChangedFields())
	})
	on(w, func(m *eventv1.UserSuspended) string { return user(m.GetUser()) + " was suspended" })
	on(w, func(m *eventv1.UserRemoved) string {
		if m.GetReason() == eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG {
			return user(m.GetUser()) + " was removed, having been suspended for as long as the organization lets people be"
		}
		return user(m.GetUser()) + " left"
	})
	on(w, func(m *eventv1.GroupCreated) string {
		return "Group " + quoted(m.GetGroup().GetDisplayName()) + " was created"
	})
	on(w, func(m *eventv1.GroupUpdated) string {
		return "Group " + quoted(m.GetGroup().GetDisplayName()) + " was changed"
	})
	on(w, func(m *eventv1.GroupRemoved) string {
		return "Group " + quoted(m.GetGroup().GetDisplayName()) + " was removed, and with it all its memberships"
	})
	on(w, func(m *eventv1.GroupMemberAdded) string {
		return person(m.GetMember()) + " was added to the group " + quoted(m.GetGroup().GetDisplayName())
	})
	on(w, func(m *eventv1.GroupMemberRemoved) string {
		return person(m.GetMember()) + " was removed from the group " + quoted(m.GetGroup().GetDisplayName())
	})
}

func requestSummaries(w summaries) {
	on(w, func(m *eventv1.AppCreated) string {
		return "App " + quoted(m.GetApp().GetName()) + " was added to the catalog"
	})
	on(w, func(m *eventv1.AppUpdated) string {
		return "App " + quoted(m.GetApp().GetName()) + " was changed" + fields(m.GetChangedFields())
	})
	on(w, func(m *eventv1.AppDeleted) string {
		return "App " + quoted(m.GetApp().GetName()) + " was deleted: what people hold in it ends"
	})
	on(w, func(m *eventv1.EntitlementDeleted) string {
		return entitlement(m.GetEntitlement().GetName(), m.GetAppName()) + " was deleted: who holds it does not any more"
	})
	on(w, func(m *eventv1.EntitlementCreated) string {
		return entitlement(m.GetEntitlement().GetName(), m.GetAppName()) + " can now be requested"
	})
	on(w, func(m *eventv1.EntitlementUpdated) string {
		return entitlement(m.GetEntitlement().GetName(), m.GetAppName()) + " was changed" + fields(m.GetChangedFields())
	})
	on(w, func(m *eventv1.RequestSubmitted) string {
		r := m.GetRequest()
		who := person(r.GetRequester())
		if r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
			who = "A join-flow"
		}
		var s string
		switch {
		case r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT:
			s = who + " assigned " + items(r) + " to " + person(r.GetBeneficiary())
		case r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE:
			s = who + " asked that " + items(r) + " be taken from " + person(r.GetBeneficiary())
		case r.GetRequester().GetUserId() == r.GetBeneficiary().GetUserId() && r.GetRequester() != nil:
			s = who + " asked for " + items(r)
		default:
			s = who + " asked for " + items(r) + " for " + person(r.GetBeneficiary())
		}
		return s + until(r.GetUntil()) + colon(r.GetJustification())
	})
	on(w, func(m *eventv1.RequestCancelRequested) string {
		return "The request is to be cancelled" + colon(m.GetReason())
	})
	on(w, func(m *eventv1.RequestGiveUpRequested) string {
		part := &requestv1.Request{}
		for _, i := range m.GetRequest().GetItems() {
			if slices.Contains(m.GetItemIds(), i.GetId()) {
				part.Items = append(part.Items, i)
			}
		}
		return items(part) + " for " + person(m.GetRequest().GetBeneficiary()) + " is to be given up" + colon(m.GetReason())
	})
	on(w, func(m *eventv1.RequestClosed) string {
		r := m.GetRequest()
		by := ""
		if r.GetClosedBy() != nil {
			by = " by " + person(r.GetClosedBy())
		}
		switch r.GetState() {
		case requestv1.RequestState_REQUEST_STATE_FULFILLED:
			if r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE {
				return "The request is fulfilled: " + items(r) + " was taken from " + person(r.GetBeneficiary())
			}
			return "The request is fulfilled: " + person(r.GetBeneficiary()) + " has " + items(r)
		case requestv1.RequestState_REQUEST_STATE_PARTLY_FULFILLED:
			done, other := &requestv1.Request{}, &requestv1.Request{}
			for _, i := range r.GetItems() {
				part := other
				if i.GetState() == requestv1.ItemState_ITEM_STATE_FULFILLED {
					part = done
				}
				part.Items = append(part.Items, i)
			}
			what := person(r.GetBeneficiary()) + " has " + items(done)
			if r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE {
				what = items(done) + " was taken from " + person(r.GetBeneficiary())
			}
			return "The request is fulfilled in part: " + what + "; not done: " + items(other)
		case requestv1.RequestState_REQUEST_STATE_DENIED:
			return "The request was denied" + by + colon(r.GetClosingReason())
		case requestv1.RequestState_REQUEST_STATE_CANCELLED:
			if r.GetExpired() {
				return "The request expired" + colon(r.GetClosingReason())
			}
			return "The request was cancelled" + by + colon(r.GetClosingReason())
		default:
			return "The request was closed" + by + colon(r.GetClosingReason())
		}
	})
	on(w, func(m *eventv1.CommentAdded) string {
		return person(m.GetComment().GetAuthor()) + " commented" + colon(m.GetComment().GetText())
	})
	on(w, func(m *eventv1.BundleCreated) string {
		return fmt.Sprintf("Bundle %s was created: %d entitlements are requested as one", quoted(m.GetBundle().GetName()), len(m.GetBundle().GetEntitlementIds()))
	})
	on(w, func(m *eventv1.BundleUpdated) string {
		return "Bundle " + quoted(m.GetBundle().GetName()) + " was changed" + colon(strings.Join(m.GetChangedFields(), ", "))
	})
	on(w, func(m *eventv1.BundleDeleted) string {
		return "Bundle " + quoted(m.GetBundle().GetName()) + " was deleted"
	})
	on(w, func(m *eventv1.ConversationStarted) string {
		return person(m.GetMessage().GetAuthor()) + " asked those who run " + quoted(m.GetConversation().GetAppName()) + " for help" + colon(m.GetMessage().GetText())
	})
	on(w, func(m *eventv1.ConversationMessageAdded) string {
		return person(m.GetMessage().GetAuthor()) + " wrote in " + person(m.GetConversation().GetAsker()) + "'s conversation about " +
			quoted(m.GetConversation().GetAppName()) + colon(m.GetMessage().GetText())
	})
	on(w, func(m *eventv1.ConversationClosed) string {
		return person(m.GetConversation().GetAsker()) + "'s conversation about " + quoted(m.GetConversation().GetAppName()) + " was closed" + colon(m.GetConversation().GetClosingReason())
	})
}

// unmatchText says what follows for whom a join-flow is not any more.
var unmatchText = map[approvalv1.UnmatchAction]string{
	approvalv1.UnmatchAction_UNMATCH_ACTION_TAKE_AWAY: "what it gave is to be taken away",
	approvalv1.UnmatchAction_UNMATCH_ACTION_ASK:       "it is to be asked whether what it gave is taken away",
	approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP:      "what it gave stays",
}

func approvalSummaries(w summaries) {
	on(w, func(m *eventv1.FlowCreated) string { return "Flow " + quoted(m.GetFlow().GetName()) + " was created" })
	on(w, func(m *eventv1.FlowUpdated) string {
		return fmt.Sprintf("Flow %s was changed: now version %d", quoted(m.GetFlow().GetName()), m.GetFlow().GetVersion())
	})
	on(w, func(m *eventv1.FlowDeleted) string {
		text := "Flow " + quoted(m.GetFlow().GetName()) + " was deleted"
		if m.GetRequests() == approvalv1.FlowRequests_FLOW_REQUESTS_CANCEL {
			text += fmt.Sprintf("; the open requests on it, %d, are cancelled%s", m.GetOpenRequestCount(), colon(m.GetReason()))
		}
		if m.GetMatches() == approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK {
			text += fmt.Sprintf("; what it gave, to %d people, is taken back", m.GetMatchedCount())
		}
		return text
	})
	on(w, func(m *eventv1.FlowMatched) string {
		return fmt.Sprintf("Join-flow %s, version %d, matched: a request is to be opened", quoted(m.GetFlowName()), m.GetFlowVersion())
	})
	on(w, func(m *eventv1.FlowUnmatched) string {
		return fmt.Sprintf("Join-flow %s, version %d, matches no more: %s", quoted(m.GetFlowName()), m.GetFlowVersion(), unmatchText[m.GetAction()])
	})
	opened := func(name string, tasks []*approvalv1.Task) string {
		asked := make([]string, 0, len(tasks))
		var instead string
		for _, t := range tasks {
			asked = append(asked, person(t.GetReviewer()))
			if instead == "" {
				instead = t.GetSubstitution()
			}
		}
		if len(asked) == 0 {
			return step(name) + " opened, and nobody can decide it yet"
		}
		return step(name) + " opened: " + list(asked) + " asked to decide" + colon(instead)
	}
	approved := func(t *approvalv1.Task) string {
		return person(t.GetReviewer()) + behalf(t) + " " + enum.Word(t.GetState()) + " at " + lower(step(t.GetStepName()))
	}
	on(w, func(m *eventv1.ApprovalRequested) string { return opened(m.GetStepName(), m.GetTasks()) })
	on(w, func(m *eventv1.ApprovalDecided) string {
		s := approved(m.GetTask())
		if m.GetStepApproved() {
			s += ", which is now approved"
		}
		s += colon(m.GetTask().GetComment())
		if m.GetNextStep() != 0 {
			s += "; " + lower(opened(m.GetNextStepName(), m.GetNextTasks()))
		}
		return s
	})
	on(w, func(m *eventv1.ApprovalGranted) string {
		s := granted(m)
		if m.GetTask() != nil {
			s = approved(m.GetTask()) + colon(m.GetTask().GetComment()) + "; " + lower(s)
		}
		return s
	})
	on(w, func(m *eventv1.ApprovalDenied) string {
		if m.GetReviewer() == nil {
			return "The request was denied" + colon(m.GetReason())
		}
		return person(m.GetReviewer()) + behalf(m.GetTask()) + " denied " + itemOf(m.GetTask()) + " at " + lower(step(m.GetStepName())) + colon(m.GetReason())
	})
	on(w, func(m *eventv1.ApprovalCancelled) string {
		return "What was not decided yet ended, as the request was cancelled" + colon(m.GetReason())
	})
	on(w, func(m *eventv1.DelegationCreated) string {
		d := m.GetDelegation()
		return "What " + person(d.GetDelegator()) + " decides is delegated to " + person(d.GetDelegate()) + " from " + strings.TrimPrefix(until(d.GetFrom()), " until ") + until(d.GetUntil()) + colon(d.GetReason())
	})
	on(w, func(m *eventv1.DelegationEnded) string {
		d := m.GetDelegation()
		s := "What " + person(d.GetDelegator()) + " decides is not delegated to " + person(d.GetDelegate()) + " any more"
		if d.GetEndedBy() == nil {
			s += ": its end came"
		}
		return s
	})
	on(w, func(m *eventv1.TaskReminded) string { return "Reminded to decide: " + reviewers(m.GetTasks()) })
	on(w, func(m *eventv1.ApprovalEscalated) string {
		s := step(m.GetStepName()) + " was " + m.GetReason()
		if len(m.GetTasks()) > 0 {
			s += "; also asked: " + reviewers(m.GetTasks())
		}
		return s
	})
	on(w, func(m *eventv1.TaskReassigned) string {
		s := person(m.GetFrom().GetReviewer()) + "'s decision at " + lower(step(m.GetFrom().GetStepName()))
		if m.GetTo() == nil {
			return s + " was taken back, and nobody can decide it yet" + colon(m.GetReason())
		}
		return s + " was given to " + person(m.GetTo().GetReviewer()) + colon(m.GetReason())
	})
}

// behalf says for whom a reviewer decides, if not for themselves.
func behalf(t *approvalv1.Task) string {
	if t.GetOnBehalfOf() == nil {
		return ""
	}
	return " on behalf of " + person(t.GetOnBehalfOf())
}

// reviewers names those of tasks.
func reviewers(tasks []*approvalv1.Task) string {
	names := make([]string, 0, len(tasks))
	for _, t := range tasks {
		if n := person(t.GetReviewer()); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return list(names)
}

func granted(m *eventv1.ApprovalGranted) string {
	s := "Approved: " + items(m.GetRequest()) + " for " + person(m.GetRequest().GetBeneficiary())
	if m.GetRequest().GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE {
		s = "Approved: " + items(m.GetRequest()) + " is to be taken from " + person(m.GetRequest().GetBeneficiary())
	}
	if m.GetAutomatic() {
		s += ", by the flow itself"
	}
	if m.GetRequest().GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT {
		s += ", assigned by " + person(m.GetRequest().GetRequester())
	}
	return s
}

func accessSummaries(w summaries) {
	held := func(g *provisioningv1.Grant) string { return entitlement(g.GetEntitlementName(), g.GetAppName()) }
	on(w, func(m *eventv1.GrantCreated) string {
		g := m.GetGrant()
		return person(g.GetUser()) + " is to get " + held(g) + until(g.GetUntil())
	})
	on(w, func(m *eventv1.GrantActivated) string {
		g := m.GetGrant()
		return person(g.GetUser()) + " has " + held(g) + until(g.GetUntil())
	})
	on(w, func(m *eventv1.GrantExpiring) string {
		g := m.GetGrant()
		s := person(g.GetUser()) + " will soon lose " + held(g)
		if g.GetUntil() != nil {
			s += ": its end time is" + strings.TrimPrefix(until(g.GetUntil()), " until")
		}
		return s
	})
	on(w, func(m *eventv1.GrantHeld) string {
		g := m.GetGrant()
		return person(g.GetUser()) + " is to be without " + held(g) + " while suspended"
	})
	on(w, func(m *eventv1.GrantEnded) string {
		g := m.GetGrant()
		s := person(g.GetUser()) + " is to lose " + held(g)
		switch g.GetEndReason() {
		case provisioningv1.GrantEndReason_GRANT_END_REASON_REQUESTED:
			s += ": a revoke request was approved"
		case provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED:
			s += ": its end time came"
		case provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED:
			s += ": the person has left"
		case provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED:
			s += ": the app was deleted"
		case provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP:
			return person(g.GetUser()) + " is not to get " + held(g) + ": it was given up"
		case provisioningv1.GrantEndReason_GRANT_END_REASON_ENTITLEMENT_DELETED:
			s += ": it was deleted from the app"
		}
		return s
	})
	on(w, func(m *eventv1.GrantRevoked) string {
		g := m.GetGrant()
		return person(g.GetUser()) + " no longer has " + held(g) + " by this grant"
	})
	on(w, func(m *eventv1.GrantFailed) string {
		g := m.GetGrant()
		if g.GetState() == provisioningv1.GrantState_GRANT_STATE_REVOKING {
			return held(g) + " could not be taken from " + person(g.GetUser()) + colon(g.GetError())
		}
		return held(g) + " could not be given to " + person(g.GetUser()) + colon(g.GetError())
	})
	on(w, func(m *eventv1.GrantReopened) string {
		g := m.GetGrant()
		if g.GetState() == provisioningv1.GrantState_GRANT_STATE_REVOKING {
			return person(g.GetUser()) + " still has " + held(g) + ", which is to be taken away again: it was said to be gone by mistake"
		}
		return person(g.GetUser()) + " does not have " + held(g) + ": it was said to be in place by mistake"
	})
	on(w, func(m *eventv1.RevocationCompleted) string {
		return "The revoke request is done: " + count(len(m.GetGrantIds()), "grant") + " ended"
	})
	on(w, func(m *eventv1.RevocationReopened) string {
		return "The revoke request is not done: it was said by mistake that what it ended is gone"
	})
	on(w, func(m *eventv1.AccountCreated) string {
		a := m.GetAccount()
		return person(a.GetUser()) + " has an account in " + named(a.GetAppName(), "an app")
	})
	on(w, func(m *eventv1.AccountRemoved) string {
		a := m.GetAccount()
		if a.GetState() == provisioningv1.AccountState_ACCOUNT_STATE_DISABLED {
			return person(a.GetUser()) + "'s account in " + named(a.GetAppName(), "an app") + " is disabled"
		}
		return person(a.GetUser()) + "'s account in " + named(a.GetAppName(), "an app") + " is gone"
	})
}

func workItemSummaries(w summaries) {
	on(w, func(m *eventv1.WorkItemOpened) string {
		if m.GetWorkItem().GetReopenedItemId() != "" {
			return "Work item reopened: " + workToDo(m.GetWorkItem()) + colon(m.GetWorkItem().GetReopenReason())
		}
		return "Work item opened: " + workToDo(m.GetWorkItem()) + colon(m.GetWorkItem().GetError())
	})
	on(w, func(m *eventv1.WorkItemResolved) string {
		i := m.GetWorkItem()
		if i.GetResolver() == nil {
			return "Work item done: " + workToDo(i) + colon(i.GetNote())
		}
		return "Work item done by " + person(i.GetResolver()) + ": " + workToDo(i) + colon(i.GetNote())
	})
	on(w, func(m *eventv1.WorkItemCancelled) string {
		return "Work item cancelled: " + workToDo(m.GetWorkItem()) + colon(m.GetWorkItem().GetNote())
	})
	on(w, func(m *eventv1.ChecklistOpened) string {
		return checklist(m.GetChecklist()) + " has begun: " + count(int(m.GetChecklist().GetOpenCount()), "open item")
	})
	on(w, func(m *eventv1.ChecklistOverdue) string {
		return checklist(m.GetChecklist()) + " is overdue: " + count(int(m.GetChecklist().GetOpenCount()), "open item")
	})
	on(w, func(m *eventv1.ChecklistUpdated) string {
		return checklist(m.GetChecklist()) + " is to be done" + until(m.GetChecklist().GetDueTime())
	})
	on(w, func(m *eventv1.WorkingTimeUpdated) string {
		whose := "the organization"
		if m.GetEnvironmentName() != "" {
			whose = quoted(m.GetEnvironmentName())
		}
		if m.GetWorkingTime().GetInherited() {
			return "The working time of " + whose + " is that of the organization from now on"
		}
		return "The working time of " + whose + " was changed"
	})
	on(w, func(m *eventv1.ChecklistSettingsUpdated) string {
		s := m.GetChecklistSettings()
		return "From now on there are " + period(s.GetOnboardingPeriod()) + " for an onboarding and " + period(s.GetOffboardingPeriod()) + " for an offboarding"
	})
	on(w, func(m *eventv1.ChecklistClosed) string { return checklist(m.GetChecklist()) + " is done" })
	on(w, func(m *eventv1.IntegrationCreated) string {
		return "Integration " + quoted(m.GetIntegration().GetName()) + " was created" + test(m.GetIntegration())
	})
	on(w, func(m *eventv1.IntegrationUpdated) string {
		return "Integration " + quoted(m.GetIntegration().GetName()) + " was changed or tested" + test(m.GetIntegration())
	})
	on(w, func(m *eventv1.IntegrationDeleted) string {
		return "Integration " + quoted(m.GetIntegration().GetName()) + " was deleted, and its secret erased"
	})
}

func callSummaries(w summaries) {
	on(w, func(m *eventv1.CallDenied) string {
		s := "A call"
		if m.GetCount() > 1 {
			s = fmt.Sprintf("%d calls", m.GetCount())
		}
		if m.GetMethod() == "" {
			s += " of different kinds"
		} else {
			s += " of " + called(m.GetMethod())
		}
		if m.GetCount() > 1 {
			s += " were denied"
		} else {
			s += " was denied"
		}
		return s + colon(reason(m.GetReason())) + credentialAndAddress(m.GetCredentialId(), m.GetAddress())
	})
	on(w, func(m *eventv1.ReportDownloaded) string {
		return fmt.Sprintf("The report of request %s was downloaded as %s", m.GetRequestId(), strings.ToUpper(m.GetFormat())) +
			": " + count(int(m.GetEntryCount()), "row") + credentialAndAddress(m.GetCredentialId(), m.GetAddress())
	})
	on(w, func(m *eventv1.ChecklistExported) string {
		state, kind := "Open", ""
		switch {
		case m.GetClosed():
			state = "Closed"
		case m.GetOverdue():
			state = "Overdue"
		}
		if m.GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_UNSPECIFIED {
			kind = enum.Word(m.GetKind()) + " "
		}
		s := state + " " + kind + "checklists"
		if m.GetContext().GetUserId() != "" {
			s += " of one person"
		}
		return s + " were exported as " + strings.ToUpper(m.GetFormat()) +
			": " + count(int(m.GetItemCount()), "row") + credentialAndAddress(m.GetCredentialId(), m.GetAddress())
	})
}

// called is what was called, without what all names have in common.
func called(method string) string {
	service, rpc, ok := strings.Cut(method, "/")
	if !ok || service == "" {
		return method
	}
	return service[strings.LastIndexByte(service, '.')+1:] + "." + rpc
}

// reason is a reason in words.
func reason(r string) string { return strings.ToLower(strings.ReplaceAll(r, "_", " ")) }

// credentialAndAddress is what somebody called with, and from where.
func credentialAndAddress(credential, address string) string {
	var said []string
	if credential != "" {
		said = append(said, "credential "+credential)
	}
	if address != "" {
		said = append(said, "address "+address)
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, ", ") + ")"
}

func person(p *identityv1.Person) string {
	return named(p.GetDisplayName(), named(p.GetEmail(), "somebody"))
}

func user(u *identityv1.User) string {
	return named(u.GetDisplayName(), named(u.GetUserName(), "somebody"))
}

func role(r identityv1.Role) string {
	switch r {
	case identityv1.Role_ROLE_ADMIN:
		return "admin"
	case identityv1.Role_ROLE_IT_ADMIN:
		return "IT admin"
	case identityv1.Role_ROLE_RISK_MANAGER:
		return "risk manager"
	case identityv1.Role_ROLE_MEMBER:
		return "member"
	case identityv1.Role_ROLE_EXTERNAL:
		return "external"
	}
	return "none"
}

// items names what a request is about.
func items(r *requestv1.Request) string {
	names := make([]string, 0, len(r.GetItems()))
	for _, i := range r.GetItems() {
		names = append(names, entitlement(i.GetEntitlementName(), i.GetAppName()))
	}
	if len(names) == 0 {
		return "nothing"
	}
	return list(names)
}

// itemOf names the item that a task decides.
func itemOf(t *approvalv1.Task) string {
	for _, i := range t.GetRequest().GetItems() {
		if i.GetId() == t.GetItemId() && t.GetItemId() != "" {
			return entitlement(i.GetEntitlementName(), i.GetAppName())
		}
	}
	return "the request"
}

// entitlement names an entitlement.
func entitlement(name, app string) string {
	return quoted(name) + " in " + named(app, "an app")
}

func step(name string) string { return "Step " + quoted(name) }

func workToDo(i *provisioningv1.WorkItem) string {
	app, who, what := named(i.GetAppName(), "an app"), person(i.GetUser()), "an entitlement"
	if len(i.GetEntitlementNames()) > 0 {
		names := make([]string, len(i.GetEntitlementNames()))
		for n, name := range i.GetEntitlementNames() {
			names[n] = quoted(name)
		}
		what = list(names)
	}
	switch i.GetKind() {
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT:
		return "create an account in " + app + " for " + who + " with " + what
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN:
		return "give " + who + " " + what + " in " + app
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_UNASSIGN:
		return "take " + what + " in " + app + " from " + who
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT:
		return "remove " + who + "'s account in " + app
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION:
		return "fix what failed in " + app + " for " + who
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET:
		return "change the shared secret of " + app + ", which " + who + " knew"
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_ADOPT_ACCOUNT:
		return "say whether the account found in " + app + " is " + who + "'s"
	case provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_LEFT_ACCOUNT:
		return "remove " + who + "'s account where " + app + " is not any more"
	}
	return "something in " + app + " for " + who
}

func checklist(c *provisioningv1.Checklist) string {
	switch c.GetKind() {
	case provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING:
		return person(c.GetUser()) + "'s onboarding"
	case provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING:
		return person(c.GetUser()) + "'s offboarding"
	}
	return person(c.GetUser()) + "'s checklist"
}

func test(i *provisioningv1.Integration) string {
	switch i.GetState() {
	case provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING:
		return "; it works"
	case provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING:
		return "; its test failed" + colon(i.GetStateDetail())
	}
	return ""
}

// fields names changed fields as people would.
func fields(names []string) string {
	if len(names) == 0 {
		return ""
	}
	readable := make([]string, len(names))
	for i, n := range names {
		if of, ok := strings.CutSuffix(n, "_ids"); ok {
			n = of + "s"
		}
		readable[i] = strings.ReplaceAll(strings.TrimSuffix(n, "_id"), "_", " ")
	}
	return ": " + list(readable)
}

func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func until(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return " until " + t.AsTime().Format("2006-01-02 15:04") + " UTC"
}

// days is a number of days, or never.
func days(d *durationpb.Duration) string {
	switch n := int(d.AsDuration().Hours() / 24); n {
	case 0:
		return "never"
	case 1:
		return "1 day"
	default:
		return strconv.Itoa(n) + " days"
	}
}

// period is a time that somebody has for something.
func period(d *durationpb.Duration) string {
	if t := d.AsDuration(); t%(24*time.Hour) != 0 {
		return t.String()
	}
	return count(int(d.AsDuration()/(24*time.Hour)), "day")
}

func quoted(s string) string { return `"` + s + `"` }

func named(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// lower makes what begins a sentence stand inside one.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// list joins as people do: a, b and c.
func list(s []string) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) == 1 {
		return s[0]
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}
