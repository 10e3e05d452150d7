package id

import (
	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
)

// New returns a new id. Ids made by one process are strictly increasing.
func New() uuid.UUID {
	// NewV7 fails only where the machine has no randomness, which Go's
	// crypto/rand already treats as fatal.
	return uuid.Must(uuid.NewV7())
}

// Parse reads an id that a caller sent in field. The answer to anything but
// the plain form of 36 characters, and to the nil id, is an apierr with
// InvalidArgument, reason INVALID_ID, that names the field.
func Parse(field, s string) (uuid.UUID, error) {
	if len(s) == 36 {
		if u, err := uuid.Parse(s); err == nil && u != uuid.Nil {
			return u, nil
		}
	}
	return uuid.Nil, apierr.InvalidField(field, "INVALID_ID", "%s must be an id such as 0192f0c1-7a3b-7cde-8f00-112233445566", field)
}
