package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// Source is where people come from.
type Source struct {
	ID            uuid.UUID
	Name          string
	Kind          string
	EnvironmentID string // empty for the organization's own people
	CreateTime    time.Time
	LastSeen      *time.Time
	UserCount     int32
}

// Proto is the source as others see it.
func (s Source) Proto() *identityv1.Source {
	p := &identityv1.Source{
		Id: s.ID.String(), Name: s.Name, Kind: identityv1.SourceKind(identityv1.SourceKind_value["SOURCE_KIND_"+strings.ToUpper(s.Kind)]),
		CreateTime: timestamppb.New(s.CreateTime), UserCount: s.UserCount, EnvironmentId: s.EnvironmentID,
	}
	if s.LastSeen != nil {
		p.LastSeenTime = timestamppb.New(*s.LastSeen)
	}
	return p
}

const sourceColumns = `
	s.id, s.name, s.kind, coalesce(nullif(s.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), s.create_time, s.last_seen_time,
	(select count(*) from users u where u.source_id = s.id and u.state <> 'removed')`

func (s *Source) targets() []any {
	return []any{&s.ID, &s.Name, &s.Kind, &s.EnvironmentID, &s.CreateTime, &s.LastSeen, &s.UserCount}
}

// CreateSource makes a source that shows a token with this hash. Its people
// belong to the environment; empty is the caller's scope.
func (s *Store) CreateSource(ctx context.Context, caller authz.Caller, environmentID, name string, kind identityv1.SourceKind, token secret.Hash) (Source, error) {
	src := Source{ID: id.New(), Name: name, Kind: strings.ToLower(strings.TrimPrefix(kind.String(), "SOURCE_KIND_"))}
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		var err error
		if src.EnvironmentID, err = w.owner(ctx, environmentID); err != nil {
			return err
		}
		src.CreateTime, w.environment = w.now, src.EnvironmentID
		_, err = w.Exec(ctx, `
			insert into source (id, organization_id, environment_id, name, kind, token_hash, create_time)
			values ($1, $2, $3, $4, $5, $6, $7)`,
			src.ID, w.organization, ownerID(src.EnvironmentID), src.Name, src.Kind, token[:], w.now)
		if err != nil {
			return fmt.Errorf("insert source: %w", err)
		}
		w.tell(src.ID, &eventv1.SourceCreated{Context: w.about("", 0), Source: src.Proto()})
		return nil
	})
	return src, err
}

// RotateSourceToken ends a source's token in favour of one with this hash.
func (s *Store) RotateSourceToken(ctx context.Context, caller authz.Caller, source uuid.UUID, token secret.Hash) error {
	return s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		var src Source
		err := w.QueryRow(ctx, `update source s set token_hash = $2 where s.id = $1 returning `+sourceColumns, source, token[:]).
			Scan(src.targets()...)
		if err := found(err, errSourceNotFound, "update source"); err != nil {
			return err
		}
		w.environment = src.EnvironmentID
		w.tell(src.ID, &eventv1.SourceTokenRotated{Context: w.about("", 0), Source: src.Proto()})
		return nil
	})
}

// Sources lists the sources by name, and gives the token of the next page.
func (s *Store) Sources(ctx context.Context, in scope.Scope, size int, after string) ([]Source, string, error) {
	sql := &query{}
	sql.where("s.organization_id = ?", in.OrganizationID)
	if err := sql.after("s.name", "s.id", after); err != nil {
		return nil, "", err
	}
	var list []Source
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select `+sourceColumns+` from source s`+sql.text()+
			` order by s.name, s.id limit `+sql.arg(size+1), sql.args...)
		if err == nil {
			list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Source, error) {
				var src Source
				err := row.Scan(src.targets()...)
				return src, err
			})
		}
		if err != nil {
			return fmt.Errorf("list sources: %w", err)
		}
		return nil
	})
	if err != nil || len(list) <= size {
		return list, "", err
	}
	list = list[:size]
	return list, page.Encode(list[size-1].Name, list[size-1].ID.String()), nil
}
