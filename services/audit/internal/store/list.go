package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/audit/internal/entry"
)

// Row is an entry as it stands in the log.
type Row struct {
	entry.Entry
	Position   int64
	RecordTime time.Time
}

// Filter selects entries. Zero fields select all.
type Filter struct {
	ActorID string
	UserID  uuid.UUID
	AppID   uuid.UUID
	// RequestID is one of the requests that the entry belongs to.
	RequestID uuid.UUID
	// Aggregate and Name are of the event; Name only with Aggregate.
	Aggregate, Name string
	// Since is the first time, Before the first one after the last.
	Since, Before time.Time
}

// Place is where a page ended.
type Place struct {
	Time     time.Time
	Position int64
}

const columns = `e.position, e.event_id, e.organization_id, e.environment_id, e.type, e.aggregate, e.name, e.event_time, e.record_time,
	e.actor_id, e.user_id, e.app_id, e.request_ids, e.data`

const (
	trail = `
select ` + columns + ` from audit_entry_request r join audit_entry e on e.position = r.position
where r.request_id = $2 and r.organization_id = $1 and e.organization_id = $1
order by e.event_time, e.event_id`
	isParty = `
select exists (select from request_party p where p.request_id = $2 and p.user_id = $3 and p.organization_id = $1)`
)

// List gives an organization's entries that pass the filter, newest first,
// behind the place after if that is not nil: at most limit, and no more than
// make maxBytes of data, but at least one. more says that there are others.
func List(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, f Filter, after *Place, limit, maxBytes int) (list []Row, more bool, err error) {
	sql, args := listQuery(organization, f, after, limit)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, false, fmt.Errorf("list entries: %w", err)
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, false, fmt.Errorf("list entries: %w", err)
		}
		if size += len(r.Data); len(list) == limit || len(list) > 0 && size > maxBytes {
			return list, true, nil
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list entries: %w", err)
	}
	return list, false, nil
}

// listQuery asks for one row more than limit.
func listQuery(organization uuid.UUID, f Filter, after *Place, limit int) (string, []any) {
	where := []string{"e.organization_id = $1"}
	args := []any{organization}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	if f.ActorID != "" {
		add("e.actor_id = ?", f.ActorID)
	}
	if f.UserID != uuid.Nil {
		add("e.user_id = ?", f.UserID)
	}
	if f.AppID != uuid.Nil {
		add("e.app_id = ?", f.AppID)
	}
	if f.RequestID != uuid.Nil {
		add("e.position in (select r.position from audit_entry_request r where r.request_id = ? and r.organization_id = $1)", f.RequestID)
	}
	if f.Aggregate != "" {
		add("e.aggregate = ?", f.Aggregate)
	}
	if f.Name != "" {
		add("e.name = ?", f.Name)
	}
	if !f.Since.IsZero() {
		add("e.event_time >= ?", f.Since)
	}
	if !f.Before.IsZero() {
		add("e.event_time < ?", f.Before)
	}
	if after != nil {
		add("(e.event_time, e.position) < (?, ?)", after.Time, after.Position)
	}
	args = append(args, limit+1)
	return fmt.Sprintf("select %s from audit_entry e where %s order by e.event_time desc, e.position desc limit $%d",
		columns, strings.Join(where, " and "), len(args)), args
}

// Trail gives all entries of a request, oldest first: by when they happened,
// those of one moment by their event's id. Ids grow in the order in which their
// service emitted them, whatever order they came here in.
func Trail(ctx context.Context, tx *postgres.Tx, organization, request uuid.UUID) ([]Row, error) {
	rows, err := tx.Query(ctx, trail, organization, request)
	if err != nil {
		return nil, fmt.Errorf("read the trail of %s: %w", request, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) { return scan(row) })
	if err != nil {
		return nil, fmt.Errorf("read the trail of %s: %w", request, err)
	}
	return list, nil
}

// IsParty says whether the user is requester or beneficiary of the request.
func IsParty(ctx context.Context, tx *postgres.Tx, organization, request, user uuid.UUID) (is bool, err error) {
	err = tx.QueryRow(ctx, isParty, organization, request, user).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("look whose request %s is: %w", request, err)
	}
	return is, nil
}

func scan(row pgx.CollectableRow) (r Row, err error) {
	var user, app *uuid.UUID
	err = row.Scan(&r.Position, &r.EventID, &r.OrganizationID, &r.EnvironmentID, &r.Type, &r.Aggregate, &r.Name, &r.Time, &r.RecordTime,
		&r.ActorID, &user, &app, &r.RequestIDs, &r.Data)
	if user != nil {
		r.UserID = *user
	}
	if app != nil {
		r.AppID = *app
	}
	return r, err
}
