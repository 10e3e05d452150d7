package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// query collects the conditions of a list. Conditions are text of this
// package; what comes from outside goes into arguments only.
type query struct {
	conditions []string
	args       []any
}

// arg adds an argument and returns its placeholder.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// where adds a condition that must hold, with a ? for each argument.
func (q *query) where(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", q.arg(a), 1)
	}
	q.conditions = append(q.conditions, condition)
}

// text is the where clause.
func (q *query) text() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return " where " + strings.Join(q.conditions, " and ")
}

// list reads a page of what q selects. columns begin a select with where they are from,
// and the last of them is the page's keys.
func list[T any](ctx context.Context, tx *postgres.Tx, columns string, q *query, page *filter.Query, scan pgx.RowToFunc[T]) ([]T, string, error) {
	return filter.Read(ctx, tx, page, `select `+columns+q.text()+page.Where(q.arg)+page.Order()+page.Limit(q.arg), q.args, scan)
}
