package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
)

// TestExternalServers: the one-process form works on a PostgreSQL and a NATS that
// are somebody else's, and makes the databases and the roles of the services there,
// once more after a restart.
func TestExternalServers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true, Logins: logins()})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	broker, err := busserver.Start(busserver.Config{Dir: t.TempDir(), Users: busUsers()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Stop)
	bin := program(t, "gatehouse.dev/services/standalone/cmd")
	env := []string{"GATEHOUSE_POSTGRES_URL=" + pg.OwnerURL("postgres"), "GATEHOUSE_NATS_URL=" + busURL(broker.URL(), operator)}

	t.Log("1. a role that may not make what is needed is told so")
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = append(append(os.Environ(), env...), "GATEHOUSE_HTTP_ADDR=127.0.0.1:0", "GATEHOUSE_DATA_DIR="+dataDir(t), "GATEHOUSE_DEMO=false")
	if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "createdb createrole") || strings.Count(string(said), "\n") > 1 {
		t.Errorf("%v, it says %q", err, said)
	}

	t.Log("2. one that may is enough")
	admin, err := pgx.Connect(t.Context(), pg.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	if _, err := admin.Exec(t.Context(), "alter role "+pgserver.Role+" createdb createrole"); err != nil {
		t.Fatal(err)
	}
	data := dataDir(t)
	gh := runStandalone(t, bin, data, env...)
	w := newWorld(t, gh, nil)
	w.scimUser(t, "mia", "Mia Member", "")
	w.as(t, "mia").must(t, "GET", "/v1/me", nil)
	var roles int
	err = admin.QueryRow(t.Context(), `
select count(*) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
where a.datname like 'gatehouse_%' and (a.usename = a.datname or a.usename = a.datname || '_system') and not r.rolsuper`).Scan(&roles)
	if err != nil || roles == 0 {
		t.Errorf("%d connections of services' own roles, %v", roles, err)
	}
	gh.stop(t)

	t.Log("3. a second start finds all of it")
	gh = runStandalone(t, bin, data, env...)
	api{base: gh.base, token: w.admin.token}.must(t, "GET", "/v1/users?query=mia", nil)
}
