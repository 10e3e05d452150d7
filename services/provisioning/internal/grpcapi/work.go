package grpcapi

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/sheet"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
	"gatehouse.dev/services/provisioning/internal/wire"
)

// exported is how many rows are read at once for an export.
const exported = 1000

// ListWorkItems lists work items.
func (a *API) ListWorkItems(ctx context.Context, r *provisioningv1.ListWorkItemsRequest) (*provisioningv1.ListWorkItemsResponse, error) {
	size := page.Size(r.GetPageSize())
	want := store.ItemFilter{State: wire.ParseItemState(r.GetState()), Kind: wire.ParseItemKind(r.GetKind()), Limit: size + 1}
	if want.State == "" {
		want.State = "open"
	}
	var err error
	if want.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	if want.App, err = optional("app_id", r.GetAppId()); err != nil {
		return nil, err
	}
	if want.After, err = after(r.GetPageToken()); err != nil {
		return nil, err
	}
	var list []store.NamedItem
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		want.Organization, want.Admin = caller.OrganizationID, person(caller).Admin
		list, err = store.ListItems(ctx, tx, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, next := cut(list, size, func(i *store.NamedItem) []string { return []string{i.ID.String()} })
	return &provisioningv1.ListWorkItemsResponse{WorkItems: convert(list, wire.WorkItem), NextPageToken: next}, nil
}

// GetWorkItem shows one work item.
func (a *API) GetWorkItem(ctx context.Context, r *provisioningv1.GetWorkItemRequest) (*provisioningv1.GetWorkItemResponse, error) {
	item, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	var found store.NamedItem
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		found, err = store.GetItem(ctx, tx, caller.OrganizationID, item, person(caller).Admin)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetWorkItemResponse{WorkItem: wire.WorkItem(&found)}, nil
}

// RetryWorkItem has a failed operation tried again.
func (a *API) RetryWorkItem(ctx context.Context, r *provisioningv1.RetryWorkItemRequest) (*provisioningv1.RetryWorkItemResponse, error) {
	item, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	found, err := a.engine.Retry(ctx, person(authz.Must(ctx)), item)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.RetryWorkItemResponse{WorkItem: wire.WorkItem(&found)}, nil
}

// ResolveWorkItems resolves work items.
func (a *API) ResolveWorkItems(ctx context.Context, r *provisioningv1.ResolveWorkItemsRequest) (*provisioningv1.ResolveWorkItemsResponse, error) {
	ids := make([]uuid.UUID, len(r.GetWorkItemIds()))
	for i, s := range r.GetWorkItemIds() {
		var err error
		if ids[i], err = id.Parse(fmt.Sprintf("work_item_ids[%d]", i), s); err != nil {
			return nil, err
		}
	}
	resolved, err := a.engine.Resolve(ctx, person(authz.Must(ctx)), ids, r.GetNote())
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ResolveWorkItemsResponse{WorkItems: convert(resolved, wire.WorkItem)}, nil
}

// ListChecklists lists checklists.
func (a *API) ListChecklists(ctx context.Context, r *provisioningv1.ListChecklistsRequest) (*provisioningv1.ListChecklistsResponse, error) {
	size := page.Size(r.GetPageSize())
	want := store.ChecklistFilter{Kind: wire.ParseChecklistKind(r.GetKind()), Closed: r.GetClosed(), Limit: size + 1}
	var err error
	if want.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	if want.AfterTime, want.After, err = afterTime(r.GetPageToken()); err != nil {
		return nil, err
	}
	var list []store.NamedChecklist
	var total int
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		want.Organization = caller.OrganizationID
		if list, err = store.ListChecklists(ctx, tx, want); err != nil {
			return err
		}
		total, err = store.CountChecklists(ctx, tx, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, next := cut(list, size, func(c *store.NamedChecklist) []string { return timeKey(c.CreateTime, c.ID) })
	return &provisioningv1.ListChecklistsResponse{
		Checklists: convert(list, wire.Checklist), NextPageToken: next, TotalSize: int32(total),
	}, nil
}

// GetChecklist shows one checklist.
func (a *API) GetChecklist(ctx context.Context, r *provisioningv1.GetChecklistRequest) (*provisioningv1.GetChecklistResponse, error) {
	list, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	var found store.NamedChecklist
	var items []store.NamedItem
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		if found, err = store.GetChecklist(ctx, tx, caller.OrganizationID, list); err != nil {
			return err
		}
		items, err = store.ListItems(ctx, tx, store.ItemFilter{Organization: caller.OrganizationID, Checklist: list, Limit: page.MaxSize * 10})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetChecklistResponse{Checklist: wire.Checklist(&found), WorkItems: convert(items, wire.WorkItem)}, nil
}

// ExportChecklists writes the items of checklists as a table.
func (a *API) ExportChecklists(ctx context.Context, r *provisioningv1.ExportChecklistsRequest) (*httpbody.HttpBody, error) {
	format := sheet.CSV
	if r.GetFormat() == "xlsx" {
		format = sheet.XLSX
	}
	want := store.ChecklistFilter{Kind: wire.ParseChecklistKind(r.GetKind()), Closed: r.GetClosed(), Limit: exported}
	var err error
	if want.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) error {
		want.Organization = caller.OrganizationID
		body.Reset()
		return sheet.Write(&body, format, sheet.Table{
			Title:   "Checklists",
			Columns: []string{"Checklist", "Person", "E-mail", "App", "To do", "Entitlements", "State", "Opened", "Resolved", "Resolved by", "Note"},
			Rows: func(yield func([]string, error) bool) {
				err := exportRows(ctx, tx, want, func(row []string) bool { return yield(row, nil) })
				if err != nil {
					yield(nil, err)
				}
			},
		})
	})
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: format.ContentType(), Data: body.Bytes()}, nil
}

// exportRows gives one row for each item of the checklists, until told to stop.
func exportRows(ctx context.Context, tx *postgres.Tx, want store.ChecklistFilter, yield func([]string) bool) error {
	for {
		lists, err := store.ListChecklists(ctx, tx, want)
		if err != nil || len(lists) == 0 {
			return err
		}
		ids := make([]uuid.UUID, len(lists))
		for i, l := range lists {
			ids[i] = l.ID
		}
		items := make(map[uuid.UUID][]store.NamedItem)
		for after := uuid.Nil; ; {
			some, err := store.ListItems(ctx, tx, store.ItemFilter{Organization: want.Organization, Checklists: ids, After: after, Limit: exported})
			if err != nil {
				return err
			}
			for _, i := range some {
				items[i.ChecklistID.UUID] = append(items[i.ChecklistID.UUID], i)
				after = i.ID
			}
			if len(some) < exported {
				break
			}
		}
		for _, l := range lists {
			for _, i := range items[l.ID] {
				if !yield(exportRow(l, i)) {
					return nil
				}
			}
		}
		last := lists[len(lists)-1]
		want.AfterTime, want.After = last.CreateTime, last.ID
	}
}

func exportRow(l store.NamedChecklist, i store.NamedItem) []string {
	resolved := ""
	if i.ResolveTime != nil {
		resolved = i.ResolveTime.UTC().Format(time.RFC3339)
	}
	return []string{
		listWords[l.Kind], l.User.DisplayName, l.User.Email, i.AppName, kindWords[i.Kind], strings.Join(i.EntitlementNames, ", "),
		i.State, i.CreateTime.UTC().Format(time.RFC3339), resolved, i.ResolverName, i.Note,
	}
}

var (
	listWords = map[lifecycle.List]string{lifecycle.Onboarding: "onboarding", lifecycle.Offboarding: "offboarding"}
	kindWords = map[lifecycle.ItemKind]string{
		lifecycle.CreateByHand:   "create account",
		lifecycle.AssignByHand:   "assign",
		lifecycle.UnassignByHand: "unassign",
		lifecycle.RemoveByHand:   "remove account",
		lifecycle.Mend:           "mend failed operation",
		lifecycle.ChangeSecret:   "change shared secret",
	}
)
