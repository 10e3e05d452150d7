// Package datakey gives each organization a key of its own, with which its secrets
// are sealed ([secretbox]). The keys stand in the database, wrapped by a key of the
// installation that a [Wrapper] has: in this process ([Local]), or in a
// key-management service, which then unwraps one key for each organization and
// process, and sees no secret.
//
//	wrapper's key ──wraps──▶ data key of an organization ──seals──▶ its secrets
//
// The wrapper's key rotates without touching a secret: [Keys.Rewrap] wraps the
// data keys again. Without its data key, nothing of an organization can be read:
// neither with another organization's, nor by who takes rows to another one.
//
// A data key that was unwrapped stays in memory until the process ends. While a
// wrapper that is somewhere else is away, known organizations go on, and others
// get an error.
package datakey

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
)

// Installation is, in the place of an organization, the installation itself.
var Installation = uuid.Nil

// Wrapper has a key that wraps others. What it wraps is bound to what it belongs
// to, and opens for nothing else.
type Wrapper interface {
	Wrap(ctx context.Context, key, belongs []byte) ([]byte, error)
	// Unwrap reverses Wrap. An error that is secretbox.ErrOpen says that it never
	// will; any other, that it may later.
	Unwrap(ctx context.Context, wrapped, belongs []byte) ([]byte, error)
	// Current reports whether wrapped is as Wrap would make it today: with its
	// newest key.
	Current(wrapped []byte) bool
}

// Local is the wrapper that has its keys itself.
func Local(box *secretbox.Box) Wrapper { return local{box} }

type local struct{ box *secretbox.Box }

func (l local) Wrap(_ context.Context, key, belongs []byte) ([]byte, error) {
	return l.box.Seal(key, belongs), nil
}

func (l local) Unwrap(_ context.Context, wrapped, belongs []byte) ([]byte, error) {
	return l.box.Open(wrapped, belongs)
}

func (l local) Current(wrapped []byte) bool { return l.box.Current(wrapped) }

//go:embed migrations
var files embed.FS

// Schema is the table of data keys.
func Schema() postgres.Set {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // only for names that are no paths
		panic(err)
	}
	return postgres.Set{Table: "goose_data_key", FS: sub}
}

// Config says what keys stand on.
type Config struct {
	DB      *postgres.DB
	Wrapper Wrapper
	// Before opens what was sealed before there were data keys; may be nil.
	Before *secretbox.Box
	Log    *slog.Logger
}

// Keys are the data keys of a service. Make them with [New].
type Keys struct {
	cfg Config

	mu    sync.Mutex
	known map[uuid.UUID]*secretbox.Box
}

// New makes Keys.
func New(cfg Config) *Keys { return &Keys{cfg: cfg, known: make(map[uuid.UUID]*secretbox.Box)} }

const (
	selectKey = `select wrapped from data_key where organization_id = $1`
	// Of two replicas that make a key at the same moment, one does.
	insertKey = `insert into data_key (organization_id, wrapped) values ($1, $2) on conflict do nothing`
)

// Box is the box that seals an organization's secrets. It makes the organization's
// key if there is none. Call it outside of transactions. Its errors are UNAVAILABLE,
// reason DATA_KEY_UNAVAILABLE.
func (k *Keys) Box(ctx context.Context, organization uuid.UUID) (*secretbox.Box, error) {
	k.mu.Lock()
	box := k.known[organization]
	k.mu.Unlock()
	if box != nil {
		return box, nil
	}
	key, err := k.load(ctx, organization)
	if err == nil {
		box, err = secretbox.New(key)
	}
	if err != nil {
		return nil, apierr.Unavailable("DATA_KEY_UNAVAILABLE", fmt.Errorf("get the data key of organization %s: %w", organization, err))
	}
	box = box.Opening(k.cfg.Before)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[organization] = box
	return box, nil
}

// Seal seals a secret of an organization, bound to the row that it belongs to.
func (k *Keys) Seal(ctx context.Context, organization, row uuid.UUID, secret string) ([]byte, error) {
	box, err := k.Box(ctx, organization)
	if err != nil {
		return nil, err
	}
	return box.Seal([]byte(secret), row[:]), nil
}

// Open reverses Seal. The error is secretbox.ErrOpen if the value is not one of
// the organization and the row.
func (k *Keys) Open(ctx context.Context, organization, row uuid.UUID, sealed []byte) (string, error) {
	box, err := k.Box(ctx, organization)
	if err != nil {
		return "", err
	}
	plain, err := box.Open(sealed, row[:])
	return string(plain), err
}

// Again is what a value that is not sealed with its organization's key is to be
// replaced by; nil if it is.
func (k *Keys) Again(ctx context.Context, was secretbox.Sealed) ([]byte, error) {
	box, err := k.Box(ctx, was.OrganizationID)
	if err != nil || box.Current(was.Value) {
		return nil, err
	}
	plain, err := box.Open(was.Value, was.ID[:])
	if err != nil {
		return nil, err
	}
	return box.Seal(plain, was.ID[:]), nil
}

func (k *Keys) load(ctx context.Context, organization uuid.UUID) ([]byte, error) {
	wrapped, err := k.read(ctx, organization)
	if err != nil {
		return nil, err
	}
	if wrapped == nil {
		made, err := k.cfg.Wrapper.Wrap(ctx, secretbox.NewKey(), organization[:])
		if err != nil {
			return nil, fmt.Errorf("wrap: %w", err)
		}
		err = k.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, insertKey, organization, made)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("save: %w", err)
		}
		if wrapped, err = k.read(ctx, organization); err != nil {
			return nil, err
		}
	}
	key, err := k.cfg.Wrapper.Unwrap(ctx, wrapped, organization[:])
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	// At once, so that a service that has started needs no older key for this one.
	was := secretbox.Sealed{ID: organization, OrganizationID: organization, Value: wrapped}
	if again, err := k.rewrap(ctx, was); err != nil {
		k.cfg.Log.WarnContext(ctx, "A data key could not be wrapped again, older keys must stay", "organization_id", organization, "error", err)
	} else if again != nil {
		if err := k.save(ctx, was, again); err != nil {
			k.cfg.Log.WarnContext(ctx, "A data key could not be wrapped again, older keys must stay", "organization_id", organization, "error", err)
		}
	}
	return key, nil
}

// Check says whether the wrapper has the key that this database's data keys are
// wrapped with: secretbox.ErrOpen if not.
func (k *Keys) Check(ctx context.Context) error {
	_, err := k.Box(ctx, Installation)
	if errors.Is(err, secretbox.ErrOpen) {
		return fmt.Errorf("the database's secrets were sealed with another encryption key: %w", secretbox.ErrOpen)
	}
	return err
}

// rewrap is what a wrapped key is to be replaced by; nil if it is current.
func (k *Keys) rewrap(ctx context.Context, was secretbox.Sealed) ([]byte, error) {
	if k.cfg.Wrapper.Current(was.Value) {
		return nil, nil
	}
	key, err := k.cfg.Wrapper.Unwrap(ctx, was.Value, was.ID[:])
	if err != nil {
		return nil, err
	}
	return k.cfg.Wrapper.Wrap(ctx, key, was.ID[:])
}

func (k *Keys) save(ctx context.Context, was secretbox.Sealed, wrapped []byte) error {
	return k.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update data_key set wrapped = $3 where organization_id = $1 and wrapped = $2`, was.ID, was.Value, wrapped)
		return err
	})
}

// read reads a wrapped key; nil if there is none.
func (k *Keys) read(ctx context.Context, organization uuid.UUID) (wrapped []byte, err error) {
	err = k.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, selectKey, organization).Scan(&wrapped)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return wrapped, nil
}

// Rewrap wraps data keys that an older key of the wrapper has wrapped with its
// newest, until ctx ends. The log says when the older ones can go.
func (k *Keys) Rewrap(ctx context.Context) error {
	return secretbox.Kept{
		What: "data keys", Log: k.cfg.Log,
		List: func(ctx context.Context) (list []secretbox.Sealed, err error) {
			err = k.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
				rows, err := tx.Query(ctx, `select organization_id, organization_id, wrapped from data_key order by organization_id`)
				if err != nil {
					return err
				}
				list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[secretbox.Sealed])
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("read data keys: %w", err)
			}
			return list, nil
		},
		Again: k.rewrap,
		Save:  k.save,
	}.Reseal(ctx)
}
