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
}

const (
	sourceColumns = `
	s.id, s.organization_id, s.name, s.kind, coalesce(nullif(s.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), s.create_time, s.last_seen_time,
	(select count(*) from users u where u.source_id = s.id and u.state <> 'removed')`
	insertSource = `
insert into source (id, organization_id, environment_id, name, kind, token_hash, create_time)
values ($1, $2, $3, $4, $5, $6, $7)`
	// The token before is kept as one that is good no more.
	updateSourceToken = `
with ended as (select s.token_hash, s.organization_id, s.id from source s where s.id = $1 for update),
kept as (
	insert into ended_credential (token_hash, organization_id, kind, credential_id, keep_until)
	select e.token_hash, e.organization_id, 'source', e.id, $3::timestamptz + interval '1 year' from ended e)
update source s set token_hash = $2 from ended where s.id = ended.id returning ` + sourceColumns
	selectSource = `
select ` + sourceColumns + ` from source s where s.id = $1`
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
	return []any{&s.ID, &s.OrganizationID, &s.Name, &s.Kind, &s.EnvironmentID, &s.CreateTime, &s.LastSeen, &s.UserCount}
}

// InsertSource adds a source whose token has the hash.
func InsertSource(ctx context.Context, tx *postgres.Tx, s Source, tokenHash []byte) error {
	_, err := tx.Exec(ctx, insertSource, s.ID, s.OrganizationID, ownerID(s.EnvironmentID), s.Name, s.Kind, tokenHash, s.CreateTime)
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

// ListSources reads a page of [SourceList], of an organization, and gives the token
// of the next page.
func ListSources(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, page *filter.Query) ([]Source, string, error) {
	q := &query{}
	q.where("s.organization_id = ?", organization)
	return list(ctx, tx, sourceColumns+`, `+page.Keys()+` from source s`, q, page, func(row pgx.CollectableRow) (s Source, err error) {
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
