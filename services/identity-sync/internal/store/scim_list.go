package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// resource is how one type of resource is listed for SCIM. All of it is text of
// this package; ? stands for a value from outside.
//
// Under row-level security an index serves only conditions that cannot leak a row that
// the scope does not see: comparisons of text, times and ids, and "or" of such. Whatever
// else is wanted is looked up first, by itself, and compared by id.
type resource[T any] struct {
	from    string
	base    string // condition on the source
	id      string
	columns string
	related string // one more column
	compare map[comparison]string
	sort    map[scim.SortKey]sortKey
	scan    func(rows pgx.Rows, more ...any) (T, error)
}

// comparison is one that a column answers.
type comparison struct {
	attribute scim.Attribute
	operator  scim.Operator
}

// sortKey is what a list is ordered by, before the id.
type sortKey struct{ expression, typ string }

var users = resource[scim.User]{
	from:    `users u`,
	base:    `u.source_id = ? and u.state <> 'removed'`,
	id:      `u.id`,
	columns: userColumns,
	related: groupsOf,
	compare: map[comparison]string{
		{scim.AttributeExternalID, scim.Equal}: `u.external_id = any(?::text[]) and u.external_id <> ''`,
		{scim.AttributeUserName, scim.Equal}:   `u.user_name_form = any(array(select lower(normalize(v, NFKC)) from unnest(?::text[]) as v))`,
		// A range, as an index has it: no name goes on with the last of all characters.
		{scim.AttributeUserName, scim.StartsWith}: `u.user_name_form collate "C" >= lower(normalize(?::text, NFKC)) and u.user_name_form collate "C" < lower(normalize(?::text, NFKC)) || U&'\+10FFFF'`,
		{scim.AttributeEmail, scim.Equal}: `u.id = any(array(
	select e.user_id from user_email e
	where e.email_key = any(array(select email_key(v) from unnest(?::text[]) as v)) and e.organization_id = (select gatehouse_organization())))`,
		{scim.AttributeLastModified, scim.NotBefore}: `u.update_time >= ?`,
		{scim.AttributeLastModified, scim.Before}:    `u.update_time < ?`,
	},
	sort: map[scim.SortKey]sortKey{
		scim.SortID: {`u.id`, "uuid"}, scim.SortExternalID: {`lower(u.external_id)`, "text"}, scim.SortUserName: {`u.user_name_form collate "C"`, "text"},
		scim.SortDisplayName: {`u.display_name_key`, "text"}, scim.SortCreated: {`u.create_time`, "timestamptz"},
		scim.SortLastModified: {`u.update_time`, "timestamptz"},
	},
	scan: func(rows pgx.Rows, more ...any) (scim.User, error) {
		var u User
		var groups []scim.Member
		err := rows.Scan(u.targets(append([]any{&groups}, more...)...)...)
		out := u.SCIM()
		out.Groups = groups
		return out, err
	},
}

var groups = resource[scim.Group]{
	from:    `directory_group g`,
	base:    `g.source_id = ?`,
	id:      `g.id`,
	columns: groupColumns,
	related: membersOf,
	compare: map[comparison]string{
		{scim.AttributeExternalID, scim.Equal}: `g.external_id = any(?::text[]) and g.external_id <> ''`,
		{scim.AttributeDisplayName, scim.Equal}: `g.id = any(array(
	select o.id from directory_group o
	where o.source_id = $1 and o.display_name_key = any(array(select lower(left(v, 200)) from unnest(?::text[]) as v))
		and lower(o.display_name) = any(array(select lower(v) from unnest(?::text[]) as v))))`,
		{scim.AttributeLastModified, scim.NotBefore}: `g.update_time >= ?`,
		{scim.AttributeLastModified, scim.Before}:    `g.update_time < ?`,
	},
	sort: map[scim.SortKey]sortKey{
		scim.SortID: {`g.id`, "uuid"}, scim.SortExternalID: {`lower(g.external_id)`, "text"}, scim.SortDisplayName: {`g.display_name_key`, "text"},
		scim.SortCreated: {`g.create_time`, "timestamptz"}, scim.SortLastModified: {`g.update_time`, "timestamptz"},
	},
	scan: func(rows pgx.Rows, more ...any) (scim.Group, error) {
		var g Group
		var members []scim.Member
		err := rows.Scan(g.targets(append([]any{&members}, more...)...)...)
		out := g.SCIM()
		out.Members = members
		return out, err
	},
}

// QueryUsers gives the page of a source's users that a SCIM query asks for.
func QueryUsers(ctx context.Context, tx *postgres.Tx, source uuid.UUID, q scim.Query[scim.User]) (scim.Page[scim.User], error) {
	return users.page(ctx, tx, source, q)
}

// QueryGroups gives the page of a source's groups that a SCIM query asks for.
func QueryGroups(ctx context.Context, tx *postgres.Tx, source uuid.UUID, q scim.Query[scim.Group]) (scim.Page[scim.Group], error) {
	return groups.page(ctx, tx, source, q)
}

// planEach has the database plan the statements of a transaction for their values, each
// time: what it costs to find people by them differs too much.
const planEach = `select set_config('plan_cache_mode', 'force_custom_plan', true)`

// matchedAtOnce is how many rows are read at once of a list by position that a filter
// goes through.
const matchedAtOnce = 1000

// page gives what a query asks for. What columns can answer the database answers; for
// the rest rows that the columns leave are read, all of them where there is a total to
// give.
func (r resource[T]) page(ctx context.Context, tx *postgres.Tx, source uuid.UUID, q scim.Query[T]) (out scim.Page[T], err error) {
	rows := func() *query {
		sql := &query{}
		sql.where(r.base, source) // the source is $1
		if q.Where != nil {
			sql.conditions = append(sql.conditions, r.condition(sql, *q.Where))
		}
		return sql
	}
	var first pgx.Batch
	first.Queue(planEach)
	tx.Later(&first)
	var ids []uuid.UUID
	switch {
	case q.Match != nil && q.Behind != nil:
		ids, err = r.matchBehind(ctx, tx, rows, q)
	case q.Match != nil:
		ids, out.Total, err = r.matchAll(ctx, tx, rows(), q)
	default:
		ids, out.Total, err = r.find(ctx, tx, rows, q)
	}
	if err != nil {
		return out, err
	}
	if q.Behind != nil && len(ids) > q.Count {
		ids, out.More = ids[:q.Count], true
	}
	if len(ids) > 0 {
		out.Items, out.Last, err = r.load(ctx, tx, ids, q)
	}
	return out, err
}

// find gives the ids of a page that columns answer, and of one behind a position one
// more if there is more.
func (r resource[T]) find(ctx context.Context, tx *postgres.Tx, rows func() *query, q scim.Query[T]) (ids []uuid.UUID, total int, err error) {
	if q.Count > 0 || q.Behind != nil {
		sql := rows()
		text := r.pageOf(sql, q)
		found, err := tx.Query(ctx, text, sql.args...)
		if ids, err = collect("list", found, err, pgx.RowTo[uuid.UUID]); err != nil {
			return nil, 0, err
		}
	}
	begins := q.Behind == nil && (q.Offset == 0 || len(ids) > 0) || q.Behind != nil && q.Behind.ID == ""
	switch {
	case q.NoTotal:
		return ids, 0, nil
	case begins && q.Count > 0 && len(ids) < q.Count: // it is the last page
		if q.Behind == nil {
			total = q.Offset
		}
		return ids, total + len(ids), nil
	}
	sql := rows()
	if err := tx.QueryRow(ctx, `select count(*) from `+r.from+sql.text(), sql.args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count: %w", err)
	}
	return ids, total, nil
}

// pageOf selects the ids of a page. Behind a position it is a page by keyset.
func (r resource[T]) pageOf(sql *query, q scim.Query[T]) string {
	limit, skip := q.Count, ""
	if q.Behind != nil {
		r.behind(sql, q, *q.Behind)
		limit++
	} else if q.Offset > 0 {
		skip = ` offset ` + sql.arg(q.Offset)
	}
	return `select ` + r.id + ` from ` + r.from + sql.text() + r.order(q) + ` limit ` + sql.arg(limit) + skip
}

// matchAll reads all rows, and gives the ids of the page among those that match, and
// how many match.
func (r resource[T]) matchAll(ctx context.Context, tx *postgres.Tx, sql *query, q scim.Query[T]) (ids []uuid.UUID, total int, err error) {
	err = r.each(ctx, tx, r.selection(q.MatchRelated, "''")+sql.text()+r.order(q), sql.args, func(id uuid.UUID, _ string, item T) {
		if !q.Match(item) {
			return
		}
		if total >= q.Offset && len(ids) < q.Count {
			ids = append(ids, id)
		}
		total++
	})
	return ids, total, err
}

// matchBehind reads rows behind a position until there are as many that match as the
// page may have, and one more.
func (r resource[T]) matchBehind(ctx context.Context, tx *postgres.Tx, rows func() *query, q scim.Query[T]) (ids []uuid.UUID, err error) {
	for at := *q.Behind; ; {
		sql := rows()
		r.behind(sql, q, at)
		read := 0
		text := r.selection(q.MatchRelated, r.key(q)) + sql.text() + r.order(q) + ` limit ` + sql.arg(matchedAtOnce)
		err := r.each(ctx, tx, text, sql.args, func(id uuid.UUID, key string, item T) {
			read++
			at = scim.Position{Key: key, ID: id.String()}
			if len(ids) <= q.Count && q.Match(item) {
				ids = append(ids, id)
			}
		})
		if err != nil || read < matchedAtOnce || len(ids) > q.Count {
			return ids, err
		}
	}
}

// load reads the resources with the ids, in the order of the list, and gives the
// position of the last.
func (r resource[T]) load(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID, q scim.Query[T]) (items []T, last scim.Position, err error) {
	items = make([]T, 0, len(ids))
	err = r.each(ctx, tx, r.selection(q.Related, r.key(q))+` where `+r.id+` = any($1)`+r.order(q), []any{ids}, func(id uuid.UUID, key string, item T) {
		items, last = append(items, item), scim.Position{Key: key, ID: id.String()}
	})
	return items, last, err
}

// each calls f for each row of a selection.
func (r resource[T]) each(ctx context.Context, tx *postgres.Tx, sql string, args []any, f func(id uuid.UUID, key string, item T)) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var key string
		item, err := r.scan(rows, &id, &key)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		f(id, key, item)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	return nil
}

// selection is what is read of each row: the resource, its id, and a key.
func (r resource[T]) selection(related bool, key string) string {
	more := noRelated
	if related {
		more = r.related
	}
	return `select ` + r.columns + more + `, ` + r.id + `, ` + key + ` from ` + r.from
}

// key is the sort key as a position has it.
func (r resource[T]) key(q scim.Query[T]) string {
	if key, ok := r.sort[q.Sort]; ok {
		return `(` + key.expression + `)::text`
	}
	return `''`
}

// order is that of a list: by the sort key, and else by the id; ids are made in order.
func (r resource[T]) order(q scim.Query[T]) string {
	key, ok := r.sort[q.Sort]
	switch {
	case ok && q.Descending:
		return ` order by ` + key.expression + ` desc, ` + r.id
	case ok:
		return ` order by ` + key.expression + `, ` + r.id
	}
	return ` order by ` + r.id
}

// behind adds the condition that rows are behind a position.
func (r resource[T]) behind(sql *query, q scim.Query[T], at scim.Position) {
	if at.ID == "" {
		return
	}
	id, _ := ParseID(at.ID)
	key, ok := r.sort[q.Sort]
	if !ok {
		sql.where(r.id+" > ?", id)
		return
	}
	// The first of the two is what an index goes by.
	than := map[bool]string{false: ">", true: "<"}[q.Descending]
	value := sql.arg(at.Key) + "::text::" + key.typ
	sql.conditions = append(sql.conditions, key.expression+" "+than+"= "+value,
		"("+key.expression+" "+than+" "+value+" or "+r.id+" > "+sql.arg(id)+")")
}

// condition is a condition as the database has it.
func (r resource[T]) condition(sql *query, c scim.Condition) string {
	list, word := c.All, " and "
	if len(c.Any) > 0 {
		list, word = c.Any, " or "
	}
	if len(list) == 0 {
		return r.comparison(sql, c)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = r.condition(sql, e)
	}
	return "(" + strings.Join(parts, word) + ")"
}

func (r resource[T]) comparison(sql *query, c scim.Condition) string {
	var value any = c.Time
	if c.Attribute != scim.AttributeLastModified {
		texts := slices.DeleteFunc(slices.Clone(c.Values), func(v string) bool { return strings.ContainsRune(v, 0) }) // text has none
		if value = texts; c.Operator == scim.StartsWith && len(texts) == 1 {
			value = texts[0]
		}
		if len(texts) == 0 {
			return "false"
		}
		switch c.Attribute {
		case scim.AttributeID:
			return r.id + " = any(" + sql.arg(parseIDs(texts)) + "::uuid[])"
		case scim.AttributeMember:
			return r.id + " = any(array(select m.group_id from group_member m where m.user_id = any(" + sql.arg(parseIDs(texts)) + "::uuid[])))"
		}
	}
	text, ok := r.compare[comparison{c.Attribute, c.Operator}]
	if !ok {
		return "false"
	}
	return "(" + strings.ReplaceAll(text, "?", sql.arg(value)) + ")"
}

// parseIDs are the ids among texts.
func parseIDs(texts []string) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(texts))
	for _, t := range texts {
		if id, ok := ParseID(t); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
