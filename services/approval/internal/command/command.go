package command

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/internal/wire"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Desk takes commands. It may be used by any number of goroutines.
type Desk struct {
	DB    *postgres.DB
	Store *store.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Tidier is woken for what a command leaves to be done.
	Tidier *Tidier
}

func newID() string { return id.New().String() }

// draft is an approval in work, with what is to be told of it.
type draft struct {
	*store.Record
	story *wire.Story
}

// Submit plans the approvals of requests that were submitted and asks their
// first reviewers, or grants at once where a flow says so. A request that was
// heard of before changes nothing; one that was taken back before is answered
// as cancelled.
func (d *Desk) Submit(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	organizationID := events[0].OrganizationID
	requests := make([]*requestv1.Request, len(events))
	for i, ev := range events {
		requests[i] = ev.Message.(*eventv1.RequestSubmitted).GetRequest()
	}
	found, err := d.Store.LoadSubmissions(ctx, tx, organizationID, requests)
	if err != nil {
		return err
	}
	now := d.Clock.Now()
	var drafts []draft
	for i, in := range found {
		if in.Heard && !in.TakenBack {
			continue
		}
		if !in.TakenBack && !in.Known {
			return inbox.Failed(events[i], inbox.NotYet("the beneficiary or an app of request %s is not known", in.Request.GetId()))
		}
		drafts = append(drafts, plan(in, organizationID, now))
	}
	if err := d.openReady(ctx, tx, drafts...); err != nil {
		return err
	}
	for _, a := range drafts {
		switch {
		case a.State == lifecycle.Granted:
			a.story.Granted(a.Approval, lifecycle.Person{})
		case a.State == lifecycle.Cancelled && a.Change == lifecycle.Added:
			a.story.Cancelled(wire.System(), "the request asks for nothing")
		}
	}
	err = d.save(ctx, tx, drafts...)
	if errors.Is(err, store.ErrExists) {
		return inbox.NotYet("another replica works on one of %d requests", len(drafts))
	}
	return err
}

// plan makes the approval of a request that was submitted.
func plan(in *store.Submission, organizationID uuid.UUID, now time.Time) draft {
	r := in.Request
	a := draft{
		Record: &store.Record{OrganizationID: organizationID, Request: r, Unwritten: true, People: in.People},
		story:  &wire.Story{OrganizationID: organizationID, Request: r, Time: now, Version: in.Version},
	}
	ask := wire.Ask(r)
	if in.TakenBack {
		// Nothing to plan: only the request is added to what is known.
		a.Approval = lifecycle.CancelledBefore(r.GetId(), now)
		a.Change = lifecycle.Changed
		a.Requester, a.Beneficiary = ask.Requester, ask.Beneficiary
		a.story.Cancelled(wire.System(), "taken back before it was reviewed")
		return a
	}
	ask.Member = in.Member
	flows := in.Flows
	if r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
		// Without its flow it is reviewed like any other.
		ask.Join, flows = &lifecycle.Flow{}, nil
		if len(in.Flows) == 1 {
			ask.Join = &in.Flows[0]
		}
	}
	a.Approval = lifecycle.New(ask, flows, now)
	return a
}

// Cancel ends the approval of a request that is taken back, unless it has
// ended. If the request was not heard of yet, a mark is left for when it is.
func (d *Desk) Cancel(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, requestID string, actor *eventv1.Actor, reason string) error {
	rec, err := d.Store.Load(ctx, tx, requestID)
	if err != nil {
		return err
	}
	now := d.Clock.Now()
	if rec == nil {
		rec = &store.Record{Approval: lifecycle.CancelledBefore(requestID, now), OrganizationID: organizationID}
		err := d.Store.Save(ctx, tx, []*store.Record{rec})
		if errors.Is(err, store.ErrExists) {
			return inbox.NotYet("another replica works on request %s", requestID)
		}
		return err
	}
	by := lifecycle.Person{Name: actor.GetDisplayName()}
	if actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_USER {
		by.ID = actor.GetId()
	}
	if !rec.Cancel(by, now) {
		return nil
	}
	if actor == nil {
		actor = wire.System()
	}
	a := d.draft(rec)
	a.story.Cancelled(actor, reason)
	return d.save(ctx, tx, a)
}

// draft begins to work on a record.
func (d *Desk) draft(rec *store.Record) draft {
	return draft{
		Record: rec,
		story:  &wire.Story{OrganizationID: rec.OrganizationID, Request: rec.Request, Time: d.Clock.Now(), Version: rec.Version},
	}
}

// opening is a step that is to be given reviewers.
type opening struct {
	draft
	step  *lifecycle.Step
	found lifecycle.Resolution
}

// openReady opens the steps whose turn it is.
func (d *Desk) openReady(ctx context.Context, tx *postgres.Tx, drafts ...draft) error {
	var open []*opening
	for _, a := range drafts {
		for _, s := range a.Ready() {
			open = append(open, &opening{draft: a, step: s})
		}
	}
	if err := d.resolve(ctx, tx, open); err != nil {
		return err
	}
	for _, o := range open {
		tasks, err := o.Open(o.step, o.found, newID, o.story.Time)
		if err != nil {
			return err
		}
		if len(tasks) == 0 {
			tx.AfterCommit(func() {
				d.Log.Warn("Nobody can decide a step, it waits", "request_id", o.RequestID, "step", o.step.Position)
			})
		}
		o.story.Requested(o.step, tasks)
	}
	return nil
}

// resolve finds the reviewers of steps. Those next in line are read only if it
// comes to them. All the records' People are the same, or it is one record.
func (d *Desk) resolve(ctx context.Context, tx *postgres.Tx, open []*opening) error {
	if len(open) == 0 {
		return nil
	}
	var named, next store.Wanted
	for _, o := range open {
		switch spec := o.step.Spec; spec.Reviewers {
		case lifecycle.Manager:
			named.ManagersOf = append(named.ManagersOf, o.Beneficiary.ID)
		case lifecycle.NamedUsers:
			named.UserIDs = append(named.UserIDs, spec.UserIDs...)
		case lifecycle.NamedGroups:
			named.GroupIDs = append(named.GroupIDs, spec.GroupIDs...)
		default:
			named.AppIDs = append(named.AppIDs, o.step.AppID)
		}
	}
	people := open[0].People
	if err := d.Store.LoadPeople(ctx, tx, people, named); err != nil {
		return err
	}
	find := func(o *opening) {
		item := lifecycle.Item{ID: o.step.ItemID, AppID: o.step.AppID}
		o.found = lifecycle.Resolve(o.step.Spec, wire.Ask(o.Request), item, *people, o.Decided(o.step))
	}
	var short []*opening
	for _, o := range open {
		if find(o); o.found.Short {
			short = append(short, o)
			next.AppIDs, next.AdminsOf = append(next.AppIDs, o.step.AppID), o.OrganizationID
		}
	}
	if len(short) == 0 {
		return nil
	}
	if err := d.Store.LoadPeople(ctx, tx, people, next); err != nil {
		return err
	}
	for _, o := range short {
		find(o)
	}
	return nil
}

// save writes what has become of records and says so.
func (d *Desk) save(ctx context.Context, tx *postgres.Tx, drafts ...draft) error {
	var records []*store.Record
	var events []outbox.Event
	for _, a := range drafts {
		a.Version = a.story.Version
		records, events = append(records, a.Record), append(events, a.story.Events...)
		if a.State != lifecycle.Open {
			tx.AfterCommit(func() {
				d.Log.Info("Approval ended", "organization_id", a.OrganizationID, "request_id", a.RequestID, "state", string(a.State))
			})
		}
	}
	return d.Store.Save(ctx, tx, records, events...)
}
