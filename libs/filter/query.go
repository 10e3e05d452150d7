package filter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
)

// Request is a request of a list. One with GetPageSize and GetPageToken is paged.
type Request interface {
	GetFilter() string
	GetOrderBy() string
}

type paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// Query is a page of a list that somebody asks for. It is used by one statement at a
// time.
type Query struct {
	cond   condition
	keys   []key
	after  []any
	size   int // 0 for all
	within time.Duration
	// field is what the caller asked with, "filter" or "order_by"; empty for neither.
	field string
}

// Parse checks what a caller asks. An apierr says InvalidArgument, reason FILTER_INVALID,
// ORDER_BY_INVALID or PAGE_TOKEN_INVALID.
func (l *List) Parse(r Request) (*Query, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	q := &Query{keys: l.deft, within: l.within}
	var err error
	if q.cond, err = l.condition(r.GetFilter()); err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.GetOrderBy()) != "" {
		q.field = "order_by"
		if q.keys, err = l.keys(r.GetOrderBy(), false); err != nil {
			return nil, err
		}
	}
	if q.cond != nil {
		q.field = "filter"
	}
	if p, ok := r.(paged); ok {
		q.size = page.Size(p.GetPageSize())
		if q.after, err = values(q.keys, p.GetPageToken()); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// Page is a page in the default order with nothing filtered, behind that whose token is
// given. size is its number of rows; 0 for all.
func (l *List) Page(size int, token string) (*Query, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	after, err := values(l.deft, token)
	return &Query{keys: l.deft, size: size, after: after, within: l.within}, err
}

// Filter is the filter as conditions to stand behind others in a where clause; arg gives
// the parameter that stands for an argument, such as $1.
func (q *Query) Filter(arg func(any) string) string {
	if q.cond == nil {
		return ""
	}
	return " and " + q.cond(arg)
}

// Where is Filter with the condition that rows come behind the last page.
func (q *Query) Where(arg func(any) string) string {
	where := q.Filter(arg)
	if q.after != nil {
		where += " and " + behind(q.keys, q.after, arg)
	}
	return where
}

// Order is the order by clause.
func (q *Query) Order() string { return " order by " + orderBy(q.keys) }

// By is the condition that rows come behind the last page, to stand behind others, and the
// order by clause, by a column that has the values of the one field that the list is sorted
// by: where that comes from several tables.
func (q *Query) By(column string, arg func(any) string) (where, order string) {
	keys := slices.Clone(q.keys[:1])
	keys[0].sql = column
	if q.after != nil {
		where = " and " + behind(keys, q.after[:1], arg)
	}
	return where, " order by " + orderBy(keys)
}

// Limit is the limit clause: one row more than the page has.
func (q *Query) Limit(arg func(any) string) string {
	if q.size == 0 {
		return ""
	}
	return " limit " + arg(q.size+1)
}

// Keys is the last column of the statement: where each row stands in the order.
func (q *Query) Keys() string { return columns(q.keys) }

// Size is the number of rows of the page; 0 for all.
func (q *Query) Size() int { return q.size }

// Arguments collects the arguments of a statement.
type Arguments []any

// Add adds an argument and returns the parameter that stands for it.
func (a *Arguments) Add(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}

// Bound gives the statements of tx from here on a time to run in, if the caller asked for
// a filter or an order.
func (q *Query) Bound(tx *postgres.Tx) {
	if q.field == "" {
		return
	}
	var b pgx.Batch
	b.Queue("select set_config('statement_timeout', $1, true)", strconv.FormatInt(q.within.Milliseconds(), 10))
	tx.Later(&b)
}

// Error makes the error of a statement that ran out of its time that of a filter or an
// order which is too costly: InvalidArgument, reason FILTER_TOO_COSTLY or
// ORDER_BY_TOO_COSTLY.
func (q *Query) Error(err error) error {
	var pg *pgconn.PgError
	if q.field == "" || !errors.As(err, &pg) || pg.Code != "57014" {
		return err
	}
	return apierr.InvalidField(q.field, strings.ToUpper(q.field)+"_TOO_COSTLY",
		"the list was not read within %s: filter for less, such as a time or one user", q.within).Wrap(err)
}

// Read runs the statement of a page, whose last column is Keys, and returns its rows and
// the token of the next page; empty if this is the last.
func Read[T any](ctx context.Context, tx *postgres.Tx, q *Query, sql string, args []any, scan pgx.RowToFunc[T]) (list []T, next string, err error) {
	q.Bound(tx)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", q.Error(fmt.Errorf("read list: %w", err))
	}
	var tokens []string
	list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) {
		v, token, err := Scan(row, q, scan)
		tokens = append(tokens, token)
		return v, err
	})
	if err != nil {
		return nil, "", q.Error(fmt.Errorf("read list: %w", err))
	}
	if q.size == 0 || len(list) <= q.size {
		return list, "", nil
	}
	return list[:q.size], tokens[q.size-1], nil
}

// Scan reads a row of a statement of q, and the token of the page that begins behind it.
func Scan[T any](row pgx.CollectableRow, q *Query, scan pgx.RowToFunc[T]) (v T, next string, err error) {
	k := keyed{CollectableRow: row}
	if v, err = scan(&k); err != nil {
		return v, "", err
	}
	return v, token(q.keys, k.keys), nil
}

// keyed is a row without its last column, which it keeps.
type keyed struct {
	pgx.CollectableRow
	keys []*string
}

func (k *keyed) FieldDescriptions() []pgconn.FieldDescription {
	all := k.CollectableRow.FieldDescriptions()
	return all[:len(all)-1]
}

func (k *keyed) RawValues() [][]byte {
	all := k.CollectableRow.RawValues()
	return all[:len(all)-1]
}

func (k *keyed) Scan(into ...any) error {
	return k.CollectableRow.Scan(append(slices.Clip(into), &k.keys)...) //nolint:wrapcheck // of the same row
}
