// Package identitysync knows who is there: organizations, people and groups,
// the sources they come from, and the secrets they show. It serves SCIM 2.0 to
// identity providers and signs the tokens that every other service goes by.
package identitysync

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/naming"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/identity-sync/internal/command"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/exchange"
	"gatehouse.dev/services/identity-sync/internal/grpcapi"
	"gatehouse.dev/services/identity-sync/internal/httpapi"
	"gatehouse.dev/services/identity-sync/internal/keyring"
	"gatehouse.dev/services/identity-sync/internal/openid"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/store"
	"gatehouse.dev/services/identity-sync/migrations"
)

// Name is the service's name.
const Name = "identity-sync"

// Config configures identity-sync. Its IdentityAddr is not used: it has
// the keys itself.
type Config struct {
	backend.Config
	// EncryptionKey seals the signing keys in the database, 32 bytes. All
	// replicas have the same.
	EncryptionKey []byte
	// OlderKeys open what was sealed before EncryptionKey came. It is sealed again
	// while the service runs; then they can go.
	OlderKeys [][]byte
	// AllowSignUp lets anybody make an organization.
	AllowSignUp bool
	// DevSignIn lets anybody sign in as anybody, without proof. For development
	// only.
	DevSignIn bool
	// SessionLifetime is how long a session lasts, 12 h if zero, and SessionIdle how
	// long one that is not used, 1 h if zero.
	SessionLifetime, SessionIdle time.Duration
	// Outgoing are networks in which identity providers are called although they are
	// not public.
	Outgoing outgoing.Allowed
	// CallTimeout bounds one call to an identity provider, 10 s if zero.
	CallTimeout time.Duration
	// Clients are the services that may have a token of their own: the secret of
	// each, by the id of its client. See ParseClients.
	Clients map[string]string
}

// CallTimeoutFromEnv reads GATEHOUSE_CALL_TIMEOUT.
func CallTimeoutFromEnv(env service.Env) time.Duration {
	return env.DurationWithin("GATEHOUSE_CALL_TIMEOUT", openid.DefaultTimeout, time.Second, time.Minute)
}

// ParseClients reads Config.Clients as a setting has them: id=secret, separated
// by commas. A secret has 32 characters or more.
func ParseClients(text string) (map[string]string, error) { return exchange.ParseClients(text) }

// Run serves until ctx ends, and then returns nil. It makes the schema and the
// first signing key if they are not there.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	if err := cfg.checkSessions(); err != nil {
		return err
	}
	box, err := secretbox.New(cfg.EncryptionKey, cfg.OlderKeys...)
	if err != nil {
		return fmt.Errorf("read encryption key: %w", err)
	}
	if cfg.DevSignIn {
		if err := service.LoopbackOnly("the development sign-in (GATEHOUSE_DEV_SIGN_IN) lets anybody be anybody", lis.GRPC, lis.HTTP); err != nil {
			return err
		}
	}
	own := cfg.Config
	own.IdentityAddr = ""
	b, err := backend.Open(ctx, Name, own, migrations.FS, log, migrations.Included()...)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	b.DB.Admit(store.Admission)

	commands := command.New(b, cfg.sessions())
	party := openid.New(cfg.Outgoing, cfg.CallTimeout, b.Clock)
	defer party.Close()
	keys := datakey.New(datakey.Config{DB: b.DB, Wrapper: datakey.Local(box), Before: box, Log: log})
	if err := keys.Check(ctx); err != nil {
		return err
	}
	installation, err := keys.Box(ctx, datakey.Installation)
	if err != nil {
		return err
	}
	signIns := &command.SignIns{Commands: commands, Party: party, Keys: keys, Attempts: installation, Log: log}
	ring, err := keyring.New(ctx, keyring.Config{Commands: commands, Box: installation, Clock: b.Clock, Log: log})
	if err != nil {
		return err
	}
	var limits ratelimit.Limits
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	exchanger := exchange.Exchanger{
		Commands: commands, Ring: ring, Clock: b.Clock, Clients: cfg.Clients,
		Tokens: ratelimit.NewMeter("tokens of an organization", limits.OrganizationTokens, b.Clock),
	}
	provider, err := scim.New(scim.Config{
		Directory: command.Directory{Commands: commands}, CursorKey: cfg.Signer.Key("scim cursors"), Clock: b.Clock, Log: log,
		Calls: ratelimit.NewMeter("SCIM of an organization", limits.OrganizationSCIM, b.Clock),
	})
	if err != nil {
		return err
	}
	return b.Run(ctx, lis, backend.Spec{
		Keys:   ring.Public,
		People: naming.Among(b.DB, "users", "u.state <> 'removed'", nil),
		Register: func(g grpc.ServiceRegistrar) {
			opsv1.RegisterSnapshotServiceServer(g, copies.NewSnapshotServer(b.DB, b.Bus, convert.SnapshotEnvironments, convert.SnapshotUsers, convert.SnapshotGroups))
			grpcapi.Register(g, grpcapi.Config{
				Commands: commands, SignIns: signIns, Answers: b.Answers, Exchanger: exchanger, Ring: ring, AllowSignUp: cfg.AllowSignUp, DevSignIn: cfg.DevSignIn,
			})
		},
		HTTPCallers: []string{"gateway"},
		HTTP: func(mux *http.ServeMux) {
			mux.Handle(scim.DefaultPrefix+"/", httpapi.FromGateway(scim.DefaultPrefix, provider))
			httpapi.API{Exchanger: exchanger, Ring: ring, Log: log}.Register(mux)
		},
		Tasks: []service.Task{
			{Name: "session pruning", Run: func(ctx context.Context) error {
				return hourly(ctx, log, "prune sessions", commands.PruneSessions)
			}},
			{Name: "removals", Run: func(ctx context.Context) error {
				return hourly(ctx, log, "look for people who are to be removed", commands.FindRemovals)
			}},
			{Name: "sealing", Run: signIns.RunSealing},
			{Name: "data keys", Run: keys.Rewrap},
		},
	})
}

// minIdle is the shortest SessionIdle: uses are recorded to the minute.
const minIdle = 5 * time.Minute

func (c Config) checkSessions() error {
	if s := c.sessions(); s.Idle < minIdle || s.Lifetime < s.Idle {
		return fmt.Errorf("a session lasts %s, and %s without use: it must last %s without use, and longer in all", s.Lifetime, s.Idle, minIdle)
	}
	return nil
}

// sessions says how long sessions last.
func (c Config) sessions() command.Sessions {
	return command.Sessions{Lifetime: cmp.Or(c.SessionLifetime, 12*time.Hour), Idle: cmp.Or(c.SessionIdle, time.Hour)}
}

// hourly does something now and every hour until ctx ends, and logs by its name when it fails.
func hourly(ctx context.Context, log *slog.Logger, name string, do func(context.Context) error) error {
	return service.Every(ctx, time.Hour, func(ctx context.Context) error {
		err := do(ctx)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "Hourly task failed", "task", name, "error", err)
		}
		return err
	})
}
