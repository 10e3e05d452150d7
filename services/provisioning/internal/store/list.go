package store

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
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

// conditions is a growing where clause.
type conditions struct {
	where []string
	args  filter.Arguments
}

// and adds a condition; $%d in it stands for the argument.
func (f *conditions) and(condition string, arg any) {
	f.where = append(f.where, strings.ReplaceAll(condition, "$%d", f.args.Add(arg)))
}

func (f *conditions) id(column string, id uuid.UUID) {
	if id != uuid.Nil {
		f.and(column+" = $%d", id)
	}
}

// page is a page of a table, in order. Names are joined to what it gives: joined
// to the table, they could have all of it read before it is cut.
func (f *conditions) page(table, alias string, page *filter.Query) string {
	return " from (select * from " + table + " " + alias + f.sql() + page.Where(f.args.Add) + page.Order() + page.Limit(f.args.Add) + ") " + alias
}

func (f *conditions) sql() string { return " where " + strings.Join(f.where, " and ") }

// GrantFilter chooses grants. Zero fields choose all.
type GrantFilter struct {
	Organization, User, App, Request, ID uuid.UUID
	State                                lifecycle.GrantState
}

// ListGrants reads a page of [GrantList], and gives the token of the next page.
func ListGrants(ctx context.Context, tx *postgres.Tx, want GrantFilter, page *filter.Query) ([]NamedGrant, string, error) {
	var f conditions
	f.and("g.organization_id = $%d", want.Organization)
	f.id("g.user_id", want.User)
	f.id("g.app_id", want.App)
	f.id("g.request_id", want.Request)
	f.id("g.id", want.ID)
	if want.State != "" {
		f.and("g.state = $%d", string(want.State))
	}
	from := f.page("access_grant", "g", page)
	return filter.Read(ctx, tx, page, `
		select `+grantColumns+`, g.organization_id, g.environment_id, u.id, u.display_name, u.email, p.name, e.name, `+page.Keys()+from+`
		join user_copy u on u.id = g.user_id join app_copy p on p.id = g.app_id join entitlement_copy e on e.id = g.entitlement_id`+page.Order(), f.args,
		func(row pgx.CollectableRow) (n NamedGrant, err error) {
			n.Grant, err = scanGrant(row, &n.OrganizationID, &n.EnvironmentID, &n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName, &n.EntitlementName)
			return n, err
		})
}

// AccountFilter chooses accounts. Zero fields choose all.
type AccountFilter struct {
	Organization, User, App uuid.UUID
}

// ListAccounts reads a page of [AccountList], of accounts that are or were there, and
// gives the token of the next page.
func ListAccounts(ctx context.Context, tx *postgres.Tx, want AccountFilter, page *filter.Query) ([]NamedAccount, string, error) {
	var f conditions
	f.and("a.organization_id = $%d", want.Organization)
	f.where = append(f.where, "a.create_time is not null")
	f.id("a.user_id", want.User)
	f.id("a.app_id", want.App)
	from := f.page("account", "a", page)
	return filter.Read(ctx, tx, page, `
		select a.id, a.organization_id, a.environment_id, a.app_id, a.state, a.external_id, a.user_name, a.create_time, a.update_time, a.version, a.adopted, a.left_behind,
		    u.id, u.display_name, u.email, p.name, `+page.Keys()+from+`
		join user_copy u on u.id = a.user_id join app_copy p on p.id = a.app_id`+page.Order(), f.args,
		func(row pgx.CollectableRow) (n NamedAccount, err error) {
			a := &n.Account
			var left []byte
			err = row.Scan(&a.ID, &n.OrganizationID, &n.EnvironmentID, &n.AppID, &a.Observed.Account, &a.ExternalID, &a.UserName, &a.CreateTime, &a.UpdateTime, &a.Version, &a.Observed.Adopted, &left,
				&n.User.ID, &n.User.DisplayName, &n.User.Email, &n.AppName)
			if err == nil {
				err = readPlaces(left, &a.LeftBehind)
			}
			return n, err
		})
}

// KnownAccount is an account with the person as connectors need them.
type KnownAccount struct {
	NamedAccount
	Person Person
}

// AccountsOfApp reads accounts of an app that are there or may be, by id, after the one
// given.
func AccountsOfApp(ctx context.Context, tx *postgres.Tx, app, after uuid.UUID, n int) ([]KnownAccount, error) {
	rows, err := tx.Query(ctx, `
		select a.id, a.organization_id, a.environment_id, a.app_id, a.state, a.external_id, a.user_name, a.create_time, a.update_time, a.version, a.adopted,
		    p.name, `+personColumns+`
		from account a join user_copy u on u.id = a.user_id join app_copy p on p.id = a.app_id
		where a.app_id = $1 and a.id > $2 and (a.state <> 'absent' or a.account_in_doubt) order by a.id limit $3`, app, after, n)
	if err != nil {
		return nil, wrap(err, "list accounts of app %s", app)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k KnownAccount, err error) {
		a, u := &k.Account, &k.Person
		err = row.Scan(&a.ID, &k.OrganizationID, &k.EnvironmentID, &k.AppID, &a.Observed.Account, &a.ExternalID, &a.UserName, &a.CreateTime, &a.UpdateTime, &a.Version,
			&a.Observed.Adopted, &k.AppName, &u.ID, &u.UserName, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department)
		k.User = PersonRef{ID: u.ID, DisplayName: u.DisplayName, Email: u.Email}
		return k, err
	})
	return list, wrap(err, "list accounts of app %s", app)
}

// HasApp reports whether there is an app, as far as the transaction sees.
func HasApp(ctx context.Context, tx *postgres.Tx, app uuid.UUID) (there bool, err error) {
	err = tx.QueryRow(ctx, `select exists (select from app_copy where id = $1)`, app).Scan(&there)
	return there, wrap(err, "read app %s", app)
}

// ItemFilter chooses work items. Zero fields choose all.
type ItemFilter struct {
	Organization, User, App, Checklist uuid.UUID
	IDs                                []uuid.UUID
	State                              string
	Kind                               lifecycle.ItemKind
	// Admin chooses the items of apps that this user runs.
	Admin uuid.UUID
	// Checklists chooses the items of these.
	Checklists []uuid.UUID
}

// ListItems reads a page of [ItemList], and gives the token of the next page.
func ListItems(ctx context.Context, tx *postgres.Tx, want ItemFilter, page *filter.Query) ([]NamedItem, string, error) {
	var f conditions
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
	from := f.page("work_item", "w", page)
	return filter.Read(ctx, tx, page, `
		select `+itemColumns+`, w.organization_id, w.environment_id, u.id, u.display_name, u.email, p.name,
		    array(select e.name from unnest(w.entitlement_ids) with ordinality as i (id, position) join entitlement_copy e on e.id = i.id order by i.position), `+page.Keys()+from+`
		join user_copy u on u.id = w.user_id join app_copy p on p.id = w.app_id left join checklist c on c.id = w.checklist_id`+page.Order(), f.args,
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
	// Overdue chooses those alone that are overdue.
	Overdue bool
}

func (want ChecklistFilter) conditions() conditions {
	var f conditions
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
	if want.Overdue {
		f.where = append(f.where, "c.overdue")
	}
	if want.Kind != lifecycle.NoList {
		f.and("c.kind = $%d", string(want.Kind))
	}
	return f
}

// ListChecklists reads a page of [ChecklistList], and gives the token of the next page.
func ListChecklists(ctx context.Context, tx *postgres.Tx, want ChecklistFilter, page *filter.Query) ([]NamedChecklist, string, error) {
	f := want.conditions()
	from := f.page("checklist", "c", page)
	return filter.Read(ctx, tx, page, `
		select `+checklistColumns+`, c.organization_id, u.id, u.display_name, u.email, `+page.Keys()+from+`
		join user_copy u on u.id = c.user_id`+page.Order(), f.args,
		func(row pgx.CollectableRow) (n NamedChecklist, err error) {
			n.Checklist, err = scanChecklist(row, &n.OrganizationID, &n.User.ID, &n.User.DisplayName, &n.User.Email)
			return n, err
		})
}

// CountChecklists counts those that ListChecklists lists on all its pages, and those of
// them that are overdue.
func CountChecklists(ctx context.Context, tx *postgres.Tx, want ChecklistFilter, page *filter.Query) (n, overdue int, err error) {
	f := want.conditions()
	sql := `select count(*), count(*) filter (where c.overdue) from checklist c` + f.sql() + page.Filter(f.args.Add)
	err = tx.QueryRow(ctx, sql, f.args...).Scan(&n, &overdue)
	return n, overdue, wrap(page.Error(err), "count checklists")
}

// GetGrant reads one grant. ErrGrantNotFound.
func GetGrant(ctx context.Context, tx *postgres.Tx, org, id uuid.UUID) (NamedGrant, error) {
	found, err := all(GrantList, func(page *filter.Query) ([]NamedGrant, string, error) {
		return ListGrants(ctx, tx, GrantFilter{Organization: org, ID: id}, page)
	})
	return first(found, err, ErrGrantNotFound)
}

// GetItem reads one work item, of an app that admin runs unless admin is nil.
// ErrWorkItemNotFound.
func GetItem(ctx context.Context, tx *postgres.Tx, org, id, admin uuid.UUID) (NamedItem, error) {
	found, err := AllItems(ctx, tx, ItemFilter{Organization: org, IDs: []uuid.UUID{id}, Admin: admin})
	return first(found, err, ErrWorkItemNotFound)
}

// GetChecklist reads one checklist. ErrChecklistNotFound.
func GetChecklist(ctx context.Context, tx *postgres.Tx, org, id uuid.UUID) (NamedChecklist, error) {
	found, err := all(ChecklistList, func(page *filter.Query) ([]NamedChecklist, string, error) {
		return ListChecklists(ctx, tx, ChecklistFilter{Organization: org, ID: id, Any: true}, page)
	})
	return first(found, err, ErrChecklistNotFound)
}

// AllItems reads the work items on all pages.
func AllItems(ctx context.Context, tx *postgres.Tx, want ItemFilter) ([]NamedItem, error) {
	return all(ItemList, func(page *filter.Query) ([]NamedItem, string, error) { return ListItems(ctx, tx, want, page) })
}

// all reads a list without pages.
func all[T any](of *filter.List, read func(*filter.Query) ([]T, string, error)) ([]T, error) {
	page, err := of.Page(0, "")
	if err != nil {
		return nil, wrap(err, "list")
	}
	found, _, err := read(page)
	return found, err
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
