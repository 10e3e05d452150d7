// Package quota holds environments and organizations to what they may have.
//
// An organization sets the quotas of its environments (Environment.quotas), as a provider
// does for its customers, and the operator of the installation those that hold for every
// organization, its environments included ([Organization]). The service that makes
// something counts, in the transaction that makes it. Those that make the same kind of
// thing in one environment or organization, if it has a quota of it, take turns, so that
// none gets past it. What is there already stays when a quota is made smaller.
package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Reason is that of one thing too many.
const Reason = "QUOTA_EXCEEDED"

// Kind is a kind of things that are counted.
type Kind struct {
	// Name is the field of EnvironmentQuotas.
	Name string
	// Limit reads it.
	Limit func(*identityv1.EnvironmentQuotas) int32
	// Count is the statement that counts those of the environment $1, and CountAll
	// the one that counts those of the organization $1.
	Count, CountAll string
}

// Organization is how many of each kind, by its name, every organization may have; any
// number of what is not named.
type Organization map[string]int

// kinds are all kinds that there are quotas of.
var kinds = []string{"users", "sources", "apps", "flows", "open_requests", "integrations"}

// ParseOrganization reads quotas as a setting has them: kind=number, separated by commas.
// Empty is none.
func ParseOrganization(text string) (Organization, error) {
	out := Organization{}
	if text == "" {
		return out, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 1 || !slices.Contains(kinds, name) || out[name] > 0 {
			return nil, fmt.Errorf("it is kinds with how many of each an organization may have, 1 or more, such as users=10000, separated by commas, each kind once; the kinds are %s", strings.Join(kinds, ", "))
		}
		out[name] = int(n)
	}
	return out, nil
}

// Of are the quotas of an environment, from the service's copy of it; none if it is
// not known.
func Of(ctx context.Context, tx *postgres.Tx, environment uuid.UUID) (*identityv1.EnvironmentQuotas, error) {
	if environment == uuid.Nil {
		return nil, nil
	}
	var data []byte
	err := tx.QueryRow(ctx, `select data from environment_copy where id = $1`, environment).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	e := &identityv1.Environment{}
	if err == nil {
		err = proto.Unmarshal(data, e)
	}
	if err != nil {
		return nil, fmt.Errorf("read the quotas of environment %s: %w", environment, err)
	}
	return e.GetQuotas(), nil
}

// CheckOrganization refuses so many more things of a kind if the organization may not
// have them: FAILED_PRECONDITION, QUOTA_EXCEEDED. tx makes them; it is widened to the
// organization where there is a quota. It comes before Check, so that all take their
// turns in one order.
func (k Kind) CheckOrganization(ctx context.Context, tx *postgres.Tx, quotas Organization, organization uuid.UUID, more int) error {
	limit := quotas[k.Name]
	if limit == 0 {
		return nil
	}
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	has, err := k.count(ctx, tx, k.CountAll, organization)
	if err != nil || has+more <= limit {
		return err
	}
	// Not how many it has: that is also of other environments than the caller's.
	return apierr.Precondition(Reason, "the organization may have %d %s and no more", limit, k.Name).
		With("quota", k.Name).With("limit", strconv.Itoa(limit)).With("of", "organization")
}

// count takes a turn, which lasts until tx ends, and counts.
func (k Kind) count(ctx context.Context, tx *postgres.Tx, statement string, of uuid.UUID) (has int, err error) {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 7163508))`, k.Name+" "+of.String()); err != nil {
		return 0, fmt.Errorf("wait for others that make %s: %w", k.Name, err)
	}
	if err := tx.QueryRow(ctx, statement, of).Scan(&has); err != nil {
		return 0, fmt.Errorf("count %s: %w", k.Name, err)
	}
	return has, nil
}

// Check refuses so many more things of a kind if the environment may not have them:
// FAILED_PRECONDITION, QUOTA_EXCEEDED. tx makes them, and sees those of the environment.
func (k Kind) Check(ctx context.Context, tx *postgres.Tx, environment uuid.UUID, quotas *identityv1.EnvironmentQuotas, more int) error {
	limit := int(k.Limit(quotas))
	if limit == 0 || environment == uuid.Nil {
		return nil
	}
	has, err := k.count(ctx, tx, k.Count, environment)
	if err != nil || has+more <= limit {
		return err
	}
	return apierr.Precondition(Reason, "the environment may have %d %s and has %d", limit, k.Name, has).
		With("quota", k.Name).With("limit", strconv.Itoa(limit)).With("used", strconv.Itoa(has))
}
