package store

import "gatehouse.dev/libs/filter"

// What lists are filtered and sorted by. Users and groups are many: they are sorted by
// what has an index, groups by little else, and the rest are few in an organization.
var (
	userID     = filter.ID("id", "u.id")
	userFields = []filter.Field{
		filter.ID("sourceId", "u.source_id").Null(),
		filter.Text("externalId", "u.external_id"),
		filter.Text("userName", "u.user_name"),
		filter.Text("displayName", "u.display_name").SortText("u.display_name_key"),
		filter.Text("givenName", "u.given_name"),
		filter.Text("familyName", "u.family_name"),
		filter.Text("email", "u.email"),
		filter.Text("title", "u.title"),
		filter.Text("department", "u.department"),
		filter.ID("managerId", "u.manager_id").Null(),
		filter.Enum("state", "u.state"),
		filter.Enum("kind", "u.kind"),
		filter.Enum("role", "u.role"),
		filter.Time("createTime", "u.create_time").Sort(),
		filter.Time("updateTime", "u.update_time"),
		filter.Int("version", "u.version"),
		filter.Int("joinCount", "u.join_count"),
		filter.Environment("environmentId", "u.environment_id"),
		filter.Environment("roleEnvironmentId", "u.role_environment_id"),
		filter.ID("accountableUserId", "u.accountable_user_id").Null(),
		filter.Text("purpose", "u.purpose"),
		filter.Time("endTime", "u.end_time").Null(),
	}
	// UserList is of [ListUsers].
	UserList = filter.New("gatehouse.identity.v1.ListUsers", "displayName", userID, userFields...)
	// GroupMemberList is of [ListGroupMembers].
	GroupMemberList = filter.New("gatehouse.identity.v1.ListGroupMembers", "displayName", userID, userFields...)
	// GroupList is of [ListGroups].
	GroupList = filter.New("gatehouse.identity.v1.ListGroups", "displayName", filter.ID("id", "g.id"),
		filter.ID("sourceId", "g.source_id"),
		filter.Text("externalId", "g.external_id"),
		filter.Text("displayName", "g.display_name").SortText("g.display_name_key"),
		filter.Int("memberCount", "g.member_count").Sort(),
		filter.Time("createTime", "g.create_time").Sort(),
		filter.Time("updateTime", "g.update_time"),
		filter.Int("version", "g.version"),
		filter.Environment("environmentId", "g.environment_id"),
	)
	// SourceList is of [ListSources].
	SourceList = filter.New("gatehouse.identity.v1.ListSources", "name", filter.ID("id", "s.id"),
		filter.Text("name", "s.name").Sort(),
		filter.Enum("kind", "s.kind"),
		filter.Time("createTime", "s.create_time").Sort(),
		filter.Time("lastSeenTime", "s.last_seen_time").Null().Sort(),
		filter.Environment("environmentId", "s.environment_id"),
	)
	// EnvironmentList is of [ListEnvironments].
	EnvironmentList = filter.New("gatehouse.identity.v1.ListEnvironments", "name", filter.ID("id", "e.id"),
		filter.Text("name", "e.name").Sort(),
		filter.Time("createTime", "e.create_time").Sort(),
		filter.Time("updateTime", "e.update_time").Sort(),
		filter.Int("version", "e.version"),
	)
	// APITokenList is of [ListAPITokens].
	APITokenList = filter.New("gatehouse.identity.v1.ListApiTokens", "createTime desc", filter.ID("id", "t.id"),
		filter.Text("name", "t.name").Sort(),
		filter.ID("userId", "t.user_id"),
		filter.Bool("readOnly", "t.read_only"),
		filter.Texts("scopes", "t.scopes"),
		filter.Text("prefix", "t.prefix"),
		filter.Time("createTime", "t.create_time").Sort(),
		filter.Time("expireTime", "t.expire_time").Sort(),
		filter.Time("lastUseTime", "t.last_use_time").Null().Sort(),
		filter.Time("revokeTime", "t.revoke_time").Null().Sort(),
	)
	// SessionList is of [ListSessions].
	SessionList = filter.New("gatehouse.identity.v1.ListSessions", "createTime desc", filter.ID("id", "s.id"),
		filter.Text("userAgent", "s.user_agent"),
		filter.Time("createTime", "s.create_time").Sort(),
		filter.Time("expireTime", "s.expire_time").Sort(),
		filter.Enum("method", "s.method"),
		filter.ID("identityProviderId", "s.identity_provider_id").Null(),
		filter.Time("authTime", "s.auth_time").Null().Sort(),
		filter.Time("lastUseTime", "s.last_use_time").Sort(),
	)
	// IdentityProviderList is of [ListIdentityProviders].
	IdentityProviderList = filter.New("gatehouse.identity.v1.ListIdentityProviders", "name", filter.ID("id", "p.id"),
		filter.Text("name", "p.name").Sort(),
		filter.Text("issuer", "p.issuer"),
		filter.Text("clientId", "p.client_id"),
		filter.Bool("hasClientSecret", "(p.client_secret is not null)"),
		filter.ID("sourceId", "p.source_id").Null(),
		filter.Text("userClaim", "p.user_claim"),
		filter.Enum("userField", "p.user_field"),
		filter.Texts("stepUpAcrValues", "p.step_up_acr_values"),
		filter.Texts("scopes", "p.scopes"),
		filter.Enum("state", "p.state"),
		filter.Time("createTime", "p.create_time").Sort(),
		filter.Time("updateTime", "p.update_time").Sort(),
		filter.Int("version", "p.version"),
		filter.Environment("environmentId", "p.environment_id"),
		filter.Bool("signOutAtProvider", "p.sign_out_at_provider"),
	)
	// UserIdentityList is of [ListUserIdentities].
	UserIdentityList = filter.New("gatehouse.identity.v1.ListUserIdentities", "createTime", filter.ID("id", "i.id"),
		filter.ID("identityProviderId", "i.identity_provider_id"),
		filter.Text("subject", "i.subject"),
		filter.Time("createTime", "i.create_time").Sort(),
		filter.Time("lastSignInTime", "i.last_sign_in_time").Null().Sort(),
	)
)
