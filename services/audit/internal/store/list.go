package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
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

// List reads a page of [EntryList]: of an organization's entries, those that f selects,
// no more than make maxBytes of data, but at least one. It gives the token of the next
// page.
func List(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, f Filter, page *filter.Query, maxBytes int) (list []Row, next string, err error) {
	sql, args := listQuery(organization, f, page)
	page.Bound(tx)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", page.Error(fmt.Errorf("list entries: %w", err))
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		r, token, err := filter.Scan(rows, page, scan)
		if err != nil {
			return nil, "", page.Error(fmt.Errorf("list entries: %w", err))
		}
		if size += len(r.Data); len(list) == page.Size() || len(list) > 0 && size > maxBytes {
			return list, next, nil
		}
		list, next = append(list, r), token
	}
	if err := rows.Err(); err != nil {
		return nil, "", page.Error(fmt.Errorf("list entries: %w", err))
	}
	return list, "", nil
}

func listQuery(organization uuid.UUID, f Filter, page *filter.Query) (string, []any) {
	where := []string{"e.organization_id = $1"}
	args := filter.Arguments{organization}
	add := func(condition string, value any) {
		where = append(where, strings.Replace(condition, "?", args.Add(value), 1))
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
	sql := "select " + columns + ", " + page.Keys() + " from audit_entry e where " + strings.Join(where, " and ") + page.Where(args.Add)
	return sql + page.Order() + page.Limit(args.Add), args
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
