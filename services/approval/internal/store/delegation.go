package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Delegation is one as it is stored.
type Delegation struct {
	lifecycle.Delegation
	OrganizationID uuid.UUID
}

// ErrDelegationNotFound says that there is no such delegation in the scope.
var ErrDelegationNotFound = errors.New("delegation not found")

// lockDelegating is held by a transaction that makes or ends a delegation, of an
// organization: of two that come together each sees the other.
const lockDelegating = 0x6467

const (
	delegationFields = `d.id, d.organization_id, d.environment_id, d.delegator_id, d.delegator_name, d.delegator_email, d.delegate_id, d.delegate_name, d.delegate_email,
	d.from_time, d.until_time, d.reason, d.creator_id, d.creator_name, d.creator_email, d.create_time, d.end_time, coalesce(d.ended_by_id::text, ''), d.ended_by_name, d.ended_by_email`
	selectDelegations    = `select ` + delegationFields + ` from delegation d`
	selectOpenDelegation = selectDelegations + ` where d.organization_id = $1 and d.end_time is null order by d.id`
	selectDelegation     = selectDelegations + ` where d.id = $1 for update`
	insertDelegation     = `
insert into delegation (id, organization_id, environment_id, delegator_id, delegator_name, delegator_email, delegate_id, delegate_name, delegate_email,
	from_time, until_time, reason, creator_id, creator_name, creator_email, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	endDelegation = `
update delegation set end_time = $2, ended_by_id = $3, ended_by_name = $4, ended_by_email = $5 where id = $1 and end_time is null`
	selectDelegating = `
select ` + userFields + `, u.kind = 'external' or u.role = 'external' from user_copy u where u.id = any ($1) and not u.removed`
)

// LockDelegating keeps others from making or ending a delegation of an organization until
// the transaction ends.
func (s *Store) LockDelegating(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) error {
	if _, err := tx.Exec(ctx, awaitMatching, lockDelegating, organizationID.String()); err != nil {
		return fmt.Errorf("lock delegations: %w", err)
	}
	return nil
}

// Delegating is somebody of whom a delegation is.
type Delegating struct {
	lifecycle.User
	// External says that they are so by their kind, or by their role.
	External bool
}

// Delegating reads those whom the scope has.
func (s *Store) Delegating(ctx context.Context, tx *postgres.Tx, ids ...string) (map[string]Delegating, error) {
	rows, err := tx.Query(ctx, selectDelegating, ids)
	if err != nil {
		return nil, fmt.Errorf("read who delegates: %w", err)
	}
	out := make(map[string]Delegating)
	var d Delegating
	var environment uuid.UUID
	if _, err := pgx.ForEachRow(rows, append(userTargets(&d.User, &environment), &d.External), func() error {
		d.EnvironmentID = environmentID(environment)
		out[d.ID] = d
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read who delegates: %w", err)
	}
	return out, nil
}

// OpenDelegations are those of an organization that have not ended.
func (s *Store) OpenDelegations(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) ([]lifecycle.Delegation, error) {
	rows, err := tx.Query(ctx, selectOpenDelegation, organizationID)
	if err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanDelegation)
	out := make([]lifecycle.Delegation, len(found))
	for n, d := range found {
		out[n] = d.Delegation
	}
	return out, err
}

// Delegation locks and reads a delegation.
func (s *Store) Delegation(ctx context.Context, tx *postgres.Tx, id string) (Delegation, error) {
	rows, err := tx.Query(ctx, selectDelegation, id)
	if err != nil {
		return Delegation{}, fmt.Errorf("read delegation: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelegation)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, ErrDelegationNotFound
	}
	return d, err
}

// Delegations reads a page of [DelegationList], of an organization, those of a person or
// with an empty id everybody's, and gives the token of the next page.
func (s *Store) Delegations(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, of string, ended bool, page *filter.Query) ([]Delegation, string, error) {
	args := filter.Arguments{organizationID}
	sql := `select ` + delegationFields + `, ` + page.Keys() + ` from delegation d where d.organization_id = $1`
	if !ended {
		sql += ` and d.end_time is null and d.until_time > ` + args.Add(s.now())
	}
	if of != "" {
		person := args.Add(of)
		sql += ` and (d.delegator_id = ` + person + ` or d.delegate_id = ` + person + `)`
	}
	sql += page.Where(args.Add) + page.Order() + page.Limit(args.Add)
	return filter.Read(ctx, tx, page, sql, args, scanDelegation)
}

func scanDelegation(row pgx.CollectableRow) (d Delegation, err error) {
	var environment uuid.UUID
	var end *time.Time
	err = row.Scan(&d.ID, &d.OrganizationID, &environment, &d.Delegator.ID, &d.Delegator.Name, &d.Delegator.Email, &d.Delegate.ID, &d.Delegate.Name, &d.Delegate.Email,
		&d.From, &d.Until, &d.Reason, &d.Creator.ID, &d.Creator.Name, &d.Creator.Email, &d.CreateTime, &end, &d.EndedBy.ID, &d.EndedBy.Name, &d.EndedBy.Email)
	d.EnvironmentID = environmentID(environment)
	if end != nil {
		d.EndTime = *end
	}
	return d, err
}

// InsertDelegation saves a new delegation and emits its event.
func (s *Store) InsertDelegation(ctx context.Context, tx *postgres.Tx, d Delegation, event outbox.Event) error {
	if _, err := tx.Exec(ctx, insertDelegation, d.ID, d.OrganizationID, environmentUUID(d.EnvironmentID), d.Delegator.ID, d.Delegator.Name, d.Delegator.Email,
		d.Delegate.ID, d.Delegate.Name, d.Delegate.Email, d.From, d.Until, d.Reason, d.Creator.ID, d.Creator.Name, d.Creator.Email, d.CreateTime); err != nil {
		return fmt.Errorf("save delegation: %w", err)
	}
	return s.Emit(ctx, tx, event)
}

// EndDelegation saves that a delegation has ended and emits its event.
func (s *Store) EndDelegation(ctx context.Context, tx *postgres.Tx, d Delegation, event outbox.Event) error {
	if _, err := tx.Exec(ctx, endDelegation, d.ID, d.EndTime, orNull(d.EndedBy.ID), d.EndedBy.Name, d.EndedBy.Email); err != nil {
		return fmt.Errorf("end delegation: %w", err)
	}
	return s.Emit(ctx, tx, event)
}
