package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"

	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
)

// TestExternalServersByTLS: the one-process form works on a PostgreSQL and a NATS that
// speak TLS with a certificate of an authority of their own and ask for one, and starts
// with neither without.
func TestExternalServersByTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	authority := rpctest.NewAuthority(t)
	cert, key := authority.Issue(t, t.TempDir(), "gatehouse")
	serverCert, serverKey := authority.Issue(t, t.TempDir(), "server")
	serverTLS, _, err := rpc.LoadTLS(serverCert, serverKey, authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true, Logins: logins()})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	sql(t, pg.AdminURL("postgres"), "alter role "+pgserver.Role+" createdb createrole")
	database := fmt.Sprintf("postgres://%s@%s/postgres?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s", pgserver.Role, postgresByTLS(t, pg, serverTLS),
		url.QueryEscape(authority.File), url.QueryEscape(cert), url.QueryEscape(key))
	bus := natsByTLS(t, serverTLS)

	bin := program(t, "gatehouse.dev/services/standalone/cmd")
	trusted := []string{"GATEHOUSE_NATS_CA=" + authority.File, "GATEHOUSE_NATS_CERT=" + cert, "GATEHOUSE_NATS_KEY=" + key}
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"an authority that is not known": {[]string{"GATEHOUSE_NATS_URL=" + bus}, "GATEHOUSE_NATS_URL"},
		"no certificate":                 {[]string{"GATEHOUSE_NATS_URL=" + bus, trusted[0]}, "GATEHOUSE_NATS_URL"},
		"half a certificate":             {[]string{"GATEHOUSE_NATS_URL=" + bus, trusted[1]}, "GATEHOUSE_NATS_KEY"},
		"a file that is not there":       {[]string{"GATEHOUSE_NATS_URL=" + bus, "GATEHOUSE_NATS_CA=/nowhere"}, "GATEHOUSE_NATS_CA"},
		"an address without TLS":         {append([]string{"GATEHOUSE_NATS_URL=" + strings.Replace(bus, "tls://", "nats://", 1)}, trusted...), "tls://"},
	} {
		cmd := exec.CommandContext(t.Context(), bin)
		cmd.Env = append(append(os.Environ(), "GATEHOUSE_HTTP_ADDR=127.0.0.1:0", "GATEHOUSE_DATA_DIR="+dataDir(t), "GATEHOUSE_DEMO=false", "GATEHOUSE_POSTGRES_URL="+database), tc.env...)
		if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), tc.want) || strings.Count(string(said), "\n") > 1 {
			t.Errorf("%s: %v, it says %q", name, err, said)
		}
	}

	gh := runStandalone(t, bin, dataDir(t), append(trusted, "GATEHOUSE_POSTGRES_URL="+database, "GATEHOUSE_NATS_URL="+bus)...)
	w := newWorld(t, gh, nil)
	w.scimUser(t, "mia", "Mia Member", "") // known to the others by an event
	w.as(t, "mia").must(t, "GET", "/v1/requests", nil)
}

// natsByTLS starts a NATS that takes clients with a certificate alone, and is its address.
func natsByTLS(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	n, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		TLS: true, TLSVerify: true, TLSConfig: cfg, TLSTimeout: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	if !n.ReadyForConnections(time.Minute) {
		t.Fatal("NATS does not start")
	}
	return "tls://" + n.Addr().String()
}

// sslRequest is what a client of PostgreSQL begins with that wants TLS.
const sslRequest = 80877103

// postgresByTLS lets a PostgreSQL that listens on a socket be reached by TLS with a
// certificate, and is its address.
func postgresByTLS(t *testing.T, pg *pgserver.Server, cfg *tls.Config) string {
	t.Helper()
	at, err := pgx.ParseConfig(pg.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	serve := func(plain net.Conn) error {
		defer plain.Close()
		begin := make([]byte, 8)
		if _, err := io.ReadFull(plain, begin); err != nil {
			return err
		}
		if binary.BigEndian.Uint32(begin[4:]) != sslRequest {
			return errors.New("a client without TLS")
		}
		if _, err := plain.Write([]byte("S")); err != nil {
			return err
		}
		client := tls.Server(plain, cfg)
		if err := client.Handshake(); err != nil {
			return err
		}
		database, err := net.Dial("unix", fmt.Sprintf("%s/.s.PGSQL.%d", at.Host, at.Port))
		if err != nil {
			return err
		}
		defer database.Close()
		go func() { _, _ = io.Copy(database, client); database.Close() }()
		_, err = io.Copy(client, database)
		return err
	}
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go func() { _ = serve(conn) }()
		}
	}()
	return lis.Addr().String()
}
