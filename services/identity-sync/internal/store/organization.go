package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// Organization is the tenant.
type Organization struct {
	ID         uuid.UUID
	Name       string
	CreateTime time.Time
}

// Proto is the organization as others see it.
func (o Organization) Proto() *identityv1.Organization {
	return &identityv1.Organization{Id: o.ID.String(), Name: o.Name, CreateTime: timestamppb.New(o.CreateTime)}
}

// SignUp is a new organization and its first admin.
type SignUp struct {
	OrganizationName, Email, DisplayName string
	// Session is the hash of the admin's session token, valid for Lifetime.
	Session  secret.Hash
	Lifetime time.Duration
}

// SignUp makes an organization with one environment, its first admin and a
// session for them.
func (s *Store) SignUp(ctx context.Context, in SignUp) (Organization, User, error) {
	org := Organization{ID: id.New(), Name: in.OrganizationName}
	var u User
	err := s.change(ctx, scope.Organization(org.ID), nil, func(ctx context.Context, w *write) error {
		org.CreateTime = w.now
		o := lifecycle.Come(lifecycle.Profile{UserName: in.Email, DisplayName: in.DisplayName, Email: in.Email}, "", lifecycle.Admin, true)
		u = User{
			User: o.User, ID: id.New(), OrganizationID: org.ID, Kind: kindEmployee, CreateTime: w.now, UpdateTime: w.now,
		}
		batch := &pgx.Batch{}
		batch.Queue(`insert into organization (id, name, create_time) values ($1, $2, $3)`, org.ID, org.Name, w.now)
		first := Environment{ID: id.New(), OrganizationID: org.ID, Name: org.Name, CreateTime: w.now, UpdateTime: w.now, Version: 1}
		first.queueInsert(batch)
		if err := w.send(ctx, batch); err != nil {
			return fmt.Errorf("insert organization: %w", err)
		}
		if err := w.insertUser(ctx, u, []string{in.Email}); err != nil {
			return err
		}
		if err := w.insertSession(ctx, u.ID, in.Session, in.Lifetime); err != nil {
			return err
		}
		w.actor = event.UserActor(u.ID.String(), u.DisplayName)
		w.tell(org.ID, &eventv1.OrganizationCreated{Context: w.about("", 0), Organization: org.Proto()})
		w.tellEnvironment(first, true)
		w.tellUser(u, o)
		return nil
	})
	return org, u, err
}

// Organization returns the organization.
func (s *Store) Organization(ctx context.Context, organization uuid.UUID) (Organization, error) {
	var o Organization
	err := s.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select id, name, create_time from organization where id = $1`, organization).
			Scan(&o.ID, &o.Name, &o.CreateTime)
		return found(err, apierr.NotFound("ORGANIZATION_NOT_FOUND", "there is no such organization"), "read organization")
	})
	return o, err
}
