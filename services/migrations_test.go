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

// Two who have a user name of the same form already both keep it; nobody else gets one.
func TestUserNamesThatWereTwo(t *testing.T) {
	t.Parallel()
	sets := backend.Schema(identity.FS, identity.Included()...)
	before := slices.Clone(sets)
	for i := range before {
		if before[i].Table != "" {
			continue
		}
		files, err := upTo(before[i].FS, 13)
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
	const organization = "insert into organization (id, name, sign_in_name, create_time) values ('00000000-0000-0000-0000-000000000001', 'Corp', 'corp', now())"
	const user = `
		insert into users (id, organization_id, environment_id, role_environment_id, user_name, display_name, state, kind, role, purpose, join_count, joined, version, create_time, update_time)
		values ($1, '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', $2, 'Zoe', 'active', 'employee', 'member', '', 1, true, 1, now(), now())`
	exec := func(sql string, args ...any) error {
		_, err := conn.Exec(t.Context(), sql, args...)
		return err
	}
	see := func(how string) error {
		return errors.Join(exec("alter table organization "+how+" row level security"), exec("alter table users "+how+" row level security"))
	}
	if err := errors.Join(see("no force"), exec(organization), exec(user, uuid.NewString(), "zo\u00eb"), exec(user, uuid.NewString(), "zoe\u0308"), exec(user, uuid.NewString(), "ada"), see("force")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(postgres.Migrate(t.Context(), owner, sets...), see("no force")); err != nil {
		t.Fatal(err)
	}
	var twice int
	if err := conn.QueryRow(t.Context(), "select count(*) from users where user_name_twice").Scan(&twice); err != nil || twice != 1 {
		t.Errorf("%d of two are marked: %v", twice, err)
	}
	for _, name := range []string{"ZO\u00cb", "\uff41da"} {
		if err := exec(user, uuid.NewString(), name); err == nil {
			t.Errorf("%q is somebody else's", name)
		}
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
