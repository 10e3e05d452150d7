package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Environment is one company whose people and apps are governed.
type Environment struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string
	CreateTime     time.Time
	UpdateTime     time.Time
	Version        int64
}

// Proto is the environment as others see it.
func (e Environment) Proto() *identityv1.Environment {
	return &identityv1.Environment{
		Id: e.ID.String(), OrganizationId: e.OrganizationID.String(), Name: e.Name,
		CreateTime: timestamppb.New(e.CreateTime), UpdateTime: timestamppb.New(e.UpdateTime), Version: e.Version,
	}
}

const environmentColumns = `e.id, e.organization_id, e.name, e.create_time, e.update_time, e.version`

func (e *Environment) targets() []any {
	return []any{&e.ID, &e.OrganizationID, &e.Name, &e.CreateTime, &e.UpdateTime, &e.Version}
}

func (e Environment) queueInsert(b *pgx.Batch) {
	b.Queue(`insert into environment (id, organization_id, name, create_time, update_time, version) values ($1, $2, $3, $4, $5, $6)`,
		e.ID, e.OrganizationID, e.Name, e.CreateTime, e.UpdateTime, e.Version)
}

func (w *write) tellEnvironment(e Environment, created bool) {
	w.environment = e.ID.String()
	if created {
		w.tell(e.ID, &eventv1.EnvironmentCreated{Context: w.about("", e.Version), Environment: e.Proto()})
	} else {
		w.tell(e.ID, &eventv1.EnvironmentUpdated{Context: w.about("", e.Version), Environment: e.Proto()})
	}
	w.environment = ""
}

// errWholeOrganization is what an admin of an environment is told who wants to
// change environments.
var errWholeOrganization = apierr.Denied("NOT_IN_ENVIRONMENT", "only an admin of the whole organization may change its environments")

// CreateEnvironment makes an environment.
func (s *Store) CreateEnvironment(ctx context.Context, caller authz.Caller, name string) (Environment, error) {
	if !caller.Scope().Whole() {
		return Environment{}, errWholeOrganization
	}
	e := Environment{ID: id.New(), OrganizationID: caller.OrganizationID, Name: name, Version: 1}
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		e.CreateTime, e.UpdateTime = w.now, w.now
		batch := &pgx.Batch{}
		e.queueInsert(batch)
		w.tellEnvironment(e, true)
		if err := w.send(ctx, batch); err != nil {
			return fmt.Errorf("insert environment: %w", err)
		}
		return nil
	})
	return e, err
}

// UpdateEnvironment renames an environment.
func (s *Store) UpdateEnvironment(ctx context.Context, caller authz.Caller, environment uuid.UUID, name string) (Environment, error) {
	if !caller.Scope().Whole() {
		return Environment{}, errWholeOrganization
	}
	var e Environment
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		e = Environment{}
		err := w.QueryRow(ctx, `select `+environmentColumns+` from environment e where e.id = $1 for update`, environment).Scan(e.targets()...)
		if err := found(err, errEnvironmentNotFound, "read environment"); err != nil || e.Name == name {
			return err
		}
		e.Name, e.UpdateTime = name, w.now
		e.Version++
		if _, err := w.Exec(ctx, `update environment set name = $2, update_time = $3, version = $4 where id = $1`, e.ID, e.Name, e.UpdateTime, e.Version); err != nil {
			return fmt.Errorf("update environment %s: %w", e.ID, err)
		}
		w.tellEnvironment(e, false)
		return nil
	})
	return e, err
}

// Environment returns an environment of the scope.
func (s *Store) Environment(ctx context.Context, in scope.Scope, environment uuid.UUID) (Environment, error) {
	var e Environment
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select `+environmentColumns+` from environment e where e.id = $1`, environment).Scan(e.targets()...)
		return found(err, errEnvironmentNotFound, "read environment")
	})
	return e, err
}

// Environments lists the environments of the scope by name, and gives the token
// of the next page.
func (s *Store) Environments(ctx context.Context, in scope.Scope, size int, after string) ([]Environment, string, error) {
	sql := &query{}
	sql.where("e.organization_id = ?", in.OrganizationID)
	if err := sql.after("e.name", "e.id", after); err != nil {
		return nil, "", err
	}
	var list []Environment
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select `+environmentColumns+` from environment e`+sql.text()+
			` order by e.name, e.id limit `+sql.arg(size+1), sql.args...)
		if err == nil {
			list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Environment])
		}
		if err != nil {
			return fmt.Errorf("list environments: %w", err)
		}
		return nil
	})
	if err != nil || len(list) <= size {
		return list, "", err
	}
	list = list[:size]
	return list, page.Encode(list[size-1].Name, list[size-1].ID.String()), nil
}

// owner is the environment that something new belongs to: the one named, if it
// is within the scope, or else the scope itself. Empty is the organization.
func (w *write) owner(ctx context.Context, environmentID string) (string, error) {
	if environmentID == "" {
		return w.environment, nil
	}
	return environmentID, w.checkEnvironment(ctx, "environment_id", environmentID)
}

// checkEnvironment says whether an environment is within the scope. What is not
// is as if it did not exist.
func (w *write) checkEnvironment(ctx context.Context, field, environmentID string) error {
	var there bool
	if err := w.QueryRow(ctx, `select exists (select from environment where id = $1)`, environmentID).Scan(&there); err != nil {
		return fmt.Errorf("look for environment: %w", err)
	}
	if !there {
		return errEnvironmentNotFound.WithField(field, "ENVIRONMENT_NOT_FOUND", "there is no such environment")
	}
	return nil
}
