package authz

import (
	"slices"
	"strings"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// What a scope of a token ends with.
const (
	reading = ":read"
	writing = ":write"
)

// ReasonScopeMissing is the reason of the error of a method whose scope the caller's
// token lacks; metadata "scope" names it.
const ReasonScopeMissing = "SCOPE_MISSING"

// Scopes are those that a token can be narrowed to, sorted: "<area>:read" and
// "<area>:write" of every area.
func Scopes() []string {
	var all []string
	for n := range authzv1.Area_name {
		if area := authzv1.Area(n); area != authzv1.Area_AREA_UNSPECIFIED {
			all = append(all, scopeOf(area, true), scopeOf(area, false))
		}
	}
	slices.Sort(all)
	return all
}

// ScopesInclude says whether a token of the scopes has one: writing includes reading.
func ScopesInclude(scopes []string, one string) bool {
	area, reads := strings.CutSuffix(one, reading)
	return slices.Contains(scopes, one) || reads && slices.Contains(scopes, area+writing)
}

// ReadingScopes are scopes without what changes something.
func ReadingScopes(scopes []string) []string {
	var out []string
	for _, s := range scopes {
		out = append(out, strings.TrimSuffix(strings.TrimSuffix(s, writing), reading)+reading)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// scopeOf is the scope of an area's methods, of those without side effects if sideFree.
func scopeOf(area authzv1.Area, sideFree bool) string {
	name := strings.ToLower(strings.TrimPrefix(area.String(), "AREA_"))
	if sideFree {
		return name + reading
	}
	return name + writing
}

// hasScope says whether the caller's token has a scope; every one has the empty one.
func (c Caller) hasScope(scope string) bool {
	return c.Scopes == "" || scope == "" || ScopesInclude(strings.Split(c.Scopes, " "), scope)
}
