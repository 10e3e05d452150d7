package demoapp

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// resource is a user or a group, which meta.resourceType tells. It is not changed once others can see it.
type resource struct {
	Schemas      []string         `json:"schemas,omitempty"`
	ID           string           `json:"id"`
	ExternalID   string           `json:"externalId,omitempty"`
	UserName     string           `json:"userName,omitempty"`
	DisplayName  string           `json:"displayName,omitempty"`
	Title        string           `json:"title,omitempty"`
	Name         map[string]any   `json:"name,omitempty"`
	Emails       []map[string]any `json:"emails,omitempty"`
	Active       *bool            `json:"active,omitempty"` // nil for groups
	Roles        []value          `json:"roles,omitempty"`
	Entitlements []value          `json:"entitlements,omitempty"`
	Members      []value          `json:"members,omitempty"`
	Meta         meta             `json:"meta"`
}

// value is one of an attribute that has many.
type value struct {
	Value string `json:"value"`
}

type meta struct {
	ResourceType string    `json:"resourceType"`
	Created      time.Time `json:"created"`
	Location     string    `json:"location,omitempty"`
}

func newResource(kind string) *resource {
	res := &resource{ID: uuid.NewString(), Meta: meta{ResourceType: kind, Created: time.Now().UTC()}}
	if kind == "User" {
		res.Active = new(true)
	}
	return res
}

// attribute returns a pointer to an attribute that clients may set: *string, **bool, *map[string]any, *[]map[string]any or *[]value. It is nil
// for one that the resource does not have.
func (res *resource) attribute(name string) any {
	switch res.Meta.ResourceType + "." + strings.ToLower(name) {
	case "User.externalid", "Group.externalid":
		return &res.ExternalID
	case "User.displayname", "Group.displayname":
		return &res.DisplayName
	case "User.username":
		return &res.UserName
	case "User.title":
		return &res.Title
	case "User.name":
		return &res.Name
	case "User.emails":
		return &res.Emails
	case "User.active":
		return &res.Active
	case "User.roles":
		return &res.Roles
	case "User.entitlements":
		return &res.Entitlements
	case "Group.members":
		return &res.Members
	}
	return nil
}

// Disabled says whether a user is not active; the page asks.
func (res *resource) Disabled() bool { return res.Active != nil && !*res.Active }

// name is what no other resource of its kind may have.
func (res *resource) name() string {
	if res.Meta.ResourceType == "Group" {
		return res.DisplayName
	}
	return res.UserName
}

// read sets the attributes that the body of a request holds, and leaves out those that the resource does not have.
func (res *resource) read(r *http.Request) error {
	var body map[string]json.RawMessage
	if err := decode(r, &body); err != nil {
		return err
	}
	return res.setAll(body)
}

// replace is an operation without a path: the value holds attributes.
func (res *resource) replace(raw json.RawMessage) error {
	var attributes map[string]json.RawMessage
	if json.Unmarshal(raw, &attributes) != nil || attributes == nil {
		return invalid("invalidValue", "An operation without a path has an object of attributes as its value.")
	}
	return res.setAll(attributes)
}

// setAll sets attributes, and leaves out those that the resource does not have.
func (res *resource) setAll(body map[string]json.RawMessage) error {
	for name, raw := range body {
		attribute := res.attribute(name)
		if attribute == nil || string(raw) == "null" {
			continue
		}
		if err := set(attribute, raw, false); err != nil {
			return err
		}
	}
	return nil
}

// set replaces the value of an attribute, or adds to its values. It writes into no value that others can see.
func set(attribute any, raw json.RawMessage, add bool) error {
	var err error
	switch attribute := attribute.(type) {
	case *string:
		err = json.Unmarshal(raw, attribute)
	case **bool:
		*attribute = nil
		err = json.Unmarshal(raw, attribute)
	case *map[string]any:
		*attribute = nil
		err = json.Unmarshal(raw, attribute)
	case *[]map[string]any:
		*attribute = nil
		err = json.Unmarshal(raw, attribute)
	case *[]value:
		var values []value
		err = json.Unmarshal(raw, &values)
		if add {
			values = slices.Concat(*attribute, values)
		}
		*attribute = distinct(values)
	}
	if err != nil || string(raw) == "null" {
		return invalid("invalidValue", "The value %.80q is missing or of the wrong type.", raw)
	}
	return nil
}

// distinct keeps the first of equal values.
func distinct(values []value) []value {
	var out []value
	seen := map[value]bool{}
	for _, v := range values {
		if !seen[v] {
			out = append(out, v)
		}
		seen[v] = true
	}
	return out
}

func without(values []value, gone string) []value {
	return slices.DeleteFunc(slices.Clone(values), func(v value) bool { return v.Value == gone })
}

// operation is one change of a PATCH.
type operation struct {
	Op    string
	Path  string
	Value json.RawMessage
}

const quoted = `("(?:[^"\\]|\\.)*")`

var pathPattern = regexp.MustCompile(`(?i)^(\w+)(?:\[value eq ` + quoted + `\])?$`)

func (res *resource) apply(op operation) error {
	if op.Path == "" && strings.EqualFold(op.Op, "replace") {
		return res.replace(op.Value)
	}
	parts := pathPattern.FindStringSubmatch(op.Path)
	if parts == nil || res.attribute(parts[1]) == nil {
		return invalid("invalidPath", "The path %.80q is not supported.", op.Path)
	}
	attribute, chosen, verb := res.attribute(parts[1]), parts[2], strings.ToLower(op.Op)
	values, many := attribute.(*[]value)
	switch {
	case (verb == "add" || verb == "replace") && chosen == "":
		return set(attribute, op.Value, verb == "add")
	case verb == "remove" && chosen == "" && op.Value == nil && attribute == &res.Title:
		res.Title = ""
		return nil
	case verb == "remove" && many && chosen != "" && op.Value == nil:
		var gone string
		if json.Unmarshal([]byte(chosen), &gone) != nil {
			return invalid("invalidPath", "The path %.80q is not supported.", op.Path)
		}
		*values = without(*values, gone)
		return nil
	}
	return invalid("invalidSyntax", "The operation %.40q with the path %.80q is not supported.", op.Op, op.Path)
}

// condition is one "attribute eq value" of a filter. The attribute is lower case.
type condition struct{ attribute, value string }

var conditionPattern = regexp.MustCompile(`(?i)^(userName|externalId|displayName) eq ` + quoted + `( or |$)`)

// parseFilter returns the conditions of which one must hold; none for an empty filter.
func parseFilter(s string) ([]condition, error) {
	var out []condition
	for more := s != ""; more; {
		parts := conditionPattern.FindStringSubmatch(s)
		var v string
		if parts == nil || json.Unmarshal([]byte(parts[2]), &v) != nil {
			return nil, invalid("invalidFilter", `A filter is userName, externalId or displayName eq "value", or several joined by or.`)
		}
		out = append(out, condition{strings.ToLower(parts[1]), v})
		s, more = s[len(parts[0]):], parts[3] != ""
	}
	return out, nil
}

func (res *resource) matches(c condition) bool {
	text, ok := res.attribute(c.attribute).(*string)
	return ok && (*text == c.value || c.attribute != "externalid" && strings.EqualFold(*text, c.value))
}
