package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// User is a person in the directory.
type User struct {
	lifecycle.User

	ID             uuid.UUID
	OrganizationID uuid.UUID
	SourceID       string // empty for who signed up, services and agents
	Kind           string
	// AccountableUserID, Purpose and EndTime are set for services and agents.
	AccountableUserID string
	Purpose           string
	EndTime           *time.Time
	// ManagerRef is the manager as the source names them.
	ManagerRef string
	// Attributes is what the source says, whole.
	Attributes json.RawMessage
	CreateTime time.Time
	UpdateTime time.Time

	nameKey string // what lists are ordered by
}

// kindEmployee is one of the organization's own people.
const kindEmployee = "employee"

// An environment that is the organization itself is empty in Go.
const (
	environmentText     = `coalesce(nullif(u.environment_id, '00000000-0000-0000-0000-000000000000')::text, '')`
	roleEnvironmentText = `coalesce(nullif(u.role_environment_id, '00000000-0000-0000-0000-000000000000')::text, '')`
)

const userColumns = `
	u.id, u.organization_id, coalesce(u.source_id::text, ''), u.external_id, u.user_name, u.display_name,
	u.given_name, u.family_name, u.email, u.title, u.department, u.manager_ref, coalesce(u.manager_id::text, ''),
	u.state, u.kind, u.role, ` + environmentText + `, ` + roleEnvironmentText + `, coalesce(u.accountable_user_id::text, ''), u.purpose, u.end_time, u.join_count, u.joined, u.version, u.attributes, u.create_time, u.update_time,
	u.display_name_key`

// targets are where userColumns are scanned to.
func (u *User) targets(more ...any) []any {
	return append([]any{
		&u.ID, &u.OrganizationID, &u.SourceID, &u.ExternalID, &u.UserName, &u.DisplayName,
		&u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department, &u.ManagerRef, &u.ManagerID,
		&u.State, &u.Kind, &u.Role, &u.EnvironmentID, &u.RoleEnvironmentID, &u.AccountableUserID, &u.Purpose, &u.EndTime, &u.JoinCount, &u.Joined, &u.Version, &u.Attributes, &u.CreateTime, &u.UpdateTime,
		&u.nameKey,
	}, more...)
}

func collectUsers(rows pgx.Rows) ([]User, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (User, error) {
		var u User
		err := row.Scan(u.targets()...)
		return u, err
	})
}

// Proto is the user as others see it.
func (u User) Proto() *identityv1.User {
	return &identityv1.User{
		Id: u.ID.String(), OrganizationId: u.OrganizationID.String(), SourceId: u.SourceID, ExternalId: u.ExternalID,
		UserName: u.UserName, DisplayName: u.DisplayName, GivenName: u.GivenName, FamilyName: u.FamilyName,
		Email: u.Email, Title: u.Title, Department: u.Department, ManagerId: u.ManagerID,
		State: states[u.State], Kind: kindProto(u.Kind), Role: roleProto(u.Role),
		CreateTime: timestamppb.New(u.CreateTime), UpdateTime: timestamppb.New(u.UpdateTime),
		Version: u.Version, JoinCount: u.JoinCount,
		EnvironmentId: u.EnvironmentID, RoleEnvironmentId: u.RoleEnvironmentID,
		AccountableUserId: u.AccountableUserID, Purpose: u.Purpose, EndTime: optionalTime(u.EndTime),
	}
}

func optionalTime(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// ownerID is the column for an environment that may be the organization itself.
func ownerID(environmentID string) string {
	if environmentID == "" {
		return uuid.Nil.String()
	}
	return environmentID
}

var states = map[lifecycle.State]identityv1.UserState{
	lifecycle.Active:    identityv1.UserState_USER_STATE_ACTIVE,
	lifecycle.Suspended: identityv1.UserState_USER_STATE_SUSPENDED,
	lifecycle.Removed:   identityv1.UserState_USER_STATE_REMOVED,
}

func kindProto(kind string) identityv1.UserKind {
	return identityv1.UserKind(identityv1.UserKind_value["USER_KIND_"+strings.ToUpper(kind)])
}

func roleProto(r lifecycle.Role) identityv1.Role {
	return identityv1.Role(identityv1.Role_value["ROLE_"+strings.ToUpper(string(r))])
}

func roleOf(r identityv1.Role) lifecycle.Role {
	return lifecycle.Role(strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_")))
}

// insertUser writes somebody new.
func (w *write) insertUser(ctx context.Context, u User, emails []string) error {
	_, err := w.Exec(ctx, `
		insert into users (id, organization_id, source_id, external_id, user_name, display_name, given_name, family_name,
			email, email_keys, title, department, manager_ref, manager_id, state, kind, role, join_count, joined, version,
			attributes, create_time, update_time, environment_id, role_environment_id, accountable_user_id, purpose, end_time)
		values ($1, $2, nullif($3, '')::uuid, $4, $5, $6, $7, $8, $9, array(select lower(e) from unnest($10::text[]) as e),
			$11, $12, $13, nullif($14, '')::uuid, $15, $16, $17, $18, $19, $20, $21, $22, $23,
			$24, $25, nullif($26, '')::uuid, $27, $28)`,
		u.ID, u.OrganizationID, u.SourceID, u.ExternalID, u.UserName, u.DisplayName, u.GivenName, u.FamilyName,
		u.Email, emails, u.Title, u.Department, u.ManagerRef, u.ManagerID, u.State, u.Kind, u.Role, u.JoinCount, u.Joined, u.Version,
		document(u.Attributes), u.CreateTime, u.UpdateTime,
		ownerID(u.EnvironmentID), ownerID(u.RoleEnvironmentID), u.AccountableUserID, u.Purpose, u.EndTime)
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	return nil
}

// updateUser writes all of somebody who is there.
func (w *write) updateUser(ctx context.Context, u User, emails []string) error {
	_, err := w.Exec(ctx, `
		update users set external_id = $2, user_name = $3, display_name = $4, given_name = $5, family_name = $6,
			email = $7, email_keys = array(select lower(e) from unnest($8::text[]) as e), title = $9, department = $10,
			manager_ref = $11, manager_id = nullif($12, '')::uuid, state = $13, role = $14, join_count = $15, joined = $16,
			version = $17, attributes = $18, update_time = $19, role_environment_id = $20
		where id = $1`,
		u.ID, u.ExternalID, u.UserName, u.DisplayName, u.GivenName, u.FamilyName,
		u.Email, emails, u.Title, u.Department,
		u.ManagerRef, u.ManagerID, u.State, u.Role, u.JoinCount, u.Joined,
		u.Version, document(u.Attributes), u.UpdateTime, ownerID(u.RoleEnvironmentID))
	if err != nil {
		return fmt.Errorf("update user %s: %w", u.ID, err)
	}
	return nil
}

// updateStanding writes where somebody stands, and nothing else.
func (w *write) updateStanding(ctx context.Context, u User) error {
	_, err := w.Exec(ctx, `update users set state = $2, role = $3, role_environment_id = $4, version = $5, update_time = $6 where id = $1`,
		u.ID, u.State, u.Role, ownerID(u.RoleEnvironmentID), u.Version, u.UpdateTime)
	if err != nil {
		return fmt.Errorf("update user %s: %w", u.ID, err)
	}
	return nil
}

func document(attributes json.RawMessage) string {
	if len(attributes) == 0 {
		return "{}"
	}
	return string(attributes)
}

// keepAdmin refuses to take the last active admin away. Whoever takes one away
// waits for others who do, so that two admins cannot demote each other at once.
func (w *write) keepAdmin(ctx context.Context, id uuid.UUID, o lifecycle.Outcome) error {
	if !o.LosesAdmin() {
		return nil
	}
	var others int
	batch := &pgx.Batch{}
	batch.Queue(`select from organization where id = $1 for no key update`, w.organization)
	// A statement of its own: it sees what those waited for have committed.
	batch.Queue(`
		select count(*) from users
		where organization_id = $1 and role = 'admin' and state = 'active' and id <> $2
		  and role_environment_id = '00000000-0000-0000-0000-000000000000'`,
		w.organization, id).QueryRow(func(row pgx.Row) error { return row.Scan(&others) })
	if err := w.send(ctx, batch); err != nil {
		return fmt.Errorf("count admins: %w", err)
	}
	return lifecycle.KeepAdmin(o, others)
}

// endSessions signs somebody out everywhere.
func (w *write) endSessions(ctx context.Context, user uuid.UUID) error {
	if _, err := w.Exec(ctx, `delete from session where user_id = $1`, user); err != nil {
		return fmt.Errorf("end sessions of user %s: %w", user, err)
	}
	return nil
}

// User returns a user of the scope.
func (s *Store) User(ctx context.Context, in scope.Scope, id uuid.UUID) (User, error) {
	var u User
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select `+userColumns+` from users u where u.id = $1`, id).Scan(u.targets()...)
		return found(err, errUserNotFound, "read user")
	})
	return u, err
}

// UserAndOrganization returns a user with the organization, in one go, wherever
// the user's role is held.
func (s *Store) UserAndOrganization(ctx context.Context, organization, id uuid.UUID) (User, Organization, error) {
	var u User
	var o Organization
	err := s.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `
			select `+userColumns+`, o.id, o.name, o.create_time
			from users u join organization o on o.id = u.organization_id
			where u.id = $1`, id).Scan(u.targets(&o.ID, &o.Name, &o.CreateTime)...)
		return found(err, errUserNotFound, "read user")
	})
	return u, o, err
}

// UserQuery says which users are wanted.
type UserQuery struct {
	Size  int
	After string // page token
	Text  string
	State identityv1.UserState // unspecified means all but removed
}

// Users lists people by display name, and gives the token of the next page.
func (s *Store) Users(ctx context.Context, in scope.Scope, q UserQuery) ([]User, string, error) {
	sql := &query{}
	sql.where("u.organization_id = ?", in.OrganizationID)
	if q.State == identityv1.UserState_USER_STATE_UNSPECIFIED {
		sql.where("u.state <> 'removed'")
	} else {
		sql.where("u.state = ?", strings.ToLower(strings.TrimPrefix(q.State.String(), "USER_STATE_")))
	}
	if q.Text != "" {
		sql.where("(position(lower(?) in u.display_name_key) > 0 or position(lower(?) in u.user_name_key) > 0 or position(lower(?) in lower(u.email)) > 0)",
			q.Text, q.Text, q.Text)
	}
	return s.listUsers(ctx, in, `users u`, sql, q.Size, q.After)
}

// GroupMembers lists the people in a group by display name, and gives the token
// of the next page.
func (s *Store) GroupMembers(ctx context.Context, in scope.Scope, group uuid.UUID, size int, after string) ([]User, string, error) {
	sql := &query{}
	sql.where("m.group_id = ?", group)
	users, next, err := s.listUsers(ctx, in, `group_member m join users u on u.id = m.user_id`, sql, size, after)
	if err != nil || len(users) > 0 {
		return users, next, err
	}
	// Nobody in it, or no group?
	_, err = s.Group(ctx, in, group)
	return nil, "", err
}

func (s *Store) listUsers(ctx context.Context, in scope.Scope, from string, sql *query, size int, after string) ([]User, string, error) {
	if err := sql.after("u.display_name_key", "u.id", after); err != nil {
		return nil, "", err
	}
	var users []User
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select `+userColumns+` from `+from+sql.text()+
			` order by u.display_name_key, u.id limit `+sql.arg(size+1), sql.args...)
		if err == nil {
			users, err = collectUsers(rows)
		}
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		return nil
	})
	if err != nil || len(users) <= size {
		return users, "", err
	}
	users = users[:size]
	last := users[size-1]
	return users, page.Encode(last.nameKey, last.ID.String()), nil
}

// SetRole changes what a user may do in Gatehouse, and in which environment;
// empty is all that the user belongs to.
func (s *Store) SetRole(ctx context.Context, caller authz.Caller, id uuid.UUID, role identityv1.Role, environmentID string) (User, error) {
	var u User
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		u = User{}
		err := w.QueryRow(ctx, `select `+userColumns+` from users u where u.id = $1 for update`, id).Scan(u.targets()...)
		if err := found(err, errUserNotFound, "read user"); err != nil {
			return err
		}
		if environmentID != "" {
			if err := w.checkEnvironment(ctx, "role_environment_id", environmentID); err != nil {
				return err
			}
		}
		o, err := lifecycle.SetRole(u.User, roleOf(role), environmentID)
		if err != nil || !o.Changed() {
			return err
		}
		if err := w.keepAdmin(ctx, id, o); err != nil {
			return err
		}
		u.User, u.UpdateTime = o.User, w.now
		w.tellUser(u, o)
		return w.updateStanding(ctx, u)
	})
	return u, err
}
