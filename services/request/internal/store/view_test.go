package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/migrations"
)

// fill makes people, apps, and tickets of an organization: three of ten about the first app,
// one of thirty about the second, the others about the rest; one of fifty is open, and most
// of those are new. App 1 is approved by user 3 and run by user 4, app 2 approved by user 5.
const fill = `
set synchronous_commit = off;
select setseed(0.5);
create function pg_temp.nth(kind int, n bigint) returns uuid language sql immutable as $$
	select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;
create function pg_temp.ticket(n bigint) returns uuid language sql immutable as $$
	select (substr(x, 1, 8) || '-' || substr(x, 9, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from lpad(to_hex(1750000000000 + n * 1000), 12, '0') x
$$;
insert into user_copy (id, organization_id, environment_id, user_name, display_name, given_name, family_name, email, title, department, state, kind, role,
	role_environment_id, join_count, version, removed, data)
select pg_temp.nth(1, n), '%[1]s', nil, 'u' || n, 'First' || n %% 500 || ' Last' || n, '', '', 'u' || n || '@example.com', '', '', 'active', 'employee', 'member', nil, 1, 1, false, ''
from generate_series(1, %[3]d) n, (select '00000000-0000-0000-0000-000000000000'::uuid nil) z;
insert into app (id, organization_id, environment_id, name, description, owner_id, admin_ids, approver_ids, provisioning, deprovisioning_action, account_adoption,
	offered_to_all_environments, offered_environment_ids, create_time, update_time, version)
select pg_temp.nth(2, n), '%[1]s', '00000000-0000-0000-0000-000000000000', 'Tool' || n || ' Suite', '', null,
	case n when 1 then array[pg_temp.nth(1, 4)] else '{}' end, case n when 1 then array[pg_temp.nth(1, 3)] when 2 then array[pg_temp.nth(1, 5)] else '{}' end,
	'manual', 'remove', 'unspecified', true, '{}', now(), now(), 1
from generate_series(1, 300) n;
insert into entitlement (id, organization_id, environment_id, app_id, name, description, kind, ref, create_time, version)
select pg_temp.nth(3, n), '%[1]s', '00000000-0000-0000-0000-000000000000', pg_temp.nth(2, n), 'Writers' || n, '', 'role', '', now(), 1 from generate_series(1, 300) n;
create temp table t as
select n, pg_temp.ticket(n) id, pg_temp.nth(1, 10 + (random() * (%[3]d - 11))::int) who,
	case when x < 0.3 then 1 when x < 0.333 then 2 else 3 + (y * 297)::int end app,
	z < case when n > %[2]d * 0.98 then 0.5 else 0.01 end as open, random() as w
from (select n, random() x, random() y, random() z from generate_series(1, %[2]d) n) s;
insert into access_request (id, organization_id, environment_id, kind, origin, requester_id, requester_name, requester_email, beneficiary_id, beneficiary_name, beneficiary_email,
	justification, state, join_count, create_time, update_time, close_time, version)
select id, '%[1]s', '00000000-0000-0000-0000-000000000000', 'grant', 'user', case when w < 0.1 then pg_temp.nth(1, 6) else who end, 'First Last', '', who, 'First Last', '',
	'to work', case when open then 'pending' when w < 0.2 then 'denied' else 'fulfilled' end, 1, now(), now(), case when open then null else now() end, 3 from t;
insert into request_item (id, organization_id, environment_id, request_id, position, kind, beneficiary_id, entitlement_id, entitlement_name, app_id, app_name, provisioning,
	state, open, closed, apart_request_id)
select pg_temp.nth(5, n), '%[1]s', '00000000-0000-0000-0000-000000000000', id, 1, 'grant', who, pg_temp.nth(3, least(app, 300)), 'Writers', pg_temp.nth(2, least(app, 300)), 'Tool', 'manual',
	case when open then 'pending' when w < 0.2 then 'denied' else 'fulfilled' end, open, not open, id from t;
insert into reviewer (request_id, user_id, organization_id, app_id, closed)
select id, case app when 1 then pg_temp.nth(1, 3) when 2 then pg_temp.nth(1, 5) else pg_temp.nth(1, 7) end, '%[1]s', pg_temp.nth(2, least(app, 300)), not open from t;
insert into action (request_id, id, organization_id, item_id, app_id, step, kind, actor_id, asked_time, state, done_time, done_by_id)
select id, pg_temp.nth(6, n), '%[1]s', pg_temp.nth(5, n), pg_temp.nth(2, least(app, 300)), case when w < 0.7 then 1 else 0 end, case when w < 0.7 then 'decide' else 'assign' end,
	case when w < 0.7 then case app when 1 then pg_temp.nth(1, 3) when 2 then pg_temp.nth(1, 5) else pg_temp.nth(1, 7) end end,
	now(), case when open then 'open' else 'done' end, case when open then null else now() end, case when not open then pg_temp.nth(1, 7) end from t;
drop table t;
`

func nth(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%08x-0000-7000-8000-%012x", kind, n))
}

var viewOrg = uuid.MustParse("0192f0c1-7a3b-7cde-8f00-000000000001")

// tickets makes a database with so many tickets and people.
func tickets(t testing.TB, n, people int) *postgres.DB {
	t.Helper()
	url := pgtest.New(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf(fill, viewOrg, n, people)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "vacuum analyze"); err != nil {
		t.Fatal(err)
	}
	return pgtest.Connect(t, url)
}

// look is what somebody looks at.
type look struct {
	name   string
	viewer Viewer
	filter Filter
	words  string
	aip    string
}

func looks() []look {
	open, closed := false, true
	seesAll := Viewer{UserID: nth(1, 8), OrganizationID: viewOrg, All: true, Works: true}
	viewers := []struct {
		name string
		Viewer
	}{
		{"member", Viewer{UserID: nth(1, 20), OrganizationID: viewOrg}},
		{"approver", Viewer{UserID: nth(1, 5), OrganizationID: viewOrg}},
		{"big approver", Viewer{UserID: nth(1, 3), OrganizationID: viewOrg}},
		{"app admin", Viewer{UserID: nth(1, 4), OrganizationID: viewOrg}},
		{"it admin", seesAll},
	}
	views := []struct {
		name string
		Filter
	}{
		{"my open", Filter{Mine: true, Closed: &open}},
		{"my closed", Filter{Mine: true, Closed: &closed}},
		{"open", Filter{Closed: &open}},
		{"closed", Filter{Closed: &closed}},
		{"action required", Filter{Waits: true}},
		{"all", Filter{}},
	}
	filters := []struct {
		name, words, aip string
		change           func(*Filter)
	}{
		{"", "", "", nil},
		{"app", "", "", func(f *Filter) { f.AppID = nth(2, 2) }},
		{"person", "", "", func(f *Filter) { f.BeneficiaryID = nth(1, 20) }},
		{"denied", "", "", func(f *Filter) { f.State = "denied" }},
		{"kind", "", `kind = REQUEST_KIND_GRANT AND createTime > "2020-01-01T00:00:00Z"`, nil},
		{"one called", "last20", "", nil},
		{"few called", "first20 last", "", nil},
		{"many called", "f", "", nil},
		{"app called", "tool2", "", nil},
		{"apps called", "to", "", nil},
		{"nobody called", "zzz", "", nil},
	}
	var out []look
	for _, v := range viewers {
		for _, w := range views {
			for _, c := range filters {
				l := look{name: v.name + ", " + w.name, viewer: v.Viewer, filter: w.Filter, words: c.words, aip: c.aip}
				if c.name != "" {
					l.name += ", " + c.name
				}
				if c.change != nil {
					c.change(&l.filter)
				}
				l.filter.Words = NameWords(c.words)
				out = append(out, l)
			}
		}
	}
	return out
}

func (l look) page(t testing.TB, size int32, order, token string) *filter.Query {
	t.Helper()
	page, err := RequestList.Parse(&requestv1.ListRequestsRequest{PageSize: size, PageToken: token, OrderBy: order, Filter: l.aip})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// naive is what a look finds, said in the plainest way.
func (l look) naive(ctx context.Context, t testing.TB, tx *postgres.Tx) []uuid.UUID {
	t.Helper()
	q := `select r.id from access_request r where $1::uuid is not null and $2::uuid is not null and $3::boolean is not null`
	args := filter.Arguments{l.viewer.UserID, l.viewer.OrganizationID, l.viewer.All}
	switch {
	case l.filter.Waits:
		q += ` and exists (select from action x where x.request_id = r.id and x.state = 'open' and ` + l.viewer.waits() + `)`
	case l.filter.Mine:
		q += ` and ` + party
	case !l.viewer.All:
		q += ` and ` + visible
	}
	if c := l.filter.Closed; c != nil {
		q += fmt.Sprintf(` and (r.close_time is not null) = %t`, *c)
	}
	if l.filter.AppID != uuid.Nil {
		q += ` and exists (select from request_item i where i.request_id = r.id and i.app_id = ` + args.Add(l.filter.AppID) + ` and ` + seenOf + `)`
	}
	if l.filter.BeneficiaryID != uuid.Nil {
		q += ` and r.beneficiary_id = ` + args.Add(l.filter.BeneficiaryID)
	}
	if l.filter.State != "" {
		q += ` and r.state = ` + args.Add(string(l.filter.State))
	}
	for _, w := range l.filter.Words {
		w := args.Add(w)
		called := func(name string) string {
			return `exists (select from words_of(` + name + `) w where starts_with(w, ` + w + `))`
		}
		q += ` and (exists (select from user_copy u where u.id in (r.requester_id, r.beneficiary_id) and ` + called(`u.display_name`) + `)
			or exists (select from request_item i join app a on a.id = i.app_id join entitlement e on e.id = i.entitlement_id
				where i.request_id = r.id and ` + seenOf + ` and (` + called(`a.name`) + ` or ` + called(`e.name`) + `)))`
	}
	rows, err := tx.Query(ctx, q+` order by r.id desc`, args...)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// B-REQ-06, B-REQ-07: each view shows each viewer exactly what they may see of it, page by
// page, in both orders, and counts that.
func TestViews(t *testing.T) {
	t.Parallel()
	db := tickets(t, 600, 40)
	for _, l := range looks() {
		err := db.InOrganizationRead(t.Context(), viewOrg, func(ctx context.Context, tx *postgres.Tx) error {
			want := l.naive(ctx, t, tx)
			for _, order := range []string{"", "createTime"} {
				var got []uuid.UUID
				for token, first := "", true; first || token != ""; first = false {
					var list []*Request
					var err error
					if list, token, err = List(ctx, tx, l.viewer, l.filter, l.page(t, 7, order, token)); err != nil {
						return err
					}
					for _, r := range list {
						got = append(got, r.ID)
					}
				}
				if order != "" {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d listed, want %d", l.name, len(got), len(want))
				}
			}
			for _, limit := range []int{5, 1000} {
				n, more, err := Count(ctx, tx, l.viewer, l.filter, l.page(t, 0, "", ""), limit)
				if err != nil {
					return err
				}
				if n != min(len(want), limit) || more != (len(want) > limit) {
					t.Errorf("%s: counts %d, more %t; there are %d", l.name, n, more, len(want))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", l.name, err)
		}
	}
}

// BenchmarkViews reads the first page of each view, and counts it, among a million tickets
// of 20000 people, and shows how the database does it. GATEHOUSE_BENCH_TICKETS is another
// number of tickets.
func BenchmarkViews(b *testing.B) {
	n := 1_000_000
	if s := os.Getenv("GATEHOUSE_BENCH_TICKETS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	db := tickets(b, n, 20_000)
	b.Logf("%d tickets made in %s", n, time.Since(began).Round(time.Second))
	for _, l := range looks() {
		b.Run(l.name, func(b *testing.B) {
			var took, counting []time.Duration
			rows := 0
			for range b.N {
				for _, of := range []*[]time.Duration{&took, &counting} {
					began := time.Now()
					if err := db.InOrganizationRead(b.Context(), viewOrg, func(ctx context.Context, tx *postgres.Tx) error {
						if of == &counting {
							_, _, err := Count(ctx, tx, l.viewer, l.filter, l.page(b, 0, "", ""), 1000)
							return err
						}
						list, _, err := List(ctx, tx, l.viewer, l.filter, l.page(b, 50, "", ""))
						rows = len(list)
						return err
					}); err != nil {
						b.Fatal(err)
					}
					*of = append(*of, time.Since(began))
				}
			}
			report := func(name string, d []time.Duration) {
				slices.Sort(d)
				for _, p := range []int{50, 99} {
					b.ReportMetric(float64(d[min(len(d)-1, len(d)*p/100)].Microseconds())/1000, fmt.Sprintf("p%d-ms/%s", p, name))
				}
			}
			report("list", took)
			report("count", counting)
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(0, "ns/op")
			if b.N > 1 {
				fmt.Printf("\n%s:%s\n", l.name, l.plan(b, db)) // a log of a benchmark is cut off
			}
		})
	}
}

// plan is how the database reads the first page.
func (l look) plan(b *testing.B, db *postgres.DB) (plan string) {
	b.Helper()
	err := db.InOrganizationRead(b.Context(), viewOrg, func(ctx context.Context, tx *postgres.Tx) error {
		s, err := newSelection(ctx, tx, l.viewer, l.filter, l.page(b, 50, "", ""))
		if err != nil {
			return err
		}
		sql, args := s.list()
		rows, err := tx.Query(ctx, "explain (analyze, buffers) "+sql, args...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, line := range lines {
			plan += "\n" + line
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return plan
}
