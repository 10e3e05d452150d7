package grpcapi

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/sheet"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// ListWorkItems lists work items, those that are open unless another state is
// named.
func (a *API) ListWorkItems(ctx context.Context, r *provisioningv1.ListWorkItemsRequest) (*provisioningv1.ListWorkItemsResponse, error) {
	f := command.WorkItemFilter{State: convert.Word(r.GetState()), Kind: command.WorkItemKind(convert.Word(r.GetKind()))}
	if f.State == "" {
		f.State = "open"
	}
	err := parse(map[string]string{"user_id": r.GetUserId(), "app_id": r.GetAppId()}, map[string]*uuid.UUID{"user_id": &f.User, "app_id": &f.App})
	if err != nil {
		return nil, err
	}
	list, next, err := a.engine.ListWorkItems(ctx, authz.Must(ctx), f, r)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ListWorkItemsResponse{WorkItems: messages(list, convert.WorkItem), NextPageToken: next}, nil
}

// GetWorkItem shows one work item.
func (a *API) GetWorkItem(ctx context.Context, r *provisioningv1.GetWorkItemRequest) (*provisioningv1.GetWorkItemResponse, error) {
	item, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	found, err := a.engine.GetWorkItem(ctx, authz.Must(ctx), item)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetWorkItemResponse{WorkItem: convert.WorkItem(&found)}, nil
}

// RetryWorkItem has a failed operation tried again.
func (a *API) RetryWorkItem(ctx context.Context, r *provisioningv1.RetryWorkItemRequest) (*provisioningv1.RetryWorkItemResponse, error) {
	item, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	found, err := a.engine.RetryWorkItem(ctx, authz.Must(ctx), item)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.RetryWorkItemResponse{WorkItem: convert.WorkItem(&found)}, nil
}

// ResolveWorkItems resolves work items.
func (a *API) ResolveWorkItems(ctx context.Context, r *provisioningv1.ResolveWorkItemsRequest) (*provisioningv1.ResolveWorkItemsResponse, error) {
	ids, err := itemIDs(r.GetWorkItemIds())
	if err != nil {
		return nil, err
	}
	resolved, err := a.engine.ResolveWorkItems(ctx, authz.Must(ctx), ids, r.GetNote())
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ResolveWorkItemsResponse{WorkItems: messages(resolved, convert.WorkItem)}, nil
}

// ReopenWorkItems reopens work items that were resolved by mistake.
func (a *API) ReopenWorkItems(ctx context.Context, r *provisioningv1.ReopenWorkItemsRequest) (*provisioningv1.ReopenWorkItemsResponse, error) {
	ids, err := itemIDs(r.GetWorkItemIds())
	if err != nil {
		return nil, err
	}
	reason := strings.TrimSpace(r.GetReason())
	if reason == "" {
		return nil, apierr.InvalidField("reason", "BLANK", "reason must not be blank")
	}
	opened, err := a.engine.ReopenWorkItems(ctx, authz.Must(ctx), ids, reason)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ReopenWorkItemsResponse{WorkItems: messages(opened, convert.WorkItem)}, nil
}

// itemIDs reads the ids of work items.
func itemIDs(texts []string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, len(texts))
	for i, s := range texts {
		var err error
		field := fmt.Sprintf("work_item_ids[%d]", i)
		if ids[i], err = id.Parse(field, s); err != nil {
			return nil, err
		}
		if slices.Contains(ids[:i], ids[i]) { // spelt in another way
			return nil, apierr.InvalidField(field, "WORK_ITEM_TWICE", "this work item is named twice")
		}
	}
	return ids, nil
}

// ListChecklists lists checklists.
func (a *API) ListChecklists(ctx context.Context, r *provisioningv1.ListChecklistsRequest) (*provisioningv1.ListChecklistsResponse, error) {
	f := command.ChecklistFilter{Kind: command.ChecklistKind(convert.Word(r.GetKind())), Closed: r.GetClosed(), Overdue: r.GetOverdue()}
	var err error
	if f.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	list, next, total, overdue, err := a.engine.ListChecklists(ctx, authz.Must(ctx), f, r)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ListChecklistsResponse{
		Checklists: messages(list, convert.Checklist), NextPageToken: next,
		TotalSize: int32(total), OverdueSize: int32(overdue), //nolint:gosec // no database holds that many
	}, nil
}

// GetChecklist shows one checklist.
func (a *API) GetChecklist(ctx context.Context, r *provisioningv1.GetChecklistRequest) (*provisioningv1.GetChecklistResponse, error) {
	list, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	found, items, err := a.engine.GetChecklist(ctx, authz.Must(ctx), list, page.MaxSize*10)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetChecklistResponse{Checklist: convert.Checklist(&found), WorkItems: messages(items, convert.WorkItem)}, nil
}

// ExportChecklists writes the items of checklists as a table.
func (a *API) ExportChecklists(ctx context.Context, r *provisioningv1.ExportChecklistsRequest) (*httpbody.HttpBody, error) {
	format, name := sheet.CSV, "csv"
	if r.GetFormat() == "xlsx" {
		format, name = sheet.XLSX, "xlsx"
	}
	f := command.ChecklistFilter{Kind: command.ChecklistKind(convert.Word(r.GetKind())), Closed: r.GetClosed(), Overdue: r.GetOverdue()}
	var err error
	if f.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	items := 0
	err = a.engine.ExportChecklists(ctx, authz.Must(ctx), f, func(rows func(func(command.Checklist, command.WorkItem) bool) error) error {
		body.Reset()
		items = 0
		return sheet.Write(&body, format, sheet.Table{
			Title:   "Checklists",
			Columns: []string{"Checklist", "Person", "E-mail", "App", "To do", "Entitlements", "State", "Opened", "Resolved", "Resolved by", "Note", "Due", "Overdue"},
			Rows: func(yield func([]string, error) bool) {
				err := rows(func(l command.Checklist, i command.WorkItem) bool {
					items++
					return yield(exportRow(l, i), nil)
				})
				if err != nil {
					yield(nil, err)
				}
			},
		})
	})
	if err != nil {
		return nil, err
	}
	if err := a.engine.Exported(ctx, authz.Must(ctx), command.Export{Filter: f, Format: name, Items: items}); err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: format.ContentType(), Data: body.Bytes()}, nil
}

func exportRow(l command.Checklist, i command.WorkItem) []string {
	overdue := "no"
	if l.Overdue {
		overdue = "yes"
	}
	return []string{
		string(l.Kind), l.User.DisplayName, l.User.Email, i.AppName, strings.ReplaceAll(string(i.Kind), "_", " "),
		strings.Join(i.EntitlementNames, ", "), i.State, i.CreateTime.UTC().Format(time.RFC3339), timeText(i.ResolveTime), i.ResolverName, i.Note,
		timeText(l.DueTime), overdue,
	}
}

// timeText is a time as tables have it; nil is empty.
func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
