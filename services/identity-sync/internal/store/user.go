package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// User is a user in the directory.
type User struct {
	lifecycle.User

	ID             uuid.UUID
	OrganizationID uuid.UUID
	SourceID       string // empty for users without a source
	Kind           string // a word of UserKind
	// AccountableUserID, Purpose and EndTime are set for services and agents.
	AccountableUserID string
	Purpose           string
	EndTime           *time.Time
	// ManagerRef is the manager as the source names them.
	ManagerRef string
	// Attributes is the user as the source sent it, whole.
	Attributes json.RawMessage
	CreateTime time.Time
	UpdateTime time.Time
	// EndedCredentials is how many of the versions say that a credential has ended.
	EndedCredentials int64
}

// Employee is the kind of the organization's own people.
const (
	Employee = "employee"
	External = "external"
)

const (
	environmentText     = `coalesce(nullif(u.environment_id, '00000000-0000-0000-0000-000000000000')::text, '')`
	roleEnvironmentText = `coalesce(nullif(u.role_environment_id, '00000000-0000-0000-0000-000000000000')::text, '')`
	userColumns         = `
	u.id, u.organization_id, coalesce(u.source_id::text, ''), u.external_id, u.user_name, u.display_name,
	u.given_name, u.family_name, u.email, u.title, u.department, u.manager_ref, coalesce(u.manager_id::text, ''),
	u.state, u.kind, u.role, ` + environmentText + `, ` + roleEnvironmentText + `, coalesce(u.accountable_user_id::text, ''),
	u.purpose, u.end_time, u.join_count, u.joined, u.version, u.ended_credentials, u.attributes, u.create_time, u.update_time, u.timed_out`
)

// targets are where userColumns are scanned to.
func (u *User) targets(more ...any) []any {
	return append([]any{
		&u.ID, &u.OrganizationID, &u.SourceID, &u.ExternalID, &u.UserName, &u.DisplayName,
		&u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department, &u.ManagerRef, &u.ManagerID,
		&u.State, &u.Kind, &u.Role, &u.EnvironmentID, &u.RoleEnvironmentID, &u.AccountableUserID,
		&u.Purpose, &u.EndTime, &u.JoinCount, &u.Joined, &u.Version, &u.EndedCredentials, &u.Attributes, &u.CreateTime, &u.UpdateTime, &u.TimedOut,
	}, more...)
}

func scanUser(row pgx.CollectableRow) (u User, err error) {
	err = row.Scan(u.targets()...)
	return u, err
}

const (
	insertUser = `
insert into users (id, organization_id, source_id, external_id, user_name, display_name, given_name, family_name,
	email, email_keys, title, department, manager_ref, manager_id, state, kind, role, join_count, joined, version,
	attributes, create_time, update_time, environment_id, role_environment_id, accountable_user_id, purpose, end_time)
values ($1, $2, nullif($3, '')::uuid, $4, $5, $6, $7, $8, $9, array(select lower(e) from unnest($10::text[]) as e),
	$11, $12, $13, nullif($14, '')::uuid, $15, $16, $17, $18, $19, $20, $21, $22, $23,
	$24, $25, nullif($26, '')::uuid, $27, $28)`
	updateUser = `
update users set external_id = $2, user_name = $3, display_name = $4, given_name = $5, family_name = $6,
	email = $7, email_keys = array(select lower(e) from unnest($8::text[]) as e), title = $9, department = $10,
	manager_ref = $11, manager_id = nullif($12, '')::uuid, state = $13, role = $14, join_count = $15, joined = $16,
	version = $17, attributes = $18, update_time = $19, role_environment_id = $20
where id = $1`
	updateUserState = `
update users set state = $2, role = $3, role_environment_id = $4, version = $5, update_time = $6, timed_out = $7 where id = $1`
	forgetTimedOut = `
update users set timed_out = false where id = $1`
	raiseUserVersion = `
update users u set version = u.version + 1, ended_credentials = u.ended_credentials + 1 where u.id = $1 returning ` + userColumns
	selectUser = `
select ` + userColumns + ` from users u where u.id = $1`
	lockUser  = selectUser + ` for update`
	lockUsers = `
select ` + userColumns + ` from users u where u.id = any($1) order by u.id for update`
	lockUserUnlessRemoved = selectUser + ` and u.state <> 'removed' for update`
	lockUserOfSource      = `
select ` + userColumns + `, s.name from users u join source s on s.id = u.source_id
where u.id = $1 and u.source_id = $2 and (u.state <> 'removed' or u.timed_out) for update of u`
	selectUserAndOrganization = `
select ` + userColumns + `, ` + organizationColumns + ` from users u join organization o on o.id = u.organization_id
where u.id = $1`
	lockOrganization = `
select from organization where id = $1 for no key update`
	countOtherAdmins = `
select count(*) from users
where organization_id = $1 and role = 'admin' and state = 'active' and id <> $2
	and role_environment_id = '00000000-0000-0000-0000-000000000000'`
	lockAccountableUser = `
select exists (
	select from users u where u.id = $1 and u.state = 'active' and u.kind in ('employee', 'external')
		and u.environment_id in ($2, '00000000-0000-0000-0000-000000000000')
	for key share)`
	lockAccountedFor = `
select ` + userColumns + ` from users u where u.accountable_user_id = $1 and u.state <> 'removed' order by u.id for update`
	lockActiveUsers = `
select ` + userColumns + ` from users u
where u.state = 'active' and (u.user_name_form = lower(normalize($1, NFKC)) or u.id = $2)
	and ($3 = '' or exists (select from organization o where o.id = u.organization_id and (o.id = $4 or $4 is null and o.sign_in_name = $3)))
order by u.id limit 2 for key share`
	selectActiveUsers = `
select ` + userColumns + ` from users u where u.state = 'active'
order by (u.role = 'admin') desc, u.display_name_key, u.id limit $1`
	selectAllUsers = `
select ` + userColumns + ` from users u order by u.organization_id, u.id`
	assignManager = `
with shared as (
	select exists (
		select from users o
		where o.source_id = $1 and o.external_id = $4 and o.external_id <> '' and o.state <> 'removed' and o.id <> $2) as external_id)
update users u set manager_id = $2, version = u.version + 1, update_time = $6
where u.source_id = $1 and u.manager_id is null and u.manager_ref <> '' and u.state <> 'removed' and u.id <> $2
	and u.manager_ref_form = any(array[$3, left(lower(normalize($4, NFKC)), 512), left(lower(normalize($5, NFKC)), 512)])
	and (u.manager_ref = $3 or lower(normalize(u.manager_ref, NFKC)) = lower(normalize($5, NFKC)) or u.manager_ref = $4 and not (select external_id from shared))
returning ` + userColumns
	leaveGroups = `
with gone as (delete from group_member m where m.user_id = $1 returning m.group_id)
update directory_group g set member_count = g.member_count - 1, version = g.version + 1, update_time = $2
from gone where g.id = gone.group_id
returning ` + groupColumns
)

// RaiseUserVersion has signed tokens that were made of the user before not be
// accepted any more.
func RaiseUserVersion(ctx context.Context, tx *postgres.Tx, user uuid.UUID) (u User, err error) {
	return u, found(tx.QueryRow(ctx, raiseUserVersion, user).Scan(u.targets()...), "raise version of user")
}

// InsertUser adds a user.
func InsertUser(ctx context.Context, tx *postgres.Tx, u User, emails []string) error {
	_, err := tx.Exec(ctx, insertUser,
		u.ID, u.OrganizationID, u.SourceID, u.ExternalID, u.UserName, u.DisplayName, u.GivenName, u.FamilyName,
		u.Email, emails, u.Title, u.Department, u.ManagerRef, u.ManagerID, u.State, u.Kind, u.Role, u.JoinCount, u.Joined, u.Version,
		document(u.Attributes), u.CreateTime, u.UpdateTime,
		ownerID(u.EnvironmentID), ownerID(u.RoleEnvironmentID), u.AccountableUserID, u.Purpose, u.EndTime)
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	return nil
}

// UpdateUser saves all of a user.
func UpdateUser(ctx context.Context, tx *postgres.Tx, u User, emails []string) error {
	_, err := tx.Exec(ctx, updateUser,
		u.ID, u.ExternalID, u.UserName, u.DisplayName, u.GivenName, u.FamilyName,
		u.Email, emails, u.Title, u.Department,
		u.ManagerRef, u.ManagerID, u.State, u.Role, u.JoinCount, u.Joined,
		u.Version, document(u.Attributes), u.UpdateTime, ownerID(u.RoleEnvironmentID))
	if err != nil {
		return fmt.Errorf("update user %s: %w", u.ID, err)
	}
	return nil
}

// UpdateUserState saves state, role and version of a user, and nothing else.
func UpdateUserState(ctx context.Context, tx *postgres.Tx, u User) error {
	_, err := tx.Exec(ctx, updateUserState, u.ID, u.State, u.Role, ownerID(u.RoleEnvironmentID), u.Version, u.UpdateTime, u.TimedOut)
	if err != nil {
		return fmt.Errorf("update user %s: %w", u.ID, err)
	}
	return nil
}

// ForgetTimedOut has a locked user who was removed for being suspended for too long be
// gone for their source too.
func ForgetTimedOut(ctx context.Context, tx *postgres.Tx, user uuid.UUID) error {
	if _, err := tx.Exec(ctx, forgetTimedOut, user); err != nil {
		return fmt.Errorf("update user %s: %w", user, err)
	}
	return nil
}

func document(attributes json.RawMessage) string {
	if len(attributes) == 0 {
		return "{}"
	}
	return string(attributes)
}

// GetUser reads a user.
func GetUser(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (u User, err error) {
	return u, found(tx.QueryRow(ctx, selectUser, id).Scan(u.targets()...), "read user")
}

// LockUser reads a user that nobody else changes until the end of tx.
func LockUser(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (u User, err error) {
	return u, found(tx.QueryRow(ctx, lockUser, id).Scan(u.targets()...), "lock user")
}

// LockUserUnlessRemoved is LockUser for users who have not left.
func LockUserUnlessRemoved(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (u User, err error) {
	return u, found(tx.QueryRow(ctx, lockUserUnlessRemoved, id).Scan(u.targets()...), "lock user")
}

// LockUsers reads users, in the order of their ids, that nobody else changes until the
// end of tx.
func LockUsers(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID) ([]User, error) {
	rows, err := tx.Query(ctx, lockUsers, ids)
	return collect("lock users", rows, err, scanUser)
}

// LockUserOfSource is LockUser for a user of a source who has not left, or was removed
// for being suspended for too long, and gives the source's name.
func LockUserOfSource(ctx context.Context, tx *postgres.Tx, source, id uuid.UUID) (u User, sourceName string, err error) {
	err = tx.QueryRow(ctx, lockUserOfSource, id, source).Scan(u.targets(&sourceName)...)
	return u, sourceName, found(err, "lock user")
}

// GetUserAndOrganization reads a user with the organization.
func GetUserAndOrganization(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (u User, o Organization, err error) {
	err = tx.QueryRow(ctx, selectUserAndOrganization, id).Scan(u.targets(o.targets()...)...)
	return u, o, found(err, "read user")
}

// OtherAdmins counts the active admins of the whole organization besides a user.
// Transactions that ask wait for each other.
func OtherAdmins(ctx context.Context, tx *postgres.Tx, organization, user uuid.UUID) (n int, err error) {
	var b pgx.Batch
	b.Queue(lockOrganization, organization)
	// A statement of its own: it sees what those waited for have committed.
	b.Queue(countOtherAdmins, organization, user).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	return n, send(ctx, tx, &b, "count admins")
}

// LockAccountableUser says whether a user may be accountable for services and
// agents of an environment, and keeps them from being removed until the end of
// tx.
func LockAccountableUser(ctx context.Context, tx *postgres.Tx, id uuid.UUID, environmentID string) (fit bool, err error) {
	if err = tx.QueryRow(ctx, lockAccountableUser, id, ownerID(environmentID)).Scan(&fit); err != nil {
		return false, fmt.Errorf("look for accountable user: %w", err)
	}
	return fit, nil
}

// LockAccountedFor reads the services and agents that a user is accountable for,
// and that nobody else changes until the end of tx.
func LockAccountedFor(ctx context.Context, tx *postgres.Tx, user uuid.UUID) ([]User, error) {
	rows, err := tx.Query(ctx, lockAccountedFor, user)
	return collect("read services of user "+user.String(), rows, err, scanUser)
}

// LockActiveUsers reads at most two active users with a user name or an id, of the
// organization with an id or a sign-in name or, if that is empty, of any, who are not
// removed until the end of tx.
func LockActiveUsers(ctx context.Context, tx *postgres.Tx, name string, id uuid.UUID, organization string) ([]User, error) {
	var organizationID *uuid.UUID // what is an id is no name, whoever has that for one
	if id, ok := ParseID(organization); ok {
		organizationID = &id
	}
	rows, err := tx.Query(ctx, lockActiveUsers, name, id, organization, organizationID)
	return collect("find user", rows, err, scanUser)
}

// ActiveUsers reads active users, admins first.
func ActiveUsers(ctx context.Context, tx *postgres.Tx, limit int) ([]User, error) {
	rows, err := tx.Query(ctx, selectActiveUsers, limit)
	return collect("list users", rows, err, scanUser)
}

// AssignManager makes a user the manager of the users of a source whose manager
// was named before the user was there, and gives those.
func AssignManager(ctx context.Context, tx *postgres.Tx, source uuid.UUID, u User, now time.Time) ([]User, error) {
	rows, err := tx.Query(ctx, assignManager, source, u.ID, u.ID.String(), u.ExternalID, u.UserName, now)
	return collect("assign manager "+u.ID.String(), rows, err, scanUser)
}

// LeaveGroups removes a user from all groups, and gives those as they are now.
func LeaveGroups(ctx context.Context, tx *postgres.Tx, user uuid.UUID, now time.Time) ([]Group, error) {
	rows, err := tx.Query(ctx, leaveGroups, user, now)
	return collect("remove user "+user.String()+" from groups", rows, err, scanGroup)
}

// EachUser calls f for every user of every organization, removed ones too.
func EachUser(ctx context.Context, tx *postgres.Tx, f func(User) error) error {
	rows, err := tx.Query(ctx, selectAllUsers)
	if err != nil {
		return fmt.Errorf("read users: %w", err)
	}
	var u User
	_, err = pgx.ForEachRow(rows, u.targets(), func() error { return f(u) })
	return err
}

// UserFilter selects users.
type UserFilter struct {
	OrganizationID uuid.UUID
	// Text is contained in display name, user name or e-mail; empty for any.
	Text string
	// State is a word of UserState; empty for all but removed.
	State string
}

// ListUsers reads a page of [UserList], and gives the token of the next page.
func ListUsers(ctx context.Context, tx *postgres.Tx, f UserFilter, page *filter.Query) ([]User, string, error) {
	q := &query{}
	q.where("u.organization_id = ?", f.OrganizationID)
	if f.State == "" {
		q.where("u.state <> 'removed'")
	} else {
		q.where("u.state = ?", f.State)
	}
	if f.Text != "" {
		q.where("(position(lower(?) in u.display_name_key) > 0 or position(lower(?) in u.search_key) > 0)", f.Text, f.Text)
	}
	return listUsers(ctx, tx, `users u`, q, page)
}

// ListGroupMembers reads a page of [GroupMemberList], of a group, and gives the token
// of the next page.
func ListGroupMembers(ctx context.Context, tx *postgres.Tx, group uuid.UUID, page *filter.Query) ([]User, string, error) {
	q := &query{}
	q.where("m.group_id = ?", group)
	return listUsers(ctx, tx, `group_member m join users u on u.id = m.user_id`, q, page)
}

func listUsers(ctx context.Context, tx *postgres.Tx, from string, q *query, page *filter.Query) ([]User, string, error) {
	// First the ids, which an index has, then the rows.
	ids := `select u.id from ` + from + q.text() + page.Where(q.arg) + page.Order() + page.Limit(q.arg)
	return filter.Read(ctx, tx, page, `select `+userColumns+`, `+page.Keys()+` from users u where u.id = any(array(`+ids+`))`+page.Order(), q.args, scanUser)
}
