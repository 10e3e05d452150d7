package scim

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse.dev/services/provisioning/internal/connector"
)

// Add implements connector.Connector.
func (c *Connector) Add(ctx context.Context, accountID string, e connector.Entitlement) error {
	attribute, err := check(accountID, e)
	if err != nil {
		return err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if e.Kind == connector.Group {
		return c.addMember(ctx, accountID, e.Ref)
	}
	return c.addValue(ctx, accountID, attribute, e)
}

// Remove implements connector.Connector.
func (c *Connector) Remove(ctx context.Context, accountID string, e connector.Entitlement) error {
	attribute, err := check(accountID, e)
	if err != nil {
		return err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if e.Kind == connector.Group {
		return c.removeMember(ctx, accountID, e.Ref)
	}
	return c.removeValue(ctx, accountID, attribute, e)
}

// Holds implements connector.Connector.
func (c *Connector) Holds(ctx context.Context, accountID string, e connector.Entitlement) (bool, error) {
	const doing = "look up what the account has"
	attribute, err := check(accountID, e)
	if err != nil {
		return false, err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	u, err := c.account(ctx, doing, accountID)
	switch {
	case err != nil:
		return false, err
	case u == nil:
		return false, gone(doing)
	case e.Kind != connector.Group:
		return u.holds(attribute, e.Ref), nil
	}
	id, _, err := c.group(ctx, e.Ref)
	if err != nil {
		return false, err
	}
	if id == "" {
		return false, noGroup(doing, e.Ref)
	}
	return c.isMember(ctx, doing, id, accountID)
}

// check returns the attribute of the account that holds a kind of entitlement; none for groups.
func check(accountID string, e connector.Entitlement) (string, error) {
	if err := checkID(accountID); err != nil {
		return "", err
	}
	if strings.TrimSpace(e.Ref) == "" {
		return "", connector.NewError(connector.Permanent, nil, "the entitlement does not say what it is called in the app")
	}
	switch e.Kind {
	case connector.Group:
		return "", nil
	case connector.Role:
		return "roles", nil
	case connector.License:
		return "entitlements", nil
	default:
		return "", connector.NewError(connector.Permanent, nil, "SCIM has no entitlements of kind %.40q", e.Kind)
	}
}

func (c *Connector) addMember(ctx context.Context, accountID, ref string) error {
	const doing = "add to the group"
	op := operation{Op: "add", Path: "members", Value: []value{{accountID}}}
	id, known, err := c.group(ctx, ref)
	if err != nil {
		return err
	}
	if id == "" {
		return noGroup(doing, ref)
	}
	r, err := c.patchGroup(ctx, doing, id, op)
	if err == nil && r.status == http.StatusNotFound && known {
		// The group may have been made anew under its old name.
		c.groups.Delete(ref)
		again, _, err := c.group(ctx, ref)
		if err != nil {
			return err
		}
		if again == "" {
			return noGroup(doing, ref)
		}
		if again != id {
			id = again
			if r, err = c.patchGroup(ctx, doing, id, op); err != nil {
				return err
			}
		}
	}
	switch {
	case err != nil:
		return err
	case r.status == http.StatusAccepted, r.status == http.StatusConflict:
		member, err := c.isMember(ctx, doing, id, accountID)
		switch {
		case err != nil:
			return err
		case member:
			return nil
		case r.status == http.StatusAccepted:
			return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
		}
	case r.ok():
		return nil
	case r.status == http.StatusBadRequest, r.status == http.StatusNotFound:
		// Apps say either when the account is not there.
		u, err := c.account(ctx, doing, accountID)
		if err != nil {
			return err
		}
		if u == nil {
			return gone(doing)
		}
	}
	return c.refused(doing, r)
}

func (c *Connector) removeMember(ctx context.Context, accountID, ref string) error {
	const doing = "take out of the group"
	op := operation{Op: "remove", Path: "members[" + eq("value", accountID) + "]"}
	id, _, err := c.group(ctx, ref)
	if err != nil {
		return err
	}
	if id == "" {
		u, err := c.account(ctx, doing, accountID)
		if err != nil || u == nil {
			return err
		}
		return connector.NewError(connector.Permanent, nil,
			"%s: the app has no group %.80q; it was removed or renamed, and the person may still be in it under its new name", doing, ref)
	}
	r, err := c.patchGroup(ctx, doing, id, op)
	if err == nil && r.status == http.StatusNotFound {
		c.groups.Delete(ref)
		again, _, err := c.group(ctx, ref)
		switch {
		case err != nil:
			return err
		case again == "":
			return nil // the group that we knew by its id is gone, and who was in it with it
		case again != id:
			id = again
			if r, err = c.patchGroup(ctx, doing, id, op); err != nil {
				return err
			}
		}
	}
	// There is another form, a remove of "members" with a value. Strict apps read it as "remove all members": not used.
	switch {
	case err != nil:
		return err
	case r.noTarget():
		return nil
	case r.status == http.StatusAccepted, r.status == http.StatusNotFound, r.status == http.StatusConflict:
		member, err := c.isMember(ctx, doing, id, accountID)
		switch {
		case err != nil:
			return err
		case !member:
			return nil
		case r.status == http.StatusAccepted:
			return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
		}
	case r.ok():
		return nil
	}
	return c.refused(doing, r)
}

func (c *Connector) patchGroup(ctx context.Context, doing, id string, op operation) (reply, error) {
	return c.send(ctx, doing, http.MethodPatch, "/Groups/"+url.PathEscape(id), patchOf(op), false)
}

func (c *Connector) isMember(ctx context.Context, doing, groupID, accountID string) (bool, error) {
	r, err := c.send(ctx, doing, http.MethodGet, "/Groups/"+url.PathEscape(groupID), nil, true)
	if err != nil {
		return false, err
	}
	if r.status == http.StatusNotFound {
		return false, c.answers(ctx, doing)
	}
	if !r.ok() {
		return false, c.refused(doing, r)
	}
	var g group
	if json.Unmarshal(r.body, &g) != nil || g.ID == "" {
		return false, notSCIM(doing)
	}
	return has(g.Members, accountID), nil
}

// group finds the id of a group by its name or its id. The id is empty when the app does not have it.
// known says that the id was not asked for now, and may be stale.
func (c *Connector) group(ctx context.Context, ref string) (id string, known bool, err error) {
	old, ok := c.groups.Load(ref)
	if ok && time.Since(old.(knownGroup).at) < groupTTL {
		return old.(knownGroup).id, true, nil
	}
	id, _, err = c.findGroup(ctx, ref)
	switch {
	case err != nil:
		return "", false, err
	case id != "":
		c.groups.Store(ref, knownGroup{id: id, at: time.Now()})
		return id, false, nil
	case ok:
		// It has another name now, or is gone: its id will tell.
		return old.(knownGroup).id, true, nil
	}
	return "", false, nil
}

// findGroup asks for a group by its name, and then by its id. sought says that the app answered the search by name as one
// does that searches; otherwise a group of the name may be there all the same.
func (c *Connector) findGroup(ctx context.Context, ref string) (id string, sought bool, err error) {
	const doing = "look up the group"
	groups, sought, err := c.groupsNamed(ctx, doing, ref)
	if err != nil {
		return "", false, err
	}
	if id, err := named(groups, ref); err != nil || id != "" {
		return id, true, err
	}
	if checkID(ref) != nil {
		return "", sought, nil
	}
	r, err := c.send(ctx, doing, http.MethodGet, "/Groups/"+url.PathEscape(ref)+"?excludedAttributes=members", nil, true)
	if err != nil {
		return "", false, err
	}
	switch {
	case r.status == http.StatusNotFound, r.status == http.StatusBadRequest:
		return "", sought, nil
	case !r.ok():
		return "", false, c.refused(doing, r)
	}
	var g group
	if json.Unmarshal(r.body, &g) != nil || g.ID == "" {
		return "", false, notSCIM(doing)
	}
	return g.ID, true, nil
}

// groupsNamed are the groups that the app shows for a name. sought is false if it refuses the filter, or shows others.
func (c *Connector) groupsNamed(ctx context.Context, doing, name string) (groups []group, sought bool, err error) {
	r, err := c.send(ctx, doing, http.MethodGet, "/Groups?excludedAttributes=members&filter="+query(eq("displayName", name)), nil, true)
	switch {
	case err != nil:
		return nil, false, err
	case r.status == http.StatusBadRequest, r.status == http.StatusNotImplemented:
		return nil, false, nil
	case !r.ok():
		return nil, false, c.refused(doing, r)
	}
	var answer list[group]
	if json.Unmarshal(r.body, &answer) != nil || !answer.valid() {
		return nil, false, notSCIM(doing)
	}
	for _, g := range answer.Resources {
		if !strings.EqualFold(g.DisplayName, name) {
			return answer.Resources, false, nil
		}
	}
	return answer.Resources, true, nil
}

// named picks the group with a name: exactly this one, or the only one that differs in case.
func named(groups []group, ref string) (string, error) {
	var exact, folded []string
	for _, g := range groups {
		switch {
		case g.ID == "":
		case g.DisplayName == ref:
			exact = append(exact, g.ID)
		case strings.EqualFold(g.DisplayName, ref):
			folded = append(folded, g.ID)
		}
	}
	for _, ids := range [][]string{exact, folded} {
		switch len(ids) {
		case 0:
		case 1:
			return ids[0], nil
		default:
			return "", connector.NewError(connector.Permanent, connector.ErrAmbiguous,
				"look up the group: the app has %d groups named %.80q; use the id of the one that is meant", len(ids), ref)
		}
	}
	return "", nil
}

func (c *Connector) addValue(ctx context.Context, accountID, attribute string, e connector.Entitlement) error {
	doing := "give the " + e.Kind
	r, err := c.patchUser(ctx, doing, accountID, operation{Op: "add", Path: attribute, Value: []value{{e.Ref}}})
	switch {
	case err != nil:
		return err
	case r.status == http.StatusNotFound:
		if err := c.answers(ctx, doing); err != nil {
			return err
		}
		return gone(doing)
	case r.status == http.StatusAccepted, r.status == http.StatusConflict:
		u, err := c.account(ctx, doing, accountID)
		switch {
		case err != nil:
			return err
		case u == nil:
			return gone(doing)
		case u.holds(attribute, e.Ref):
			return nil
		case r.status == http.StatusAccepted:
			return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
		}
	case r.ok():
		return nil
	}
	return c.refused(doing, r)
}

func (c *Connector) removeValue(ctx context.Context, accountID, attribute string, e connector.Entitlement) error {
	doing := "take the " + e.Kind
	r, err := c.patchUser(ctx, doing, accountID, operation{Op: "remove", Path: attribute + "[" + eq("value", e.Ref) + "]"})
	switch {
	case err != nil:
		return err
	case r.noTarget():
		return nil
	case r.status == http.StatusNotFound:
		return c.answers(ctx, doing)
	case r.status == http.StatusAccepted, r.status == http.StatusConflict:
		u, err := c.account(ctx, doing, accountID)
		switch {
		case err != nil || u == nil || !u.holds(attribute, e.Ref):
			return err
		case r.status == http.StatusAccepted:
			return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", doing)
		}
	case r.ok():
		if shows(r, func(u user) bool { return u.holds(attribute, e.Ref) }) {
			return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and the account still has it", doing)
		}
		return nil
	}
	return c.refused(doing, r)
}

func (u user) holds(attribute, ref string) bool {
	if attribute == "roles" {
		return has(u.Roles, ref)
	}
	return has(u.Entitlements, ref)
}

func noGroup(doing, ref string) error {
	return connector.NewError(connector.Permanent, nil, "%s: the app has no group named %.80q and none with this id", doing, ref)
}

func gone(doing string) error {
	return connector.NewError(connector.NotFound, nil, "%s: the account is not in the app any more", doing)
}
