// Package identitysync knows who is there: organizations, people and groups,
// the sources they come from, and the secrets they show. It serves SCIM 2.0 to
// identity providers and signs the tokens that every other service goes by.
package identitysync

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/identity-sync/internal/exchange"
	"gatehouse.dev/services/identity-sync/internal/grpcapi"
	"gatehouse.dev/services/identity-sync/internal/httpapi"
	"gatehouse.dev/services/identity-sync/internal/keyring"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/store"
	"gatehouse.dev/services/identity-sync/migrations"
)

// Name is the service's name.
const Name = "identity-sync"

// pruneEvery is how often sessions that have ended are forgotten.
const pruneEvery = time.Hour

// Config is what identity-sync is told. Its IdentityAddr is not used: it has
// the keys itself.
type Config struct {
	backend.Config
	// EncryptionKey seals the signing keys in the database, 32 bytes. All
	// replicas have the same.
	EncryptionKey []byte
	// AllowSignUp lets anybody make an organization.
	AllowSignUp bool
	// DevSignIn lets anybody sign in as anybody, without proof. For development
	// only.
	DevSignIn bool
}

// Run serves until ctx ends, and then returns nil. It makes the schema and the
// first signing key if they are not there.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	box, err := secretbox.New(cfg.EncryptionKey)
	if err != nil {
		return fmt.Errorf("read encryption key: %w", err)
	}
	own := cfg.Config
	own.IdentityAddr = ""
	b, err := backend.Open(ctx, Name, own, migrations.FS, log)
	if err != nil {
		return err
	}
	defer b.Close(ctx)

	s := store.New(b.DB, b.Events, b.Due, b.Clock)
	ring, err := keyring.New(ctx, keyring.Config{Store: s, Box: box, Clock: b.Clock, Log: log})
	if err != nil {
		return err
	}
	exchanger := exchange.Exchanger{Store: s, Ring: ring, Clock: b.Clock}
	provider, err := scim.New(scim.Config{Directory: store.Directory{Store: s}, Log: log})
	if err != nil {
		return err
	}
	return b.Run(ctx, lis, backend.Spec{
		Keys: ring.Public,
		Register: func(g grpc.ServiceRegistrar) {
			grpcapi.Register(g, grpcapi.Config{
				Store: s, Exchanger: exchanger, Ring: ring, AllowSignUp: cfg.AllowSignUp, DevSignIn: cfg.DevSignIn,
			})
		},
		HTTP: func(mux *http.ServeMux) {
			mux.Handle(scim.DefaultPrefix+"/", provider)
			httpapi.API{Exchanger: exchanger, Ring: ring, Log: log}.Register(mux)
		},
		Tasks: []service.Task{{Name: "session pruning", Run: func(ctx context.Context) error { return prune(ctx, s, log) }}},
	})
}

// prune forgets ended sessions now and then, until ctx ends.
func prune(ctx context.Context, s *store.Store, log *slog.Logger) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if err := s.PruneSessions(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "Ended sessions cannot be pruned", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
