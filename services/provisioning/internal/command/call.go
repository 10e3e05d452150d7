package command

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// whereabouts is what a run has found out about where a person's account is.
type whereabouts struct {
	// tenant is where the run has asked; the nil id if it has not come to that.
	tenant  uuid.UUID
	baseURL string
	// moved means that all that was known was known of elsewhere, or from a person.
	// Then here is the account if it was found, and was is where it was known; nil if
	// that is the same account.
	moved bool
	here  *connector.Account
	was   *store.Place
	// alike means that the account that was found is taken for the one at was, by its id
	// and the person's id that it carries.
	alike bool
}

// settle writes down where the account is, and returns what is known of it there.
func (p whereabouts) settle(s *store.Assignment) lifecycle.Observed {
	a := &s.Account
	know := a.Observed
	if p.tenant == uuid.Nil {
		return know
	}
	a.Tenant = uuid.NullUUID{UUID: p.tenant, Valid: true}
	switch {
	case !p.moved:
		return know
	case p.was != nil && (!p.alike || a.StandsAt(p.baseURL, p.here.ID)):
		left := *p.was
		left.Adopted = know.Adopted
		if !know.Adopted || know.Added() || s.Person.Removed || s.Person.Suspended {
			a.LeftBehind, a.Words = append(a.LeftBehind, left), a.Words.Leave()
		}
		a.ExternalID, a.UserName = "", ""
		know.Had, know.Profile, know.ProfileInDoubt, know.Manager = nil, "", false, lifecycle.Manager{} // they were that account's
	}
	if p.here != nil {
		return know.Elsewhere()
	}
	return lifecycle.Observed{Account: lifecycle.Absent}
}

// calls are the calls of one run of an operation.
type calls struct {
	e      *Engine
	app    Connection
	job    store.Job
	person connector.Person
	report *report
	// byHand means that a person has said that there is an account, which is known by
	// its user name alone.
	byHand bool
}

// call makes the calls, in order. What cannot be done, or fails, does not keep the rest
// from being done, unless there is no account, or the app asks to wait or refuses the
// integration.
func (e *Engine) call(ctx context.Context, j store.Job) *report {
	r := &report{}
	plan := store.Changes(j.Plan)
	if len(plan) == 0 {
		return r
	}
	app, err := e.connectorOf(ctx, j)
	if err != nil {
		r.add(plan[0], answer(err), err)
		return r
	}
	c := &calls{e: e, app: app, job: j, report: r, byHand: j.Known && j.ExternalID == "", person: personFor(j.Person)}
	if !e.awaitTurn(ctx, j, r) {
		return r
	}
	began := e.clock.Now()
	if err := c.locate(ctx); err != nil {
		e.learn(j, began, err)
		r.add(plan[0], answer(err), err)
		r.stopped = answer(err) == lifecycle.Unknown && errors.Is(ctx.Err(), context.Canceled)
		return r
	}
	for n, change := range plan {
		if change.Do == lifecycle.SetManager && !c.maySetManager(change.Manager) {
			continue // it is planned again, by what is known then
		}
		if n > 0 && !e.awaitTurn(ctx, j, r) {
			return r
		}
		began := e.clock.Now()
		a, err := c.change(ctx, change, j.Plan[n])
		e.learn(j, began, err)
		if change.Do == lifecycle.CreateAccount || change.Do == lifecycle.UpdateAccount || change.Do == lifecycle.Look {
			change.Profile = c.person.Fingerprint() // as of now, whatever it was when the plan was made
		}
		if change.Do == lifecycle.CreateAccount || change.Do == lifecycle.Look {
			change.ManagerOf = j.Manager.ID.UUID
		}
		r.add(change, a, err)
		if a == lifecycle.Unknown && errors.Is(ctx.Err(), context.Canceled) {
			r.stopped = true
		}
		switch {
		case err == nil && a != lifecycle.FoundOne:
		case change.Do != lifecycle.CreateAccount && r.account.ID != "" && a == lifecycle.Unknown && r.after == 0 && ctx.Err() == nil: // nothing else depends on it
		case a != lifecycle.Refused, connector.KindOf(err) == connector.Unauthorized, change.Do == lifecycle.CreateAccount, r.account.ID == "":
			return r
		}
	}
	return r
}

// awaitTurn waits until the app takes one more change. It returns false if that is too
// far away for the run, which says so.
func (e *Engine) awaitTurn(ctx context.Context, j store.Job, r *report) bool {
	for {
		most := e.timing.RunTimeout
		if end, ok := ctx.Deadline(); ok {
			most = time.Until(end) - e.timing.RunTimeout/2 // and then there is time for the call
		}
		moved, now := clock.Moved(e.clock), e.clock.Now()
		wait, ok := e.pool.turn(j.IntegrationID, now, most)
		if !ok {
			r.turn = wait
			return false
		}
		for at := now.Add(wait); wait > 0; moved, wait = clock.Moved(e.clock), at.Sub(e.clock.Now()) {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-moved:
			case <-ctx.Done():
			}
			t.Stop()
			if ctx.Err() != nil {
				r.stopped = true
				return false
			}
		}
		if e.pool.mayGo(j.IntegrationID, e.clock.Now()) {
			return true
		}
	}
}

// learn takes in how an app has answered a change. That one was not made for another
// reason than that there were too many says nothing about how many it takes.
func (e *Engine) learn(j store.Job, began time.Time, err error) {
	if wait := connector.RetryAfter(err); err == nil || wait > 0 {
		e.pool.learn(j.IntegrationID, began, e.clock.Now(), wait)
	}
}

// personFor is a person as connectors know them.
func personFor(p store.Person) connector.Person {
	return connector.Person{
		UserID: p.ID.String(), UserName: p.UserName, Email: p.Email, GivenName: p.GivenName,
		FamilyName: p.FamilyName, DisplayName: p.DisplayName, Title: p.Title, Department: p.Department,
	}
}

func (e *Engine) connectorOf(ctx context.Context, j store.Job) (Connection, error) {
	if j.IntegrationVersion == 0 {
		return Connection{}, connector.NewError(connector.Permanent, nil, "the app's integration does not exist")
	}
	return e.connect(ctx, j.Organization, j.IntegrationID, j.IntegrationVersion)
}

// within gives one call its time.
func (c *calls) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.e.timing.CallTimeout)
	defer cancel()
	return f(ctx)
}

func (c *calls) find(ctx context.Context, known string) (found *connector.Account, err error) {
	err = c.within(ctx, func(ctx context.Context) error {
		found, err = c.app.Find(ctx, c.person, known)
		return err
	})
	return found, err
}

// locate makes sure that the account's id is one of the app that is called: an id
// from elsewhere is never used here, and what a person has said is looked up first.
func (c *calls) locate(ctx context.Context) error {
	j, p := c.job, &c.report.place
	p.baseURL = c.app.BaseURL
	if j.Tenant.UUID == c.app.Tenant || !j.Known && !j.InDoubt && j.ExternalID == "" {
		c.report.account.ID, p.tenant = j.ExternalID, c.app.Tenant
		return nil
	}
	if !j.Tenant.Valid && !c.byHand && j.ExternalID == "" {
		p.tenant = c.app.Tenant // it may have been made by a call of which nothing was heard
		return nil
	}
	p.moved = true
	found, err := c.find(ctx, "")
	if err != nil && (c.byHand && !j.Tenant.Valid || connector.KindOf(err) != connector.Conflict) {
		return err
	}
	if found != nil && !found.Ours && c.byHand && !j.Tenant.Valid && j.Refuse {
		return connector.NewError(connector.Conflict, nil,
			"there is an account with the person's user name (%s, id %s), and the app is set to refuse accounts that it does not know to be theirs: give one of the two another user name, or set the app to ask",
			found.UserName, found.ID)
	}
	same := false
	if j.Tenant.Valid {
		place, err := c.e.place(ctx, j)
		if err != nil {
			return err
		}
		alike := found != nil && found.ID == j.ExternalID
		same = alike && store.Address(place.BaseURL) == store.Address(c.app.BaseURL)
		p.alike = alike && found.Ours
		if !same {
			p.was = &place
		}
	}
	if found != nil && (found.Ours || same || c.byHand && !j.Tenant.Valid) {
		p.here, c.report.account = found, *found
	}
	p.tenant = c.app.Tenant
	return nil
}

// place is where the account was known.
func (e *Engine) place(ctx context.Context, j store.Job) (p store.Place, err error) {
	err = e.db.InRead(ctx, scope.Organization(j.Organization), func(ctx context.Context, tx *postgres.Tx) error {
		p, err = store.GetPlace(ctx, tx, j.Tenant.UUID)
		return err
	})
	if err != nil {
		return p, connector.NewError(connector.Retryable, err, "it could not be read where the account was")
	}
	p.ExternalID, p.UserName = j.ExternalID, j.UserName
	if p.UserName == "" {
		p.UserName = j.Person.UserName
	}
	return p, nil
}

// change makes one change, and returns what came of it.
func (c *calls) change(ctx context.Context, change lifecycle.Change, step store.Step) (lifecycle.Answer, error) {
	if change.Do == lifecycle.CreateAccount {
		return c.ensure(ctx)
	}
	if c.report.account.ID == "" {
		switch gone, err := c.identify(ctx, change); {
		case err != nil:
			return answer(err), err
		case gone:
			return withoutAccount(change), nil
		}
	}
	id, ent := c.report.account.ID, connector.Entitlement{Kind: step.Kind, Ref: step.Ref}
	var err error
	switch change.Do {
	case lifecycle.Look:
		return c.look(ctx)
	case lifecycle.Add:
		if step.Look {
			had := false
			err = c.within(ctx, func(ctx context.Context) error { had, err = c.app.Holds(ctx, id, ent); return err })
			if err == nil && had {
				return lifecycle.There, nil
			}
		}
		if err == nil {
			err = c.within(ctx, func(ctx context.Context) error { return c.app.Add(ctx, id, ent) })
		}
	case lifecycle.Remove:
		err = c.within(ctx, func(ctx context.Context) error { return c.app.Remove(ctx, id, ent) })
		if answer(err) == lifecycle.Refused && c.lacks(ctx, ent) {
			err = nil
		}
	case lifecycle.UpdateAccount:
		err = c.update(ctx)
	case lifecycle.SetManager:
		err = c.within(ctx, func(ctx context.Context) error { return c.app.SetManager(ctx, id, change.Manager, c.written()) })
	case lifecycle.RemoveAccount:
		err = c.removeAccount(ctx)
	}
	switch {
	case err == nil:
		return lifecycle.Done, nil
	case connector.KindOf(err) == connector.NotFound && change.Do != lifecycle.RemoveAccount:
		return lifecycle.Missing, err
	}
	return answer(err), err
}

// ensure has the person have an account.
func (c *calls) ensure(ctx context.Context) (lifecycle.Answer, error) {
	if c.byHand && c.report.account.ID == "" && !c.report.place.moved {
		if found, err := c.find(ctx, ""); err != nil {
			return answer(err), err
		} else if found != nil {
			c.report.account = *found
		}
	}
	var a connector.Account
	err := c.within(ctx, func(ctx context.Context) (err error) {
		a, err = c.app.EnsureAccount(ctx, c.person, c.report.account.ID)
		return err
	})
	switch {
	case err == nil && a.Made:
		c.report.account = a
		return lifecycle.Made, nil
	case err == nil:
		c.report.account = a
		return lifecycle.Done, nil
	case connector.KindOf(err) == connector.Exists && !c.job.Refuse:
		c.report.found = connector.Found(err)
		return lifecycle.FoundOne, nil
	case connector.KindOf(err) == connector.Exists:
		return lifecycle.Refused, connector.NewError(connector.Conflict, err,
			"%v; the app is set to refuse such accounts: give one of the two another user name, or set the app to ask", err)
	}
	return answer(err), err
}

// update gives the account the person's profile, unless it was made with it just now.
func (c *calls) update(ctx context.Context) error {
	if slices.ContainsFunc(c.report.results, func(r lifecycle.Result) bool { return r.Answer == lifecycle.Made }) {
		return nil
	}
	err := c.within(ctx, func(ctx context.Context) error { return c.app.UpdateAccount(ctx, c.report.account.ID, c.person) })
	if err == nil {
		c.report.account.UserName = c.person.UserName
	}
	return err
}

// maySetManager reports whether the account may be told of a manager's account: what is in
// the plan was known when that was made. An id is written only where it was issued, and an
// account that was not made just now is taken as it is first.
func (c *calls) maySetManager(manager string) bool {
	for _, r := range c.report.results {
		if r.Change.Do == lifecycle.CreateAccount && r.Answer != lifecycle.Made && !c.job.Known {
			return false
		}
	}
	return manager == "" || c.job.Manager.ExternalID == manager && c.job.Manager.At(c.app.Tenant)
}

// written are the ids of managers' accounts that Gatehouse may have written into the
// account that is called.
func (c *calls) written() []string {
	if c.report.place.moved {
		return nil
	}
	return c.job.Names.Written()
}

// identify finds the account that is to be changed and has no id here. It never makes
// one. gone says that the app was asked and has none of the person. Of one that carries
// nobody's id it is not known whether Gatehouse made it, in an app that may not keep
// ids: a person decides, and what they have said before a Look is believed.
func (c *calls) identify(ctx context.Context, change lifecycle.Change) (gone bool, err error) {
	if c.report.place.moved {
		return true, nil // locate has asked
	}
	found, err := c.find(ctx, "")
	switch {
	case err != nil:
		return false, err
	case found == nil, !c.byHand && found.Foreign, !c.byHand && !found.Ours && change.Do == lifecycle.Look:
		return true, nil
	case !c.byHand && !found.Ours:
		c.report.found, c.report.whose = *found, true
		return false, connector.NewError(connector.Conflict, nil,
			"there is an account with the person's user name (%s, id %s), and it is not known whether Gatehouse made it; it is left alone: remove it by hand if it is the person's, and resolve this item in either case",
			found.UserName, found.ID)
	}
	c.report.account = *found
	return false, nil
}

// withoutAccount is the answer of a change to an account that is not there.
func withoutAccount(change lifecycle.Change) lifecycle.Answer {
	switch change.Do {
	case lifecycle.Remove, lifecycle.RemoveAccount:
		return lifecycle.Done
	}
	return lifecycle.Missing
}

// removeAccount removes the account. If the app refuses, it is looked whether there is
// anything left to remove: a person may have done it.
func (c *calls) removeAccount(ctx context.Context) error {
	id, mode := c.report.account.ID, connector.Delete
	if c.job.Disable {
		mode = connector.Disable
	}
	err := c.within(ctx, func(ctx context.Context) error { return c.app.RemoveAccount(ctx, id, mode) })
	if answer(err) != lifecycle.Refused {
		return err
	}
	found, lookErr := c.find(ctx, id)
	if lookErr == nil && (found == nil || mode == connector.Disable && found.ID == id && found.Disabled) {
		return nil
	}
	return err
}

// lacks reports whether the account surely does not have an entitlement.
func (c *calls) lacks(ctx context.Context, ent connector.Entitlement) bool {
	held := true
	err := c.within(ctx, func(ctx context.Context) (err error) {
		held, err = c.app.Holds(ctx, c.report.account.ID, ent)
		return err
	})
	return err == nil && !held
}

// look asks whether the account can be used.
func (c *calls) look(ctx context.Context) (lifecycle.Answer, error) {
	found, err := c.find(ctx, c.report.account.ID)
	switch {
	case err != nil:
		return answer(err), err
	case found == nil:
		return lifecycle.Missing, nil
	case found.Disabled:
		return lifecycle.Done, nil
	}
	return lifecycle.There, nil
}
