package command

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/request/internal/store"
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

// Whatever comes together takes the turns of environments in one order, and those of one
// environment in the order in which they came.
func TestByEnvironment(t *testing.T) {
	t.Parallel()
	first, second := uuid.MustParse("00000000-0000-0000-0000-000000000001"), uuid.MustParse("00000000-0000-0000-0000-000000000002")
	person := func(environment uuid.UUID) *store.Lookup {
		return &store.Lookup{Beneficiary: store.User{EnvironmentID: environment}}
	}
	app := func(environment uuid.UUID) *store.Lookup {
		return &store.Lookup{Candidates: []store.Candidate{{AppEnvironmentID: environment}}}
	}
	lookups := []*store.Lookup{person(second), app(first), person(uuid.Nil), app(second), person(first)}
	if got := byEnvironment(lookups); !slices.Equal(got, []int{2, 1, 4, 0, 3}) {
		t.Errorf("the order is %v", got)
	}
}
