package pgtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// CheckAdditive fails t for everything by which the schema of the sets after, migrated
// from that of the sets before, breaks a program that was written for before and reads
// and writes beside one that was written for after. What was there must be there and be
// the same: tables, columns with their types, nulls and defaults, constraints, unique
// indexes, triggers, policies, types and functions by what they take and give. What is
// new is a table, or concerns one that is new, or is a column that an insert may leave
// out. Indexes that are not unique are not looked at, nor what functions do, nor what a
// migration does to rows.
//
// Allowed names what changes all the same, such as "constraint app.app_kind", with the
// reason why it breaks nobody.
func CheckAdditive(t testing.TB, before, after []postgres.Set, allowed map[string]string) {
	t.Helper()
	found, err := breaks(t, before, after)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if allowed[name] == "" {
			t.Errorf("%s %s", name, found[name])
		}
	}
	for name := range allowed {
		if found[name] == "" {
			t.Errorf("%s is allowed to change, and does not", name)
		}
	}
}

// fact is something about a schema.
type fact struct {
	of   string // the fact that it belongs to, such as a table; itself if none
	is   string
	free bool // it binds nobody who does not know it
}

// breaks are the names of what changes and may not, with what has become of it.
func breaks(t testing.TB, before, after []postgres.Set) (map[string]string, error) {
	t.Helper()
	url := New(t, before...)
	old, err := facts(t.Context(), url)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(t.Context(), URLs(t, url).OwnerURL, after...); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	now, err := facts(t.Context(), url)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for name, was := range old {
		is, ok := now[name]
		switch {
		case !ok:
			found[name] = "is gone"
		case is.is != was.is:
			found[name] = fmt.Sprintf("was %q and is %q", was.is, is.is)
		}
	}
	for name, is := range now {
		if _, ok := old[name]; ok || is.free {
			continue
		}
		if _, ok := old[is.of]; ok {
			found[name] = fmt.Sprintf("is new on %s: %s", is.of, is.is)
		}
	}
	return found, nil
}

func facts(ctx context.Context, url string) (_ map[string]fact, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // only read
	rows, err := conn.Query(ctx, `
		with relation as (
		    select c.oid, c.relname, c.relkind, 'table ' || c.relname as name
		    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')),
		named_type as (
		    select y.*, 'type ' || y.typname as name
		    from pg_type y where y.typnamespace = 'public'::regnamespace and y.typtype in ('d', 'e'))
		select name, name, relkind::text, false from relation
		union all
		select format('column %s.%s', r.relname, a.attname), r.name,
		    concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end, 'default ' || pg_get_expr(d.adbin, d.adrelid),
		        'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, '')),
		    d.oid is not null or a.attidentity <> '' or not a.attnotnull and not y.typnotnull
		from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
		    join pg_type y on y.oid = a.atttypid left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
		where r.relkind <> 'S'
		union all
		select format('constraint %s.%s', coalesce(r.relname, y.typname), c.conname), coalesce(r.name, y.name), pg_get_constraintdef(c.oid), false
		from pg_constraint c left join relation r on r.oid = c.conrelid left join named_type y on y.oid = c.contypid
		where c.connamespace = 'public'::regnamespace and c.contype in ('c', 'f', 'p', 'u', 'x')
		union all
		select format('index %s.%s', r.relname, i.indexrelid::regclass), r.name, pg_get_indexdef(i.indexrelid), false
		from pg_index i join relation r on r.oid = i.indrelid
		where i.indisunique and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))
		union all
		select format('trigger %s.%s', r.relname, g.tgname), r.name, pg_get_triggerdef(g.oid), false
		from pg_trigger g join relation r on r.oid = g.tgrelid where not g.tgisinternal
		union all
		select format('policy %s.%s', r.relname, p.polname), r.name,
		    concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid)), false
		from pg_policy p join relation r on r.oid = p.polrelid
		union all
		select name, name,
		    concat_ws(' ', format_type(nullif(typbasetype, 0), typtypmod), case when typnotnull then 'not null' end, 'default ' || typdefault,
		        (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = named_type.oid)), false
		from named_type
		union all
		select format('function %s(%s)', proname, pg_get_function_identity_arguments(oid)), '', concat_ws(' ', prokind, pg_get_function_result(oid)), true
		from pg_proc where pronamespace = 'public'::regnamespace`)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	all := map[string]fact{}
	var name string
	var f fact
	if _, err := pgx.ForEachRow(rows, []any{&name, &f.of, &f.is, &f.free}, func() error {
		all[name] = f
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return all, nil
}
