package authz

import authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"

// Who sees whose access is decided here, for all services alike. Within their
// scope (see [Caller.Scope]):
//
//   - Admins, IT admins and risk managers see everybody's: [Caller.SeesAll].
//   - Whoever runs an app (its admins, and for requests its approvers) sees what
//     concerns that app. The service knows the apps.
//   - Everybody sees their own: what they asked for, hold, or decide.
//   - Everybody but externals sees who there is: [Caller.SeesPeople].
//
// Admins and IT admins also act on what they see: [Caller.Administers]. Risk
// managers change nothing for others.

// SeesAll reports whether the caller sees everybody's access within their scope.
func (c Caller) SeesAll() bool {
	return c.Administers() || c.Role == authzv1.Caller_CALLER_RISK_MANAGER
}

// Administers reports whether the caller may act on everybody's access within
// their scope.
func (c Caller) Administers() bool {
	return c.Role == authzv1.Caller_CALLER_ADMIN || c.Role == authzv1.Caller_CALLER_IT_ADMIN
}

// SeesPeople reports whether the caller sees who there is within their scope, as
// UserService.GetUser shows it; others see themselves. Whose token is narrowed to scopes
// without that one does not.
func (c Caller) SeesPeople() bool {
	return (c.SeesAll() || c.Role == authzv1.Caller_CALLER_MEMBER) && c.hasScope(scopeOf(authzv1.Area_AREA_PEOPLE, true))
}
