package command

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// changeset is what one transaction does to assignments: they are loaded under
// their locks, changed in memory, reconciled, and saved together with the events
// about it.
type changeset struct {
	e     *Engine
	tx    *postgres.Tx
	org   uuid.UUID
	now   time.Time
	actor *eventv1.Actor
	// traceparent is the trace of what causes the next events.
	traceparent string

	assignments []*store.Assignment
	events      []outbox.Event
	due         []due.Item
	// counts are what changes about checklists, for each of the steps that the
	// changeset has come through: each step knows whether it opened or closed one.
	counts map[uuid.UUID][]stepCount
	step   int
	// reopened are the resolved items of each assignment that are being reopened, and
	// reopenReasons say why.
	reopened      map[*store.Assignment][]lifecycle.Item
	reopenReasons map[*store.Assignment]string
	// seen are the assignments of which an integration has just told what it sees.
	seen map[*store.Assignment]bool
	// queued means that workers have something new.
	queued bool
	more   *pgx.Batch
}

// stepCount is what one step of a changeset changes about a checklist.
type stepCount struct {
	*store.Count
	step int
}

func (e *Engine) begin(tx *postgres.Tx, org uuid.UUID, actor *eventv1.Actor) *changeset {
	return &changeset{
		e: e, tx: tx, org: org, now: e.clock.Now(), actor: actor,
		counts: make(map[uuid.UUID][]stepCount), more: &pgx.Batch{},
	}
}

// load loads assignments. UNAVAILABLE: NOT_KNOWN_YET, if the copies lack the
// person, the app or an entitlement of one: nothing is done about it, and it must
// be tried again.
func (cs *changeset) load(ctx context.Context, w store.Query) (*store.Loaded, error) {
	f, err := cs.loadKnown(ctx, w)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Assignments {
		if !s.Complete() {
			return nil, apierr.Unavailable(copies.ReasonNotKnownYet, fmt.Errorf("the user, the app or an entitlement of account %s is not known yet", s.Account.ID))
		}
	}
	return f, nil
}

// loadKnown loads assignments, and changes only those that are complete.
func (cs *changeset) loadKnown(ctx context.Context, w store.Query) (*store.Loaded, error) {
	w.Organization, w.Now = cs.org, cs.now
	f, err := store.Load(ctx, cs.tx, w)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Assignments {
		if s.Complete() {
			cs.assignments = append(cs.assignments, s)
		}
	}
	return f, nil
}

// end ends a live grant.
func (cs *changeset) end(s *store.Assignment, g *store.Grant, why string, revokeRequest uuid.NullUUID) {
	at := cs.now
	g.State, g.End, g.EndTime, g.RevokeRequestID, g.Error = lifecycle.Revoking, why, &at, revokeRequest, ""
	g.Version++
	cs.emitGrant(s, g, "ended")
}

// setObserved writes down what is known about the app now, which is nobody's word until
// resolve makes it one. externalID and userName are what the app emitted about the
// account, if it did.
func (cs *changeset) setObserved(s *store.Assignment, know lifecycle.Observed, externalID, userName string) {
	a := &s.Account
	before := a.Observed.Account
	a.Observed, a.Changed, a.UpdateTime, a.Words = know, true, cs.now, a.Words.Tell()
	switch {
	case know.Account == lifecycle.Absent && !know.AccountInDoubt:
		a.ExternalID, a.UserName, a.ByName, a.Questioned = "", "", false, false
	case externalID != "":
		a.ExternalID = externalID
		if userName != "" {
			a.UserName = userName
		}
	}
	there := know.Account == lifecycle.Active
	if there == (before == lifecycle.Active) {
		return
	}
	if there {
		at := cs.now
		a.CreateTime = &at
	}
	cs.emitAccount(s, func(g *store.Grant) bool { return there == g.State.Live() })
}

// emitAccount emits that an account is there now, or not, for the requests of the grants
// that it is about.
func (cs *changeset) emitAccount(s *store.Assignment, of func(*store.Grant) bool) {
	a := &s.Account
	there := a.Observed.Account == lifecycle.Active
	var about []uuid.UUID
	for _, g := range s.Grants {
		if of(g) {
			about = append(about, requests(g)...)
		}
	}
	slices.SortFunc(about, compareIDs)
	about = slices.Compact(about)
	c := cs.context(s, a.Version+1, about...)
	m := convert.Account(&store.NamedAccount{Account: *a, OrganizationID: cs.org, EnvironmentID: s.Environment, User: personOf(s), AppID: s.Key.App, AppName: s.App.Name})
	if there {
		cs.emit(a.ID, &eventv1.AccountCreated{Context: c, Account: m})
	} else {
		cs.emit(a.ID, &eventv1.AccountRemoved{Context: c, Account: m})
	}
}

// save writes everything, in one round trip, or two where checklists are
// concerned.
func (cs *changeset) save(ctx context.Context) error {
	cs.startOperations(ctx)
	cs.awaitTurns()
	b := cs.more
	order := slices.SortedFunc(maps.Keys(cs.counts), compareIDs)
	for _, id := range order {
		for _, c := range cs.counts[id] {
			c.Queue(b, cs.org, cs.now)
		}
	}
	if err := store.Save(b, cs.assignments, cs.now); err != nil {
		return err
	}
	if err := cs.e.due.Queue(cs.tx, b, cs.due...); err != nil {
		return err
	}
	cs.tellReports()
	if len(order) == 0 {
		if err := cs.e.events.Queue(ctx, cs.tx, b, cs.events...); err != nil {
			return err
		}
	}
	if b.Len() > 0 {
		if err := cs.tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("save assignments: %w", err)
		}
	}
	if len(order) > 0 {
		for _, id := range order {
			for _, c := range cs.counts[id] {
				cs.emitChecklist(c.Count)
			}
		}
		if err := cs.awaitDue(order); err != nil {
			return err
		}
		if err := cs.e.events.Add(ctx, cs.tx, cs.events...); err != nil {
			return err
		}
	}
	if cs.queued {
		cs.tx.AfterCommit(cs.e.workers.Wake)
	}
	return nil
}

// tellReports has the accounts of those who report to a person looked at again, if the
// person's own account has become known, or is not known any more. This transaction locks
// none of them.
func (cs *changeset) tellReports() {
	var changed []uuid.UUID
	for _, s := range cs.assignments {
		if s.App.Mode == lifecycle.Automatic && s.Restands() {
			changed = append(changed, s.Account.ID)
		}
	}
	if len(changed) > 0 {
		store.AwaitReports(cs.more, dueReports, changed, cs.now, func(n int64) {
			if n > 0 {
				cs.tx.AfterCommit(cs.e.due.Wake)
			}
		})
	}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
