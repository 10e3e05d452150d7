// Package keyring keeps the keys that signed tokens are made with.
//
// The keys are in the database, sealed, and shared by all replicas; a ring
// looks at them again every minute. The first is made at the first start. After
// 30 days another is made; it is published ten minutes before the first token
// is signed with it, so that every service knows it by then, and the old one
// stays published until the last token signed with it has long ended.
//
// It guarantees that replicas which start at once make one key, that a database
// which is away for a while does not stop tokens from being signed or verified,
// and that private keys are nowhere in plain text outside of this process.
//
// It does not say who gets a token.
package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/services/identity-sync/internal/command"
)

const (
	// rotateAfter is how long a key is the newest.
	rotateAfter = 30 * 24 * time.Hour
	// publishAhead is how long a key is published before it signs: longer than
	// replicas and verifiers take to look again.
	publishAhead = 10 * time.Minute
	// linger is how long a key is published after its successor began to sign:
	// longer than tokens live, and than verifiers go on without asking.
	linger = 2 * time.Hour
	// fresh is how long a ring goes without looking at the database.
	fresh = time.Minute
	// retry is how long it waits after it could not.
	retry = 5 * time.Second
	// loadTimeout bounds one look.
	loadTimeout = 2 * time.Second
)

// Config is what a ring is made of. Log may be nil.
type Config struct {
	Commands *command.Commands
	Box      *secretbox.Box
	Clock    clock.Clock
	Log      *slog.Logger
}

// Ring signs tokens. It is safe for concurrent use.
type Ring struct {
	cfg Config

	mu   sync.Mutex
	keys []key // in the order of their use
	next time.Time
}

type key struct {
	jwk.Key
	useTime time.Time
}

// New opens the keys, and makes the first if there is none.
func New(ctx context.Context, cfg Config) (*Ring, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Ring{cfg: cfg}
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("open signing keys: %w", err)
	}
	return r, nil
}

// Mint signs a token for c that the service named in audience takes, for as long as
// lifetime says.
func (r *Ring) Mint(ctx context.Context, c authz.Caller, audience string, lifetime time.Duration) (token string, expires time.Time, err error) {
	keys := r.current(ctx)
	now := r.cfg.Clock.Now()
	signer := keys[0]
	for _, k := range keys[1:] {
		if !k.useTime.After(now) {
			signer = k
		}
	}
	return authz.Minter{Key: signer.Key, Lifetime: lifetime, Clock: r.cfg.Clock}.Mint(c, audience)
}

// Public returns the public keys of the time.
func (r *Ring) Public(ctx context.Context) (jwk.Set, error) {
	keys := r.current(ctx)
	list := make([]jwk.Key, len(keys))
	for i, k := range keys {
		list[i] = k.Key
	}
	return authz.PublicKeys(list...)
}

// JSON returns the public keys as a JSON Web Key Set (RFC 7517).
func (r *Ring) JSON(ctx context.Context) ([]byte, error) {
	set, err := r.Public(ctx)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("write key set: %w", err)
	}
	return b, nil
}

// current returns the keys. If it is time, one caller looks at them again; the
// others go on with those known, and so does that one if it cannot.
func (r *Ring) current(ctx context.Context) []key {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	keys, old := r.keys, !now.Before(r.next)
	if old {
		r.next = now.Add(retry)
	}
	r.mu.Unlock()
	if !old {
		return keys
	}
	// What others will use must not depend on this caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	if err := r.load(ctx); err != nil {
		r.cfg.Log.WarnContext(ctx, "Signing keys cannot be read, going on with those known", "error", err)
		return keys
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys
}

// load reads the keys, and makes one if it is time.
func (r *Ring) load(ctx context.Context) error {
	now := r.cfg.Clock.Now()
	rows, err := r.cfg.Commands.SigningKeys(ctx)
	if err != nil {
		return err
	}
	if due(rows, now) {
		var made *command.SigningKey
		rows, err = r.cfg.Commands.AddSigningKey(ctx, linger, func(there []command.SigningKey) (*command.SigningKey, error) {
			if made = nil; !due(there, now) {
				return nil, nil // another replica was first
			}
			var err error
			made, err = r.make(now, len(there) == 0)
			return made, err
		})
		if err != nil {
			return err
		}
		if made != nil {
			r.cfg.Log.InfoContext(ctx, "Signing key made", "key_id", made.ID, "use_time", made.UseTime)
		}
	}
	keys := make([]key, len(rows))
	for i, row := range rows {
		if keys[i], err = r.open(row); err != nil {
			return err
		}
		// No condition of having the keys: it is tried with every look.
		if err := r.reseal(ctx, row); err != nil {
			r.cfg.Log.WarnContext(ctx, "Signing key could not be sealed again, older encryption keys must stay", "key_id", row.ID, "error", err)
		}
	}
	if len(keys) == 0 {
		return errors.New("there is no signing key")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.next = keys, now.Add(fresh)
	return nil
}

// due reports whether a key must be made.
func due(keys []command.SigningKey, now time.Time) bool {
	return len(keys) == 0 || now.Sub(keys[len(keys)-1].CreateTime) >= rotateAfter
}

func (r *Ring) make(now time.Time, first bool) (*command.SigningKey, error) {
	k, err := authz.NewKey()
	if err != nil {
		return nil, err
	}
	id, _ := k.KeyID()
	plain, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("write signing key: %w", err)
	}
	use := now.Add(publishAhead)
	if first {
		use = now // nobody can be surprised
	}
	return &command.SigningKey{ID: id, Sealed: r.cfg.Box.Seal(plain, []byte(id)), CreateTime: now, UseTime: use}, nil
}

// reseal seals a key that an older encryption key has sealed with the present one.
func (r *Ring) reseal(ctx context.Context, row command.SigningKey) error {
	if r.cfg.Box.Current(row.Sealed) {
		return nil
	}
	plain, err := r.cfg.Box.Open(row.Sealed, []byte(row.ID))
	if err != nil {
		return fmt.Errorf("seal signing key %s again: %w", row.ID, err)
	}
	if err := r.cfg.Commands.ResealSigningKey(ctx, row, r.cfg.Box.Seal(plain, []byte(row.ID))); err != nil {
		return err
	}
	r.cfg.Log.InfoContext(ctx, "Signing key is sealed again", "key_id", row.ID)
	return nil
}

func (r *Ring) open(row command.SigningKey) (key, error) {
	plain, err := r.cfg.Box.Open(row.Sealed, []byte(row.ID))
	if err != nil {
		return key{}, fmt.Errorf("signing key %s was sealed with another encryption key: %w", row.ID, err)
	}
	k, err := jwk.ParseKey(plain)
	if err != nil {
		return key{}, fmt.Errorf("read signing key %s: %w", row.ID, err)
	}
	return key{Key: k, useTime: row.UseTime}, nil
}
