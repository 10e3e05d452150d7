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
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// APIToken is a secret with which a program acts as a user, without the secret.
type APIToken struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Name       string
	ReadOnly   bool
	Prefix     string
	CreateTime time.Time
	ExpireTime time.Time
	LastUse    *time.Time
	RevokeTime *time.Time
}

const tokenColumns = `
	t.id, t.user_id, t.name, t.read_only, t.prefix, t.create_time, t.expire_time, t.last_use_time, t.revoke_time`

func (t *APIToken) targets() []any {
	return []any{
		&t.ID, &t.UserID, &t.Name, &t.ReadOnly, &t.Prefix, &t.CreateTime, &t.ExpireTime, &t.LastUse, &t.RevokeTime,
	}
}

func scanToken(row pgx.CollectableRow) (APIToken, error) {
	var t APIToken
	err := row.Scan(t.targets()...)
	return t, err
}

// Proto is the token as its owner sees it.
func (t APIToken) Proto() *identityv1.ApiToken {
	p := &identityv1.ApiToken{
		Id: t.ID.String(), Name: t.Name, UserId: t.UserID.String(), ReadOnly: t.ReadOnly, Prefix: t.Prefix,
		CreateTime: timestamppb.New(t.CreateTime), ExpireTime: timestamppb.New(t.ExpireTime),
	}
	if t.LastUse != nil {
		p.LastUseTime = timestamppb.New(*t.LastUse)
	}
	if t.RevokeTime != nil {
		p.RevokeTime = timestamppb.New(*t.RevokeTime)
	}
	return p
}

// NewAPIToken is a token to make.
type NewAPIToken struct {
	Name       string
	ReadOnly   bool
	Prefix     string
	Hash       secret.Hash
	ExpireTime time.Time
}

// CreateAPIToken makes a token with which programs act as the caller.
func (s *Store) CreateAPIToken(ctx context.Context, caller authz.Caller, in NewAPIToken) (APIToken, error) {
	t := APIToken{
		ID: id.New(), UserID: caller.UserID, Name: in.Name, ReadOnly: in.ReadOnly, Prefix: in.Prefix, ExpireTime: in.ExpireTime,
	}
	err := s.change(ctx, scope.Organization(caller.OrganizationID), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		t.CreateTime = w.now
		if last := w.now.AddDate(1, 0, 0); !in.ExpireTime.After(w.now) || in.ExpireTime.After(last) {
			return apierr.InvalidField("expire_time", "EXPIRE_TIME_OUT_OF_RANGE", "the end must be in the future and at most one year ahead")
		}
		// Somebody who has just left still has a signed token for some minutes.
		n, err := w.Exec(ctx, `
			insert into api_token (id, organization_id, user_id, name, read_only, prefix, token_hash, create_time, expire_time)
			select $1, u.organization_id, u.id, $3, $4, $5, $6, $7, $8
			from users u where u.id = $2 and u.state = 'active' for key share`,
			t.ID, t.UserID, t.Name, t.ReadOnly, t.Prefix, in.Hash[:], t.CreateTime, t.ExpireTime)
		if err != nil {
			return fmt.Errorf("insert API token: %w", err)
		}
		if n.RowsAffected() == 0 {
			return ErrTokenInvalid
		}
		w.tell(t.ID, &eventv1.ApiTokenCreated{Context: w.about(t.UserID.String(), 0), ApiToken: t.Proto()})
		return nil
	})
	return t, err
}

// APITokens lists tokens, newest first, and gives the token of the next page:
// all of the organization for an admin, else the caller's own.
func (s *Store) APITokens(ctx context.Context, caller authz.Caller, size int, after string) ([]APIToken, string, error) {
	sql := &query{}
	sql.where("t.organization_id = ?", caller.OrganizationID)
	// Row-level security has the users of the caller's scope only, so that an
	// admin of an environment sees its tokens.
	sql.where("(t.user_id = ? or exists (select from users u where u.id = t.user_id))", caller.UserID)
	if caller.Role != authzv1.Caller_CALLER_ADMIN {
		sql.where("t.user_id = ?", caller.UserID)
	}
	keys, err := page.Decode(after, 2)
	if err != nil {
		return nil, "", err
	}
	if keys != nil {
		at, err := time.Parse(time.RFC3339Nano, keys[0])
		last, err2 := uuid.Parse(keys[1])
		if err != nil || err2 != nil {
			return nil, "", errPageToken
		}
		sql.where("(t.create_time, t.id) < (?, ?)", at, last)
	}
	var list []APIToken
	err = s.db.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select `+tokenColumns+` from api_token t`+sql.text()+
			` order by t.create_time desc, t.id desc limit `+sql.arg(size+1), sql.args...)
		if err == nil {
			list, err = pgx.CollectRows(rows, scanToken)
		}
		if err != nil {
			return fmt.Errorf("list API tokens: %w", err)
		}
		return nil
	})
	if err != nil || len(list) <= size {
		return list, "", err
	}
	list = list[:size]
	last := list[size-1]
	return list, page.Encode(last.CreateTime.UTC().Format(time.RFC3339Nano), last.ID.String()), nil
}

// RevokeAPIToken ends a token of the caller's, or any if the caller is an
// admin. One that has ended stays as it is.
func (s *Store) RevokeAPIToken(ctx context.Context, caller authz.Caller, token uuid.UUID) (APIToken, error) {
	var t APIToken
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		t = APIToken{}
		err := w.QueryRow(ctx, `select `+tokenColumns+` from api_token t
			where t.id = $1 and (t.user_id = $2 or exists (select from users u where u.id = t.user_id)) for update`, token, caller.UserID).Scan(t.targets()...)
		if err := found(err, errTokenNotFound, "read API token"); err != nil {
			return err
		}
		if t.UserID != caller.UserID && caller.Role != authzv1.Caller_CALLER_ADMIN {
			return errTokenNotFound
		}
		if t.RevokeTime != nil {
			return nil
		}
		revoked, err := w.revokeTokens(ctx, `id = $2`, token)
		if err != nil {
			return err
		}
		t = revoked[0]
		return nil
	})
	return t, err
}

// revokeTokens ends the tokens that the condition names and tells of it.
func (w *write) revokeTokens(ctx context.Context, condition string, arg any) ([]APIToken, error) {
	rows, err := w.Query(ctx, `
		update api_token t set revoke_time = $1 where t.revoke_time is null and t.`+condition+`
		returning `+tokenColumns, w.now, arg)
	var list []APIToken
	if err == nil {
		list, err = pgx.CollectRows(rows, scanToken)
	}
	if err != nil {
		return nil, fmt.Errorf("revoke API tokens: %w", err)
	}
	for _, t := range list {
		w.tell(t.ID, &eventv1.ApiTokenRevoked{Context: w.about(t.UserID.String(), 0), ApiToken: t.Proto()})
	}
	return list, nil
}

// Credential is a good API token or session, and whose it is.
type Credential struct {
	Caller     authz.Caller
	ExpireTime time.Time
}

// One statement: the token is looked up and its use noted, at most once a
// minute.
const exchangeAPIToken = `
	with found as (
		select t.id, t.read_only, t.expire_time, t.last_use_time, u.id as user_id, u.organization_id, u.role_environment_id, u.role, u.display_name, u.email
		from api_token t
		join users u on u.id = t.user_id
		where t.token_hash = $1 and t.revoke_time is null and t.expire_time > $2 and u.state = 'active'),
	noted as (
		update api_token t set last_use_time = $2
		from found
		where t.id = found.id and (t.last_use_time is null or t.last_use_time <= $2::timestamptz - interval '1 minute'))
	select id, read_only, expire_time, user_id, organization_id, role_environment_id, role, display_name, email from found`

const exchangeSession = `
	select s.id, false, s.expire_time, u.id, u.organization_id, u.role_environment_id, u.role, u.display_name, u.email
	from session s
	join users u on u.id = s.user_id
	where s.token_hash = $1 and s.expire_time > $2 and u.state = 'active'`

// Credential returns whose an API token or session is, or [ErrTokenInvalid] if
// it has ended, or its user may not act now.
func (s *Store) Credential(ctx context.Context, kind secret.Kind, hash secret.Hash) (Credential, error) {
	begin, sql := s.db.AsSystemRead, exchangeSession
	if kind == secret.APIToken {
		begin, sql = s.db.AsSystem, exchangeAPIToken
	}
	var c Credential
	err := begin(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if kind == secret.APIToken {
			tx.Relaxed() // the use may be noted again
		}
		var role string
		err := tx.QueryRow(ctx, sql, hash[:], s.clock.Now()).Scan(&c.Caller.CredentialID, &c.Caller.ReadOnly, &c.ExpireTime,
			&c.Caller.UserID, &c.Caller.OrganizationID, &c.Caller.EnvironmentID, &role, &c.Caller.Name, &c.Caller.Email)
		if err := found(err, ErrTokenInvalid, "read credential"); err != nil {
			return err
		}
		c.Caller.Role, err = authz.ParseRole(role)
		return err
	})
	return c, err
}

func (w *write) insertSession(ctx context.Context, user uuid.UUID, hash secret.Hash, lifetime time.Duration) error {
	_, err := w.Exec(ctx, `
		insert into session (id, organization_id, user_id, token_hash, create_time, expire_time)
		values ($1, $2, $3, $4, $5, $6)`,
		id.New(), w.organization, user, hash[:], w.now, w.now.Add(lifetime))
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return nil
}

// DevSignIn makes a session for an active person of any organization, by user
// name or, where several have that name, by id.
func (s *Store) DevSignIn(ctx context.Context, name string, hash secret.Hash, lifetime time.Duration) (User, error) {
	byID, err := uuid.Parse(name)
	if err != nil {
		byID = uuid.Nil
	}
	var u User
	err = s.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		// Locked as by whoever removes the person, who then ends the session.
		rows, err := tx.Query(ctx, `
			select `+userColumns+` from users u
			where u.state = 'active' and (u.user_name_key = lower($1) or u.id = $2)
			order by u.id limit 2 for key share`, name, byID)
		var users []User
		if err == nil {
			users, err = collectUsers(rows)
		}
		if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		switch len(users) {
		case 0:
			return errUserNotFound
		case 2:
			return apierr.InvalidField("user_name", "USER_NAME_AMBIGUOUS", "several organizations have somebody of that name: give the id of the user")
		}
		u = users[0]
		w := &write{Tx: tx, organization: u.OrganizationID, now: s.clock.Now()}
		return w.insertSession(ctx, u.ID, hash, lifetime)
	})
	return u, err
}

// DevPeople lists active people of all organizations, admins first.
func (s *Store) DevPeople(ctx context.Context, limit int) ([]User, error) {
	var users []User
	err := s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+userColumns+` from users u where u.state = 'active'
			order by (u.role = 'admin') desc, u.display_name_key, u.id limit $1`, limit)
		if err == nil {
			users, err = collectUsers(rows)
		}
		if err != nil {
			return fmt.Errorf("list people: %w", err)
		}
		return nil
	})
	return users, err
}

// EndSession ends the caller's session. Where the caller has none it does
// nothing.
func (s *Store) EndSession(ctx context.Context, caller authz.Caller) error {
	return s.db.InOrganization(ctx, caller.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `delete from session where id = $1 and user_id = $2`, caller.CredentialID, caller.UserID)
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		return nil
	})
}

// PruneSessions forgets sessions that have ended by themselves.
func (s *Store) PruneSessions(ctx context.Context) error {
	return s.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed()
		if _, err := tx.Exec(ctx, `delete from session where expire_time <= $1`, s.clock.Now()); err != nil {
			return fmt.Errorf("prune sessions: %w", err)
		}
		return nil
	})
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

const selectKeys = `
	select k.id, k.private_key, k.create_time, k.use_time from signing_key k
	where k.end_time is null or k.end_time > $1 order by k.use_time, k.id`

// SigningKeys returns the keys that have not ended, in the order of their use.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	var keys []SigningKey
	err := s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var err error
		keys, err = readKeys(ctx, tx, s.clock.Now())
		return err
	})
	return keys, err
}

// AddSigningKey asks next, with the keys there are, for one more, and writes
// it; replicas take turns. next returns nil if none is needed. The others end
// linger after the new one is used. It returns all keys.
func (s *Store) AddSigningKey(ctx context.Context, linger time.Duration, next func([]SigningKey) (*SigningKey, error)) ([]SigningKey, error) {
	var keys []SigningKey
	err := s.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(keyLock)); err != nil {
			return fmt.Errorf("lock signing keys: %w", err)
		}
		var err error
		if keys, err = readKeys(ctx, tx, s.clock.Now()); err != nil {
			return err
		}
		k, err := next(keys)
		if err != nil || k == nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`delete from signing_key where end_time <= $1`, s.clock.Now())
		batch.Queue(`update signing_key set end_time = $1 where end_time is null`, k.UseTime.Add(linger))
		batch.Queue(`insert into signing_key (id, private_key, create_time, use_time) values ($1, $2, $3, $4)`,
			k.ID, k.Sealed, k.CreateTime, k.UseTime)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("insert signing key: %w", err)
		}
		keys = append(keys, *k)
		return nil
	})
	return keys, err
}

func readKeys(ctx context.Context, tx *postgres.Tx, now time.Time) ([]SigningKey, error) {
	rows, err := tx.Query(ctx, selectKeys, now)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SigningKey])
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return keys, nil
}
