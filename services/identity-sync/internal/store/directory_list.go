package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// list is how one type of resource is listed for SCIM. All of it is text of
// this package; ? stands for a value from outside.
type list[T any] struct {
	from    string
	base    string // condition on the source
	id      string
	columns string
	related func(bool) string // one more column
	equal   map[scim.Attribute]string
	sort    map[scim.SortKey]string
	scan    func(pgx.Rows) (T, error)
}

// page lists what a query asks for. What columns can answer the database
// answers; for the rest it goes through all that columns leave. Pages by
// offset are what SCIM has.
func (l list[T]) page(ctx context.Context, db *postgres.DB, src scim.Source, q scim.Query[T]) (scim.Page[T], error) {
	sql := &query{}
	sql.where(l.base, src.ID)
	for _, e := range q.Where {
		if !l.condition(sql, e) {
			return scim.Page[T]{}, nil
		}
	}
	var out scim.Page[T]
	err := db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		out = scim.Page[T]{}
		if q.Match != nil {
			return l.sift(ctx, tx, sql, q, &out)
		}
		if err := tx.QueryRow(ctx, `select count(*) from `+l.from+sql.text(), sql.args...).Scan(&out.Total); err != nil {
			return fmt.Errorf("count: %w", err)
		}
		if q.Count == 0 || q.Offset >= out.Total {
			return nil
		}
		text := l.text(sql, q)
		rows, err := tx.Query(ctx, text+` limit `+sql.arg(q.Count)+` offset `+sql.arg(q.Offset), sql.args...)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		out.Items, err = pgx.CollectRows(rows, func(pgx.CollectableRow) (T, error) { return l.scan(rows) })
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		return nil
	})
	return out, err
}

// sift goes through all rows and takes those that match.
func (l list[T]) sift(ctx context.Context, tx *postgres.Tx, sql *query, q scim.Query[T], out *scim.Page[T]) error {
	rows, err := tx.Query(ctx, l.text(sql, q), sql.args...)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		item, err := l.scan(rows)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if !q.Match(item) {
			continue
		}
		if out.Total >= q.Offset && len(out.Items) < q.Count {
			out.Items = append(out.Items, item)
		}
		out.Total++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	return nil
}

func (l list[T]) text(sql *query, q scim.Query[T]) string {
	order := l.id // ids are made in order
	if key, ok := l.sort[q.Sort]; ok {
		if q.Descending {
			key += " desc"
		}
		order = key + ", " + l.id
	}
	return `select ` + l.columns + l.related(q.Related) + ` from ` + l.from + sql.text() + ` order by ` + order
}

// condition adds a condition, and reports whether anything can meet it.
func (l list[T]) condition(sql *query, e scim.Equal) bool {
	switch e.Attribute {
	case scim.AttributeID:
		one, ok := parseID(e.Value)
		sql.where(l.id+" = ?", one)
		return ok
	case scim.AttributeMember:
		one, ok := parseID(e.Value)
		sql.where("exists (select from group_member m where m.group_id = "+l.id+" and m.user_id = ?)", one)
		return ok
	}
	text, ok := l.equal[e.Attribute]
	if !ok || strings.ContainsRune(e.Value, 0) {
		return false
	}
	args := make([]any, strings.Count(text, "?"))
	for i := range args {
		args[i] = e.Value
	}
	sql.where(text, args...)
	return true
}

func newID() uuid.UUID { return id.New() }
