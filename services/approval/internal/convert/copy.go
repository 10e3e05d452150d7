package convert

import (
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/services/approval/internal/store"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Environment is an environment to copy.
func Environment(e *identityv1.Environment, c *eventv1.Context) store.Environment {
	return store.Environment{ID: e.GetId(), Name: e.GetName(), Version: max(e.GetVersion(), c.GetVersion())}
}

// User is a user to copy, in the state given.
func User(u *identityv1.User, state identityv1.UserState, c *eventv1.Context) store.User {
	if state == identityv1.UserState_USER_STATE_UNSPECIFIED {
		state = identityv1.UserState_USER_STATE_SUSPENDED // in an unknown state a user can do nothing
	}
	role := u.GetRole()
	if role == identityv1.Role_ROLE_UNSPECIFIED {
		role = identityv1.Role_ROLE_MEMBER
	}
	return store.User{
		ID: u.GetId(), EnvironmentID: u.GetEnvironmentId(), DisplayName: u.GetDisplayName(), Email: u.GetEmail(), ManagerID: u.GetManagerId(),
		State: enum.Word(state), Role: enum.Word(role), RoleEnvironmentID: u.GetRoleEnvironmentId(),
		JoinCount: u.GetJoinCount(), Version: max(u.GetVersion(), c.GetVersion()),
	}
}

// Group is a group to copy.
func Group(g *identityv1.Group, removed bool, c *eventv1.Context) store.Group {
	return store.Group{
		ID: g.GetId(), EnvironmentID: g.GetEnvironmentId(), DisplayName: g.GetDisplayName(), Removed: removed, Version: max(g.GetVersion(), c.GetVersion()),
	}
}

// App is an app to copy.
func App(a *requestv1.App) store.App {
	return store.App{
		ID: a.GetId(), EnvironmentID: a.GetEnvironmentId(), Name: a.GetName(), OwnerID: a.GetOwnerId(), AdminIDs: a.GetAdminIds(), ApproverIDs: a.GetApproverIds(),
		OfferedToAll: a.GetOfferedToAllEnvironments(), OfferedEnvironmentIDs: a.GetOfferedEnvironmentIds(), Version: a.GetVersion(),
	}
}

// Entitlement is an entitlement to copy.
func Entitlement(e *requestv1.Entitlement) store.Entitlement {
	return store.Entitlement{ID: e.GetId(), EnvironmentID: e.GetEnvironmentId(), AppID: e.GetAppId(), Name: e.GetName(), Version: e.GetVersion()}
}
