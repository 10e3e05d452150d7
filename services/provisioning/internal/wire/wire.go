// Package wire says what provisioning keeps in the words of its API, for
// answers and for events alike.
package wire

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Grant is a grant with names.
func Grant(g *store.NamedGrant) *provisioningv1.Grant {
	return &provisioningv1.Grant{
		Id: g.ID.String(), OrganizationId: g.OrganizationID.String(), User: person(g.User),
		AppId: g.AppID.String(), AppName: g.AppName,
		EntitlementId: g.EntitlementID.String(), EntitlementName: g.EntitlementName,
		RequestId: g.RequestID.String(), ItemId: g.ItemID.String(),
		State: GrantState(g.State), Until: timestamp(g.Until),
		CreateTime: timestamppb.New(g.CreateTime), ActivateTime: timestamp(g.ActivateTime), RevokeTime: timestamp(g.RevokeTime),
		EndReason: grantEnds[g.End], RevokeRequestId: optional(g.RevokeRequestID), Error: g.Error, Version: g.Version,
	}
}

// Account is an account with names. What is not known for sure is as it was.
func Account(a *store.NamedAccount) *provisioningv1.Account {
	return &provisioningv1.Account{
		Id: a.ID.String(), OrganizationId: a.OrganizationID.String(), User: person(a.User),
		AppId: a.AppID.String(), AppName: a.AppName, ExternalId: a.ExternalID, UserName: a.UserName,
		State: accountStates[a.Know.Account], CreateTime: timestamp(a.CreateTime), UpdateTime: timestamppb.New(a.UpdateTime),
	}
}

// WorkItem is a work item with names.
func WorkItem(i *store.NamedItem) *provisioningv1.WorkItem {
	w := &provisioningv1.WorkItem{
		Id: i.ID.String(), OrganizationId: i.OrganizationID.String(), Kind: itemKinds[i.Kind], State: itemStates[i.State],
		User: person(i.User), AppId: i.AppID.String(), AppName: i.AppName, EntitlementNames: i.EntitlementNames,
		RequestIds: Strings(i.RequestIDs), ChecklistId: optional(i.ChecklistID), Error: i.Error, Note: i.Note,
		CreateTime: timestamppb.New(i.CreateTime), ResolveTime: timestamp(i.ResolveTime), Version: i.Version,
	}
	if i.State == "resolved" {
		w.Resolver = &identityv1.Person{UserId: optional(i.ResolverID), DisplayName: i.ResolverName, Email: i.ResolverEmail}
	}
	return w
}

// Checklist is a checklist with names.
func Checklist(c *store.NamedChecklist) *provisioningv1.Checklist {
	return &provisioningv1.Checklist{
		Id: c.ID.String(), OrganizationId: c.OrganizationID.String(), Kind: checklistKinds[c.Kind], User: person(c.User),
		OpenCount: c.OpenCount, ItemCount: c.ItemCount, CreateTime: timestamppb.New(c.CreateTime), CloseTime: timestamp(c.CloseTime),
	}
}

// Integration is an integration without its secret.
func Integration(i *store.Integration) *provisioningv1.Integration {
	return &provisioningv1.Integration{
		Id: i.ID.String(), OrganizationId: i.OrganizationID.String(), Name: i.Name,
		Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, Scim: &provisioningv1.ScimSettings{BaseUrl: i.BaseURL},
		State: integrationStates[i.State], StateDetail: i.StateDetail, TestTime: timestamp(i.TestTime),
		CreateTime: timestamppb.New(i.CreateTime), Version: i.Version,
	}
}

// GrantState is a grant's state.
func GrantState(s lifecycle.GrantState) provisioningv1.GrantState { return grantStates[s] }

// ParseGrantState is the way back; 0 for unspecified.
func ParseGrantState(s provisioningv1.GrantState) lifecycle.GrantState { return back(grantStates, s) }

// ParseItemKind is the kind of a work item; 0 for unspecified.
func ParseItemKind(k provisioningv1.WorkItemKind) lifecycle.ItemKind { return back(itemKinds, k) }

// ParseItemState is the state of a work item; empty for unspecified.
func ParseItemState(s provisioningv1.WorkItemState) string { return back(itemStates, s) }

// ParseChecklistKind is the kind of a checklist; none for unspecified.
func ParseChecklistKind(k provisioningv1.ChecklistKind) lifecycle.List {
	return back(checklistKinds, k)
}

func back[K comparable, V comparable](m map[K]V, v V) (zero K) {
	for k, have := range m {
		if have == v {
			return k
		}
	}
	return zero
}

var (
	grantStates = map[lifecycle.GrantState]provisioningv1.GrantState{
		lifecycle.Pending:  provisioningv1.GrantState_GRANT_STATE_PENDING,
		lifecycle.InPlace:  provisioningv1.GrantState_GRANT_STATE_ACTIVE,
		lifecycle.Failed:   provisioningv1.GrantState_GRANT_STATE_FAILED,
		lifecycle.Revoking: provisioningv1.GrantState_GRANT_STATE_REVOKING,
		lifecycle.Revoked:  provisioningv1.GrantState_GRANT_STATE_REVOKED,
	}
	grantEnds = map[string]provisioningv1.GrantEndReason{
		"requested":    provisioningv1.GrantEndReason_GRANT_END_REASON_REQUESTED,
		"expired":      provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED,
		"user_removed": provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED,
	}
	accountStates = map[lifecycle.AccountState]provisioningv1.AccountState{
		lifecycle.Absent:   provisioningv1.AccountState_ACCOUNT_STATE_ABSENT,
		lifecycle.Active:   provisioningv1.AccountState_ACCOUNT_STATE_ACTIVE,
		lifecycle.Disabled: provisioningv1.AccountState_ACCOUNT_STATE_DISABLED,
	}
	itemKinds = map[lifecycle.ItemKind]provisioningv1.WorkItemKind{
		lifecycle.CreateByHand:   provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT,
		lifecycle.AssignByHand:   provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN,
		lifecycle.UnassignByHand: provisioningv1.WorkItemKind_WORK_ITEM_KIND_UNASSIGN,
		lifecycle.RemoveByHand:   provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT,
		lifecycle.Mend:           provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION,
		lifecycle.ChangeSecret:   provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET,
	}
	itemStates = map[string]provisioningv1.WorkItemState{
		"open":      provisioningv1.WorkItemState_WORK_ITEM_STATE_OPEN,
		"resolved":  provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED,
		"cancelled": provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED,
	}
	checklistKinds = map[lifecycle.List]provisioningv1.ChecklistKind{
		lifecycle.Onboarding:  provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING,
		lifecycle.Offboarding: provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING,
	}
	integrationStates = map[string]provisioningv1.IntegrationState{
		"untested": provisioningv1.IntegrationState_INTEGRATION_STATE_UNTESTED,
		"working":  provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING,
		"failing":  provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING,
	}
)

// Strings are ids as text.
func Strings(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

func person(w store.Who) *identityv1.Person {
	return &identityv1.Person{UserId: w.ID.String(), DisplayName: w.DisplayName, Email: w.Email}
}

func optional(id uuid.NullUUID) string {
	if !id.Valid {
		return ""
	}
	return id.UUID.String()
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
