package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// Raised are an organization and how many of its things got a higher version.
type Raised struct {
	Organization
	Environments, Users, Groups int32
}

const selectRaised = `
select ` + organizationColumns + `,
	(select count(*) from environment e where e.organization_id = o.id),
	(select count(*) from users u where u.organization_id = o.id),
	(select count(*) from directory_group g where g.organization_id = o.id)
from organization o order by o.id`

// RaiseVersions adds to the version of everything that others have copies of.
func RaiseVersions(ctx context.Context, tx *postgres.Tx, by int64) ([]Raised, error) {
	b := &pgx.Batch{}
	b.Queue(`update environment set version = version + $1`, by)
	b.Queue(`update users set version = version + $1`, by)
	b.Queue(`update directory_group set version = version + $1`, by)
	if err := send(ctx, tx, b, "raise versions"); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, selectRaised)
	if err == nil {
		var raised []Raised
		raised, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Raised, err error) {
			return r, row.Scan(append(r.targets(), &r.Environments, &r.Users, &r.Groups)...)
		})
		if err == nil {
			return raised, nil
		}
	}
	return nil, fmt.Errorf("count what was raised: %w", err)
}
