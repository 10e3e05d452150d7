package demoapp

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// user is an account as it is kept. A value is never changed once others can see it.
type user struct {
	ID           string    `json:"id"`
	ExternalID   string    `json:"externalId,omitempty"`
	UserName     string    `json:"userName"`
	Name         *fullName `json:"name,omitempty"`
	DisplayName  string    `json:"displayName,omitempty"`
	Title        string    `json:"title,omitempty"`
	Active       bool      `json:"active"`
	Emails       []multi   `json:"emails,omitempty"`
	Roles        []multi   `json:"roles,omitempty"`
	Entitlements []multi   `json:"entitlements,omitempty"`
	Department   string    `json:"department,omitempty"`
	Created      time.Time `json:"created"`
	Modified     time.Time `json:"modified"`
}

type fullName struct {
	Formatted  string `json:"formatted,omitempty"`
	GivenName  string `json:"givenName,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
}

// multi is one value of an attribute that has many.
type multi struct {
	Value   string  `json:"value"`
	Display string  `json:"display,omitempty"`
	Type    string  `json:"type,omitempty"`
	Primary boolean `json:"primary,omitempty"`
}

// boolean is also taken as a string: there are clients that send "True".
type boolean bool

func (v *boolean) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		*v = true
	case "false":
		*v = false
	default:
		return fmt.Errorf("not a boolean: %.20q", b)
	}
	return nil
}

// userBody is a user as a client sends it.
type userBody struct {
	ExternalID   string     `json:"externalId"`
	UserName     string     `json:"userName"`
	Name         *fullName  `json:"name"`
	DisplayName  string     `json:"displayName"`
	Title        string     `json:"title"`
	Active       *boolean   `json:"active"`
	Emails       []multi    `json:"emails"`
	Roles        []multi    `json:"roles"`
	Entitlements []multi    `json:"entitlements"`
	Enterprise   enterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

type enterprise struct {
	Department string `json:"department"`
}

// replace writes all that a client may set.
func (in userBody) replace(u *user) error {
	if strings.TrimSpace(in.UserName) == "" {
		return fail(http.StatusBadRequest, "invalidValue", "userName is missing.")
	}
	u.ExternalID, u.UserName, u.Name = in.ExternalID, in.UserName, in.Name
	u.DisplayName, u.Title, u.Department = in.DisplayName, in.Title, in.Enterprise.Department
	u.Active = in.Active == nil || bool(*in.Active)
	u.Emails, u.Roles, u.Entitlements = distinct(in.Emails), distinct(in.Roles), distinct(in.Entitlements)
	return nil
}

// distinct keeps the first of each (type, value).
func distinct(values []multi) []multi {
	var out []multi
	for _, v := range values {
		if !slices.ContainsFunc(out, func(o multi) bool { return o.Value == v.Value && o.Type == v.Type }) {
			out = append(out, v)
		}
	}
	return out
}

// shownUser is a user with the groups it is in.
type shownUser struct {
	*user
	in []reference
}

type reference struct {
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
	Ref     string `json:"$ref,omitempty"`
}

type meta struct {
	ResourceType string    `json:"resourceType"`
	Created      time.Time `json:"created"`
	LastModified time.Time `json:"lastModified"`
	Location     string    `json:"location"`
}

func (u shownUser) wire(r *http.Request) any {
	type userWire struct {
		Schemas      []string    `json:"schemas"`
		ID           string      `json:"id"`
		ExternalID   string      `json:"externalId,omitempty"`
		UserName     string      `json:"userName"`
		Name         *fullName   `json:"name,omitempty"`
		DisplayName  string      `json:"displayName,omitempty"`
		Title        string      `json:"title,omitempty"`
		Active       bool        `json:"active"`
		Emails       []multi     `json:"emails,omitempty"`
		Roles        []multi     `json:"roles,omitempty"`
		Entitlements []multi     `json:"entitlements,omitempty"`
		Groups       []reference `json:"groups,omitempty"`
		Enterprise   *enterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitempty"`
		Meta         meta        `json:"meta"`
	}
	out := userWire{
		Schemas: []string{schemaUser}, ID: u.ID, ExternalID: u.ExternalID, UserName: u.UserName, Name: u.Name,
		DisplayName: u.DisplayName, Title: u.Title, Active: u.Active, Emails: u.Emails, Roles: u.Roles,
		Entitlements: u.Entitlements, Groups: u.in,
		Meta: meta{"User", u.Created, u.Modified, location(r, "Users", u.ID)},
	}
	if u.Department != "" {
		out.Schemas = append(out.Schemas, schemaEnterprise)
		out.Enterprise = &enterprise{u.Department}
	}
	return out
}

// group is kept with its members; it is only touched under the store's lock.
type group struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"displayName"`
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`

	members map[string]struct{}
}

// groupBody is a group as a client sends it.
type groupBody struct {
	DisplayName string  `json:"displayName"`
	Members     []multi `json:"members"`
}

// shownGroup is a group as it was when it was looked at.
type shownGroup struct {
	group
	members []reference
}

func (g shownGroup) wire(r *http.Request) any {
	return struct {
		Schemas     []string    `json:"schemas"`
		ID          string      `json:"id"`
		DisplayName string      `json:"displayName"`
		Members     []reference `json:"members,omitempty"`
		Meta        meta        `json:"meta"`
	}{
		[]string{schemaGroup},
		g.ID, g.DisplayName, g.members,
		meta{"Group", g.Created, g.Modified, location(r, "Groups", g.ID)},
	}
}

// operation is one change of a PATCH.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

func operations(w http.ResponseWriter, r *http.Request) ([]operation, error) {
	var in struct {
		Schemas    []string    `json:"schemas"`
		Operations []operation `json:"Operations"`
	}
	if err := decode(w, r, &in); err != nil {
		return nil, err
	}
	if !slices.Contains(in.Schemas, schemaPatch) || len(in.Operations) == 0 {
		return nil, fail(http.StatusBadRequest, "invalidSyntax", "A PATCH needs the schema %s and Operations.", schemaPatch)
	}
	var out []operation
	for _, op := range in.Operations {
		op.Op = strings.ToLower(op.Op)
		switch {
		case op.Op != "add" && op.Op != "replace" && op.Op != "remove":
			return nil, fail(http.StatusBadRequest, "invalidSyntax", "The operation %.40q is not add, replace or remove.", op.Op)
		case op.Op != "remove" && len(op.Value) == 0:
			return nil, fail(http.StatusBadRequest, "invalidValue", "%s needs a value.", op.Op)
		case op.Path != "":
			out = append(out, op)
		case op.Op == "remove":
			return nil, fail(http.StatusBadRequest, "noTarget", "remove needs a path.")
		default:
			// Without a path the value names the attributes.
			var attributes map[string]json.RawMessage
			if json.Unmarshal(op.Value, &attributes) != nil {
				return nil, fail(http.StatusBadRequest, "invalidValue", "Without a path the value names attributes.")
			}
			for _, name := range slices.Sorted(maps.Keys(attributes)) {
				switch strings.ToLower(name) {
				case "schemas", "id", "meta":
				default:
					out = append(out, operation{Op: op.Op, Path: name, Value: attributes[name]})
				}
			}
		}
	}
	return out, nil
}

// path takes "roles[value eq \"x\"]" apart. The attribute is lower case; where is nil without brackets.
func (op operation) path() (attribute string, where []term, err error) {
	attribute, rest, ok := strings.Cut(op.Path, "[")
	attribute = strings.ToLower(strings.TrimPrefix(attribute, schemaUser+":"))
	if !ok {
		return attribute, nil, nil
	}
	end := strings.LastIndex(rest, "]")
	if end < 0 || rest[end+1:] != "" {
		return "", nil, fail(http.StatusBadRequest, "invalidPath", "The path %.80q is not supported.", op.Path)
	}
	f, err := parseFilter(rest[:end])
	if err != nil || len(f) != 1 {
		return "", nil, fail(http.StatusBadRequest, "invalidPath", "The filter in the path %.80q is not supported.", op.Path)
	}
	return attribute, f[0], nil
}

// into reads the value of the operation; remove sets the zero value.
func (op operation) into(v any) error {
	if op.Op == "remove" {
		op.Value = json.RawMessage("null")
	}
	if json.Unmarshal(op.Value, v) != nil {
		return fail(http.StatusBadRequest, "invalidValue", "The value of %.80q is of another type.", op.Path)
	}
	return nil
}

// values reads one or many values.
func (op operation) values() ([]multi, error) {
	var many []multi
	if json.Unmarshal(op.Value, &many) == nil {
		return many, nil
	}
	var one multi
	if err := op.into(&one); err != nil {
		return nil, err
	}
	return []multi{one}, nil
}

func patchUser(u *user, ops []operation) error {
	for _, op := range ops {
		attribute, where, err := op.path()
		if err != nil {
			return err
		}
		if where != nil {
			switch attribute {
			case "emails", "roles", "entitlements":
			default:
				return fail(http.StatusBadRequest, "invalidPath", "%.80q does not have many values.", attribute)
			}
		}
		switch attribute {
		case "active":
			var active boolean
			if op.Op == "remove" {
				active = true
			} else if err := op.into(&active); err != nil {
				return err
			}
			u.Active = bool(active)
		case "username":
			var name string
			if err := op.into(&name); err != nil {
				return err
			}
			if strings.TrimSpace(name) == "" {
				return fail(http.StatusBadRequest, "invalidValue", "userName cannot be empty.")
			}
			u.UserName = name
		case "externalid":
			err = set(op, &u.ExternalID)
		case "displayname":
			err = set(op, &u.DisplayName)
		case "title":
			err = set(op, &u.Title)
		case strings.ToLower(schemaEnterprise) + ":department":
			err = set(op, &u.Department)
		case strings.ToLower(schemaEnterprise):
			var e enterprise
			if err = op.into(&e); err == nil {
				u.Department = e.Department
			}
		case "name":
			var n *fullName
			if err = op.into(&n); err == nil {
				u.Name = n
			}
		case "name.formatted", "name.givenname", "name.familyname":
			n := fullName{}
			if u.Name != nil {
				n = *u.Name
			}
			err = set(op, map[string]*string{"name.formatted": &n.Formatted, "name.givenname": &n.GivenName, "name.familyname": &n.FamilyName}[attribute])
			u.Name = &n
		case "emails":
			u.Emails, err = patchValues(op, where, u.Emails)
		case "roles":
			u.Roles, err = patchValues(op, where, u.Roles)
		case "entitlements":
			u.Entitlements, err = patchValues(op, where, u.Entitlements)
		default:
			err = fail(http.StatusBadRequest, "invalidPath", "There is no attribute %.80q.", op.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func set(op operation, s *string) error {
	var v string
	if err := op.into(&v); err != nil {
		return err
	}
	*s = v
	return nil
}

// patchValues returns what becomes of the values of an attribute that has many. It leaves old as it is.
func patchValues(op operation, where []term, old []multi) ([]multi, error) {
	switch {
	case op.Op == "remove" && where == nil:
		return nil, nil
	case op.Op == "remove":
		return slices.DeleteFunc(slices.Clone(old), func(v multi) bool { return v.matches(where) }), nil
	case where != nil:
		return nil, fail(http.StatusBadRequest, "invalidPath", "%s of chosen values is not supported.", op.Op)
	}
	values, err := op.values()
	if err != nil {
		return nil, err
	}
	if op.Op == "add" {
		values = append(slices.Clone(old), values...)
	}
	return distinct(values), nil
}

func (v multi) matches(where []term) bool {
	for _, t := range where {
		switch t.attribute {
		case "value":
			if v.Value != t.value {
				return false
			}
		case "type":
			if !strings.EqualFold(v.Type, t.value) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
