package backend_test

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

var migrations = fstest.MapFS{"00001_seen.sql": {Data: []byte(`-- +goose Up
create table seen (
	user_id uuid primary key,
	organization_id uuid not null,
	times int not null
);
call protect('seen', 'organization');
`)}}

// run is a service that counts who joined, and answers each with an event.
func run(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
	b, err := backend.Open(ctx, "identity-sync", cfg, migrations, log)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	var h inbox.Handlers
	inbox.On(&h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserJoined) error {
		_, err := tx.Exec(ctx, `insert into seen (user_id, organization_id, times) values ($1, $2, 1)
			on conflict (user_id) do update set times = seen.times + 1`, m.GetUser().GetId(), ev.OrganizationID)
		if err != nil {
			return err
		}
		return b.Events.Add(ctx, tx, outbox.Event{
			OrganizationID: ev.OrganizationID, AggregateID: id.New(),
			Message: &eventv1.UserUpdated{Context: &eventv1.Context{Actor: event.SystemActor("identity-sync")}, User: m.GetUser()},
		})
	})
	return b.Run(ctx, lis, backend.Spec{Register: func(grpc.ServiceRegistrar) {}, Handlers: &h})
}

func TestEventInRowAndEventOut(t *testing.T) {
	t.Parallel()
	h := servicetest.Start(t, migrations, run)
	org, user := id.New(), id.New()
	joined := &eventv1.UserJoined{User: &identityv1.User{Id: user.String()}}
	first := h.Publish(t, org, user, joined)
	servicetest.Wait(t, h, func(m *eventv1.UserUpdated) bool { return m.GetUser().GetId() == user.String() })

	h.PublishAgain(t, first, org, user, joined)
	h.Handled(t, "identity-sync")
	var times int
	err := h.DB.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select times from seen where user_id = $1", user).Scan(&times)
	})
	if err != nil || times != 1 {
		t.Errorf("delivered twice, counted %d times: %v", times, err)
	}

	for _, path := range []string{"/readyz", "/metrics", "/healthz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.HTTPAddr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	parked, err := opsv1.NewParkedEventServiceClient(h.Conn(t, rpctest.User(authzv1.Caller_CALLER_ADMIN))).
		ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{})
	if err != nil || len(parked.GetParkedEvents()) != 0 {
		t.Errorf("parked events: %v, %v", parked, err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]backend.Config{
		"no database":          {Signer: bustest.Signer(), Keys: bustest.Keys(), Postgres: postgres.URLs{OwnerURL: "postgres://nobody@127.0.0.1:1/none"}, NATSURL: "nats://127.0.0.1:1"},
		"no sense in database": {Signer: bustest.Signer(), Keys: bustest.Keys(), Postgres: postgres.URLs{OwnerURL: "nonsense://"}, NATSURL: "nats://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := backend.Open(t.Context(), "identity-sync", cfg, migrations, slog.New(slog.DiscardHandler))
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("want one line, got %q", err)
			}
		})
	}
}

// A database or a bus on another machine is spoken to by TLS with a certificate that
// is checked, or it is said that nobody else is on the network.
func TestStoresAreEncrypted(t *testing.T) {
	t.Parallel()
	for value, far := range map[string]bool{
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@127.0.0.1/x":                                   false,
		"GATEHOUSE_POSTGRES_URL=postgres://a@/x?host=/run/postgresql":                         false,
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@db.example/x":                                  true,
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@db.example/x?sslmode=require":                  true,
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@db.example/x?sslmode=verify-full":              false,
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@one.example,two.example/x?sslmode=verify-full": false,
		"GATEHOUSE_POSTGRES_URL=postgres://a:b@127.0.0.1,two.example/x":                       true,
		"GATEHOUSE_POSTGRES_SYSTEM_URL=postgres://a:b@db.example/x?sslmode=prefer":            true,
		"GATEHOUSE_POSTGRES_OWNER_URL=postgres://a:b@db.example/x?sslmode=disable":            true,
		"GATEHOUSE_NATS_URL=nats://a:b@127.0.0.1:4222":                                        false,
		"GATEHOUSE_NATS_URL=nats://a:b@bus.example:4222":                                      true,
		"GATEHOUSE_NATS_URL=tls://a:b@bus.example:4222":                                       false,
		"GATEHOUSE_NATS_URL=tls://a:b@one.example:4222,nats://a:b@two.example:4222":           true,
		"GATEHOUSE_IDENTITY_ADDR=identity-sync:9090":                                          true,
		"GATEHOUSE_IDENTITY_ADDR=127.0.0.1:9090":                                              false,
	} {
		name, text, _ := strings.Cut(value, "=")
		for _, allowed := range []bool{false, true} {
			env := service.NewEnv(func(n string) (string, bool) {
				switch n {
				case name:
					return text, true
				case "GATEHOUSE_ALLOW_PLAINTEXT":
					return strconv.FormatBool(allowed), true
				}
				return "", false
			})
			backend.FromEnv(env, true)
			said := env.Err().Error() // much else is missing
			if got := strings.Contains(said, name+" is on another machine"); got != (far && !allowed) {
				t.Errorf("%s, allowed %t: %s", value, allowed, said)
			}
			if strings.Contains(said, "a:b") {
				t.Errorf("%s: it shows the password: %s", value, said)
			}
		}
	}
}

// Callers are held to the default limits unless a setting says otherwise.
func TestLimitsFromEnv(t *testing.T) {
	t.Parallel()
	some := *ratelimit.DefaultLimits()
	some.AccountReads = ratelimit.Limit{PerSecond: 40, Burst: 100}
	for value, want := range map[string]*ratelimit.Limits{
		"": ratelimit.DefaultLimits(), "true": ratelimit.DefaultLimits(), "false": nil, "account-reads=40/100": &some,
	} {
		env := service.NewEnv(func(name string) (string, bool) { return value, name == "GATEHOUSE_RATE_LIMITS" })
		if got := backend.FromEnv(env, true).Limits; (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("GATEHOUSE_RATE_LIMITS=%s: %v", value, got)
		}
	}
}

// A service is not started with fewer connections than it needs to become ready.
func TestConnectionsFromEnv(t *testing.T) {
	t.Parallel()
	for value, refused := range map[string]bool{"": false, "2": true, "7": true, "8": false, "1001": true} {
		env := service.NewEnv(func(name string) (string, bool) { return value, name == "GATEHOUSE_POSTGRES_MAX_CONNS" })
		backend.FromEnv(env, true)
		if said := env.Err().Error(); strings.Contains(said, "GATEHOUSE_POSTGRES_MAX_CONNS is not between 8 and 1000") != refused { // much else is missing
			t.Errorf("%q: %s", value, said)
		}
	}
}
