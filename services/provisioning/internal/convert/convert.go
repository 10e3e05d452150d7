// Package convert turns what provisioning keeps into messages of its API, for
// answers and for events alike.
package convert

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/resource"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Grant is a grant with names.
func Grant(g *store.NamedGrant) *provisioningv1.Grant {
	return &provisioningv1.Grant{
		Id: g.ID.String(), OrganizationId: g.OrganizationID.String(), EnvironmentId: Environment(g.EnvironmentID), User: person(g.User),
		AppId: g.AppID.String(), AppName: g.AppName,
		EntitlementId: g.EntitlementID.String(), EntitlementName: g.EntitlementName,
		RequestId: g.RequestID.String(), ItemId: g.ItemID.String(),
		State: enum.Value[provisioningv1.GrantState](string(g.State)), Until: timestamp(g.Until),
		CreateTime: timestamppb.New(g.CreateTime), ActivateTime: timestamp(g.ActivateTime), RevokeTime: timestamp(g.RevokeTime),
		EndReason: enum.Value[provisioningv1.GrantEndReason](g.End), RevokeRequestId: optional(g.RevokeRequestID), Error: g.Error, Version: g.Version,
	}
}

// Account is an account with names. What is not known for sure is as it was.
func Account(a *store.NamedAccount) *provisioningv1.Account {
	m := &provisioningv1.Account{
		Id: a.ID.String(), OrganizationId: a.OrganizationID.String(), EnvironmentId: Environment(a.EnvironmentID), User: person(a.User),
		AppId: a.AppID.String(), AppName: a.AppName, ExternalId: a.ExternalID, UserName: a.UserName,
		State: enum.Value[provisioningv1.AccountState](string(a.Observed.Account)), CreateTime: timestamp(a.CreateTime), UpdateTime: timestamppb.New(a.UpdateTime),
		Adopted: a.Observed.Adopted,
	}
	for _, p := range a.LeftBehind {
		m.LeftBehind = append(m.LeftBehind, &provisioningv1.AccountPlace{
			IntegrationId: p.IntegrationID.String(), IntegrationName: p.IntegrationName, BaseUrl: p.BaseURL, ExternalId: p.ExternalID, UserName: p.UserName,
		})
	}
	return m
}

// WorkItem is a work item with names.
func WorkItem(i *store.NamedItem) *provisioningv1.WorkItem {
	w := &provisioningv1.WorkItem{
		Id: i.ID.String(), OrganizationId: i.OrganizationID.String(), EnvironmentId: Environment(i.EnvironmentID), Kind: enum.Value[provisioningv1.WorkItemKind](string(i.Kind)), State: enum.Value[provisioningv1.WorkItemState](i.State),
		User: person(i.User), AppId: i.AppID.String(), AppName: i.AppName, EntitlementNames: i.EntitlementNames,
		RequestIds: Strings(i.RequestIDs), ChecklistId: optional(i.ChecklistID), Error: i.Error, Note: i.Note,
		CreateTime: timestamppb.New(i.CreateTime), ResolveTime: timestamp(i.ResolveTime), Version: i.Version,
		ReopenedItemId: optional(i.Reopens), ReopenReason: i.ReopenReason,
	}
	if i.State == "resolved" {
		w.Resolver = &identityv1.Person{UserId: optional(i.ResolverID), DisplayName: i.ResolverName, Email: i.ResolverEmail}
	}
	return w
}

// Checklist is a checklist with names.
func Checklist(c *store.NamedChecklist) *provisioningv1.Checklist {
	return &provisioningv1.Checklist{
		Id: c.ID.String(), OrganizationId: c.OrganizationID.String(), EnvironmentId: Environment(c.EnvironmentID), Kind: enum.Value[provisioningv1.ChecklistKind](string(c.Kind)), User: person(c.User),
		OpenCount: c.OpenCount, ItemCount: c.ItemCount, CreateTime: timestamppb.New(c.CreateTime), CloseTime: timestamp(c.CloseTime),
		DueTime: timestamp(c.DueTime), Overdue: c.Overdue, Etag: resource.ETag(c.ID.String(), c.Version),
	}
}

// ChecklistSettings are the settings of an organization.
func ChecklistSettings(s *store.ChecklistSettings) *provisioningv1.ChecklistSettings {
	return &provisioningv1.ChecklistSettings{
		Id: s.OrganizationID.String(), OnboardingPeriod: durationpb.New(s.Onboarding), OffboardingPeriod: durationpb.New(s.Offboarding),
		Etag: resource.ETag(s.OrganizationID.String(), s.Version),
	}
}

// Integration is an integration without its secret.
func Integration(i *store.Integration) *provisioningv1.Integration {
	return &provisioningv1.Integration{
		Id: i.ID.String(), OrganizationId: i.OrganizationID.String(), EnvironmentId: Environment(i.EnvironmentID), Name: i.Name,
		Kind: enum.Value[provisioningv1.IntegrationKind](i.Kind), Scim: &provisioningv1.ScimSettings{BaseUrl: i.BaseURL},
		State: enum.Value[provisioningv1.IntegrationState](i.State), StateDetail: i.StateDetail, TestTime: timestamp(i.TestTime),
		CreateTime: timestamppb.New(i.CreateTime), Version: i.Version, Etag: resource.ETag(i.ID.String(), i.Version),
		Access:           enum.Value[provisioningv1.IntegrationAccess](i.Access),
		LookedAtAccounts: int32(i.Queue.Looking), FailedLooks: int32(i.Queue.FailedLooks), LookError: i.Queue.LookError, //nolint:gosec // far below
		WaitingOperations: int32(i.Queue.Waiting), OldestWaitTime: timestamp(i.Queue.Oldest), ThrottledUntil: timestamp(i.Queue.PausedUntil), //nolint:gosec // far below
	}
}

// Strings are ids as text.
func Strings(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

func person(p store.PersonRef) *identityv1.Person {
	return &identityv1.Person{UserId: p.ID.String(), DisplayName: p.DisplayName, Email: p.Email}
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

// Word is the word of a value that a list is restricted to; empty for
// unspecified.
func Word[E enum.Enum](v E) string {
	if v.Number() == 0 {
		return ""
	}
	return enum.Word(v)
}

// Environment is the id of an environment as text; empty for the organization
// itself.
func Environment(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
