// Package quota holds an environment to what its organization lets it have. A
// provider sets the quotas of each of its customers (Environment.quotas); the
// service that makes something counts, in the transaction that makes it. Those that
// make the same kind of thing in one environment, if it has a quota of it, take
// turns, so that none gets past it.
package quota

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
	// Count is the statement that counts those of the environment $1.
	Count string
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

// Check refuses so many more things of a kind if the environment may not have them:
// FAILED_PRECONDITION, QUOTA_EXCEEDED. tx makes them, and sees those of the environment.
func (k Kind) Check(ctx context.Context, tx *postgres.Tx, environment uuid.UUID, quotas *identityv1.EnvironmentQuotas, more int) error {
	limit := int(k.Limit(quotas))
	if limit == 0 || environment == uuid.Nil {
		return nil
	}
	var has int
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 7163508))`, k.Name+" "+environment.String()); err != nil {
		return fmt.Errorf("wait for others that make %s: %w", k.Name, err)
	}
	if err := tx.QueryRow(ctx, k.Count, environment).Scan(&has); err != nil {
		return fmt.Errorf("count %s: %w", k.Name, err)
	}
	if has+more <= limit {
		return nil
	}
	return apierr.Precondition(Reason, "the environment may have %d %s and has %d", limit, k.Name, has).
		With("quota", k.Name).With("limit", strconv.Itoa(limit)).With("used", strconv.Itoa(has))
}
