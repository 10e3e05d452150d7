package scim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const (
	lookingUp = "look up the account"
	creating  = "create the account"
	enabling  = "enable the account"
)

// Find implements connector.Connector.
func (c *Connector) Find(ctx context.Context, p connector.Person, known string) (*connector.Account, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	u, err := c.findOrKnown(ctx, p, known)
	if err != nil || u == nil {
		return nil, err
	}
	a := u.account(p)
	return &a, nil
}

// findOrKnown finds the person's account: the one that carries their id, or else the one known, or else one with their user name.
func (c *Connector) findOrKnown(ctx context.Context, p connector.Person, known string) (*user, error) {
	u, err := c.find(ctx, p)
	if err != nil && connector.KindOf(err) != connector.Conflict {
		return nil, err
	}
	if known == "" || u != nil && (u.ExternalID == p.UserID || u.ID == known) {
		return u, err
	}
	if err := checkID(known); err != nil {
		return nil, err
	}
	had, lookErr := c.account(ctx, lookingUp, known)
	switch {
	case lookErr != nil:
		return nil, lookErr
	case had == nil:
		return u, err
	case had.ExternalID != p.UserID && gatehouseID(had.ExternalID):
		return nil, ofAnother(*had)
	}
	return had, nil
}

func (u user) account(p connector.Person) connector.Account {
	return connector.Account{ID: u.ID, UserName: u.UserName, Ours: u.ExternalID == p.UserID, Foreign: u.ExternalID != "" && u.ExternalID != p.UserID, Disabled: u.disabled()}
}

// EnsureAccount implements connector.Connector.
func (c *Connector) EnsureAccount(ctx context.Context, p connector.Person, known string) (connector.Account, error) {
	if p.UserID == "" || strings.TrimSpace(p.UserName) == "" {
		return connector.Account{}, connector.NewError(connector.Permanent, nil, "%s: the person has no user name", creating)
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()

	found, err := c.findOrKnown(ctx, p, known)
	if err != nil {
		return connector.Account{}, err
	}
	made := false
	if found == nil {
		created, err := c.create(ctx, p)
		if err == nil && created.ID != "" {
			return created, nil
		}
		if err != nil && connector.KindOf(err) != connector.Conflict {
			return connector.Account{}, err
		}
		// Somebody else made it since we looked, or an earlier call of ours did, or the app did not say its id.
		// One request each: not every app answers an "or" truthfully.
		again, lookErr := c.findEach(ctx, p)
		if lookErr != nil {
			return connector.Account{}, lookErr
		}
		if again == nil {
			if err == nil {
				return connector.Account{}, connector.NewError(connector.Retryable, nil, "%s: the app says that it did, and does not show the account yet", creating)
			}
			return connector.Account{}, connector.NewError(connector.Conflict, err, "%s, and the app shows no account with this user name: it may be hidden or belong to somebody with the same e-mail", err)
		}
		found, made = again, err == nil
	}
	if !made && found.ExternalID != p.UserID && found.ID != known {
		e := connector.NewError(connector.Exists, nil, "%s: there is an account with this user name already (%s, id %s), and it is not known whose it is",
			creating, found.UserName, found.ID)
		e.Account = found.account(p)
		return connector.Account{}, e
	}
	if err := c.adopt(ctx, p, *found); err != nil {
		return connector.Account{}, err
	}
	return connector.Account{ID: found.ID, UserName: found.UserName, Made: made}, nil
}

// create posts the account. It returns an account without ID when the app made it and did not say which it is.
func (c *Connector) create(ctx context.Context, p connector.Person) (connector.Account, error) {
	r, err := c.send(ctx, creating, http.MethodPost, "/Users", userOf(p), true)
	if err != nil {
		return connector.Account{}, err
	}
	if !r.ok() {
		return connector.Account{}, c.refused(creating, r)
	}
	var made user
	if json.Unmarshal(r.body, &made) != nil || made.ID == "" || r.status == http.StatusAccepted {
		return connector.Account{}, nil
	}
	if made.UserName == "" {
		made.UserName = p.UserName
	}
	return connector.Account{ID: made.ID, UserName: made.UserName, Made: true}, nil
}

// adopt makes an account that exists the person's own: active, and found by the person's id from now on.
func (c *Connector) adopt(ctx context.Context, p connector.Person, u user) error {
	var ops []operation
	if u.disabled() {
		ops = append(ops, operation{Op: "replace", Path: "active", Value: true})
	}
	link := u.ExternalID == ""
	if link {
		ops = append(ops, operation{Op: "add", Path: "externalId", Value: p.UserID})
	}
	if len(ops) == 0 {
		return nil
	}
	r, err := c.patchUser(ctx, enabling, u.ID, ops...)
	if err != nil {
		return err
	}
	if link && !r.ok() && slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusNotImplemented}, r.status) {
		// The app does not let us set externalId: the account is found by its user name then.
		if !u.disabled() {
			return nil
		}
		if r, err = c.patchUser(ctx, enabling, u.ID, ops[0]); err != nil {
			return err
		}
	}
	switch {
	case r.status == http.StatusNotFound:
		return connector.NewError(connector.Retryable, nil, "%s: it was removed from the app a moment ago", enabling)
	case !r.ok():
		return c.refused(enabling, r)
	case u.disabled() && shows(r, func(u user) bool { return u.disabled() }):
		return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and the account is still disabled", enabling)
	}
	return nil
}

// shows says whether the answer holds an account of which is true. Most apps answer a PATCH without one.
func shows(r reply, is func(user) bool) bool {
	var u user
	return len(r.body) > 0 && json.Unmarshal(r.body, &u) == nil && is(u)
}

func (c *Connector) patchUser(ctx context.Context, doing, id string, ops ...operation) (reply, error) {
	return c.send(ctx, doing, http.MethodPatch, "/Users/"+url.PathEscape(id), patchOf(ops...), true)
}

// find looks the person up in the best way that the app is known to understand.
// It returns nil when the person has no account.
func (c *Connector) find(ctx context.Context, p connector.Person) (*user, error) {
	if c.lookup.Load() != byEither {
		return c.findEach(ctx, p)
	}
	users, err := c.search(ctx, lookingUp, eq("externalId", p.UserID)+" or "+eq("userName", p.UserName))
	if notUnderstood(err) {
		c.settle(byEach, p)
		return c.findEach(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	found, err := choose(users, p)
	if found == nil && err == nil && len(users) > 0 {
		// Not what was asked for: the app does not understand "or".
		c.settle(byEach, p)
		return c.findEach(ctx, p)
	}
	return found, err
}

// findEach looks by externalId and then by userName.
func (c *Connector) findEach(ctx context.Context, p connector.Person) (*user, error) {
	if c.lookup.Load() != byUserName {
		users, err := c.search(ctx, lookingUp, eq("externalId", p.UserID))
		switch {
		case notUnderstood(err):
			c.settle(byUserName, p)
		case err != nil:
			return nil, err
		default:
			for _, u := range users {
				if u.ExternalID == p.UserID {
					return &u, nil
				}
			}
			if len(users) > 0 {
				c.settle(byUserName, p)
			}
		}
	}
	users, err := c.search(ctx, lookingUp, eq("userName", p.UserName))
	if err != nil {
		return nil, err
	}
	found, err := choose(users, p)
	if found == nil && err == nil && len(users) > 0 {
		return nil, connector.NewError(connector.Permanent, nil,
			"%s: asked for one user name the app answers with other accounts, so that it cannot be known whether the person has one", lookingUp)
	}
	return found, err
}

// settle remembers that the app does not understand a better look-up. An app that stumbles over an unusual value is asked again next time.
func (c *Connector) settle(way int32, p connector.Person) {
	if quote(p.UserID) == `"`+p.UserID+`"` && quote(p.UserName) == `"`+p.UserName+`"` {
		c.lookup.Store(max(c.lookup.Load(), way))
	}
}

// errFilter is the cause of the error when the app refused a filter as such.
var errFilter = errors.New("filter refused")

func notUnderstood(err error) bool { return errors.Is(err, errFilter) }

// search returns the accounts that the app shows for a filter.
func (c *Connector) search(ctx context.Context, doing, filter string) ([]user, error) {
	r, err := c.send(ctx, doing, http.MethodGet, "/Users?filter="+query(filter), nil, true)
	if err != nil {
		return nil, err
	}
	if r.status == http.StatusBadRequest || r.status == http.StatusNotImplemented {
		return nil, connector.NewError(connector.Permanent, errFilter, "%s", c.refused(doing, r).Message)
	}
	if !r.ok() {
		return nil, c.refused(doing, r)
	}
	var users list[user]
	if json.Unmarshal(r.body, &users) != nil || !users.valid() {
		return nil, notSCIM(doing)
	}
	if users.total() > 0 && len(users.Resources) == 0 {
		// It is no answer to whether the person has one.
		return nil, connector.NewError(connector.Retryable, nil, "%s: the app says that it has %d such accounts, and shows none of them", doing, users.total())
	}
	return slices.DeleteFunc(users.Resources, func(u user) bool { return u.ID == "" }), nil
}

// choose picks the person's account out of what the app showed; nil when it is not there.
func choose(users []user, p connector.Person) (*user, error) {
	for _, u := range users {
		if u.ExternalID == p.UserID {
			return &u, nil
		}
	}
	for _, u := range users {
		if !strings.EqualFold(u.UserName, p.UserName) {
			continue
		}
		if gatehouseID(u.ExternalID) {
			return nil, ofAnother(u)
		}
		return &u, nil
	}
	return nil, nil
}

// ofAnother is the error for an account that somebody else has. They may be using it: nothing that it advises touches it.
func ofAnother(u user) error {
	return connector.NewError(connector.Conflict, nil,
		"%s: the account %s (id %s) is that of another person of Gatehouse (externalId %s), who may be using it; leave it as it is, and give this person another user name",
		lookingUp, u.UserName, u.ID, u.ExternalID)
}

// gatehouseID says whether an externalId was set by Gatehouse, whose ids are UUIDs of version 7. Other systems that set it use their own.
func gatehouseID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.Version() == 7
}

// RemoveAccount implements connector.Connector.
func (c *Connector) RemoveAccount(ctx context.Context, accountID string, mode connector.Removal) error {
	if err := checkID(accountID); err != nil {
		return err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	switch mode {
	case connector.Disable:
		return c.disable(ctx, accountID)
	case connector.Delete:
		return c.delete(ctx, accountID)
	default:
		return connector.NewError(connector.Permanent, nil, "remove the account: not known how (%d)", int(mode))
	}
}

func (c *Connector) disable(ctx context.Context, id string) error {
	const doing = "disable the account"
	r, err := c.patchUser(ctx, doing, id, operation{Op: "replace", Path: "active", Value: false})
	switch {
	case err != nil:
		return err
	case r.status == http.StatusNotFound:
		return c.answers(ctx, doing)
	case !r.ok():
		return c.refused(doing, r)
	case shows(r, func(u user) bool { return u.Active != nil && !u.disabled() }):
		return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and the account is still active", doing)
	case r.status != http.StatusAccepted:
		return nil
	}
	u, err := c.account(ctx, doing, id)
	if err != nil || u == nil || u.disabled() {
		return err
	}
	return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
}

func (c *Connector) delete(ctx context.Context, id string) error {
	const doing = "delete the account"
	r, err := c.send(ctx, doing, http.MethodDelete, "/Users/"+url.PathEscape(id), nil, false)
	switch {
	case err != nil:
		return err
	case r.status == http.StatusNotFound:
		return c.answers(ctx, doing)
	case !r.ok():
		return c.refused(doing, r)
	case r.status != http.StatusAccepted:
		return nil
	}
	u, err := c.account(ctx, doing, id)
	if err != nil || u == nil {
		return err
	}
	return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
}

// account reads one account; nil when the app does not have it.
func (c *Connector) account(ctx context.Context, doing, id string) (*user, error) {
	r, err := c.send(ctx, doing, http.MethodGet, "/Users/"+url.PathEscape(id), nil, true)
	if err != nil {
		return nil, err
	}
	if r.status == http.StatusNotFound {
		return nil, c.answers(ctx, doing)
	}
	if !r.ok() {
		return nil, c.refused(doing, r)
	}
	var u user
	if json.Unmarshal(r.body, &u) != nil || u.ID == "" {
		return nil, notSCIM(doing)
	}
	return &u, nil
}

// answers makes sure that a 404 came from the app, and not from whatever else is at a wrong address.
func (c *Connector) answers(ctx context.Context, doing string) error {
	_, err := c.search(ctx, doing, eq("userName", "gatehouse-connection-test@invalid"))
	return err
}

// checkID refuses ids that would make the path another one: DELETE /Users/ must not happen.
func checkID(id string) error {
	if id == "" || id == "." || id == ".." {
		return connector.NewError(connector.Permanent, nil, "the id of the account is missing")
	}
	return nil
}
