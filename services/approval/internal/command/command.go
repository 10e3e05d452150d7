package command

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
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

// Submit plans the approval of a request that was submitted and asks its first
// reviewers, or grants it at once where its flow says so. A request that was
// heard of before changes nothing; one that was taken back before is answered
// as cancelled.
func (d *Desk) Submit(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, r *requestv1.Request) error {
	in, err := d.Store.LoadSubmission(ctx, tx, organizationID, r)
	if err != nil {
		return err
	}
	if in.Heard && !in.TakenBack {
		return nil
	}
	now := d.Clock.Now()
	story := &wire.Story{OrganizationID: organizationID, Request: r, Time: now, Version: in.Version}
	if in.TakenBack {
		// Nothing to plan: only the request is added to what is known.
		a := lifecycle.CancelledBefore(r.GetId(), now)
		a.Change = lifecycle.Changed
		ask := wire.Ask(r)
		a.Requester, a.Beneficiary = ask.Requester, ask.Beneficiary
		story.Cancelled(wire.System(), "taken back before it was reviewed")
		return d.save(ctx, tx, &store.Record{Approval: a, OrganizationID: organizationID, Request: r}, story, true)
	}
	if !in.Known {
		return inbox.NotYet("the beneficiary or an app of request %s is not known", r.GetId())
	}
	ask := wire.Ask(r)
	ask.Member = in.Member
	flows := in.Flows
	if r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
		// Without its flow it is reviewed like any other.
		ask.Join, flows = &lifecycle.Flow{}, nil
		if len(in.Flows) == 1 {
			ask.Join = &in.Flows[0]
		}
	}
	rec := &store.Record{
		Approval: lifecycle.New(ask, flows, now), OrganizationID: organizationID, Request: r, People: in.People,
	}
	if err := d.openReady(ctx, tx, rec, story); err != nil {
		return err
	}
	switch rec.State {
	case lifecycle.Granted:
		story.Granted(rec.Approval, lifecycle.Person{})
	case lifecycle.Cancelled:
		story.Cancelled(wire.System(), "the request asks for nothing")
	}
	err = d.save(ctx, tx, rec, story, true)
	if errors.Is(err, store.ErrExists) {
		return inbox.NotYet("another replica works on request %s", r.GetId())
	}
	return err
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
		err := d.Store.Save(ctx, tx, rec, false)
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
	story := d.story(rec)
	story.Cancelled(actor, reason)
	return d.save(ctx, tx, rec, story, false)
}

// story begins what is told of a record.
func (d *Desk) story(rec *store.Record) *wire.Story {
	return &wire.Story{OrganizationID: rec.OrganizationID, Request: rec.Request, Time: d.Clock.Now(), Version: rec.Version}
}

// openReady opens the steps whose turn it is.
func (d *Desk) openReady(ctx context.Context, tx *postgres.Tx, rec *store.Record, story *wire.Story) error {
	ready := rec.Ready()
	found, err := d.resolve(ctx, tx, rec, ready)
	if err != nil {
		return err
	}
	for i, s := range ready {
		tasks, err := rec.Open(s, found[i], newID, story.Time)
		if err != nil {
			return err
		}
		if len(tasks) == 0 {
			tx.AfterCommit(func() {
				d.Log.Warn("Nobody can decide a step, it waits", "request_id", rec.RequestID, "step", s.Position)
			})
		}
		story.Requested(s, tasks)
	}
	return nil
}

// resolve finds the reviewers of steps. Those next in line are read only if it
// comes to them.
func (d *Desk) resolve(ctx context.Context, tx *postgres.Tx, rec *store.Record, steps []*lifecycle.Step) ([]lifecycle.Resolution, error) {
	var named, next store.Wanted
	for _, s := range steps {
		switch s.Spec.Reviewers {
		case lifecycle.Manager:
			named.ManagersOf = rec.Beneficiary.ID
		case lifecycle.NamedUsers:
			named.UserIDs = append(named.UserIDs, s.Spec.UserIDs...)
		case lifecycle.NamedGroups:
			named.GroupIDs = append(named.GroupIDs, s.Spec.GroupIDs...)
		default:
			named.AppIDs = append(named.AppIDs, s.AppID)
		}
	}
	if err := d.Store.LoadPeople(ctx, tx, &rec.People, named); err != nil {
		return nil, err
	}
	ask := wire.Ask(rec.Request)
	find := func(s *lifecycle.Step) lifecycle.Resolution {
		return lifecycle.Resolve(s.Spec, ask, lifecycle.Item{ID: s.ItemID, AppID: s.AppID}, rec.People, rec.Decided(s))
	}
	found := make([]lifecycle.Resolution, len(steps))
	for i, s := range steps {
		if found[i] = find(s); found[i].Short {
			next.AppIDs, next.AdminsOf = append(next.AppIDs, s.AppID), rec.OrganizationID
		}
	}
	if next.AppIDs == nil {
		return found, nil
	}
	if err := d.Store.LoadPeople(ctx, tx, &rec.People, next); err != nil {
		return nil, err
	}
	for i, s := range steps {
		if found[i].Short {
			found[i] = find(s)
		}
	}
	return found, nil
}

func (d *Desk) save(ctx context.Context, tx *postgres.Tx, rec *store.Record, story *wire.Story, whole bool) error {
	rec.Version = story.Version
	if err := d.Store.Save(ctx, tx, rec, whole, story.Events...); err != nil {
		return err
	}
	if rec.State != lifecycle.Open {
		tx.AfterCommit(func() {
			d.Log.Info("Approval ended", "organization_id", rec.OrganizationID, "request_id", rec.RequestID, "state", string(rec.State))
		})
	}
	return nil
}
