package store

import (
	"context"
	"fmt"

	"gatehouse.dev/libs/postgres"
)

// EachGrant calls f for every grant of every organization, as it comes. Names
// that are not known here yet are empty.
func EachGrant(ctx context.Context, tx *postgres.Tx, f func(*NamedGrant) error) error {
	rows, err := tx.Query(ctx, `
		select `+grantColumns+`, g.organization_id, g.environment_id, g.user_id, coalesce(u.display_name, ''), coalesce(u.email, ''),
			coalesce(p.name, ''), coalesce(e.name, '')
		from access_grant g left join user_copy u on u.id = g.user_id left join app_copy p on p.id = g.app_id
			left join entitlement_copy e on e.id = g.entitlement_id
		order by g.organization_id, g.id`)
	if err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n NamedGrant
		n.Grant, err = scanGrant(rows, &n.OrganizationID, &n.EnvironmentID, &n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName, &n.EntitlementName)
		if err != nil {
			return fmt.Errorf("read grant: %w", err)
		}
		if err := f(&n); err != nil {
			return err
		}
	}
	return rows.Err()
}
