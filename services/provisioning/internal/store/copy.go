package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// ApplyUser writes a newer copy of a user. It waits for grants that are being
// opened for them. left means that the copy was newer, and that the person was
// here and that this has ended: seen to leave, or seen to have come back.
func ApplyUser(ctx context.Context, tx *postgres.Tx, org uuid.UUID, p Person) (left bool, err error) {
	err = tx.QueryRow(ctx, `
		with old as (select removed, join_count from user_copy where id = $1)
		insert into user_copy as c (id, organization_id, user_name, display_name, given_name, family_name, email, title, department,
		    removed, join_count, version, environment_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		on conflict (id) do update set user_name = excluded.user_name, display_name = excluded.display_name,
		    given_name = excluded.given_name, family_name = excluded.family_name, email = excluded.email, title = excluded.title,
		    department = excluded.department, removed = excluded.removed, join_count = excluded.join_count, version = excluded.version
		where c.version < excluded.version
		returning coalesce((select not removed and (c.removed or join_count < c.join_count) from old), c.removed)`,
		p.ID, org, p.UserName, p.DisplayName, p.GivenName, p.FamilyName, p.Email, p.Title, p.Department, p.Removed, p.JoinCount, p.Version, p.EnvironmentID).
		Scan(&left)
	return left, wrap(ignoreNone(err), "write copy of user %s", p.ID)
}

// ApplyApp writes a newer copy of an app. changed means that it was newer, and
// changes how accounts come and go.
func ApplyApp(ctx context.Context, tx *postgres.Tx, org uuid.UUID, a App) (changed bool, err error) {
	if a.Mode == lifecycle.Automatic && !a.IntegrationID.Valid {
		a.Mode = lifecycle.Manual
	}
	if a.AdminIDs == nil {
		a.AdminIDs = []uuid.UUID{}
	}
	err = tx.QueryRow(ctx, `
		insert into app_copy as c (id, organization_id, name, mode, integration_id, disable, admin_ids, version, provisioning_version, environment_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
		on conflict (id) do update set name = excluded.name, mode = excluded.mode, integration_id = excluded.integration_id,
		    disable = excluded.disable, admin_ids = excluded.admin_ids, version = excluded.version,
		    provisioning_version = case when (c.mode, c.integration_id) is distinct from (excluded.mode, excluded.integration_id)
		        then excluded.version else c.provisioning_version end
		where c.version < excluded.version
		returning provisioning_version = version`,
		a.ID, org, a.Name, string(a.Mode), a.IntegrationID, a.Disable, a.AdminIDs, a.Version, a.EnvironmentID).Scan(&changed)
	return changed, wrap(ignoreNone(err), "write copy of app %s", a.ID)
}

// ApplyEntitlement writes a newer copy of an entitlement.
func ApplyEntitlement(ctx context.Context, tx *postgres.Tx, org uuid.UUID, e Entitlement) error {
	_, err := tx.Exec(ctx, `
		insert into entitlement_copy as c (id, organization_id, app_id, name, kind, ref, version, environment_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id) do update set name = excluded.name, kind = excluded.kind, ref = excluded.ref, version = excluded.version
		where c.version < excluded.version`,
		e.ID, org, e.AppID, e.Name, e.Kind, e.Ref, e.Version, e.EnvironmentID)
	if err != nil {
		return fmt.Errorf("write copy of entitlement %s: %w", e.ID, err)
	}
	return nil
}
