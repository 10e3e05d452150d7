package scim

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const updating = "update the account"

// profile is what an account says of its person.
type profile struct {
	ID          string           `json:"id"`
	UserName    string           `json:"userName"`
	Name        name             `json:"name"`
	DisplayName string           `json:"displayName"`
	Title       string           `json:"title"`
	Emails      []map[string]any `json:"emails"`
	Enterprise  hasEnterprise    `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

type hasEnterprise struct {
	Department string    `json:"department"`
	Manager    managerID `json:"manager"`
}

// UpdateAccount implements connector.Connector.
func (c *Connector) UpdateAccount(ctx context.Context, accountID string, p connector.Person) error {
	if err := checkID(accountID); err != nil {
		return err
	}
	if strings.TrimSpace(p.UserName) == "" {
		return connector.NewError(connector.Permanent, nil, "%s: the person has no user name", updating)
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	has, err := c.profile(ctx, updating, accountID)
	if err != nil {
		return err
	}
	ops := has.differences(p)
	if len(ops) == 0 {
		return nil
	}
	r, err := c.patchUser(ctx, updating, accountID, ops...)
	if err != nil {
		return err
	}
	if scimType, _ := r.problem(); (r.status == http.StatusBadRequest || r.status == http.StatusNotImplemented) && !strings.EqualFold(scimType, "uniqueness") {
		// The app does not understand one of the paths: without them it leaves out what it does not keep.
		if r, err = c.patchUser(ctx, updating, accountID, has.withoutPaths(p, ops)...); err != nil {
			return err
		}
	}
	scimType, _ := r.problem()
	switch {
	case r.status == http.StatusNotFound:
		if err := c.answers(ctx, updating); err != nil {
			return err
		}
		return gone(updating)
	case r.status == http.StatusConflict, r.status == http.StatusBadRequest && strings.EqualFold(scimType, "uniqueness"):
		return connector.NewError(connector.Conflict, nil, "%s; another account in the app may have the user name %.80q", c.refused(updating, r).Message, p.UserName)
	case !r.ok():
		return c.refused(updating, r)
	case shows(r, func(u user) bool { return u.UserName != "" && !strings.EqualFold(u.UserName, p.UserName) }):
		return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and the account still has its old user name", updating)
	case r.status != http.StatusAccepted:
		return nil
	}
	has, err = c.profile(ctx, updating, accountID)
	if err != nil || len(has.differences(p)) == 0 {
		return err
	}
	return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", updating)
}

// profile reads what an account says of its person.
func (c *Connector) profile(ctx context.Context, doing, id string) (has profile, err error) {
	r, err := c.send(ctx, doing, http.MethodGet, "/Users/"+url.PathEscape(id), nil, true)
	switch {
	case err != nil:
		return has, err
	case r.status == http.StatusNotFound:
		if err := c.answers(ctx, doing); err != nil {
			return has, err
		}
		return has, gone(doing)
	case !r.ok():
		return has, c.refused(doing, r)
	case json.Unmarshal(r.body, &has) != nil || has.ID == "":
		return has, notSCIM(doing)
	}
	return has, nil
}

// differences are the operations that make the account say what the person does.
func (has profile) differences(p connector.Person) []operation {
	var ops []operation
	for _, a := range []struct{ path, has, want string }{
		{"userName", has.UserName, p.UserName},
		{"name.givenName", has.Name.GivenName, p.GivenName},
		{"name.familyName", has.Name.FamilyName, p.FamilyName},
		{"displayName", has.DisplayName, p.DisplayName},
		{"title", has.Title, p.Title},
		{enterpriseUser + ":department", has.Enterprise.Department, p.Department},
	} {
		switch {
		case a.has == a.want:
		case a.want == "":
			ops = append(ops, operation{Op: "remove", Path: a.path})
		default:
			ops = append(ops, operation{Op: "replace", Path: a.path, Value: a.want})
		}
	}
	if emails, changed := has.emails(p.Email); changed {
		if len(emails) == 0 {
			return append(ops, operation{Op: "remove", Path: "emails"})
		}
		ops = append(ops, operation{Op: "replace", Path: "emails", Value: emails})
	}
	return ops
}

// emails are those of the account with the person's in the place of the one that Gatehouse
// writes: the one of type work, or else the primary one. Others stay.
func (has profile) emails(want string) (emails []map[string]any, changed bool) {
	i := slices.IndexFunc(has.Emails, func(e map[string]any) bool { return e["type"] == "work" })
	if i < 0 {
		i = slices.IndexFunc(has.Emails, func(e map[string]any) bool { return e["primary"] == true })
	}
	switch {
	case i < 0 && want == "", i >= 0 && has.Emails[i]["value"] == want:
		return has.Emails, false
	case i < 0:
		primary := !slices.ContainsFunc(has.Emails, func(e map[string]any) bool { return e["primary"] == true })
		return append(slices.Clone(has.Emails), map[string]any{"value": want, "type": "work", "primary": primary}), true
	case want == "":
		return slices.Delete(slices.Clone(has.Emails), i, i+1), true
	}
	mine := maps.Clone(has.Emails[i])
	mine["value"] = want
	delete(mine, "display") // it is made of the old value
	emails = slices.Clone(has.Emails)
	emails[i] = mine
	return emails, true
}

// withoutPaths is the same for apps that do not understand paths: one operation with all that
// is to be replaced. What is to be removed needs its path.
func (has profile) withoutPaths(p connector.Person, ops []operation) []operation {
	values := make(map[string]any)
	var out []operation
	for _, op := range ops {
		switch {
		case op.Op == "remove":
			out = append(out, op)
		case strings.HasPrefix(op.Path, "name."):
			values["name"] = name{GivenName: p.GivenName, FamilyName: p.FamilyName}
		case strings.HasPrefix(op.Path, enterpriseUser):
			values[enterpriseUser] = enterpriseData{Department: p.Department}
		default:
			values[op.Path] = op.Value
		}
	}
	if len(values) > 0 {
		out = append(out, operation{Op: "replace", Value: values})
	}
	return out
}
