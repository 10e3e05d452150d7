package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
)

// IdentityProvider is where users sign in.
type IdentityProvider struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	EnvironmentID  string // empty for the organization's own
	Name           string
	Issuer         string
	ClientID       string
	ClientSecret   []byte // sealed; nil for none
	SourceID       *uuid.UUID
	UserClaim      string
	UserField      string // a word of UserField
	StepUpACR      []string
	Scopes         []string
	State          string // a word of IdentityProviderState
	CreateTime     time.Time
	UpdateTime     time.Time
	Version        int64
	SignOut        bool // people sign out there too
}

const (
	providerColumns = `
	p.id, p.organization_id, coalesce(nullif(p.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), p.name, p.issuer, p.client_id, p.client_secret,
	p.source_id, p.user_claim, p.user_field, p.step_up_acr_values, p.scopes, p.state, p.create_time, p.update_time, p.version, p.sign_out_at_provider`
	insertProvider = `
insert into identity_provider (id, organization_id, environment_id, name, issuer, client_id, client_secret, source_id, user_claim, user_field, step_up_acr_values, scopes, state, create_time, update_time, version, sign_out_at_provider)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	updateProvider = `
update identity_provider set name = $2, issuer = $3, client_id = $4, client_secret = $5, user_claim = $6, user_field = $7, step_up_acr_values = $8, state = $9, update_time = $10, version = $11, sign_out_at_provider = $12
where id = $1`
	deleteProvider = `
delete from identity_provider where id = $1`
	selectProvider = `
select ` + providerColumns + ` from identity_provider p where p.id = $1`
	lockProvider  = selectProvider + ` for update`
	shareProvider = selectProvider + ` for share`
	// An organization that is not named is the only one there is.
	selectSignInOptions = `
select p.id, p.name, o.name from identity_provider p
join organization o on o.id = p.organization_id
where p.state = 'enabled' and (o.sign_in_name = $1 or $1 = '' and not exists (select from organization other where other.id <> o.id))
order by p.name, p.id limit 50`
	selectSealedProviders = `
select p.id, p.organization_id, p.client_secret from identity_provider p where p.client_secret is not null`
	resealProvider = `
update identity_provider set client_secret = $3 where id = $1 and client_secret = $2`
)

func (p *IdentityProvider) targets() []any {
	return []any{
		&p.ID, &p.OrganizationID, &p.EnvironmentID, &p.Name, &p.Issuer, &p.ClientID, &p.ClientSecret, &p.SourceID, &p.UserClaim, &p.UserField, &p.StepUpACR, &p.Scopes,
		&p.State, &p.CreateTime, &p.UpdateTime, &p.Version, &p.SignOut,
	}
}

// InsertIdentityProvider adds an identity provider.
func InsertIdentityProvider(ctx context.Context, tx *postgres.Tx, p IdentityProvider) error {
	_, err := tx.Exec(ctx, insertProvider, p.ID, p.OrganizationID, ownerID(p.EnvironmentID), p.Name, p.Issuer, p.ClientID, p.ClientSecret, p.SourceID, p.UserClaim, p.UserField,
		p.StepUpACR, p.Scopes, p.State, p.CreateTime, p.UpdateTime, p.Version, p.SignOut)
	if err != nil {
		return fmt.Errorf("insert identity provider: %w", err)
	}
	return nil
}

// UpdateIdentityProvider saves a locked identity provider.
func UpdateIdentityProvider(ctx context.Context, tx *postgres.Tx, p IdentityProvider) error {
	_, err := tx.Exec(ctx, updateProvider, p.ID, p.Name, p.Issuer, p.ClientID, p.ClientSecret, p.UserClaim, p.UserField, p.StepUpACR, p.State, p.UpdateTime, p.Version, p.SignOut)
	if err != nil {
		return fmt.Errorf("update identity provider: %w", err)
	}
	return nil
}

// DeleteIdentityProvider removes a locked identity provider with its identities. Its
// sessions must have ended.
func DeleteIdentityProvider(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	if _, err := tx.Exec(ctx, deleteProvider, id); err != nil {
		return fmt.Errorf("delete identity provider: %w", err)
	}
	return nil
}

// GetIdentityProvider reads an identity provider.
func GetIdentityProvider(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (p IdentityProvider, err error) {
	return p, found(tx.QueryRow(ctx, selectProvider, id).Scan(p.targets()...), "read identity provider")
}

// LockIdentityProvider reads an identity provider that nobody else changes until the
// end of tx.
func LockIdentityProvider(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (p IdentityProvider, err error) {
	return p, found(tx.QueryRow(ctx, lockProvider, id).Scan(p.targets()...), "read identity provider")
}

// ShareIdentityProvider reads an identity provider that nobody changes until the end
// of tx.
func ShareIdentityProvider(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (p IdentityProvider, err error) {
	return p, found(tx.QueryRow(ctx, shareProvider, id).Scan(p.targets()...), "read identity provider")
}

// ListIdentityProviders reads a page of [IdentityProviderList], of an organization,
// and gives the token of the next page.
func ListIdentityProviders(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, page *filter.Query) ([]IdentityProvider, string, error) {
	q := &query{}
	q.where("p.organization_id = ?", organization)
	return list(ctx, tx, providerColumns+`, `+page.Keys()+` from identity_provider p`, q, page, func(row pgx.CollectableRow) (p IdentityProvider, err error) {
		err = row.Scan(p.targets()...)
		return p, err
	})
}

// SignInOption is an identity provider as somebody sees it who is about to sign in.
type SignInOption struct {
	ID                     uuid.UUID
	Name, OrganizationName string
}

// SignInOptions lists the identity providers of an organization by which people sign
// in.
func SignInOptions(ctx context.Context, tx *postgres.Tx, signInName string) ([]SignInOption, error) {
	rows, err := tx.Query(ctx, selectSignInOptions, signInName)
	return collect("list sign-in options", rows, err, pgx.RowToStructByPos[SignInOption])
}

// SealedSecrets are the client secrets of all identity providers.
func SealedSecrets(ctx context.Context, tx *postgres.Tx) ([]secretbox.Sealed, error) {
	rows, err := tx.Query(ctx, selectSealedProviders)
	return collect("read client secrets", rows, err, pgx.RowToStructByPos[secretbox.Sealed])
}

// Reseal replaces how a client secret is sealed, if it is still sealed so.
func Reseal(ctx context.Context, tx *postgres.Tx, was secretbox.Sealed, sealed []byte) error {
	if _, err := tx.Exec(ctx, resealProvider, was.ID, was.Value, sealed); err != nil {
		return fmt.Errorf("seal client secret of %s again: %w", was.ID, err)
	}
	return nil
}

// UserIdentity is an identity that is a user's.
type UserIdentity struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	ProviderID     uuid.UUID
	Subject        string
	UserID         uuid.UUID
	CreateTime     time.Time
	LastSignIn     *time.Time
}

const (
	identityColumns = `i.id, i.organization_id, i.identity_provider_id, i.subject, i.user_id, i.create_time, i.last_sign_in_time`
	insertIdentity  = `
insert into user_identity (id, organization_id, identity_provider_id, subject, user_id, create_time, last_sign_in_time) values ($1, $2, $3, $4, $5, $6, $7)`
	selectIdentity = `
select ` + identityColumns + ` from user_identity i where i.identity_provider_id = $1 and i.subject = $2`
	touchIdentity = `
update user_identity set last_sign_in_time = $2 where id = $1`
	// Row-level security shows the users of the caller's scope only.
	deleteIdentity = `
delete from user_identity i where i.id = $1 and exists (select from users u where u.id = i.user_id)
returning ` + identityColumns
	deleteIdentitiesOfUser = `
delete from user_identity where user_id = $1`
	deleteIdentitiesOfProvider = `
delete from user_identity where identity_provider_id = $1`
	// A user of the source who is not removed; the name in any case.
	selectUserOfClaim = `
select u.id from users u
where u.source_id = $1 and u.state <> 'removed' and case $2 when 'external_id' then u.external_id = $3 and $3 <> '' else u.user_name_form = lower(normalize($3, NFKC)) end
limit 2`
)

// InsertUserIdentity makes an identity a user's.
func InsertUserIdentity(ctx context.Context, tx *postgres.Tx, i UserIdentity) error {
	if _, err := tx.Exec(ctx, insertIdentity, i.ID, i.OrganizationID, i.ProviderID, i.Subject, i.UserID, i.CreateTime, i.LastSignIn); err != nil {
		return fmt.Errorf("insert identity: %w", err)
	}
	return nil
}

// GetUserIdentity finds whose a subject is.
func GetUserIdentity(ctx context.Context, tx *postgres.Tx, provider uuid.UUID, subject string) (UserIdentity, error) {
	rows, err := tx.Query(ctx, selectIdentity, provider, subject)
	if err != nil {
		return UserIdentity{}, fmt.Errorf("read identity: %w", err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[UserIdentity])
	return i, found(err, "read identity")
}

// TouchUserIdentity records that somebody signed in with an identity.
func TouchUserIdentity(ctx context.Context, tx *postgres.Tx, id uuid.UUID, now time.Time) error {
	if _, err := tx.Exec(ctx, touchIdentity, id, now); err != nil {
		return fmt.Errorf("update identity: %w", err)
	}
	return nil
}

// ListUserIdentities reads a page of [UserIdentityList], of a user, and gives the token
// of the next.
func ListUserIdentities(ctx context.Context, tx *postgres.Tx, user uuid.UUID, page *filter.Query) ([]UserIdentity, string, error) {
	q := &query{}
	q.where("i.user_id = ?", user)
	return list(ctx, tx, identityColumns+`, `+page.Keys()+` from user_identity i`, q, page, pgx.RowToStructByPos[UserIdentity])
}

// DeleteUserIdentity takes an identity from a user whom the transaction sees, and
// gives it if it was there.
func DeleteUserIdentity(ctx context.Context, tx *postgres.Tx, id uuid.UUID) ([]UserIdentity, error) {
	rows, err := tx.Query(ctx, deleteIdentity, id)
	return collect("delete identity", rows, err, pgx.RowToStructByPos[UserIdentity])
}

// DeleteIdentitiesOfUser takes all identities from a user.
func DeleteIdentitiesOfUser(ctx context.Context, tx *postgres.Tx, user uuid.UUID) error {
	if _, err := tx.Exec(ctx, deleteIdentitiesOfUser, user); err != nil {
		return fmt.Errorf("delete identities of user %s: %w", user, err)
	}
	return nil
}

// DeleteIdentitiesOfProvider takes all identities of an identity provider from their
// users.
func DeleteIdentitiesOfProvider(ctx context.Context, tx *postgres.Tx, provider uuid.UUID) error {
	if _, err := tx.Exec(ctx, deleteIdentitiesOfProvider, provider); err != nil {
		return fmt.Errorf("delete identities of provider %s: %w", provider, err)
	}
	return nil
}

// FindUserOfClaim finds the users of a source, at most two, of whom a field has a
// value.
func FindUserOfClaim(ctx context.Context, tx *postgres.Tx, source uuid.UUID, field, value string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectUserOfClaim, source, field, value)
	return collect("find user of claim", rows, err, pgx.RowTo[uuid.UUID])
}
