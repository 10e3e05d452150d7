package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// noteSeen is the note of an item that nobody has resolved.
	noteSeen = "seen in the app by its integration"
	// reasonStillThere is why an item is opened again that a person had resolved.
	reasonStillThere = "the app's integration still sees it"
	// aMoment is how long nobody can have done what an item asks for: the first look comes
	// within it.
	aMoment = 10 * time.Second
	// reasonMayBeAnothers goes on where it is not sure whose account that is.
	reasonMayBeAnothers = ": the account %s (id %s). If it is somebody else's, resolve this item again"
)

// sighting is what a look has seen, and where.
type sighting struct {
	lifecycle.Sighting
	account connector.Account
	// tenant is where it has looked; the nil id if it has not come to that. userName is
	// the name by which it has, and byID says that it has by the account's id too.
	tenant   uuid.UUID
	userName string
	byID     bool
	// ours says that the account carries the person's id.
	ours bool
}

// look looks at an account, and at what it has. It changes nothing, so that one whose
// result nobody wants any more is harmless.
func (e *Engine) look(ctx context.Context, j store.Job) *report {
	r := &report{}
	app, err := e.connectorOf(ctx, j)
	if err != nil {
		r.err = err
		return r
	}
	c := &calls{e: e, app: app, job: j, report: r, person: personFor(j.Person)}
	var known string
	if j.Tenant.UUID == app.Tenant {
		known = j.ExternalID
	}
	r.saw = sighting{tenant: app.Tenant, userName: j.Person.UserName, byID: known != ""}
	r.saw.Profile, r.saw.ManagerOf = c.person.Fingerprint(), j.Manager.ID.UUID
	if !e.awaitTurn(ctx, j, r) {
		return r
	}
	began := e.clock.Now()
	found, err := c.find(ctx, known)
	e.learn(j, began, err)
	switch {
	case connector.KindOf(err) == connector.Conflict:
		// The user name is that of an account of somebody else: the person has none.
		r.saw.Account = lifecycle.SeenNone
		return r
	case err != nil:
		r.failedLook(ctx, err)
		return r
	case found == nil:
		r.saw.Account = lifecycle.SeenNone
		return r
	}
	seen := lifecycle.SeenOther
	r.saw.ours = found.Ours
	if found.Ours || found.ID == known {
		seen = lifecycle.SeenTheirs
	}
steps:
	for _, step := range j.Plan {
		if step.Entitlement == nil {
			continue
		}
		if !e.awaitTurn(ctx, j, r) {
			break
		}
		began, has := e.clock.Now(), false
		err := c.within(ctx, func(ctx context.Context) (err error) {
			has, err = c.app.Holds(ctx, found.ID, connector.Entitlement{Kind: step.Kind, Ref: step.Ref})
			return err
		})
		e.learn(j, began, err)
		switch {
		case err == nil && has:
			r.saw.Has = append(r.saw.Has, lifecycle.ID(*step.Entitlement))
		case err == nil:
			r.saw.Lacks = append(r.saw.Lacks, lifecycle.ID(*step.Entitlement))
		default:
			switch r.failedLook(ctx, err); connector.KindOf(err) {
			case connector.NotFound:
				return r // it has gone since it was found: the next look will tell
			case connector.Permanent:
				r.saw.Unseeable = append(r.saw.Unseeable, lifecycle.ID(*step.Entitlement))
			}
			if r.after > 0 || connector.KindOf(err) == connector.Unauthorized || ctx.Err() != nil {
				break steps // the app as a whole does not work
			}
		}
	}
	r.saw.Account, r.saw.Disabled, r.saw.account = seen, found.Disabled, *found
	return r
}

// failedLook takes in that a call of a look has failed.
func (r *report) failedLook(ctx context.Context, err error) {
	if r.err == nil {
		r.err = err
	}
	r.after = max(r.after, connector.RetryAfter(err))
	r.stopped = r.stopped || connector.KindOf(err) == connector.Retryable && errors.Is(ctx.Err(), context.Canceled)
}

// see takes in what a look has seen, and has the next one made after a pause. A look that
// has failed says nothing about anybody's access: it is made again, for as long as there
// is something to see.
func (cs *changeset) see(s *store.Assignment, o *store.Operation, r *report) {
	o.State, o.Changed, cs.queued = lifecycle.Queued, true, true
	t := cs.e.timing
	switch {
	case r.stopped:
		o.Tries, o.NotBefore = o.Tries-1, &cs.now // somebody else goes on at once
	case r.turn > 0 && r.err == nil:
		o.Tries--
		cs.tryAfter(o, r.turn)
	default:
		o.Error = ""
		cs.tryAfter(o, lifecycle.Backoff(o.Tries, t.LookFirst, t.LookEvery, r.after, rand.Float64()))
	}
	if r.err != nil && !r.stopped {
		o.Error = r.err.Error()
		cs.e.log.Warn("An app could not be looked at, it will be tried again", "operation_id", o.ID, "app_id", s.Key.App, "organization_id", cs.org,
			"trace_id", telemetry.TraceID(o.Traceparent), "error", o.Error)
	}
	saw, a := r.saw, &s.Account
	if saw.Account == lifecycle.NotSeen || !s.Looks() || saw.tenant != s.App.Tenant.UUID || o.IntegrationID != s.App.IntegrationID.UUID {
		return
	}
	seen := view(s).See(saw.Sighting, lifecycle.Acquaintance{
		ByID: saw.byID && a.ExternalID != "", Adopt: s.App.Adoption == "adopt", Ask: asks(s.App),
		JustAsked:  justAsked(s, cs.now),
		NoneBefore: a.NoneTenant.UUID == saw.tenant && strings.EqualFold(a.NoneUserName, saw.userName),
	})
	if none := (uuid.NullUUID{UUID: saw.tenant, Valid: true}); saw.Account == lifecycle.SeenNone && toMake(s) && (a.NoneTenant != none || a.NoneUserName != saw.userName) {
		a.NoneTenant, a.NoneUserName, a.Changed = none, saw.userName, true
	}
	cs.setFound(s, seen.Observed.Found, saw.account)
	if len(seen.Told) == 0 {
		return
	}
	cs.saw(s)
	if byName := seen.ByName || a.ByName && saw.Account == lifecycle.SeenTheirs && !saw.ours; byName != a.ByName {
		a.ByName, a.Questioned, a.Changed = byName, false, true
	}
	for _, i := range seen.Refuted {
		reason := reasonStillThere
		if i.Kind == lifecycle.ItemRemoveAccount && a.ByName && !saw.ours {
			reason += fmt.Sprintf(reasonMayBeAnothers, saw.account.UserName, saw.account.ID)
			a.Questioned, a.Changed = true, true
		}
		cs.reopens(s, i, reason)
	}
	words, external := a.Words.Look(seen.Told), ""
	changed := len(words) != len(a.Words)
	if seen.Observed.Account != lifecycle.Absent {
		external, a.Tenant = saw.account.ID, uuid.NullUUID{UUID: saw.tenant, Valid: true}
	} else {
		a.ExternalID, a.UserName, a.ByName, a.Questioned, a.Changed = "", "", false, false, true
	}
	if !equalObserved(a.Observed, seen.Observed) || external != "" && external != a.ExternalID {
		cs.setObserved(s, seen.Observed, external, saw.account.UserName)
		changed = true
	}
	if changed { // what people have said of other things stays their last word
		a.Words, a.Changed = words, true
	}
}

// justAsked are the entitlements that people were asked to give a moment ago, for the first
// time.
func justAsked(s *store.Assignment, now time.Time) lifecycle.Set {
	out := lifecycle.Set{}
	for _, i := range s.Items {
		if i.Kind == lifecycle.ItemAssign && i.State == "open" && !i.Reopens.Valid && now.Sub(i.CreateTime) < aMoment {
			for _, e := range i.EntitlementIDs {
				out[lifecycle.ID(e)] = struct{}{}
			}
		}
	}
	return out
}

// setFound writes down which account was found that is nobody's yet.
func (cs *changeset) setFound(s *store.Assignment, found bool, account connector.Account) {
	a := &s.Account
	if !found {
		account = connector.Account{}
	}
	if a.FoundID != account.ID || a.Observed.Found != found {
		a.Observed.Found, a.FoundID, a.FoundName, a.Changed = found, account.ID, account.UserName, true
	}
}

// saw has items that are done be resolved, as an integration has seen it.
func (cs *changeset) saw(s *store.Assignment) {
	if cs.seen == nil {
		cs.seen = make(map[*store.Assignment]bool)
	}
	cs.seen[s] = true
}

// reopens has an item be opened that reopens a resolved one.
func (cs *changeset) reopens(s *store.Assignment, resolved lifecycle.Item, reason string) {
	if cs.reopened == nil {
		cs.reopened, cs.reopenReasons = make(map[*store.Assignment][]lifecycle.Item), make(map[*store.Assignment]string)
	}
	cs.reopened[s], cs.reopenReasons[s] = append(cs.reopened[s], resolved), reason
}

// lookAgain has the app looked at at once, and lets go of a look that is under way: it may
// have seen what was there before.
func (cs *changeset) lookAgain(o *store.Operation) {
	if o != nil && o.Looks {
		o.State, o.Tries, o.NotBefore, o.Claim = lifecycle.Queued, 0, &cs.now, uuid.NullUUID{}
		o.Changed, o.AtOnce = true, true
	}
}

// forgetNone forgets that no account was there once it is of no interest: none is to be
// made by hand, and the one that may have been made is known by its id, or is not there.
func (cs *changeset) forgetNone(s *store.Assignment) {
	a := &s.Account
	known := a.ExternalID != "" || a.Observed.Account == lifecycle.Absent && !a.Observed.AccountInDoubt
	if a.NoneTenant.Valid && !toMake(s) && known {
		a.NoneTenant, a.NoneUserName, a.Changed = uuid.NullUUID{}, "", true
	}
}

// toMake reports whether an account is to be made by hand.
func toMake(s *store.Assignment) bool {
	return slices.ContainsFunc(s.Items, func(i *store.WorkItem) bool { return i.Kind == lifecycle.ItemCreateAccount && i.State == "open" })
}

// asks reports whether a person says whether an account that was there before is used.
func asks(a store.App) bool { return a.Adoption != "adopt" && a.Adoption != "refuse" }

func equalObserved(a, b lifecycle.Observed) bool {
	return a.Account == b.Account && a.AccountInDoubt == b.AccountInDoubt && a.Adopted == b.Adopted && a.Profile == b.Profile && a.ProfileInDoubt == b.ProfileInDoubt &&
		slices.Equal(a.Held.Sorted(), b.Held.Sorted()) && slices.Equal(a.InDoubt.Sorted(), b.InDoubt.Sorted()) && slices.Equal(a.Had.Sorted(), b.Had.Sorted())
}
