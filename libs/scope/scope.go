// Package scope says whose things somebody may see and change.
//
// People and apps belong to an organization itself, or to one environment of
// it: one company of several that the organization governs. What an
// environment owns is seen by it and by the organization. What the organization
// owns is seen by an environment only where it is offered to it.
package scope

import "github.com/google/uuid"

// Scope is an organization, or one environment of it.
type Scope struct {
	// OrganizationID is the organization.
	OrganizationID uuid.UUID
	// EnvironmentID is the environment. The nil id is the whole organization,
	// with all its environments.
	EnvironmentID uuid.UUID
}

// Organization is the scope of a whole organization.
func Organization(id uuid.UUID) Scope { return Scope{OrganizationID: id} }

// Whole reports whether the scope is a whole organization.
func (s Scope) Whole() bool { return s.EnvironmentID == uuid.Nil }

// Owns reports whether what belongs to the environment is within the scope.
// The nil id is what the organization itself owns.
func (s Scope) Owns(environment uuid.UUID) bool {
	return s.Whole() || s.EnvironmentID == environment
}

// Meet returns the environment of something that a person of one environment
// has to do with in an app of another: the person's, or else the app's. They
// do not meet if both belong to environments, and not to the same.
func Meet(person, app uuid.UUID) (environment uuid.UUID, ok bool) {
	switch {
	case person == uuid.Nil:
		return app, true
	case app == uuid.Nil || app == person:
		return person, true
	}
	return uuid.Nil, false
}
