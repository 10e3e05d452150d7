package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// PersonRef is a person's name as lists show it.
type PersonRef struct {
	ID                 uuid.UUID
	DisplayName, Email string
}

// NamedGrant is a grant with the names a reader wants.
type NamedGrant struct {
	Grant
	OrganizationID           uuid.UUID
	EnvironmentID            uuid.UUID
	User                     PersonRef
	AppName, EntitlementName string
}

// NamedAccount is an account with the names a reader wants.
type NamedAccount struct {
	Account
	OrganizationID uuid.UUID
	EnvironmentID  uuid.UUID
	User           PersonRef
	AppID          uuid.UUID
	AppName        string
	// InsertTime is what lists go by.
	InsertTime time.Time
}

// NamedItem is a work item with the names a reader wants.
type NamedItem struct {
	WorkItem
	OrganizationID   uuid.UUID
	EnvironmentID    uuid.UUID
	User             PersonRef
	AppName          string
	EntitlementNames []string
}

// NamedChecklist is a checklist with the names a reader wants.
type NamedChecklist struct {
	Checklist
	OrganizationID uuid.UUID
	User           PersonRef
}

// filter is a growing where clause.
type filter struct {
	where []string
	args  []any
}

// and adds a condition; %d in it stands for the argument's number.
func (f *filter) and(condition string, arg any) {
	f.args = append(f.args, arg)
	f.where = append(f.where, strings.ReplaceAll(condition, "%d", fmt.Sprint(len(f.args))))
}

func (f *filter) id(column string, id uuid.UUID) {
	if id != uuid.Nil {
		f.and(column+" = $%d", id)
	}
}

// page is a page of a table, in order. Names are joined to what it gives: joined
// to the table, they could have all of it read before it is cut.
func (f *filter) page(table, alias, order string, limit int) string {
	f.args = append(f.args, limit)
	return fmt.Sprintf(" from (select * from %s %s%s order by %s limit $%d) %s", table, alias, f.sql(), order, len(f.args), alias)
}

func (f *filter) sql() string { return " where " + strings.Join(f.where, " and ") }

func list[T any](ctx context.Context, tx *postgres.Tx, what, sql string, args []any, scan func(pgx.CollectableRow) (T, error)) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	out, err := pgx.CollectRows(rows, scan)
	return out, wrap(err, "list %s", what)
}

// GrantFilter chooses grants. Zero fields choose all.
type GrantFilter struct {
	Organization, User, App, Request, ID uuid.UUID
	State                                lifecycle.GrantState
	// Before is the id of the last one seen.
	Before uuid.UUID
	Limit  int
}

// ListGrants lists grants, newest first.
func ListGrants(ctx context.Context, tx *postgres.Tx, want GrantFilter) ([]NamedGrant, error) {
	var f filter
	f.and("g.organization_id = $%d", want.Organization)
	f.id("g.user_id", want.User)
	f.id("g.app_id", want.App)
	f.id("g.request_id", want.Request)
	f.id("g.id", want.ID)
	if want.State != "" {
		f.and("g.state = $%d", string(want.State))
	}
	if want.Before != uuid.Nil {
		f.and("g.id < $%d", want.Before)
	}
	page := f.page("access_grant", "g", "g.id desc", want.Limit)
	return list(ctx, tx, "grants", `
		select `+grantColumns+`, g.organization_id, g.environment_id, u.id, u.display_name, u.email, p.name, e.name`+page+`
		join user_copy u on u.id = g.user_id join app_copy p on p.id = g.app_id join entitlement_copy e on e.id = g.entitlement_id
		order by g.id desc`, f.args,
		func(row pgx.CollectableRow) (n NamedGrant, err error) {
			n.Grant, err = scanGrant(row, &n.OrganizationID, &n.EnvironmentID, &n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName, &n.EntitlementName)
			return n, err
		})
}

// AccountFilter chooses accounts. Zero fields choose all.
type AccountFilter struct {
	Organization, User, App uuid.UUID
	// BeforeTime and Before are of the last one seen.
	BeforeTime time.Time
	Before     uuid.UUID
	Limit      int
}

// ListAccounts lists accounts that are or were there, newest first.
func ListAccounts(ctx context.Context, tx *postgres.Tx, want AccountFilter) ([]NamedAccount, error) {
	var f filter
	f.and("a.organization_id = $%d", want.Organization)
	f.where = append(f.where, "a.create_time is not null")
	f.id("a.user_id", want.User)
	f.id("a.app_id", want.App)
	if want.Before != uuid.Nil {
		f.args = append(f.args, want.BeforeTime, want.Before)
		f.where = append(f.where, fmt.Sprintf("(a.insert_time, a.id) < ($%d, $%d)", len(f.args)-1, len(f.args)))
	}
	page := f.page("account", "a", "a.insert_time desc, a.id desc", want.Limit)
	return list(ctx, tx, "accounts", `
		select a.id, a.organization_id, a.environment_id, a.app_id, a.state, a.external_id, a.user_name, a.create_time, a.update_time, a.version, a.insert_time,
		    u.id, u.display_name, u.email, p.name`+page+`
		join user_copy u on u.id = a.user_id join app_copy p on p.id = a.app_id
		order by a.insert_time desc, a.id desc`, f.args,
		func(row pgx.CollectableRow) (n NamedAccount, err error) {
			a := &n.Account
			err = row.Scan(&a.ID, &n.OrganizationID, &n.EnvironmentID, &n.AppID, &a.Observed.Account, &a.ExternalID, &a.UserName, &a.CreateTime, &a.UpdateTime, &a.Version, &n.InsertTime,
				&n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName)
			return n, err
		})
}

// ItemFilter chooses work items. Zero fields choose all.
type ItemFilter struct {
	Organization, User, App, Checklist uuid.UUID
	IDs                                []uuid.UUID
	State                              string
	Kind                               lifecycle.ItemKind
	// Admin chooses the items of apps that this user runs.
	Admin uuid.UUID
	// After is the id of the last one seen.
	After uuid.UUID
	// Checklists chooses the items of these.
	Checklists []uuid.UUID
	Limit      int
}

// ListItems lists work items, oldest first.
func ListItems(ctx context.Context, tx *postgres.Tx, want ItemFilter) ([]NamedItem, error) {
	var f filter
	f.and("w.organization_id = $%d", want.Organization)
	f.id("w.user_id", want.User)
	f.id("w.app_id", want.App)
	f.id("w.checklist_id", want.Checklist)
	if want.IDs != nil {
		f.and("w.id = any($%d)", want.IDs)
	}
	if want.Checklists != nil {
		f.and("w.checklist_id = any($%d)", want.Checklists)
	}
	switch want.State {
	case "":
	case "open": // named for the sake of its index
		f.where = append(f.where, "w.state = 'open'")
	default:
		f.and("w.state = $%d", want.State)
	}
	if want.Kind != "" {
		f.and("w.kind = $%d", string(want.Kind))
	}
	if want.Admin != uuid.Nil {
		f.and("exists (select from app_copy p where p.id = w.app_id and p.admin_ids @> array[$%d::uuid])", want.Admin)
	}
	if want.After != uuid.Nil {
		f.and("w.id > $%d", want.After)
	}
	page := f.page("work_item", "w", "w.id", want.Limit)
	return list(ctx, tx, "work items", `
		select `+itemColumns+`, w.organization_id, w.environment_id, u.id, u.display_name, u.email, p.name,
		    array(select e.name from unnest(w.entitlement_ids) with ordinality as i (id, position) join entitlement_copy e on e.id = i.id order by i.position)`+page+`
		join user_copy u on u.id = w.user_id join app_copy p on p.id = w.app_id left join checklist c on c.id = w.checklist_id
		order by w.id`, f.args,
		func(row pgx.CollectableRow) (n NamedItem, err error) {
			n.WorkItem, err = scanItem(row, &n.OrganizationID, &n.EnvironmentID, &n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName, &n.EntitlementNames)
			return n, err
		})
}

// ChecklistFilter chooses checklists. Zero fields choose all that are open.
type ChecklistFilter struct {
	Organization, User, ID uuid.UUID
	Kind                   lifecycle.List
	Closed                 bool
	// Any chooses open ones and closed ones.
	Any bool
	// AfterTime and After are of the last one seen.
	AfterTime time.Time
	After     uuid.UUID
	Limit     int
}

func (want ChecklistFilter) filter() filter {
	var f filter
	f.and("c.organization_id = $%d", want.Organization)
	f.id("c.user_id", want.User)
	f.id("c.id", want.ID)
	switch {
	case want.Any:
	case want.Closed:
		f.where = append(f.where, "c.close_time is not null")
	default:
		f.where = append(f.where, "c.close_time is null")
	}
	if want.Kind != lifecycle.NoList {
		f.and("c.kind = $%d", string(want.Kind))
	}
	return f
}

// ListChecklists lists checklists, oldest first.
func ListChecklists(ctx context.Context, tx *postgres.Tx, want ChecklistFilter) ([]NamedChecklist, error) {
	f := want.filter()
	if want.After != uuid.Nil {
		f.args = append(f.args, want.AfterTime, want.After)
		f.where = append(f.where, fmt.Sprintf("(c.create_time, c.id) > ($%d, $%d)", len(f.args)-1, len(f.args)))
	}
	page := f.page("checklist", "c", "c.create_time, c.id", want.Limit)
	return list(ctx, tx, "checklists", `
		select `+checklistColumns+`, c.organization_id, u.id, u.display_name, u.email`+page+`
		join user_copy u on u.id = c.user_id order by c.create_time, c.id`, f.args,
		func(row pgx.CollectableRow) (n NamedChecklist, err error) {
			n.Checklist, err = scanChecklist(row, &n.OrganizationID, &n.User.ID, &n.User.DisplayName, &n.User.Email)
			return n, err
		})
}

// CountChecklists counts those that ListChecklists lists on all its pages.
func CountChecklists(ctx context.Context, tx *postgres.Tx, want ChecklistFilter) (n int, err error) {
	f := want.filter()
	err = tx.QueryRow(ctx, `select count(*) from checklist c`+f.sql(), f.args...).Scan(&n)
	return n, wrap(err, "count checklists")
}

// GetGrant reads one grant. ErrGrantNotFound.
func GetGrant(ctx context.Context, tx *postgres.Tx, org, id uuid.UUID) (NamedGrant, error) {
	found, err := ListGrants(ctx, tx, GrantFilter{Organization: org, ID: id, Limit: 1})
	return first(found, err, ErrGrantNotFound)
}

// GetItem reads one work item, of an app that admin runs unless admin is nil.
// ErrWorkItemNotFound.
func GetItem(ctx context.Context, tx *postgres.Tx, org, id, admin uuid.UUID) (NamedItem, error) {
	found, err := ListItems(ctx, tx, ItemFilter{Organization: org, IDs: []uuid.UUID{id}, Admin: admin, Limit: 1})
	return first(found, err, ErrWorkItemNotFound)
}

// GetChecklist reads one checklist. ErrChecklistNotFound.
func GetChecklist(ctx context.Context, tx *postgres.Tx, org, id uuid.UUID) (NamedChecklist, error) {
	found, err := ListChecklists(ctx, tx, ChecklistFilter{Organization: org, ID: id, Any: true, Limit: 1})
	return first(found, err, ErrChecklistNotFound)
}

func first[T any](found []T, err, none error) (zero T, _ error) {
	switch {
	case err != nil:
		return zero, err
	case len(found) == 0:
		return zero, none
	}
	return found[0], nil
}
