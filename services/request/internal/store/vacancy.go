package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// Who may decide for requesters and beneficiaries p.ids, in an environment: as approval
// has it.
const mayDecide = `u.state = 'active' and u.role <> 'risk_manager' and u.kind in ('employee', 'external')
	and u.role_environment_id in ('00000000-0000-0000-0000-000000000000', p.environment_id) and u.id <> all (p.ids)
	and not exists (select from user_copy o where o.id = any (p.ids) and o.accountable_user_id = u.id)`

const (
	// Lookups in which an admin of the organization could decide: who is asked last.
	selectLastResort = `
select p.lookup from unnest($1::int[], $2::uuid[], $3::uuid[]) w (lookup, beneficiary_id, requester_id),
	lateral (select w.lookup, array[w.beneficiary_id, w.requester_id] as ids, '00000000-0000-0000-0000-000000000000'::uuid as environment_id) p
where exists (select from user_copy u
	where u.organization_id = (select b.organization_id from user_copy b where b.id = w.beneficiary_id)
	and u.role in ('admin', 'it_admin') and u.role_environment_id = '00000000-0000-0000-0000-000000000000' and ` + mayDecide + `)`
	// Whether anybody could decide a step: whom it names, the app's admins, those of the
	// environment, or those of the organization.
	selectReviewer = `
with recursive line as (
	select u.manager_id from user_copy u where u.id = $2
	union
	select u.manager_id from line l join user_copy u on u.id = l.manager_id)
select exists (select from user_copy u, app a, (select array[$2::uuid, $3::uuid] as ids, $4::uuid as environment_id) p
	where a.id = $1 and u.organization_id = a.organization_id and ` + mayDecide + ` and (
		u.id = any (a.admin_ids)
		or u.role in ('admin', 'it_admin')
		or case $5::text
			when 'manager' then u.id in (select manager_id from line)
			when 'app_owner' then u.id = a.owner_id
			when 'app_approvers' then u.id = any (a.approver_ids)
			when 'users' then u.id = any ($6::uuid[])
			when 'groups' then exists (select from group_member_copy m where m.user_id = u.id and m.group_id = any ($7::uuid[]) and not m.removed)
			else false end))`
)

func queueLastResort(b *pgx.Batch, lookups []*Lookup) {
	var numbers []int32
	var beneficiaries, requesters []uuid.UUID
	for n, l := range lookups {
		numbers, beneficiaries, requesters = append(numbers, int32(n)), append(beneficiaries, l.BeneficiaryID), append(requesters, l.RequesterID) //nolint:gosec // as many as come together
	}
	b.Queue(selectLastResort, numbers, beneficiaries, requesters).Query(func(rows pgx.Rows) error {
		var n int
		_, err := pgx.ForEachRow(rows, []any{&n}, func() error {
			lookups[n].LastResort = true
			return nil
		})
		return err
	})
}

// Step names who decides an item first.
type Step struct {
	AppID, BeneficiaryID, RequesterID, EnvironmentID uuid.UUID
	// Reviewers is how they are found, a ReviewerKind as a word.
	Reviewers         string
	UserIDs, GroupIDs []uuid.UUID
}

// HasReviewer reports whether somebody could decide a step as things are now.
func HasReviewer(ctx context.Context, tx *postgres.Tx, s Step) (has bool, err error) {
	err = tx.QueryRow(ctx, selectReviewer, s.AppID, s.BeneficiaryID, s.RequesterID, s.EnvironmentID, s.Reviewers, notNull(s.UserIDs), notNull(s.GroupIDs)).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for a reviewer: %w", err)
	}
	return has, nil
}
