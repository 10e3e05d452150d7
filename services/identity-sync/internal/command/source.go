package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// CreateSource creates a source that authenticates with a token of this hash.
// Its users belong to the environment; empty is the caller's scope.
func (c *Commands) CreateSource(ctx context.Context, caller authz.Caller, environmentID, name, kind string, token secret.Hash) (store.Source, error) {
	src := store.Source{ID: id.New(), OrganizationID: caller.OrganizationID, Name: name, Kind: kind, Version: 1}
	err := c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if src.EnvironmentID, err = tx.owner(ctx, environmentID); err != nil {
			return err
		}
		if err := tx.checkQuota(ctx, quotaSources, src.EnvironmentID); err != nil {
			return err
		}
		src.CreateTime, tx.environment = tx.now, src.EnvironmentID
		if err := store.InsertSource(ctx, tx.Tx, src, token[:]); err != nil {
			return err
		}
		tx.emit(src.ID, &eventv1.SourceCreated{Context: tx.about("", 0), Source: convert.Source(src)})
		return idempotency.Save(ctx, tx.Tx, &identityv1.CreateSourceResponse{Source: convert.Source(src)}) // without the token
	})
	return src, err
}

// UpdateSource changes a source. change gives it as it is to be, and names the
// fields that it has changed.
func (c *Commands) UpdateSource(ctx context.Context, caller authz.Caller, source uuid.UUID, change func(store.Source) (after store.Source, changed []string, err error)) (s store.Source, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		before, err := store.LockSource(ctx, tx.Tx, source)
		if err != nil {
			return orNotFound(err, errSourceNotFound)
		}
		var changed []string
		if s, changed, err = change(before); err != nil || len(changed) == 0 {
			return err
		}
		s.Version++
		tx.environment = s.EnvironmentID
		tx.emit(s.ID, &eventv1.SourceUpdated{Context: tx.about("", 0), Source: convert.Source(s), ChangedFields: changed})
		return store.UpdateSource(ctx, tx.Tx, s)
	})
	return s, err
}

// RotateSourceToken replaces a source's token by one with this hash.
func (c *Commands) RotateSourceToken(ctx context.Context, caller authz.Caller, source uuid.UUID, token secret.Hash) error {
	return c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		src, err := store.UpdateSourceToken(ctx, tx.Tx, source, token[:], tx.now)
		if err != nil {
			return orNotFound(err, errSourceNotFound)
		}
		tx.environment = src.EnvironmentID
		tx.emit(src.ID, &eventv1.SourceTokenRotated{Context: tx.about("", 0), Source: convert.Source(src)})
		return nil
	})
}

// Sources lists the sources, and gives the token of the next page.
func (c *Commands) Sources(ctx context.Context, in scope.Scope, asked filter.Request) ([]store.Source, string, error) {
	return list(ctx, c.db, in, store.SourceList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.Source, string, error) {
		return store.ListSources(ctx, tx, in.OrganizationID, page)
	})
}
