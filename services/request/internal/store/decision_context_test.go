package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/migrations"
)

// fillContext gives the people of fill managers, groups and grants: a manager for ten of them,
// but that user 2 manages one in ten; a group of everybody, 20 of one in forty and small ones of
// 8; and five grants each, of which one is of entitlement 1.
const fillContext = `
update user_copy set manager_id = case when right(id::text, 1) = '0' then pg_temp.nth(1, 2) else pg_temp.nth(1, 1 + ('x' || right(id::text, 8))::bit(32)::int / 10) end;
insert into group_copy (id, organization_id, environment_id, display_name, version, removed, rebuild, data)
select pg_temp.nth(7, n), '%[1]s', '00000000-0000-0000-0000-000000000000', 'Group' || n, 1, false, 1, '' from generate_series(0, 20 + %[3]d / 8) n;
insert into group_member_copy (group_id, user_id, organization_id, environment_id, version, removed)
select pg_temp.nth(7, g), pg_temp.nth(1, n), '%[1]s', '00000000-0000-0000-0000-000000000000', 1, false
from generate_series(1, %[3]d) n, lateral (select 0 g union all select 21 + (n - 1) / 8 union all select g from generate_series(1, 20) g where (n + g) %% 40 = 0) s;
insert into grant_copy (id, organization_id, environment_id, user_id, app_id, entitlement_id, state, activate_time, end_reason, version, removed, data)
select pg_temp.nth(8, n * 5 + k), '%[1]s', '00000000-0000-0000-0000-000000000000', pg_temp.nth(1, n), pg_temp.nth(2, e), pg_temp.nth(3, e), 'active', now(), '', 1, false, ''
from generate_series(1, %[3]d) n, generate_series(0, 4) k, lateral (select case k when 0 then 1 else 1 + (n * 7 + k * 31) %% 300 end e) s;
`

// BenchmarkContext reads what helps to decide a request among 20000 people, and shows how the
// database does it.
func BenchmarkContext(b *testing.B) {
	const n, people = 100_000, 20_000
	url := pgtest.New(b, backend.Schema(migrations.FS, migrations.Included()...)...)
	conn, err := pgx.Connect(b.Context(), pgtest.Admin(b, url))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	for _, sql := range []string{fmt.Sprintf(fill+fillContext, viewOrg, n, people), "vacuum analyze"} {
		if _, err := conn.PgConn().Exec(b.Context(), sql).ReadAll(); err != nil {
			b.Fatal(err)
		}
	}
	db := pgtest.Connect(b, url)
	v := Viewer{UserID: nth(1, 3), OrganizationID: viewOrg}
	for _, who := range []struct {
		name   string
		number int
	}{{"few peers", 15}, {"many peers", 160}} {
		b.Run(who.name, func(b *testing.B) {
			var request uuid.UUID
			if err := conn.QueryRow(b.Context(), `select r.id from access_request r join request_item i on i.request_id = r.id
				where i.app_id = $1 order by r.beneficiary_id = $2 desc, r.id desc limit 1`, nth(2, 1), nth(1, who.number)).Scan(&request); err != nil {
				b.Fatal(err)
			}
			if _, err := conn.Exec(b.Context(), "update access_request set beneficiary_id = $2 where id = $1", request, nth(1, who.number)); err != nil {
				b.Fatal(err)
			}
			var took time.Duration
			for range b.N {
				began := time.Now()
				if err := db.InOrganizationRead(b.Context(), viewOrg, func(ctx context.Context, tx *postgres.Tx) error {
					_, err := Context(ctx, tx, v, request)
					return err
				}); err != nil {
					b.Fatal(err)
				}
				took += time.Since(began)
			}
			b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms/call")
			b.ReportMetric(0, "ns/op")
			if b.N == 1 {
				return
			}
			user, entitlements := nth(1, who.number), []uuid.UUID{nth(3, 1)}
			if err := db.InOrganizationRead(b.Context(), viewOrg, func(ctx context.Context, tx *postgres.Tx) error {
				eachPlanned(tx)
				for _, s := range []struct {
					sql  string
					args []any
				}{
					{selectHeldIn, []any{user, []uuid.UUID{nth(2, 1)}, maxHeldShown}},
					{selectManaged, []any{user, entitlements}},
					{selectSmallGroups, []any{user, entitlements, maxPeers}},
					{selectEarlier, []any{v.UserID, user, request, entitlements, false, maxEarlierShown}},
				} {
					rows, err := tx.Query(ctx, "explain (analyze, buffers) "+s.sql, s.args...)
					if err != nil {
						return err
					}
					lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
					for _, line := range lines {
						fmt.Println(line) // a log of a benchmark is cut off
					}
					if err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
