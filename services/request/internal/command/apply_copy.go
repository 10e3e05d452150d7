package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/request/internal/convert"
)

// CopiesChanged does what follows from changes of copies: the requests for users
// who have left are cancelled where that is still possible, also if they have
// come back since, or nothing was known of them before. Requests made since they
// came back are kept. What they have asked those who run apps is closed.
func (c *Commands) CopiesChanged(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
	for _, u := range changes.Users {
		ended := ended(u.After, u.Removed)
		if ended <= endedBefore(u) {
			continue
		}
		now := c.Clock.Now()
		at := now
		if u.Event != nil {
			at = notBefore(now, u.Event.Time.UTC().Truncate(time.Microsecond))
		}
		err := c.cancelRequestsOf(ctx, tx, changes.OrganizationID, u.ID, ended, u.After.GetDisplayName()+" has left", at)
		if err == nil && u.Removed {
			err = c.closeConversations(ctx, tx, convert.System(), uuid.Nil, u.ID, u.After.GetDisplayName()+" has left", at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ended is the join count below which a user's requests are of a time that has
// ended.
func ended(u *identityv1.User, removed bool) int32 {
	if removed {
		return u.GetJoinCount() + 1
	}
	return u.GetJoinCount()
}

// endedBefore is ended as it was known before. A user who joins for the first
// time has nothing to end.
func endedBefore(u copies.UserChange) int32 { return max(ended(u.Before, u.WasRemoved), 1) }
