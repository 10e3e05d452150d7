package postgres

import (
	"strings"

	"github.com/google/uuid"
)

// Column is one column of rows: a parameter of a statement that writes them
// all, as in
//
//	insert into t (id, name) select * from unnest($1::uuid[], $2::text[])
func Column[R, V any](rows []R, value func(R) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = value(r)
	}
	return out
}

// IDs is a list of ids as PostgreSQL reads it from text, for a [Column] of
// lists: lists of several lengths cannot be sent as one array. Cast it in the
// statement, n.ids::uuid[].
func IDs[T string | uuid.UUID](ids []T) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		switch id := any(id).(type) {
		case string:
			b.WriteString(id)
		case uuid.UUID:
			b.WriteString(id.String())
		}
	}
	b.WriteByte('}')
	return b.String()
}
