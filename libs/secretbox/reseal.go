package secretbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/service"
)

// Sealed is a value of an organization that was sealed for an id, which is its
// associated data.
type Sealed struct {
	ID, OrganizationID uuid.UUID
	Value              []byte
}

// Kept are sealed values that a service keeps, such as credentials.
type Kept struct {
	// What they are called in the log.
	What string
	// List gives all of them.
	List func(ctx context.Context) ([]Sealed, error)
	// Again seals one again with the present key; nil if it is. ErrOpen says that no
	// key opens it.
	Again func(ctx context.Context, was Sealed) ([]byte, error)
	// Save replaces one that is still as it was.
	Save func(ctx context.Context, was Sealed, value []byte) error
	Log  *slog.Logger
}

// resealEvery is how often values are looked through for such as an older key has
// sealed: another replica may still seal with it.
const resealEvery = time.Hour

// Reseal seals the values that an older key has sealed with the present one, until ctx
// ends. It says in the log when the older keys can go: also if nothing is left to do
// for it, as what is used is sealed again by who uses it.
func (k Kept) Reseal(ctx context.Context) error {
	said := false
	return service.Every(ctx, resealEvery, func(ctx context.Context) error {
		again, failed, err := k.reseal(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			k.Log.WarnContext(ctx, "Secrets could not all be sealed again, older keys must stay", "what", k.What, "error", err)
		case failed > 0:
			k.Log.ErrorContext(ctx, "Secrets are sealed with a key that is not known", "what", k.What, "count", failed)
		case again > 0 || !said:
			k.Log.InfoContext(ctx, "Secrets are sealed with the present key, older keys can go", "what", k.What, "sealed_again", again)
			said = true
		}
		return err
	})
}

// reseal says how many values were sealed again, and how many no key opens. One that
// fails keeps no other from it.
func (k Kept) reseal(ctx context.Context) (again, failed int, err error) {
	values, err := k.List(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, was := range values {
		value, sealed := k.Again(ctx, was)
		switch {
		case errors.Is(sealed, ErrOpen):
			failed++
			continue
		case sealed == nil && value == nil:
			continue
		case sealed == nil:
			sealed = k.Save(ctx, was, value)
		}
		if sealed != nil {
			err = errors.Join(err, sealed)
			continue
		}
		again++
	}
	return again, failed, err
}
