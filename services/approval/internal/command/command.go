package command

import (
	"context"
	"log/slog"

	"gatehouse.dev/libs/batch"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Config is what commands need.
type Config struct {
	DB    *postgres.DB
	Store *store.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Maintenance is woken for what a command leaves to be done.
	Maintenance *Maintenance
	// Due has what is to happen at a time.
	Due *due.Queue
	// Quotas are what every organization may have.
	Quotas quota.Organization
	// Progress says whether what is not known may be on its way.
	Progress *copies.Progress
}

// Commands takes commands. It may be used by any number of goroutines.
type Commands struct {
	Config
	// decisions are those that come at the same time within a scope.
	decisions *batch.Queue[scope.Scope, Decision, *approvalv1.Task]
}

// New makes Commands.
func New(cfg Config) *Commands {
	c := &Commands{Config: cfg}
	c.decisions = batch.New(c.decideTasks)
	c.Due.Handle(matchUser, c.matchDue)
	c.Due.Handle(flowWaited, c.waitedDue)
	c.Due.Handle(approvalTime, c.timesDue)
	c.Due.Handle(delegationTime, c.delegationsDue)
	return c
}

func newID() string { return id.New().String() }

// loaded is an approval that was loaded or made, with the events that it emits.
type loaded struct {
	*store.Record
	request *requestv1.Request
	events  *convert.Events
}

// prepare makes a record ready for a command.
func (c *Commands) prepare(r *store.Record) (loaded, error) {
	request, err := convert.DecodeRequest(r.Request)
	if err != nil {
		return loaded{}, err
	}
	return c.with(r, request), nil
}

func (c *Commands) with(r *store.Record, request *requestv1.Request) loaded {
	return loaded{Record: r, request: request, events: &convert.Events{
		OrganizationID: r.OrganizationID, Approval: r.Approval, Request: request, Time: c.Clock.Now(), Version: r.Version,
	}}
}

// save saves approvals and emits their events.
func (c *Commands) save(ctx context.Context, tx *postgres.Tx, approvals ...loaded) error {
	records := make([]*store.Record, 0, len(approvals))
	var events []outbox.Event
	for _, a := range approvals {
		a.Version = a.events.Version
		records, events = append(records, a.Record), append(events, a.events.List...)
		if a.State != lifecycle.Open {
			tx.AfterCommit(func() {
				c.Log.Info("Approval ended", "organization_id", a.OrganizationID, "request_id", a.RequestID, "state", string(a.State))
			})
		}
	}
	if err := c.awaitTimes(tx, records); err != nil {
		return err
	}
	return c.Store.Save(ctx, tx, records, events...)
}
