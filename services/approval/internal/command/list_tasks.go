package command

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// TaskQuery says which tasks are listed.
type TaskQuery struct {
	// ReviewerID is whose tasks. Empty: everybody's; RequestID is then needed.
	ReviewerID string
	// RequestID is of which request. Empty: of any; State is then needed.
	RequestID string
	// State is in which state. Empty: any.
	State lifecycle.TaskState
	// AfterTime and AfterID are where the page before ended.
	AfterTime time.Time
	AfterID   string
	Limit     int
}

// ListTasks lists tasks, oldest first.
func (c *Commands) ListTasks(ctx context.Context, s scope.Scope, q TaskQuery) ([]*approvalv1.Task, error) {
	var found []store.FoundTask
	err := c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if q.RequestID == "" {
			found, err = c.Store.ListTasks(ctx, tx, q.ReviewerID, q.State, store.After{Time: q.AfterTime, ID: q.AfterID}, q.Limit)
			return err
		}
		rec, err := c.Store.Read(ctx, tx, q.RequestID)
		if err != nil || rec == nil {
			return err
		}
		found = q.of(rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	requests := make(map[string]*requestv1.Request)
	tasks := make([]*approvalv1.Task, 0, len(found))
	for _, t := range found {
		request, ok := requests[t.Approval.RequestID]
		if !ok {
			if request, err = convert.DecodeRequest(t.Approval.Request); err != nil {
				return nil, err
			}
			if q.ReviewerID != "" && request != nil {
				request = convert.RequestPart(t.Approval.Approval, request, q.ReviewerID)
			}
			requests[t.Approval.RequestID] = request
		}
		tasks = append(tasks, convert.Task(t.Approval.Approval, t.Task, request))
	}
	return tasks, nil
}

// of returns the tasks of an approval that are asked for.
func (q TaskQuery) of(rec *store.Record) []store.FoundTask {
	var found []store.FoundTask
	for _, t := range rec.Tasks {
		after := cmp.Or(t.CreateTime.Compare(q.AfterTime), cmp.Compare(t.ID, q.AfterID)) > 0
		if after && (q.ReviewerID == "" || q.ReviewerID == t.Reviewer.ID) && (q.State == "" || q.State == t.State) {
			found = append(found, store.FoundTask{Task: t, Approval: rec})
		}
	}
	slices.SortFunc(found, func(a, b store.FoundTask) int {
		return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), q.Limit)]
}
