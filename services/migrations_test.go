package services_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	approval "gatehouse.dev/services/approval/migrations"
	audit "gatehouse.dev/services/audit/migrations"
	identity "gatehouse.dev/services/identity-sync/migrations"
	provisioning "gatehouse.dev/services/provisioning/migrations"
	request "gatehouse.dev/services/request/migrations"
)

// released is the last migration that the release before has: of each service's own by
// its name, of a library's by the table that keeps the version. It is raised with each
// release. Until the first one migrations may be merged and changed, and then this is
// what there is.
var released = map[string]int{
	"approval": 6, "audit": 1, "identity-sync": 18, "provisioning": 10, "request": 13,
	"goose_events": 1, "goose_due": 1, "goose_idempotency": 1, "goose_data_key": 1,
	"goose_copies_state": 1, "goose_copies_app": 3, "goose_copies_entitlement": 1, "goose_copies_environment": 1,
	"goose_copies_flow": 1, "goose_copies_grant": 1, "goose_copies_group": 2, "goose_copies_user": 1,
}

// harmless is what changes since, of each service, and breaks no replica of the release
// before: why not, by what [pgtest.CheckAdditive] calls it.
var harmless = map[string]map[string]string{
	"identity-sync": {
		"constraint user_email.user_email_pkey": "a trigger alone writes the table, and a user, whose id is in both keys, has one organization",
	},
	"request": {
		"constraint app.app_sso_app_id_fkey":    "the column is new: the release before does not write it, and deletes no app's row",
		"trigger app.name_words_insert":         "it only keeps the words of names: what the release before writes is found by them too",
		"trigger app.name_words_update":         "it only keeps the words of names: what the release before writes is found by them too",
		"trigger entitlement.name_words_insert": "it only keeps the words of names: what the release before writes is found by them too",
		"trigger entitlement.name_words_update": "it only keeps the words of names: what the release before writes is found by them too",
		"trigger user_copy.name_words_insert":   "it only keeps the words of names: what the release before writes is found by them too",
		"trigger user_copy.name_words_update":   "it only keeps the words of names: what the release before writes is found by them too",
	},
}

// A replica of the release before goes on beside a database that a newer one has
// migrated: what it reads and writes is there, and the same.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	for service, sets := range map[string][]postgres.Set{
		"approval":      backend.Schema(approval.FS, approval.Included()...),
		"audit":         backend.Schema(audit.FS),
		"identity-sync": backend.Schema(identity.FS, identity.Included()...),
		"provisioning":  backend.Schema(provisioning.FS, provisioning.Included()...),
		"request":       backend.Schema(request.FS, request.Included()...),
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			var before []postgres.Set
			for _, set := range sets {
				last, ok := released[cmp.Or(set.Table, service)]
				if !ok {
					continue // the release before does not have it
				}
				files, err := upTo(set.FS, last)
				if err != nil {
					t.Fatal(err)
				}
				before = append(before, postgres.Set{Table: set.Table, FS: files})
			}
			pgtest.CheckAdditive(t, before, sets, harmless[service])
		})
	}
}

// olderIdentity is a database of identity-sync as it was after a migration of its own.
type olderIdentity struct {
	*testing.T
	conn *pgx.Conn
	up   func() error
}

func newOlderIdentity(t *testing.T, last int) olderIdentity {
	t.Helper()
	sets := backend.Schema(identity.FS, identity.Included()...)
	before := slices.Clone(sets)
	for i := range before {
		if before[i].Table != "" {
			continue
		}
		files, err := upTo(before[i].FS, last)
		if err != nil {
			t.Fatal(err)
		}
		before[i].FS = files
	}
	owner := pgtest.URLs(t, pgtest.New(t, before...)).OwnerURL
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	o := olderIdentity{t, conn, func() error { return postgres.Migrate(context.Background(), owner, sets...) }}
	o.see("no force")
	return o
}

// see has the owner see all rows, "no force", or none, "force", as it is left.
func (o olderIdentity) see(how string) {
	o.Helper()
	for _, table := range []string{"organization", "users", "user_email"} {
		var there bool
		if err := o.conn.QueryRow(o.Context(), "select to_regclass($1) is not null", table).Scan(&there); err != nil {
			o.Fatal(err)
		}
		if there {
			o.must("alter table " + table + " " + how + " row level security")
		}
	}
}

func (o olderIdentity) exec(sql string, args ...any) error {
	_, err := o.conn.Exec(o.Context(), sql, args...)
	return err
}

func (o olderIdentity) must(sql string, args ...any) {
	o.Helper()
	if err := o.exec(sql, args...); err != nil {
		o.Fatalf("%s: %v", sql, err)
	}
}

// migrate brings the database up to now, as a release does.
func (o olderIdentity) migrate() {
	o.Helper()
	o.see("force")
	if err := o.up(); err != nil {
		o.Fatal(err)
	}
	o.see("no force")
}

// organization makes one.
func (o olderIdentity) organization() (id string) {
	o.Helper()
	id = uuid.NewString()
	o.must("insert into organization (id, name, sign_in_name, create_time) values ($1, 'Corp', $2, now())", id, id)
	return id
}

// insertUser adds somebody to an organization.
const insertUser = `
insert into users (id, organization_id, environment_id, role_environment_id, user_name, display_name, state, kind, role, purpose, join_count, joined, version, create_time, update_time, email_keys)
values ($1, $2, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', $3, 'Zoe', $4, 'employee', 'member', '', 1, true, 1, $5, $5, $6)`

// lines are the rows of a query of one text.
func (o olderIdentity) lines(sql string, args ...any) []string {
	o.Helper()
	rows, err := o.conn.Query(o.Context(), sql, args...)
	if err != nil {
		o.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		o.Fatal(err)
	}
	return list
}

// Two who have a user name of the same form already both keep it; nobody else gets one.
func TestUserNamesThatWereTwo(t *testing.T) {
	t.Parallel()
	o := newOlderIdentity(t, 13)
	corp := o.organization()
	add := func(name string) error {
		return o.exec(insertUser, uuid.NewString(), corp, name, "active", time.Now(), []string{})
	}
	if err := errors.Join(add("zo\u00eb"), add("zoe\u0308"), add("ada")); err != nil {
		t.Fatal(err)
	}
	o.migrate()
	var twice int
	if err := o.conn.QueryRow(t.Context(), "select count(*) from users where user_name_twice").Scan(&twice); err != nil || twice != 1 {
		t.Errorf("%d of two are marked: %v", twice, err)
	}
	for _, name := range []string{"ZO\u00cb", "\uff41da"} {
		if err := add(name); err == nil {
			t.Errorf("%q is somebody else's", name)
		}
	}
}

// What migrations make of people who were there before them: addresses to find them by
// (15), marks that went while nobody took them away (16), and since when they are
// suspended (17). Two organizations have the same people.
func TestPeopleFromBefore(t *testing.T) {
	t.Parallel()
	o := newOlderIdentity(t, 14)
	long := strings.Repeat("x", 300) + "@corp.example"
	longer := strings.Repeat("x", 300) + "@other.example" // the same for its first 200 characters
	changed := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n := 0
	var corps []string
	for range 2 {
		corp := o.organization()
		corps = append(corps, corp)
		add := func(name, state string, twice bool, emails ...string) {
			t.Helper()
			n++
			id := fmt.Sprintf("00000000-0000-0000-0000-%012d", n) // in the order in which they come
			sql := insertUser
			if twice {
				sql = strings.NewReplacer("email_keys)", "email_keys, user_name_twice)", "$6)", "$6, true)").Replace(insertUser)
			}
			o.must(sql, id, corp, name, state, changed, append([]string{}, emails...))
		}
		add("ada", "active", false, "ada@corp.example", "ADA@corp.example", "ada@home.example")
		add("bob", "suspended", false, "ada@home.example") // shared with Ada
		add("cem", "removed", false, "cem@corp.example")
		add("dan", "active", false)
		add("long", "active", false, long, longer)
		// Of two, the first is gone: the other has the name alone.
		add("zo\u00eb", "removed", false)
		add("zoe\u0308", "active", true)
		// Of two, the second is gone, and so is its mark.
		add("mo\u00eb", "active", false)
		add("moe\u0308", "removed", true)
		// Of three, the first is gone: one has the name now, and the last is the second.
		add("\uff4aim", "removed", false)
		add("jim", "active", true)
		add("\uff4aI\uff2d", "suspended", true)
		// Of two who are there both stay.
		add("amy", "active", false)
		add("\uff21my", "active", true)
	}
	o.migrate()
	for i, corp := range corps {
		for what, tt := range map[string]struct {
			sql  string
			want []string
		}{
			"addresses": {
				`select u.user_name || ' ' || case when length(e.email_key) > 200 then left(e.email_key, 3) || ' ' || length(e.email_key) else e.email_key end
				from user_email e join users u on u.id = e.user_id and u.organization_id = e.organization_id where e.organization_id = $1 order by u.id, e.email_key`,
				[]string{"ada ada@corp.example", "ada ada@home.example", "bob ada@home.example", "cem cem@corp.example", "long xxx 232", "long xxx 232"},
			},
			"marks": {
				`select user_name || ' ' || state from users where organization_id = $1 and user_name_twice order by id`,
				[]string{"\uff4aI\uff2d suspended", "\uff21my active"},
			},
			"suspended": {
				`select user_name || ' ' || to_char(suspend_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI') from users where organization_id = $1 and suspend_time is not null order by id`,
				[]string{"bob 2026-03-01 12:00", "\uff4aI\uff2d 2026-03-01 12:00"},
			},
			"removed for being suspended": {`select user_name from users where organization_id = $1 and timed_out`, nil},
		} {
			if got := o.lines(tt.sql, corp); !slices.Equal(got, tt.want) {
				t.Errorf("%s of organization %d: %q, want %q", what, i, got, tt.want)
			}
		}
	}
	// What the triggers keep from then on is of one organization alone.
	o.must("update users set email_keys = array['ada@new.example'] where organization_id = $1 and user_name = 'ada'", corps[0])
	o.must("update users set state = 'active', update_time = now() where organization_id = $1 and user_name = 'bob'", corps[0])
	const ada = `select e.email_key from user_email e join users u on u.id = e.user_id where e.organization_id = $1 and u.user_name = 'ada' order by 1`
	for i, want := range [][]string{{"ada@new.example"}, {"ada@corp.example", "ada@home.example"}} {
		if got := o.lines(ada, corps[i]); !slices.Equal(got, want) {
			t.Errorf("Ada of organization %d has %q, want %q", i, got, want)
		}
	}
	const suspended = `select user_name from users where organization_id = $1 and suspend_time is not null order by id`
	for i, want := range [][]string{{"\uff4aI\uff2d"}, {"bob", "\uff4aI\uff2d"}} {
		if got := o.lines(suspended, corps[i]); !slices.Equal(got, want) {
			t.Errorf("suspended of organization %d are %q, want %q", i, got, want)
		}
	}
	// Nor can a row name somebody of another organization.
	if err := o.exec("insert into user_email (organization_id, email_key, user_id) values ($1, 'eve@corp.example', '00000000-0000-0000-0000-000000000001')", corps[1]); err == nil {
		t.Error("an address of one organization is of another's user")
	}
}

// upTo are the migrations up to a number, which must be there.
func upTo(migrations fs.FS, last int) (fs.FS, error) {
	files, found := fstest.MapFS{}, false
	err := fs.WalkDir(migrations, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".sql" {
			return err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		n, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("%s has no number: %w", name, err)
		}
		if n > last {
			return nil
		}
		found = found || n == last
		b, err := fs.ReadFile(migrations, name)
		files[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no migration %d", last)
	}
	return files, err
}

// Replicas of the release before go on while identity-sync's database is migrated, and
// lock its tables in one order and in the other: no migration waits for one of them while
// it keeps another. B-RUN-05, in part.
func TestMigrationsLockOneTableAtATime(t *testing.T) {
	t.Parallel()
	tables := []string{"identity_provider", "session", "users", "user_email"}
	for _, first := range tables {
		for _, second := range tables {
			if first == second {
				continue
			}
			t.Run(first+" then "+second, func(t *testing.T) {
				t.Parallel()
				o := newOlderIdentity(t, released["identity-sync"])
				o.must("begin")
				o.must("set local lock_timeout = '20s'")
				o.must("lock table " + first + " in row exclusive mode")
				done := make(chan error, 1)
				go func() { done <- o.up() }()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				again := time.NewTicker(20 * time.Millisecond)
				defer again.Stop()
				for {
					select {
					case err := <-done: // none is about the table
						if err != nil {
							t.Error(err)
						}
						return
					case <-again.C:
					case <-ctx.Done():
						t.Fatalf("nothing waits for %s", first)
					}
					var waits bool
					err := o.conn.QueryRow(ctx, `
select exists (select from pg_locks where relation = $1::text::regclass and not granted
	and database = (select oid from pg_database where datname = current_database()))`, first).Scan(&waits)
					if err != nil {
						t.Fatalf("nothing waits for %s: %v", first, err)
					}
					if waits {
						break
					}
				}
				o.must("lock table " + second + " in row exclusive mode")
				o.must("commit")
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
	}
}
