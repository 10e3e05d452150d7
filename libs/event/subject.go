package event

import (
	"strings"

	"github.com/google/uuid"
)

// ParseSubject takes a subject apart: whose event it is, and its name as
// [Type.String] gives it. ok is false if it is not the subject of an event.
func ParseSubject(subject string) (organization uuid.UUID, name string, ok bool) {
	parts := strings.SplitN(subject, ".", 3)
	if len(parts) != 3 || parts[0] != "access" {
		return uuid.Nil, "", false
	}
	aggregate, what, ok := strings.Cut(parts[2], ".")
	if !ok || !isToken(aggregate) || !isToken(what) {
		return uuid.Nil, "", false
	}
	organization, err := uuid.Parse(parts[1])
	if err != nil || organization == uuid.Nil {
		return uuid.Nil, "", false
	}
	return organization, parts[2], true
}
