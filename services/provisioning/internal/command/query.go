package command

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// What lists are filtered by and what they give.
type (
	// GrantFilter chooses grants.
	GrantFilter = store.GrantFilter
	// Grant is a grant with names.
	Grant = store.NamedGrant
	// AccountFilter chooses accounts.
	AccountFilter = store.AccountFilter
	// Account is an account with names.
	Account = store.NamedAccount
	// WorkItemFilter chooses work items.
	WorkItemFilter = store.ItemFilter
	// WorkItem is a work item with names.
	WorkItem = store.NamedItem
	// ChecklistFilter chooses checklists.
	ChecklistFilter = store.ChecklistFilter
	// Checklist is a checklist with names.
	Checklist = store.NamedChecklist
	// ChecklistSettings are how long people have for checklists.
	ChecklistSettings = store.ChecklistSettings
	// Integration is an integration.
	Integration = store.Integration
	// GrantState is the state of a grant.
	GrantState = lifecycle.GrantState
	// WorkItemKind is what a work item asks for.
	WorkItemKind = lifecycle.ItemKind
	// ChecklistKind is the kind of a checklist.
	ChecklistKind = lifecycle.List
)

// exportPage is how many rows are read at once for an export.
const exportPage = 1000

// read runs f in a transaction of the caller's scope that only reads.
func (e *Engine) read(ctx context.Context, caller authz.Caller, f func(ctx context.Context, tx *postgres.Tx) error) error {
	return public(e.db.InRead(ctx, caller.Scope(), f))
}

// seen is whose rows a list has for the caller: of the app or the user that is asked for,
// if the caller runs the app or is above the user, else their own.
func seen(ctx context.Context, tx *postgres.Tx, caller authz.Caller, app, user uuid.UUID) (uuid.UUID, error) {
	if caller.SeesAll() || user == caller.UserID {
		return user, nil
	}
	runs, manages, err := store.Reach(ctx, tx, caller.UserID, app, user)
	switch {
	case err != nil:
		return uuid.Nil, err
	case runs, manages:
		return user, nil
	case user != uuid.Nil:
		return uuid.Nil, errNotYours
	}
	return caller.UserID, nil
}

// runBy is the user whose apps' work items the caller sees; the nil id for all
// apps.
func runBy(caller authz.Caller) uuid.UUID {
	if caller.SeesAll() {
		return uuid.Nil
	}
	return caller.UserID
}

// ListGrants lists grants, the caller's own or all in their scope, and gives the token
// of the next page. PERMISSION_DENIED: NOT_YOURS.
func (e *Engine) ListGrants(ctx context.Context, caller authz.Caller, f GrantFilter, asked filter.Request) (list []Grant, next string, err error) {
	f.Organization = caller.OrganizationID
	page, err := store.GrantList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if f.User, err = seen(ctx, tx, caller, f.App, f.User); err != nil {
			return err
		}
		list, next, err = store.ListGrants(ctx, tx, f, page)
		return err
	})
	return list, next, err
}

// GetGrant returns a grant that ListGrants lists. NOT_FOUND: GRANT_NOT_FOUND.
func (e *Engine) GetGrant(ctx context.Context, caller authz.Caller, id uuid.UUID) (g Grant, err error) {
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		g, err = store.GetGrant(ctx, tx, caller.OrganizationID, id)
		if err != nil {
			return err
		}
		if _, err := seen(ctx, tx, caller, g.AppID, g.User.ID); errors.Is(err, errNotYours) {
			return store.ErrGrantNotFound
		} else if err != nil {
			return err
		}
		return nil
	})
	return g, err
}

// ListAccounts lists accounts, the caller's own or all in their scope, and gives the
// token of the next page. PERMISSION_DENIED: NOT_YOURS.
func (e *Engine) ListAccounts(ctx context.Context, caller authz.Caller, f AccountFilter, asked filter.Request) (list []Account, next string, err error) {
	f.Organization = caller.OrganizationID
	page, err := store.AccountList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if f.User, err = seen(ctx, tx, caller, f.App, f.User); err != nil {
			return err
		}
		list, next, err = store.ListAccounts(ctx, tx, f, page)
		return err
	})
	return list, next, err
}

// ListWorkItems lists work items, those of apps that the caller runs or all in their
// scope, and gives the token of the next page.
func (e *Engine) ListWorkItems(ctx context.Context, caller authz.Caller, f WorkItemFilter, asked filter.Request) (list []WorkItem, next string, err error) {
	f.Organization, f.Admin = caller.OrganizationID, runBy(caller)
	page, err := store.ItemList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		list, next, err = store.ListItems(ctx, tx, f, page)
		return err
	})
	return list, next, err
}

// GetWorkItem returns a work item that ListWorkItems lists. NOT_FOUND:
// WORK_ITEM_NOT_FOUND.
func (e *Engine) GetWorkItem(ctx context.Context, caller authz.Caller, id uuid.UUID) (i WorkItem, err error) {
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		i, err = store.GetItem(ctx, tx, caller.OrganizationID, id, runBy(caller))
		return err
	})
	return i, err
}

// ListChecklists lists checklists of the caller's scope, gives the token of the next
// page, and counts those on all pages, and those of them that are overdue.
func (e *Engine) ListChecklists(ctx context.Context, caller authz.Caller, f ChecklistFilter, asked filter.Request) (list []Checklist, next string, total, overdue int, err error) {
	f.Organization = caller.OrganizationID
	page, err := store.ChecklistList.Parse(asked)
	if err != nil {
		return nil, "", 0, 0, err
	}
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if list, next, err = store.ListChecklists(ctx, tx, f, page); err != nil {
			return err
		}
		total, overdue, err = store.CountChecklists(ctx, tx, f, page)
		return err
	})
	return list, next, total, overdue, err
}

// GetChecklist returns a checklist of the caller's scope with at most limit of
// its items. NOT_FOUND: CHECKLIST_NOT_FOUND.
func (e *Engine) GetChecklist(ctx context.Context, caller authz.Caller, id uuid.UUID, limit int) (c Checklist, items []WorkItem, err error) {
	page, err := store.ItemList.Page(limit, "")
	if err != nil {
		return c, nil, err
	}
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if c, err = store.GetChecklist(ctx, tx, caller.OrganizationID, id); err != nil {
			return err
		}
		items, _, err = store.ListItems(ctx, tx, WorkItemFilter{Organization: caller.OrganizationID, Checklist: id}, page)
		return err
	})
	return c, items, err
}

// ExportChecklists gives export what reads every item of the checklists that
// ListChecklists lists, row by row, until row returns false. export is called
// again if the transaction has to be.
func (e *Engine) ExportChecklists(ctx context.Context, caller authz.Caller, f ChecklistFilter, export func(rows func(row func(Checklist, WorkItem) bool) error) error) error {
	f.Organization = caller.OrganizationID
	return e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) error {
		return export(func(row func(Checklist, WorkItem) bool) error { return exportRows(ctx, tx, f, row) })
	})
}

// Export is the items of checklists, given to somebody as a file.
type Export struct {
	Filter ChecklistFilter
	Format string
	Items  int
}

// Exported emits that the caller is given an export. Without it nothing is to be given.
func (e *Engine) Exported(ctx context.Context, caller authz.Caller, x Export) error {
	export := id.New()
	about := &eventv1.Context{Actor: event.CallerActor(caller), EnvironmentId: convert.Environment(caller.EnvironmentID), UserId: textOf(x.Filter.User)}
	return public(e.db.In(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		return e.events.Add(ctx, tx, outbox.Event{
			OrganizationID: caller.OrganizationID, AggregateID: export, Time: e.clock.Now(),
			Message: &eventv1.ChecklistExported{
				Context: about, ExportId: export.String(), Kind: enum.Value[provisioningv1.ChecklistKind](string(x.Filter.Kind)), Closed: x.Filter.Closed, Overdue: x.Filter.Overdue,
				Format: x.Format, ItemCount: int32(x.Items), //nolint:gosec // far below
				CredentialId: textOf(caller.CredentialID), Address: authz.AddressText(authz.ClientAddress(ctx)),
			},
		})
	}))
}

// textOf is an id as events have it; the nil id is empty.
func textOf(u uuid.UUID) string {
	if u == uuid.Nil {
		return ""
	}
	return u.String()
}

func exportRows(ctx context.Context, tx *postgres.Tx, f ChecklistFilter, row func(Checklist, WorkItem) bool) error {
	for after := ""; ; {
		page, err := store.ChecklistList.Page(exportPage, after)
		if err != nil {
			return err
		}
		lists, next, err := store.ListChecklists(ctx, tx, f, page)
		if err != nil {
			return err
		}
		items, err := itemsOf(ctx, tx, f.Organization, lists)
		if err != nil {
			return err
		}
		for _, l := range lists {
			for _, i := range items[l.ID] {
				if !row(l, i) {
					return nil
				}
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// itemsOf are all items of checklists.
func itemsOf(ctx context.Context, tx *postgres.Tx, org uuid.UUID, lists []Checklist) (map[uuid.UUID][]WorkItem, error) {
	f := WorkItemFilter{Organization: org, Checklists: postgres.Column(lists, func(l Checklist) uuid.UUID { return l.ID })}
	items := make(map[uuid.UUID][]WorkItem)
	for after := ""; ; {
		page, err := store.ItemList.Page(exportPage, after)
		if err != nil {
			return nil, err
		}
		some, next, err := store.ListItems(ctx, tx, f, page)
		if err != nil {
			return nil, err
		}
		for _, i := range some {
			items[i.ChecklistID.UUID] = append(items[i.ChecklistID.UUID], i)
		}
		if after = next; next == "" {
			return items, nil
		}
	}
}
