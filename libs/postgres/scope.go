package postgres

import (
	"github.com/google/uuid"

	"gatehouse.dev/libs/scope"
)

// scopeSettings is the list of a select that sets what row-level security goes
// by, for the transaction or, if local is "false", for the session. Its
// parameters are those of scopeArguments.
func scopeSettings(local string) string {
	return "set_config('gatehouse.organization_low', $1, " + local + "), set_config('gatehouse.organization_high', $2, " + local +
		"), set_config('gatehouse.environment_low', $3, " + local + "), set_config('gatehouse.environment_high', $4, " + local + ")"
}

// setScope sets the scope of a transaction.
var setScope = "select " + scopeSettings("true")

var (
	lowest  = uuid.Nil.String()
	highest = uuid.Max.String()
	// everything is the scope that sees every organization.
	everything = []any{lowest, highest, lowest, highest}
)

// scopeArguments are the ranges of ids in a scope; nil is every organization.
func scopeArguments(s *scope.Scope) []any {
	switch {
	case s == nil:
		return everything
	case s.Whole():
		return []any{s.OrganizationID.String(), s.OrganizationID.String(), lowest, highest}
	default:
		return []any{s.OrganizationID.String(), s.OrganizationID.String(), s.EnvironmentID.String(), s.EnvironmentID.String()}
	}
}

// SetSessionToSystem is a statement that has a whole session see every
// organization's rows, for a connection that is not of a [DB]. Its arguments
// are SystemScope.
var SetSessionToSystem = "select " + scopeSettings("false")

// SystemScope are the arguments of [SetSessionToSystem].
func SystemScope() []any { return everything }
