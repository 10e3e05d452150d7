// Package convert turns the service's values into protos and events. It decides
// nothing.
package convert

import (
	"math"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/resource"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/store"
)

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Organization is an organization as the API and events show it.
func Organization(o store.Organization) *identityv1.Organization {
	out := &identityv1.Organization{
		Id: o.ID.String(), Name: o.Name, CreateTime: timestamppb.New(o.CreateTime), SignInName: o.SignInName, Version: o.Version,
		Etag: resource.ETag(o.ID.String(), o.Version),
	}
	if o.RemoveSuspendedAfterDays > 0 {
		out.RemoveSuspendedAfter = durationpb.New(time.Duration(o.RemoveSuspendedAfterDays) * day)
	}
	return out
}

const day = 24 * time.Hour

// Days are the days of a duration of whole days, 0 for none.
func Days(d *durationpb.Duration) (days int32, ok bool) {
	whole := d.AsDuration() / day
	return int32(min(whole, math.MaxInt32)), d.AsDuration()%day == 0 //nolint:gosec // of at most ten years
}

// Environment is an environment as the API and events show it.
func Environment(e store.Environment) *identityv1.Environment {
	return &identityv1.Environment{
		Id: e.ID.String(), OrganizationId: e.OrganizationID.String(), Name: e.Name,
		CreateTime: timestamppb.New(e.CreateTime), UpdateTime: timestamppb.New(e.UpdateTime), Version: e.Version,
		Etag: resource.ETag(e.ID.String(), e.Version), Quotas: quotas(e.Quotas),
	}
}

func quotas(q store.Quotas) *identityv1.EnvironmentQuotas {
	if q == (store.Quotas{}) {
		return nil
	}
	return &identityv1.EnvironmentQuotas{Users: q.Users, Sources: q.Sources, Apps: q.Apps, Flows: q.Flows, OpenRequests: q.OpenRequests, Integrations: q.Integrations}
}

// Quotas are quotas as they are stored.
func Quotas(q *identityv1.EnvironmentQuotas) store.Quotas {
	return store.Quotas{Users: q.GetUsers(), Sources: q.GetSources(), Apps: q.GetApps(), Flows: q.GetFlows(), OpenRequests: q.GetOpenRequests(), Integrations: q.GetIntegrations()}
}

// User is a user as the API and events show it.
func User(u store.User) *identityv1.User {
	return &identityv1.User{
		Id: u.ID.String(), OrganizationId: u.OrganizationID.String(), SourceId: u.SourceID, ExternalId: u.ExternalID,
		UserName: u.UserName, DisplayName: u.DisplayName, GivenName: u.GivenName, FamilyName: u.FamilyName,
		Email: u.Email, Title: u.Title, Department: u.Department, ManagerId: u.ManagerID,
		State: enum.Value[identityv1.UserState](string(u.State)), Kind: enum.Value[identityv1.UserKind](u.Kind), Role: enum.Value[identityv1.Role](string(u.Role)),
		CreateTime: timestamppb.New(u.CreateTime), UpdateTime: timestamppb.New(u.UpdateTime),
		Version: u.Version, JoinCount: u.JoinCount,
		EnvironmentId: u.EnvironmentID, RoleEnvironmentId: u.RoleEnvironmentID,
		AccountableUserId: u.AccountableUserID, Purpose: u.Purpose, EndTime: timestamp(u.EndTime),
	}
}

// UserOrNone is User of somebody who may be missing.
func UserOrNone(u *store.User) *identityv1.User {
	if u == nil {
		return nil
	}
	return User(*u)
}

// Group is a group as the API and events show it.
func Group(g store.Group) *identityv1.Group {
	return &identityv1.Group{
		Id: g.ID.String(), OrganizationId: g.OrganizationID.String(), EnvironmentId: g.EnvironmentID, SourceId: g.SourceID.String(), ExternalId: g.ExternalID,
		DisplayName: g.DisplayName, MemberCount: g.MemberCount,
		CreateTime: timestamppb.New(g.CreateTime), UpdateTime: timestamppb.New(g.UpdateTime), Version: g.Version,
	}
}

// Person is a user as shown beside something else.
func Person(p store.Person) *identityv1.Person {
	return &identityv1.Person{UserId: p.ID.String(), DisplayName: p.Name, Email: p.Email}
}

// scimPath is where SCIM clients push to at the gateway.
const scimPath = "/scim/v2"

// Source is a source as the API and events show it.
func Source(s store.Source) *identityv1.Source {
	return &identityv1.Source{
		Id: s.ID.String(), Name: s.Name, Kind: enum.Value[identityv1.SourceKind](s.Kind), CreateTime: timestamppb.New(s.CreateTime),
		UserCount: s.UserCount, EnvironmentId: s.EnvironmentID, LastSeenTime: timestamp(s.LastSeen), Etag: resource.ETag(s.ID.String(), s.Version),
		ScimBaseUrl: scimPath,
	}
}

// APIToken is a token as its owner sees it.
func APIToken(t store.APIToken) *identityv1.ApiToken {
	return &identityv1.ApiToken{
		Id: t.ID.String(), Name: t.Name, UserId: t.UserID.String(), ReadOnly: t.ReadOnly, Scopes: t.Scopes, Prefix: t.Prefix,
		CreateTime: timestamppb.New(t.CreateTime), ExpireTime: timestamppb.New(t.ExpireTime),
		LastUseTime: timestamp(t.LastUse), RevokeTime: timestamp(t.RevokeTime),
	}
}

// Session converts a session; current says whether the caller came with it.
func Session(s store.Session, current bool) *identityv1.Session {
	return &identityv1.Session{
		Id: s.ID.String(), UserId: s.UserID.String(), UserAgent: s.UserAgent,
		CreateTime: timestamppb.New(s.CreateTime), ExpireTime: timestamppb.New(s.ExpireTime), Current: current,
		Method: enum.Value[identityv1.SignInMethod](s.Method), IdentityProviderId: idText(s.ProviderID), AuthTime: timestamp(s.AuthTime), LastUseTime: timestamppb.New(s.LastUse),
	}
}

// IdentityProvider is an identity provider as the API and events show it, without
// its secret.
func IdentityProvider(p store.IdentityProvider) *identityv1.IdentityProvider {
	return &identityv1.IdentityProvider{
		Id: p.ID.String(), Name: p.Name, Issuer: p.Issuer, ClientId: p.ClientID, HasClientSecret: len(p.ClientSecret) > 0, SourceId: idText(p.SourceID),
		UserClaim: p.UserClaim, UserField: enum.Value[identityv1.UserField](p.UserField), StepUpAcrValues: p.StepUpACR, Scopes: p.Scopes,
		State: enum.Value[identityv1.IdentityProviderState](p.State), CreateTime: timestamppb.New(p.CreateTime), UpdateTime: timestamppb.New(p.UpdateTime),
		Version: p.Version, EnvironmentId: p.EnvironmentID, Etag: resource.ETag(p.ID.String(), p.Version), SignOutAtProvider: p.SignOut,
	}
}

// UserIdentity is an identity as the API and events show it.
func UserIdentity(i store.UserIdentity) *identityv1.UserIdentity {
	return &identityv1.UserIdentity{
		Id: i.ID.String(), UserId: i.UserID.String(), IdentityProviderId: i.ProviderID.String(), Subject: i.Subject,
		CreateTime: timestamppb.New(i.CreateTime), LastSignInTime: timestamp(i.LastSignIn),
	}
}

// SignInOption is an identity provider as somebody sees it who is about to sign in.
func SignInOption(o store.SignInOption) *identityv1.SignInOption {
	return &identityv1.SignInOption{IdentityProviderId: o.ID.String(), Name: o.Name, OrganizationName: o.OrganizationName}
}

// idText is an id that may be missing.
func idText(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

// List converts each of a list.
func List[T, M any](list []T, convert func(T) M) []M {
	out := make([]M, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}
