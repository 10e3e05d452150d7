package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/filter"
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
	// EachItem lists each item by itself, and not what is decided together as one.
	EachItem bool
}

// ListTasks lists the tasks of q that are asked for, and gives the token of the next
// page.
func (c *Commands) ListTasks(ctx context.Context, s scope.Scope, q TaskQuery, asked filter.Request) (tasks []*approvalv1.Task, next string, err error) {
	page, err := store.TaskList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	var found []store.FoundTask
	people := store.NewPeople()
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		if found, next, err = c.listTasks(ctx, tx, q, page); err != nil {
			return err
		}
		return c.loadFacts(ctx, tx, people, found)
	})
	if err != nil {
		return nil, "", err
	}
	requests := make(map[string]*requestv1.Request)
	tasks = make([]*approvalv1.Task, 0, len(found))
	for _, t := range found {
		request, ok := requests[t.Approval.RequestID]
		if !ok {
			if request, err = convert.DecodeRequest(t.Approval.Request); err != nil {
				return nil, "", err
			}
			if q.ReviewerID != "" && request != nil {
				request = convert.RequestPart(t.Approval.Approval, request, q.ReviewerID)
			}
			requests[t.Approval.RequestID] = request
		}
		tasks = append(tasks, convert.WholeTask(t.Approval.Approval, t.Task, request, people.Facts[t.Approval.Beneficiary.ID]))
	}
	return tasks, next, nil
}

func (c *Commands) listTasks(ctx context.Context, tx *postgres.Tx, q TaskQuery, page *filter.Query) ([]store.FoundTask, string, error) {
	if q.RequestID == "" {
		return c.Store.ListTasks(ctx, tx, q.ReviewerID, q.State, q.EachItem, page)
	}
	rec, err := c.Store.Read(ctx, tx, q.RequestID)
	if err != nil || rec == nil {
		return nil, "", err
	}
	return c.Store.ListTheseTasks(ctx, tx, q.of(rec), page)
}

// loadFacts reads what the reviewers of open tasks see of the beneficiaries, as a decision
// reads it: wherever these belong.
func (c *Commands) loadFacts(ctx context.Context, tx *postgres.Tx, people *lifecycle.People, found []store.FoundTask) error {
	var of store.PeopleQuery
	var organization uuid.UUID
	for _, t := range found {
		if t.State == lifecycle.TaskOpen {
			of.FactsOf, organization = append(of.FactsOf, t.Approval.Beneficiary.ID), t.Approval.OrganizationID
		}
	}
	if len(of.FactsOf) == 0 {
		return nil
	}
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	return c.Store.LoadPeople(ctx, tx, organization, people, of)
}

// of returns the ids of the tasks of an approval that q is about: there is no index of
// the tasks of a request, which the approval knows.
func (q TaskQuery) of(rec *store.Record) []string {
	var ids []string
	for _, t := range rec.Tasks {
		if (q.ReviewerID == "" || q.ReviewerID == t.Reviewer.ID) && (q.State == "" || q.State == t.State) &&
			(q.EachItem || rec.Together(t)[0] == t) {
			ids = append(ids, t.ID)
		}
	}
	return ids
}
