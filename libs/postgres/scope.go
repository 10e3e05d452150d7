package postgres

import (
	"github.com/google/uuid"

	"gatehouse.dev/libs/scope"
)

// scopeSettings is the list of a select that sets what row-level security goes
// by, for the transaction or, if local is "false", for the session. Its
// parameters are those of scopeArguments.
func scopeSettings(local string) string {
	return "set_config('gatehouse.organization', $1, " + local + "), set_config('gatehouse.environment', $2, " + local + ")"
}

// setScope sets the scope of a transaction.
var setScope = "select " + scopeSettings("true")

var (
	// everything is the scope that sees every organization.
	everything = []any{uuid.Max.String(), uuid.Nil.String()}
	// nothing is the scope that sees no row.
	nothing = []any{"", ""}
)

// scopeArguments are the organization and environment of a scope; nil is every
// organization. What is no organization sees nothing.
func scopeArguments(s *scope.Scope) []any {
	switch {
	case s == nil:
		return everything
	case s.OrganizationID == uuid.Nil || s.OrganizationID == uuid.Max:
		return nothing
	default:
		return []any{s.OrganizationID.String(), s.EnvironmentID.String()}
	}
}

// SetSessionToSystem is a statement that has a whole session see every
// organization's rows, for a connection that is not of a [DB]. Its arguments
// are SystemScope.
var SetSessionToSystem = "select " + scopeSettings("false")

// SystemScope are the arguments of [SetSessionToSystem].
func SystemScope() []any { return everything }
