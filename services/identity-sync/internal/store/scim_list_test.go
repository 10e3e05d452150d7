package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/migrations"
)

// crowd is a database with many users of one source, and groups.
type crowd struct {
	db           *postgres.DB
	organization uuid.UUID
	source       uuid.UUID
	// first is when the first of them changed; each of the others did a second after
	// the one before.
	first time.Time
}

// newCrowd makes a source with n users, n/10 groups and as many of another
// organization's. The user with the number i is called user-i, has the externalId ext-i
// and two e-mail addresses.
func newCrowd(t testing.TB, n int) crowd {
	t.Helper()
	url := pgtest.New(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	c := crowd{db: pgtest.Connect(t, url), first: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // the database goes as well
	for range 2 {
		c.organization, c.source = uuid.New(), uuid.New()
		for _, statement := range []struct {
			sql  string
			args []any
		}{
			{`insert into organization (id, name, create_time, sign_in_name) values ($1, 'Corp', now(), $2)`, []any{c.organization, c.organization.String()}},
			{
				`insert into source (id, organization_id, environment_id, name, kind, token_hash, create_time, version) values ($1, $2, $3, 'HR', 'scim', $4, now(), 1)`,
				[]any{c.source, c.organization, uuid.Nil, c.source[:]},
			},
			{`
insert into users (id, organization_id, environment_id, role_environment_id, source_id, external_id, user_name, display_name, email, email_keys,
	state, kind, role, purpose, join_count, joined, version, create_time, update_time, attributes)
select gen_random_uuid(), $1, $2, $2, $3, 'ext-' || i, 'User-' || i || '@corp.example', 'User ' || i, 'user-' || i || '@corp.example',
	array['user-' || i || '@corp.example', 'home-' || i || '@home.example'], 'active', 'employee', 'member', '', 1, true, 1, $4, $4::timestamptz + i * interval '1 second',
	json_build_object('userName', 'User-' || i || '@corp.example', 'title', 'Title ' || i % 100, 'emails', json_build_array(json_build_object('value', 'user-' || i || '@corp.example')))
from generate_series(0, $5::int - 1) as i`, []any{c.organization, uuid.Nil, c.source, c.first, n}},
			{`
insert into directory_group (id, organization_id, environment_id, source_id, external_id, display_name, version, create_time, update_time)
select gen_random_uuid(), $1, $2, $3, 'ext-' || i, 'Group ' || i, 1, $4, $4::timestamptz + i * interval '1 second'
from generate_series(0, $5::int - 1) as i`, []any{c.organization, uuid.Nil, c.source, c.first, n / 10}},
			{
				`
insert into group_member (group_id, user_id, organization_id, create_time)
select g.id, u.id, $1, now() from directory_group g join users u on u.source_id = g.source_id and u.external_id = g.external_id where g.source_id = $2`,
				[]any{c.organization, c.source},
			},
		} {
			if _, err := conn.Exec(t.Context(), statement.sql, statement.args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := conn.Exec(t.Context(), `vacuum analyze`); err != nil {
		t.Fatal(err)
	}
	return c
}

// plan is how a statement is done, as the role that serves callers.
func (c crowd) plan(t *testing.T, text string, args []any) string {
	t.Helper()
	var plan []string
	err := c.db.InOrganizationRead(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, planEach); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `explain (analyze, costs off, timing off, summary off) `+text, args...)
		plan, err = collect("explain", rows, err, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}

func equal(a scim.Attribute, values ...string) scim.Condition {
	return scim.Condition{Attribute: a, Operator: scim.Equal, Values: values}
}

// What sources look for goes by an index, also where it is one of several things, and
// under row-level security: none of 20,000 others is read.
func TestSCIMFiltersGoByIndex(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 20_000)
	at := func(i int) time.Time { return c.first.Add(time.Duration(i) * time.Second) }
	modified := func(o scim.Operator, i int) scim.Condition {
		return scim.Condition{Attribute: scim.AttributeLastModified, Operator: o, Time: at(i)}
	}
	prefix := scim.Condition{Attribute: scim.AttributeUserName, Operator: scim.StartsWith, Values: []string{"USER-1777"}}
	name := equal(scim.AttributeUserName, "user-5@corp.example")
	email := equal(scim.AttributeEmail, "HOME-7@home.example")
	external := equal(scim.AttributeExternalID, "ext-9")
	for what, tt := range map[string]struct {
		where scim.Condition
		want  []string // user numbers
		index []string
	}{
		"userName eq":            {name, []string{"5"}, []string{"user_name_form"}},
		"userName eq, several":   {equal(scim.AttributeUserName, "user-5@corp.example", "\uff55ser-6@corp.example", "nobody"), []string{"5", "6"}, []string{"user_name_form"}},
		"userName sw":            {prefix, []string{"1777", "17770", "17771", "17772", "17773", "17774", "17775", "17776", "17777", "17778", "17779"}, []string{"users_by_source_user_name"}},
		"emails eq":              {email, []string{"7"}, []string{"user_email_pkey"}},
		"externalId eq":          {external, []string{"9"}, []string{"users_by_external_id"}},
		"lastModified ge":        {modified(scim.NotBefore, 19_997), []string{"19997", "19998", "19999"}, []string{"users_by_source_update_time"}},
		"lastModified lt":        {modified(scim.Before, 2), []string{"0", "1"}, []string{"users_by_source_update_time"}},
		"lastModified ge and lt": {scim.Condition{All: []scim.Condition{modified(scim.NotBefore, 50), modified(scim.Before, 52)}}, []string{"50", "51"}, []string{"users_by_source_update_time"}},
		"or": {
			scim.Condition{Any: []scim.Condition{name, email, external, prefix, modified(scim.Before, 2)}},
			[]string{"0", "1", "1777", "17770", "17771", "17772", "17773", "17774", "17775", "17776", "17777", "17778", "17779", "5", "7", "9"},
			[]string{"user_name_form", "user_email_pkey", "users_by_external_id", "users_by_source_user_name", "users_by_source_update_time"},
		},
		"or within and":   {scim.Condition{All: []scim.Condition{{Any: []scim.Condition{name, email}}, equal(scim.AttributeExternalID, "ext-7")}}, []string{"7"}, []string{"users_"}},
		"of nobody":       {equal(scim.AttributeEmail, "nobody@corp.example"), nil, []string{"user_email_pkey"}},
		"no id and a nul": {scim.Condition{Any: []scim.Condition{equal(scim.AttributeID, "x"), equal(scim.AttributeUserName, "a\x00")}}, nil, nil},
	} {
		q := scim.Query[scim.User]{Where: &tt.where, Count: 100}
		for name, byCursor := range map[string]bool{"by index": false, "by cursor": true} {
			if byCursor {
				q.Behind = &scim.Position{}
			}
			sql := &query{}
			sql.where(users.base, c.source)
			sql.conditions = append(sql.conditions, users.condition(sql, tt.where))
			c.expect(t, what+", "+name, users.pageOf(sql, q), sql.args, tt.index)
			var page scim.Page[scim.User]
			err := c.db.InOrganizationRead(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
				page, err = QueryUsers(ctx, tx, c.source, q)
				return err
			})
			var got []string
			for _, u := range page.Items {
				number, _, _ := strings.Cut(strings.TrimPrefix(u.UserName, "User-"), "@")
				got = append(got, number)
			}
			slices.Sort(got)
			if err != nil || !slices.Equal(got, tt.want) || page.Total != len(tt.want) || page.More {
				t.Errorf("%s, %s: %v of %d, %v; want %v", what, name, got, page.Total, err, tt.want)
			}
		}
		count := &query{}
		count.where(users.base, c.source)
		count.conditions = append(count.conditions, users.condition(count, tt.where))
		c.expect(t, what+", counted", `select count(*) from `+users.from+count.text(), count.args, tt.index)
	}
	for what, tt := range map[string]struct {
		where scim.Condition
		index string
	}{
		"displayName eq":   {equal(scim.AttributeDisplayName, "GROUP 7"), "directory_group_by_source_name"},
		"externalId eq":    {equal(scim.AttributeExternalID, "ext-7"), "directory_group_by_external_id"},
		"members.value eq": {equal(scim.AttributeMember, uuid.NewString()), "group_member_by_user"},
		"lastModified ge":  {modified(scim.NotBefore, 1999), "directory_group_by_source_update_time"},
		"or":               {scim.Condition{Any: []scim.Condition{equal(scim.AttributeDisplayName, "Group 7"), equal(scim.AttributeExternalID, "ext-8")}}, "directory_group_by_external_id"},
	} {
		sql := &query{}
		sql.where(groups.base, c.source)
		sql.conditions = append(sql.conditions, groups.condition(sql, tt.where))
		c.expect(t, "groups: "+what, groups.pageOf(sql, scim.Query[scim.Group]{Count: 100}), sql.args, []string{tt.index})
	}
}

// Another organization has the same addresses: none of its rows is looked at.
func TestSCIMFindsAddressesWithinTheOrganization(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 1000)
	where := equal(scim.AttributeEmail, "home-7@home.example")
	sql := &query{}
	sql.where(users.base, c.source)
	sql.conditions = append(sql.conditions, users.condition(sql, where))
	plan := c.plan(t, users.pageOf(sql, scim.Query[scim.User]{Count: 100}), sql.args)
	_, after, ok := strings.Cut(plan, "user_email_pkey")
	_, after, cond := strings.Cut(after, "Index Cond: ")
	condition, rest, _ := strings.Cut(after, "\n")
	if !ok || !cond || !strings.Contains(condition, "email_key") || !strings.Contains(condition, "organization_id") || strings.Contains(rest, "Rows Removed by Filter") {
		t.Errorf("not by the organization:\n%s", plan)
	}
}

// expect holds that a statement goes by indexes, and reads next to nothing else.
func (c crowd) expect(t *testing.T, what, text string, args []any, indexes []string) {
	t.Helper()
	plan := c.plan(t, text, args)
	bad := ""
	for _, index := range indexes {
		if !strings.Contains(plan, index) {
			bad = "not by " + index
		}
	}
	for line := range strings.SplitSeq(plan, "\n") {
		if strings.Contains(line, "Seq Scan on ") && !strings.Contains(line, "never executed") {
			bad = strings.TrimSpace(line)
		}
		if _, n, ok := strings.Cut(line, "Rows Removed by Filter: "); ok {
			if read, err := strconv.Atoi(n); err != nil || read > 100 {
				bad = strings.TrimSpace(line)
			}
		}
	}
	if bad != "" {
		t.Errorf("%s: %s\n%s\n%s", what, bad, text, plan)
	}
}

// A page behind a position is read from there on, in whatever order has an index.
func TestSCIMPagesGoByKeyset(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 4_000)
	for _, tt := range []struct {
		sort       scim.SortKey
		descending bool
		index      string // empty: sorted anew
	}{
		{scim.SortNone, false, "users_by_source"},
		{scim.SortID, true, "users_by_source"},
		{scim.SortUserName, false, "users_by_source_user_name"},
		{scim.SortLastModified, false, "users_by_source_update_time"},
		{scim.SortLastModified, true, "users_by_source_update_time"},
		{scim.SortUserName, true, "users_by_source_user_name"},
		{scim.SortDisplayName, false, ""},
		{scim.SortExternalID, true, ""},
		{scim.SortCreated, false, ""},
	} {
		what := fmt.Sprintf("%s, descending %t", tt.sort, tt.descending)
		q := scim.Query[scim.User]{Sort: tt.sort, Descending: tt.descending, Count: 1500, Behind: &scim.Position{}}
		byIndex := scim.Query[scim.User]{Sort: tt.sort, Descending: tt.descending, Count: 4_000}
		var all, want []string
		totals := []int{}
		read := func(q scim.Query[scim.User]) (page scim.Page[scim.User]) {
			err := c.db.InOrganizationRead(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
				page, err = QueryUsers(ctx, tx, c.source, q)
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return page
		}
		for more := true; more; {
			page := read(q)
			for _, u := range page.Items {
				all = append(all, u.ID)
			}
			totals, more = append(totals, page.Total), page.More
			q.Behind, q.NoTotal = &page.Last, true
		}
		for _, u := range read(byIndex).Items {
			want = append(want, u.ID)
		}
		if tt.sort == scim.SortID && !slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("%s: begins with %v", what, all[:2])
		}
		if !slices.Equal(all, want) || len(all) != 4_000 || !slices.Equal(totals, []int{4_000, 0, 0}) {
			t.Errorf("%s: %d by cursor, %d by index, totals %v", what, len(all), len(want), totals)
		}
		if tt.index == "" {
			continue
		}
		far := read(scim.Query[scim.User]{Sort: tt.sort, Descending: tt.descending, Count: 3_000, Behind: &scim.Position{}, NoTotal: true})
		q.Count, q.Behind = 100, &far.Last
		sql := &query{}
		sql.where(users.base, c.source)
		c.expect(t, what, users.pageOf(sql, q), sql.args, []string{tt.index})
	}
}

// A filter that no column answers is asked of as many as fill a page, and no more.
func TestSCIMPagesBehindAPositionReadNoFurther(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 5_000)
	asked, found := 0, 0
	q := scim.Query[scim.User]{Count: 10, Behind: &scim.Position{}, NoTotal: true, Match: func(u scim.User) bool {
		asked++
		return strings.Contains(string(u.Attributes), `"Title 7"`)
	}}
	for more := true; more; {
		err := c.db.InOrganizationRead(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
			page, err := QueryUsers(ctx, tx, c.source, q)
			found += len(page.Items)
			q.Behind, more = &page.Last, page.More
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if found == 10 && asked > 2*matchedAtOnce+1 {
			t.Errorf("the first page asked about %d", asked)
		}
	}
	if found != 50 {
		t.Errorf("%d match, want 50", found)
	}
}

// A filter on members sees those of one group at a time; the page keeps none of them.
func TestSCIMListOfGroupsKeepsNoMembers(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 200)
	for name, behind := range map[string]*scim.Position{"by index": nil, "by cursor": {}} {
		q := scim.Query[scim.Group]{Count: 5, Behind: behind, NoTotal: behind != nil, MatchRelated: true, Match: func(g scim.Group) bool { return len(g.Members) == 1 }}
		err := c.db.InOrganizationRead(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
			page, err := QueryGroups(ctx, tx, c.source, q)
			if len(page.Items) != 5 || slices.ContainsFunc(page.Items, func(g scim.Group) bool { return len(g.Members) > 0 }) {
				t.Errorf("%s: %v", name, page.Items)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Addresses are found by as they are now, however long.
func TestEmailsAreKept(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 10)
	long := strings.Repeat("Long", 1000) + "@corp.example"
	find := func(address string) (n int) {
		t.Helper()
		where := equal(scim.AttributeEmail, address)
		err := c.db.InOrganization(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
			page, err := QueryUsers(ctx, tx, c.source, scim.Query[scim.User]{Where: &where, Count: 10})
			n = page.Total
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	save := func(emails ...string) {
		t.Helper()
		err := c.db.InOrganization(t.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
			rows, err := tx.Query(ctx, `select `+userColumns+` from users u where u.external_id = 'ext-3'`)
			list, err := collect("read", rows, err, scanUser)
			if err != nil {
				return err
			}
			return UpdateUser(ctx, tx, list[0], emails)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	save("new@corp.example", long, "NEW@corp.example")
	for address, want := range map[string]int{
		"user-3@corp.example": 0, "home-3@home.example": 0, "New@corp.example": 1, long: 1, strings.ToLower(long): 1, long + "x": 0, "user-4@corp.example": 1,
	} {
		if n := find(address); n != want {
			t.Errorf("%.30s: %d found, want %d", address, n, want)
		}
	}
	save()
	if n := find("new@corp.example") + find(long); n != 0 {
		t.Errorf("%d found by addresses that are gone", n)
	}
}

// BenchmarkSCIMPage is a page of 100 of a source with 100,000 users.
func BenchmarkSCIMPage(b *testing.B) {
	c := newCrowd(b, 100_000)
	name, email := equal(scim.AttributeUserName, "user-5@corp.example"), equal(scim.AttributeEmail, "home-7@home.example")
	prefix := scim.Condition{Attribute: scim.AttributeUserName, Operator: scim.StartsWith, Values: []string{"user-1"}}
	since := scim.Condition{Attribute: scim.AttributeLastModified, Operator: scim.NotBefore, Time: c.first.Add(1000 * time.Second)}
	either := scim.Condition{Any: []scim.Condition{name, email, prefix}}
	middle := scim.Position{ID: "80000000-0000-4000-8000-000000000000"}
	for _, bench := range []struct {
		name string
		q    scim.Query[scim.User]
	}{
		{"first by index", scim.Query[scim.User]{}},
		{"last by index", scim.Query[scim.User]{Offset: 99_900}},
		{"first by cursor", scim.Query[scim.User]{Behind: &scim.Position{}}},
		{"next by cursor", scim.Query[scim.User]{Behind: &middle, NoTotal: true}},
		{"next by cursor by userName", scim.Query[scim.User]{Sort: scim.SortUserName, Behind: &scim.Position{Key: "user-5", ID: middle.ID}, NoTotal: true}},
		{"userName eq", scim.Query[scim.User]{Where: &name}},
		{"emails eq", scim.Query[scim.User]{Where: &email}},
		{"userName sw, 11111", scim.Query[scim.User]{Where: &prefix}},
		{"lastModified ge, 99000", scim.Query[scim.User]{Where: &since}},
		{"lastModified ge, 99000, next by cursor", scim.Query[scim.User]{Where: &since, Behind: &middle, NoTotal: true}},
		{"or, 11113", scim.Query[scim.User]{Where: &either}},
	} {
		bench.q.Count = 100
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				err := c.db.InOrganizationRead(b.Context(), c.organization, func(ctx context.Context, tx *postgres.Tx) error {
					_, err := QueryUsers(ctx, tx, c.source, bench.q)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
