package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// APIToken is a secret with which a program acts as a user, without the secret.
type APIToken struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Name       string
	ReadOnly   bool
	Scopes     []string
	Prefix     string
	CreateTime time.Time
	ExpireTime time.Time
	LastUse    *time.Time
	RevokeTime *time.Time
}

func (t *APIToken) targets() []any {
	return []any{
		&t.ID, &t.UserID, &t.Name, &t.ReadOnly, &t.Scopes, &t.Prefix, &t.CreateTime, &t.ExpireTime, &t.LastUse, &t.RevokeTime,
	}
}

func scanToken(row pgx.CollectableRow) (t APIToken, err error) {
	err = row.Scan(t.targets()...)
	return t, err
}

const (
	tokenColumns = `
	t.id, t.user_id, t.name, t.read_only, t.scopes, t.prefix, t.create_time, t.expire_time, t.last_use_time, t.revoke_time`
	insertToken = `
insert into api_token (id, organization_id, user_id, name, read_only, scopes, prefix, token_hash, create_time, expire_time, maker_user_id)
select $1, u.organization_id, u.id, $3, $4, $5, $6, $7, $8, $9, $11
from users u where u.id = $2 and u.state = 'active'
	and exists (select from session s where s.id = $10 and s.user_id = $11 and s.expire_time > $8)
for key share of u`
	// Row-level security shows the users of the caller's scope only, so that an
	// admin of an environment sees the tokens of its users.
	lockToken = `
select ` + tokenColumns + ` from api_token t
where t.id = $1 and (t.user_id = $2 or exists (select from users u where u.id = t.user_id)) for update`
	revokeToken = `
update api_token t set revoke_time = $1 where t.revoke_time is null and t.id = $2
returning ` + tokenColumns
	revokeTokensOfUser = `
update api_token t set revoke_time = $1 where t.revoke_time is null and t.user_id = $2
returning ` + tokenColumns
	// Who made the tokens is read as saved in this transaction.
	revokeTokensOfFormerAdmin = `
update api_token t set revoke_time = $1
from users maker, users u
where maker.id = $2 and t.maker_user_id = maker.id and t.maker_user_id <> t.user_id and t.revoke_time is null
	and u.id = t.user_id and u.role not in ('member', 'external')
	and not (maker.state = 'active' and maker.role = 'admin'
		and maker.role_environment_id in (u.environment_id, '00000000-0000-0000-0000-000000000000'))
returning ` + tokenColumns
	// One statement: the token is looked up and its use recorded, at most once a
	// minute.
	exchangeAPIToken = `
with found as (
	select t.id, t.read_only, t.scopes, t.expire_time, t.last_use_time, u.id as user_id, u.version, u.organization_id, u.role_environment_id, u.role, u.display_name, u.email
	from api_token t
	join users u on u.id = t.user_id
	where t.token_hash = $1 and t.revoke_time is null and t.expire_time > $2 and u.state = 'active'),
recorded as (
	update api_token t set last_use_time = $2
	from found
	where t.id = found.id and (t.last_use_time is null or t.last_use_time <= $2::timestamptz - interval '1 minute'))
select id, read_only, scopes, expire_time, user_id, version, organization_id, role_environment_id, role, display_name, email from found`
	// As exchangeAPIToken. A session that was not used since $3 has ended.
	exchangeSession = `
with found as (
	select s.id, s.expire_time, s.last_use_time, s.method, s.auth_time, u.id as user_id, u.version, u.organization_id, u.role_environment_id, u.role, u.display_name, u.email
	from session s
	join users u on u.id = s.user_id
	where s.token_hash = $1 and s.expire_time > $2 and s.last_use_time > $3 and u.state = 'active'),
recorded as (
	update session s set last_use_time = $2
	from found
	where s.id = found.id and not $4 and s.last_use_time <= $2::timestamptz - interval '1 minute')
select id, false, '{}'::text[], expire_time, user_id, version, organization_id, role_environment_id, role, display_name, email, method, auth_time from found`
	insertSession = `
insert into session (id, organization_id, user_id, token_hash, user_agent, create_time, expire_time, method, identity_provider_id, subject, provider_session, auth_time, last_use_time, id_token)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	sessionColumns = `
	s.id, s.organization_id, s.user_id, s.user_agent, s.create_time, s.expire_time, s.method, s.identity_provider_id, s.subject, s.provider_session, s.auth_time, s.last_use_time`
	lockSession = `
select ` + sessionColumns + ` from session s where s.id = $1 and s.expire_time > $2 and s.last_use_time > $3 for update`
	// What is kept of the sessions of "ended", whose token is good no more.
	keepEnded = `, kept as (
	insert into ended_credential (token_hash, organization_id, kind, credential_id, user_id, keep_until)
	select e.token_hash, e.organization_id, 'session', e.id, e.user_id, e.expire_time from ended e)`
	confirmSession = `
with ended as (select s.token_hash, s.organization_id, s.id, s.user_id, s.expire_time from session s where s.id = $1)` + keepEnded + `
update session set token_hash = $2, auth_time = $3, provider_session = $4, last_use_time = $5, id_token = coalesce($6, id_token) where id = $1`
	selectProviderOfSession = `
select ` + providerColumns + `, s.id_token from session s join identity_provider p on p.id = s.identity_provider_id
where s.id = $1 and s.user_id = $2`
	deleteSessionsAtProvider = `
with ended as (
	delete from session s where s.identity_provider_id = $1 and ($2 = '' or s.subject = $2) and ($3 = '' or s.provider_session = $3) and s.create_time <= $4
	returning s.token_hash, ` + sessionColumns + `)` + keepEnded + `
select ` + sessionColumns + ` from ended s`
	// Row-level security shows the users of the caller's scope only.
	deleteSession = `
with ended as (
	delete from session s where s.id = $1 and (s.user_id = $2 or $3 and exists (select from users u where u.id = s.user_id))
	returning s.token_hash, ` + sessionColumns + `)` + keepEnded + `
select ` + sessionColumns + ` from ended s`
	deleteSessionsOfUser = `
with ended as (delete from session s where s.user_id = $1 returning s.token_hash, s.organization_id, s.id, s.user_id, s.expire_time)` + keepEnded + `
select count(*) from ended`
	deleteEndedSessions = `
with ended as (
	delete from session s where s.expire_time <= $1 or s.last_use_time <= $2
	returning s.token_hash, s.organization_id, s.id, s.user_id, s.expire_time)` + keepEnded + `
select count(*) from ended`
	deleteEndedCredentials = `
delete from ended_credential where keep_until <= $1`
	// Whose a credential was that is not good.
	refusedAPIToken = `
select t.id, u.organization_id, u.role_environment_id, u.id, u.display_name,
	case when u.state <> 'active' then 'USER_' || upper(u.state) when t.revoke_time is not null then 'API_TOKEN_REVOKED' else 'API_TOKEN_EXPIRED' end
from api_token t join users u on u.id = t.user_id
where t.token_hash = $1`
	refusedSession = `
select s.id, u.organization_id, u.role_environment_id, u.id, u.display_name,
	case when u.state <> 'active' then 'USER_' || upper(u.state) when s.ended then 'SESSION_ENDED' else 'SESSION_EXPIRED' end
from (
	select s.id, s.user_id, false as ended from session s where s.token_hash = $1
	union all
	select e.credential_id, e.user_id, true from ended_credential e where e.token_hash = $1 and e.kind = 'session') s
join users u on u.id = s.user_id
limit 1`
	refusedSource = `
select s.id, s.organization_id, s.environment_id, s.id, s.name, 'SOURCE_TOKEN_REPLACED'
from ended_credential e join source s on s.id = e.credential_id
where e.token_hash = $1 and e.kind = 'source'`
	insertLink = `
insert into sign_in_link (id, organization_id, user_id, secret_hash, create_time, expire_time) values ($1, $2, $3, $4, $5, $6)`
	deleteLink = `
delete from sign_in_link where secret_hash = $1 and expire_time > $2 returning user_id`
	deleteLinksOfUser = `
delete from sign_in_link where user_id = $1`
	deleteEndedLinks = `
delete from sign_in_link where expire_time <= $1`
)

// InsertAPIToken adds a token of an active user, which another, or the same, makes with
// a session, and says whether it is so.
func InsertAPIToken(ctx context.Context, tx *postgres.Tx, session, maker uuid.UUID, t APIToken, hash []byte) (ok bool, err error) {
	n, err := tx.Exec(ctx, insertToken, t.ID, t.UserID, t.Name, t.ReadOnly, t.Scopes, t.Prefix, hash, t.CreateTime, t.ExpireTime, session, maker)
	if err != nil {
		return false, fmt.Errorf("insert API token: %w", err)
	}
	return n.RowsAffected() > 0, nil
}

// ListAPITokens reads a page of [APITokenList]: of an organization's tokens, all that
// user sees, or only the user's own. It gives the token of the next page.
func ListAPITokens(ctx context.Context, tx *postgres.Tx, organization, user uuid.UUID, own bool, page *filter.Query) ([]APIToken, string, error) {
	q := &query{}
	q.where("t.organization_id = ?", organization)
	q.where("(t.user_id = ? or exists (select from users u where u.id = t.user_id))", user)
	if own {
		q.where("(t.user_id = ? or exists (select from users u where u.id = t.user_id and u.accountable_user_id = ?))", user, user)
	}
	return list(ctx, tx, tokenColumns+`, `+page.Keys()+` from api_token t`, q, page, scanToken)
}

// LockAPIToken reads a token that user sees and nobody else changes until the end
// of tx.
func LockAPIToken(ctx context.Context, tx *postgres.Tx, id, user uuid.UUID) (t APIToken, err error) {
	return t, found(tx.QueryRow(ctx, lockToken, id, user).Scan(t.targets()...), "read API token")
}

// RevokeAPIToken revokes a token, and gives it unless it was revoked before.
func RevokeAPIToken(ctx context.Context, tx *postgres.Tx, id uuid.UUID, now time.Time) ([]APIToken, error) {
	rows, err := tx.Query(ctx, revokeToken, now, id)
	return collect("revoke API token", rows, err, scanToken)
}

// RevokeAPITokensOfUser revokes a user's tokens, and gives those that were not
// revoked before.
func RevokeAPITokensOfUser(ctx context.Context, tx *postgres.Tx, user uuid.UUID, now time.Time) ([]APIToken, error) {
	rows, err := tx.Query(ctx, revokeTokensOfUser, now, user)
	return collect("revoke API tokens", rows, err, scanToken)
}

// RevokeAPITokensOfFormerAdmin revokes the tokens that maker made for others whose role
// is above member, and may not make any more, and gives those.
func RevokeAPITokensOfFormerAdmin(ctx context.Context, tx *postgres.Tx, maker uuid.UUID, now time.Time) ([]APIToken, error) {
	rows, err := tx.Query(ctx, revokeTokensOfFormerAdmin, now, maker)
	return collect("revoke API tokens of a former admin", rows, err, scanToken)
}

// Credential is a valid API token or session, and whose it is.
type Credential struct {
	ID                                    uuid.UUID
	ReadOnly                              bool
	Scopes                                []string
	ExpireTime                            time.Time
	UserID, OrganizationID, EnvironmentID uuid.UUID
	UserVersion                           int64
	Role, Name, Email                     string
	// Method is how a session began; empty for an API token. AuthTime is its.
	Method   string
	AuthTime *time.Time
}

// UseAPIToken finds the token with a hash, if it is valid and its user active,
// and records its use.
func UseAPIToken(ctx context.Context, tx *postgres.Tx, hash []byte, now time.Time) (Credential, error) {
	var c Credential
	err := tx.QueryRow(ctx, exchangeAPIToken, hash, now).Scan(c.targets()...)
	return c, found(err, "read API token")
}

// UseSession finds the session whose token has a hash, if it is valid, was used
// since a time, and its user is active, and records its use.
func UseSession(ctx context.Context, tx *postgres.Tx, hash []byte, now, since time.Time, background bool) (Credential, error) {
	var c Credential
	err := tx.QueryRow(ctx, exchangeSession, hash, now, since, background).Scan(append(c.targets(), &c.Method, &c.AuthTime)...)
	return c, found(err, "read session")
}

func (c *Credential) targets() []any {
	return []any{&c.ID, &c.ReadOnly, &c.Scopes, &c.ExpireTime, &c.UserID, &c.UserVersion, &c.OrganizationID, &c.EnvironmentID, &c.Role, &c.Name, &c.Email}
}

// Refused is a credential that is not good, and why.
type Refused struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	// HolderID and HolderName are the user's, or the source's.
	HolderID   uuid.UUID
	HolderName string
	Reason     string
}

// RefusedAPIToken finds an API token that is not good.
func RefusedAPIToken(ctx context.Context, tx *postgres.Tx, hash []byte) (Refused, error) {
	return refused(ctx, tx, refusedAPIToken, hash)
}

// RefusedSession finds a session that is not good, by the token that it has or had.
func RefusedSession(ctx context.Context, tx *postgres.Tx, hash []byte) (Refused, error) {
	return refused(ctx, tx, refusedSession, hash)
}

// RefusedSource finds a source by a token that it had before.
func RefusedSource(ctx context.Context, tx *postgres.Tx, hash []byte) (Refused, error) {
	return refused(ctx, tx, refusedSource, hash)
}

func refused(ctx context.Context, tx *postgres.Tx, sql string, hash []byte) (r Refused, err error) {
	err = tx.QueryRow(ctx, sql, hash).Scan(&r.ID, &r.OrganizationID, &r.EnvironmentID, &r.HolderID, &r.HolderName, &r.Reason)
	return r, found(err, "look whose a refused credential is")
}

// Session is a session, without its token.
type Session struct {
	ID, OrganizationID, UserID uuid.UUID
	UserAgent                  string
	CreateTime, ExpireTime     time.Time
	// Method is a word of SignInMethod.
	Method string
	// ProviderID is the identity provider that it began with, Subject who that was
	// there, and ProviderSession the session there; empty for other methods.
	ProviderID               *uuid.UUID
	Subject, ProviderSession string
	// AuthTime is when the user last proved who they are, strongly enough; nil if
	// not.
	AuthTime *time.Time
	LastUse  time.Time
	// IDToken is the last ID token of the provider, sealed for the session; nil if it
	// is not kept. It is written, and read by [ProviderOfSession] alone.
	IDToken []byte `db:"-"`
}

// InsertSession adds a session whose token has the hash.
func InsertSession(ctx context.Context, tx *postgres.Tx, s Session, hash []byte) error {
	_, err := tx.Exec(ctx, insertSession, s.ID, s.OrganizationID, s.UserID, hash, s.UserAgent, s.CreateTime, s.ExpireTime,
		s.Method, s.ProviderID, s.Subject, s.ProviderSession, s.AuthTime, s.LastUse, s.IDToken)
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return nil
}

// LockSession reads a session that has not ended and was used since a time, and that
// nobody else changes until the end of tx.
func LockSession(ctx context.Context, tx *postgres.Tx, id uuid.UUID, now, since time.Time) (Session, error) {
	rows, err := tx.Query(ctx, lockSession, id, now, since)
	if err != nil {
		return Session{}, fmt.Errorf("lock session: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Session])
	return s, found(err, "lock session")
}

// ConfirmSession saves that the user of a locked session has proved again who they
// are; hash is that of its token from now on.
func ConfirmSession(ctx context.Context, tx *postgres.Tx, s Session, hash []byte) error {
	if _, err := tx.Exec(ctx, confirmSession, s.ID, hash, s.AuthTime, s.ProviderSession, s.LastUse, s.IDToken); err != nil {
		return fmt.Errorf("confirm session: %w", err)
	}
	return nil
}

// ProviderOfSession reads the identity provider that a session of a user began with, and
// the sealed ID token; nil if none is kept.
func ProviderOfSession(ctx context.Context, tx *postgres.Tx, id, user uuid.UUID) (p IdentityProvider, idToken []byte, err error) {
	err = tx.QueryRow(ctx, selectProviderOfSession, id, user).Scan(append(p.targets(), &idToken)...)
	return p, idToken, found(err, "read identity provider of session")
}

// AtProvider are the sessions of an identity provider, of one subject or one session
// there if they are given.
type AtProvider struct {
	Provider                 uuid.UUID
	Subject, ProviderSession string
}

// DeleteSessionsAtProvider ends sessions that began at an identity provider, up to a
// time, and gives them.
func DeleteSessionsAtProvider(ctx context.Context, tx *postgres.Tx, at AtProvider, until time.Time) ([]Session, error) {
	rows, err := tx.Query(ctx, deleteSessionsAtProvider, at.Provider, at.Subject, at.ProviderSession, until)
	return collect("end sessions at provider", rows, err, pgx.RowToStructByPos[Session])
}

// InsertSignInLink adds a one-time link whose secret has the hash.
func InsertSignInLink(ctx context.Context, tx *postgres.Tx, id, organization, user uuid.UUID, hash []byte, now, expires time.Time) error {
	if _, err := tx.Exec(ctx, insertLink, id, organization, user, hash, now, expires); err != nil {
		return fmt.Errorf("insert sign-in link: %w", err)
	}
	return nil
}

// UseSignInLink takes the link whose secret has a hash away, and gives its user.
func UseSignInLink(ctx context.Context, tx *postgres.Tx, hash []byte, now time.Time) (user uuid.UUID, err error) {
	return user, found(tx.QueryRow(ctx, deleteLink, hash, now).Scan(&user), "use sign-in link")
}

// ListSessions reads a page of [SessionList]: of a user's sessions that have not ended
// and were used since a time. It gives the token of the next page.
func ListSessions(ctx context.Context, tx *postgres.Tx, user uuid.UUID, now, since time.Time, page *filter.Query) ([]Session, string, error) {
	q := &query{}
	q.where("s.user_id = ?", user)
	q.where("s.expire_time > ?", now)
	q.where("s.last_use_time > ?", since)
	return list(ctx, tx, sessionColumns+`, `+page.Keys()+` from session s`, q, page, pgx.RowToStructByPos[Session])
}

// DeleteSession ends a session of a user or, for anybody, of any user whom the
// transaction sees. It gives none if there is no such session.
func DeleteSession(ctx context.Context, tx *postgres.Tx, id, user uuid.UUID, anybody bool) ([]Session, error) {
	rows, err := tx.Query(ctx, deleteSession, id, user, anybody)
	return collect("end session", rows, err, pgx.RowToStructByPos[Session])
}

// DeleteSessionsOfUser ends all sessions and one-time links of a user.
func DeleteSessionsOfUser(ctx context.Context, tx *postgres.Tx, user uuid.UUID) error {
	var b pgx.Batch
	b.Queue(deleteSessionsOfUser, user)
	b.Queue(deleteLinksOfUser, user)
	return send(ctx, tx, &b, "end sessions of user")
}

// DeleteEndedSessions removes sessions whose time is over or that were not used since
// a time, and links whose time is over.
func DeleteEndedSessions(ctx context.Context, tx *postgres.Tx, now, since time.Time) error {
	var b pgx.Batch
	b.Queue(deleteEndedSessions, now, since)
	b.Queue(deleteEndedCredentials, now)
	b.Queue(deleteEndedLinks, now)
	return send(ctx, tx, &b, "prune sessions")
}

// SigningKey is a key for signed tokens.
type SigningKey struct {
	ID         string
	Sealed     []byte
	CreateTime time.Time
	// UseTime is from when tokens are signed with it.
	UseTime time.Time
}

// keyLock is the advisory lock under which keys are made.
const keyLock = 0x67686b6579 // "ghkey"

const (
	selectKeys = `
select k.id, k.private_key, k.create_time, k.use_time from signing_key k
where k.end_time is null or k.end_time > $1 order by k.use_time, k.id`
	lockKeys        = `select pg_advisory_xact_lock($1)`
	deleteEndedKeys = `
delete from signing_key where end_time <= $1`
	endKeys = `
update signing_key set end_time = $1 where end_time is null`
	resealKey = `
update signing_key set private_key = $3 where id = $1 and private_key = $2`
	insertKey = `
insert into signing_key (id, private_key, create_time, use_time) values ($1, $2, $3, $4)`
)

// LockSigningKeys has transactions that add a key take turns.
func LockSigningKeys(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, lockKeys, int64(keyLock)); err != nil {
		return fmt.Errorf("lock signing keys: %w", err)
	}
	return nil
}

// SigningKeys reads the keys that have not ended, in the order of their use.
func SigningKeys(ctx context.Context, tx *postgres.Tx, now time.Time) ([]SigningKey, error) {
	rows, err := tx.Query(ctx, selectKeys, now)
	return collect("read signing keys", rows, err, pgx.RowToStructByPos[SigningKey])
}

// AddSigningKey adds a key, ends the others at a time and removes ended ones.
func AddSigningKey(ctx context.Context, tx *postgres.Tx, k SigningKey, endOthers, now time.Time) error {
	var b pgx.Batch
	b.Queue(deleteEndedKeys, now)
	b.Queue(endKeys, endOthers)
	b.Queue(insertKey, k.ID, k.Sealed, k.CreateTime, k.UseTime)
	return send(ctx, tx, &b, "insert signing key")
}

// ResealSigningKey replaces how a signing key is sealed, if it is still sealed so.
func ResealSigningKey(ctx context.Context, tx *postgres.Tx, k SigningKey, sealed []byte) error {
	if _, err := tx.Exec(ctx, resealKey, k.ID, k.Sealed, sealed); err != nil {
		return fmt.Errorf("seal signing key %s again: %w", k.ID, err)
	}
	return nil
}
