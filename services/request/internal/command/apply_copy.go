package command

import (
	"context"
	"time"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
)

// CopiesChanged does what follows from changes of copies: the requests of users
// who have left are cancelled where that is still possible. Users who have come
// back since keep what they have requested since.
func (c *Commands) CopiesChanged(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
	for _, u := range changes.Users {
		left := u.Left()
		if !left && (u.Removed || u.Before.GetJoinCount() == 0 || u.Before.GetJoinCount() == u.After.GetJoinCount()) {
			continue
		}
		now := c.Clock.Now()
		at := now
		if u.Event != nil {
			at = u.Event.Time.UTC().Truncate(time.Microsecond)
		}
		var before *time.Time // of one who has left: all
		if !left {
			before = &at
		}
		err := c.cancelRequestsOf(ctx, tx, changes.OrganizationID, u.ID, before, u.After.GetDisplayName()+" has left", notBefore(now, at))
		if err != nil {
			return err
		}
	}
	return nil
}
