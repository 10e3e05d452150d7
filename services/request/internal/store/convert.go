package store

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Enums stand in the database as the lower-case end of their names: what in the
// API is REQUEST_STATE_PENDING is pending in a row.

// enumText gives the text of an enum value whose names begin with prefix.
func enumText(e protoreflect.Enum, prefix string) string {
	v := e.Descriptor().Values().ByNumber(e.Number())
	if v == nil {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}

// enumValue gives the value of a text.
func enumValue[E ~int32](values map[string]int32, prefix, text string) E {
	return E(values[prefix+strings.ToUpper(text)])
}

// optional gives the id of a text, or nil for an empty one.
func optional(s string) *uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil {
		return nil
	}
	return &id
}

// text gives an id as text, or nothing.
func text(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}

// list gives an array that is never null.
func list(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}

func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func person(id uuid.NullUUID, name, email string) *identityv1.Person {
	if !id.Valid {
		return nil
	}
	return &identityv1.Person{UserId: id.UUID.String(), DisplayName: name, Email: email}
}
