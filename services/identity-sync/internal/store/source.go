package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
)

// Source is where users come from.
type Source struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string
	Kind           string // a word of SourceKind
	EnvironmentID  string // of its users; empty for the organization's own
	CreateTime     time.Time
	LastSeen       *time.Time
	UserCount      int32
	Version        int64 // of the name and the token
}

const (
	sourceColumns = `
	s.id, s.organization_id, s.name, s.kind, coalesce(nullif(s.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), s.create_time, s.last_seen_time,
	(select count(*) from users u where u.source_id = s.id and u.state <> 'removed'), s.version`
	insertSource = `
insert into source (id, organization_id, environment_id, name, kind, token_hash, create_time, version)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
	// The token before is kept as one that is good no more.
	updateSourceToken = `
with ended as (select s.token_hash, s.organization_id, s.id from source s where s.id = $1 for update),
kept as (
	insert into ended_credential (token_hash, organization_id, kind, credential_id, keep_until)
	select e.token_hash, e.organization_id, 'source', e.id, $3::timestamptz + interval '1 year' from ended e)
update source s set token_hash = $2, version = s.version + 1 from ended where s.id = ended.id returning ` + sourceColumns
	updateSource = `
update source set name = $2, version = $3 where id = $1`
	selectSource = `
select ` + sourceColumns + ` from source s where s.id = $1`
	lockSource       = selectSource + ` for update of s`
	selectSourceName = `
select s.name from source s where s.id = $1`
	// One statement: the token is looked up and its use recorded, at most once a
	// minute.
	authenticateSource = `
with found as (select s.id, s.organization_id, s.environment_id from source s where s.token_hash = $1),
recorded as (
	update source s set last_seen_time = $2
	from found
	where s.id = found.id and (s.last_seen_time is null or s.last_seen_time <= $2::timestamptz - interval '1 minute'))
select id, organization_id, environment_id from found`
)

func (s *Source) targets() []any {
	return []any{&s.ID, &s.OrganizationID, &s.Name, &s.Kind, &s.EnvironmentID, &s.CreateTime, &s.LastSeen, &s.UserCount, &s.Version}
}

// InsertSource adds a source whose token has the hash.
func InsertSource(ctx context.Context, tx *postgres.Tx, s Source, tokenHash []byte) error {
	_, err := tx.Exec(ctx, insertSource, s.ID, s.OrganizationID, ownerID(s.EnvironmentID), s.Name, s.Kind, tokenHash, s.CreateTime, s.Version)
	if err != nil {
		return fmt.Errorf("insert source: %w", err)
	}
	return nil
}

// UpdateSourceToken gives a source another token. Whose the one before was is known
// for a year.
func UpdateSourceToken(ctx context.Context, tx *postgres.Tx, id uuid.UUID, tokenHash []byte, now time.Time) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, updateSourceToken, id, tokenHash, now).Scan(s.targets()...), "update source")
}

// GetSource reads a source.
func GetSource(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, selectSource, id).Scan(s.targets()...), "read source")
}

// LockSource reads a source that nobody else changes until the end of tx.
func LockSource(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, lockSource, id).Scan(s.targets()...), "lock source")
}

// UpdateSource saves the name and version of a source that is locked.
func UpdateSource(ctx context.Context, tx *postgres.Tx, s Source) error {
	if _, err := tx.Exec(ctx, updateSource, s.ID, s.Name, s.Version); err != nil {
		return fmt.Errorf("update source %s: %w", s.ID, err)
	}
	return nil
}

// ListSources lists an organization's sources by name, after a place.
func ListSources(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, after *page.TextPlace, limit int) ([]Source, error) {
	q := &query{}
	q.where("s.organization_id = ?", organization)
	q.after("s.name", "s.id", after)
	rows, err := tx.Query(ctx, `select `+sourceColumns+` from source s`+q.text()+` order by s.name, s.id limit `+q.arg(limit), q.args...)
	return collect("list sources", rows, err, func(row pgx.CollectableRow) (s Source, err error) {
		err = row.Scan(s.targets()...)
		return s, err
	})
}

// AuthenticateSource finds the source whose token has the hash, and records that
// it was seen.
func AuthenticateSource(ctx context.Context, tx *postgres.Tx, tokenHash []byte, now time.Time) (id, organization, environment uuid.UUID, err error) {
	err = tx.QueryRow(ctx, authenticateSource, tokenHash, now).Scan(&id, &organization, &environment)
	return id, organization, environment, found(err, "read source")
}
