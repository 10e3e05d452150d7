package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits are those of every kind of calls. A Limit without a Burst limits nothing.
//
// The gateway counts by what a caller brings. Services count what users do, whatever
// they bring and wherever they come from: an account all its sessions and tokens
// together, an organization all its accounts. The services themselves are not limited.
type Limits struct {
	// Credentials are attempts to get a credential at the gateway, and uses of one that
	// is not good, by address.
	Credentials Limit
	// Reads and Writes are calls of the gateway by credential, and SCIM those of a
	// source.
	Reads, Writes, SCIM Limit

	AccountReads, AccountWrites           Limit
	OrganizationReads, OrganizationWrites Limit
	// Outgoing are calls that call a system outside, of an organization, and LookUps
	// questions to its apps about single entitlements.
	Outgoing, LookUps Limit
	// OrganizationSCIM are calls over SCIM by all sources of an organization, and
	// OrganizationTokens exchanges of its API tokens and sessions for signed tokens,
	// whichever way: identity-sync holds callers to these.
	OrganizationSCIM, OrganizationTokens Limit
}

// DefaultLimits are far above what people and well-behaved programs do; those of an
// account are above what the gateway lets one credential do.
func DefaultLimits() *Limits {
	return &Limits{
		Credentials:  Limit{PerSecond: 1, Burst: 30},
		Reads:        Limit{PerSecond: 200, Burst: 500},
		Writes:       Limit{PerSecond: 50, Burst: 200},
		SCIM:         Limit{PerSecond: 2000, Burst: 4000},
		AccountReads: Limit{PerSecond: 400, Burst: 1000}, AccountWrites: Limit{PerSecond: 100, Burst: 400},
		OrganizationReads: Limit{PerSecond: 4000, Burst: 8000}, OrganizationWrites: Limit{PerSecond: 1000, Burst: 4000},
		Outgoing: Limit{PerSecond: 1, Burst: 20}, LookUps: Limit{PerSecond: 5, Burst: 100},
		OrganizationSCIM: Limit{PerSecond: 4000, Burst: 8000}, OrganizationTokens: Limit{PerSecond: 2000, Burst: 10_000},
	}
}

// kind is a limit under the name that operators know it by.
type kind struct {
	name  string
	limit *Limit
}

func (l *Limits) kinds() []kind {
	return []kind{
		{"credentials", &l.Credentials},
		{"reads", &l.Reads},
		{"writes", &l.Writes},
		{"scim", &l.SCIM},
		{"account-reads", &l.AccountReads},
		{"account-writes", &l.AccountWrites},
		{"organization-reads", &l.OrganizationReads},
		{"organization-writes", &l.OrganizationWrites},
		{"organization-scim", &l.OrganizationSCIM},
		{"organization-tokens", &l.OrganizationTokens},
		{"outgoing", &l.Outgoing},
		{"look-ups", &l.LookUps},
	}
}

// ParseLimits reads what an operator sets: "true" for [DefaultLimits], "false" for none,
// which is nil, or those of some kinds, separated by commas, while the others have their
// defaults: "reads=400/1000" for 400 calls a second and 1000 at once, "scim=off" for no
// limit. Errors do not quote it.
func ParseLimits(text string) (*Limits, error) {
	if on, err := strconv.ParseBool(text); err == nil {
		if !on {
			return nil, nil //nolint:nilnil // no limits
		}
		return DefaultLimits(), nil
	}
	limits := DefaultLimits()
	kinds := limits.kinds()
	for one := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(one), "=")
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		switch {
		case !ok:
			return nil, errors.New("it is true, false, or kinds with their limits, such as reads=400/1000, separated by commas")
		case i < 0:
			return nil, fmt.Errorf("the kinds of calls are %s", names(kinds))
		}
		l, err := parseLimit(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		*kinds[i].limit = l
	}
	return limits, nil
}

func names(kinds []kind) string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return strings.Join(all, ", ")
}

func parseLimit(text string) (Limit, error) {
	if text == "off" {
		return Limit{}, nil
	}
	perSecond, burst, _ := strings.Cut(text, "/")
	p, err := strconv.ParseFloat(perSecond, 64)
	b, err1 := strconv.Atoi(burst)
	if err != nil || err1 != nil || !(p >= 0.001) || math.IsInf(p, 0) || b < 1 || b > 1_000_000_000 { //nolint:staticcheck // not a number is no limit
		return Limit{}, errors.New("it is off, or of the form 400/1000: calls a second, and how many at once")
	}
	return Limit{PerSecond: p, Burst: b}, nil
}
