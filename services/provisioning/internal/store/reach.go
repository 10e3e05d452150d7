package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
)

// managersAbove is how far up a line of managers is gone; it may be a circle.
const managersAbove = 20

const selectReach = `
with recursive line as (
	select u.manager_id, 1 as height from user_copy u where u.id = $3
	union
	select u.manager_id, l.height + 1 from line l join user_copy u on u.id = l.manager_id where l.height < $4)
select exists (select from app_copy a where a.id = $2 and (a.owner_id = $1 or $1 = any (a.admin_ids))),
	exists (select from line l where l.manager_id = $1)`

// Reach says whether somebody runs an app, as its owner or one of its admins, and whether
// they are above a user, directly or not.
func Reach(ctx context.Context, tx *postgres.Tx, who, app, user uuid.UUID) (runs, manages bool, err error) {
	if err := tx.QueryRow(ctx, selectReach, who, app, user, managersAbove).Scan(&runs, &manages); err != nil {
		return false, false, fmt.Errorf("look what somebody sees: %w", err)
	}
	return runs, manages, nil
}
