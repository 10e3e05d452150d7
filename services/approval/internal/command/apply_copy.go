package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
)

// CopiesChanged does what follows from changes of copies: users are matched with
// the join-flows that they have come to match, and steps are looked at that may
// have lost a reviewer or found one.
func (c *Commands) CopiesChanged(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
	var users, joined []uuid.UUID
	for _, u := range changes.Users {
		users = append(users, u.ID)
		if !u.Removed {
			joined = append(joined, u.ID)
		}
	}
	for _, m := range changes.Members {
		if !m.Removed {
			joined = append(joined, m.UserID)
		}
	}
	if len(joined) > 0 {
		matches, err := c.Store.MatchUsers(ctx, tx, changes.OrganizationID, joined)
		if err != nil {
			return err
		}
		if err := c.addMatches(ctx, tx, changes.OrganizationID, matches); err != nil {
			return err
		}
	}
	if len(users)+len(changes.Members)+len(changes.Apps) == 0 {
		return nil
	}
	needed, err := c.Store.ReviewersNeeded(ctx, tx, changes.OrganizationID, users)
	if err != nil {
		return err
	}
	if needed {
		tx.AfterCommit(c.Maintenance.Wake)
	}
	return nil
}
