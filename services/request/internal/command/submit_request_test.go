package command

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// B-USR-21, in part: what is refused because a user is not known is done again
// when the user's copy comes, which here is after the first time. Who does not
// come is unknown to others, and told to try again themselves.
func TestForKnownWaitsForTheCopy(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := newCommands(db)
	by := authz.Caller{UserID: id.New(), OrganizationID: id.New()}
	unknown := apierr.InvalidField("beneficiary_id", reasonUserUnknown, "there is no such user")
	for name, beneficiary := range map[string]uuid.UUID{"the caller": by.UserID, "somebody else": id.New()} {
		times := 0
		arrived := make(chan error, 1)
		err := c.forKnown(t.Context(), by, beneficiary, func() error {
			if times++; times > 1 {
				return nil
			}
			go func() {
				arrived <- db.InOrganization(t.Context(), by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
					return copies.Apply(ctx, tx, by.OrganizationID, &identityv1.User{Id: beneficiary.String(), DisplayName: "Nia", Version: 1})
				})
			}()
			return unknown
		})
		if arrival := <-arrived; arrival != nil || err != nil || times != 2 {
			t.Errorf("%s: %v after %d times; arrived: %v", name, err, times, arrival)
		}
	}
	never := func() error { return unknown }
	if err := c.forKnown(t.Context(), by, id.New(), never); !apierr.HasReason(err, reasonUserUnknown) {
		t.Errorf("somebody who does not come: %v", err)
	}
	by.UserID = id.New()
	if err := c.forKnown(t.Context(), by, uuid.Nil, never); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("a caller who does not come: %v", err)
	}
}
