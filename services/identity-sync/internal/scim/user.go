package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse.dev/libs/plaintext"
)

// userColumns are the attributes that a store finds users by.
var userColumns = map[string]Attribute{
	"id":                AttributeID,
	"externalId":        AttributeExternalID,
	"userName":          AttributeUserName,
	"emails.value":      AttributeEmail,
	"meta.lastModified": AttributeLastModified,
}

// userSorts are the attributes that users can be ordered by.
var userSorts = map[string]SortKey{
	"id":                SortID,
	"externalId":        SortExternalID,
	"userName":          SortUserName,
	"displayName":       SortDisplayName,
	"meta.created":      SortCreated,
	"meta.lastModified": SortLastModified,
}

// newUser makes what the store keeps of a document.
func newUser(doc document, limit int64) (User, error) {
	attributes, err := encodeDocument(doc, limit)
	if err != nil {
		return User{}, err
	}
	name, _ := doc["name"].(map[string]any)
	work, _ := doc[urnEnterprise].(map[string]any)
	manager, _ := work["manager"].(map[string]any)
	active, _ := doc["active"].(bool)
	return User{
		ExternalID: str(doc, "externalId"),
		UserName:   str(doc, "userName"),
		Name: Name{
			Formatted: str(name, "formatted"),
			Given:     str(name, "givenName"),
			Family:    str(name, "familyName"),
			Middle:    str(name, "middleName"),
		},
		DisplayName:       str(doc, "displayName"),
		NickName:          str(doc, "nickName"),
		Title:             str(doc, "title"),
		UserType:          str(doc, "userType"),
		PreferredLanguage: str(doc, "preferredLanguage"),
		Locale:            str(doc, "locale"),
		Timezone:          str(doc, "timezone"),
		Active:            active,
		Emails:            values(doc, "emails"),
		PhoneNumbers:      values(doc, "phoneNumbers"),
		Enterprise: Enterprise{
			EmployeeNumber: str(work, "employeeNumber"),
			CostCenter:     str(work, "costCenter"),
			Organization:   str(work, "organization"),
			Division:       str(work, "division"),
			Department:     str(work, "department"),
			Manager:        str(manager, "value"),
		},
		Attributes: attributes,
	}, nil
}

// Describe is the Attributes of a user of whom only the other fields are known: names,
// e-mail addresses, title, department and whether active.
func Describe(u User) (json.RawMessage, error) {
	emails := make([]any, len(u.Emails))
	for i, e := range u.Emails {
		emails[i] = map[string]any{"value": e.Value, "type": e.Type, "primary": e.Primary}
	}
	doc, _ := prune(map[string]any{
		"userName": u.UserName, "externalId": orNil(u.ExternalID), "displayName": orNil(u.DisplayName), "title": orNil(u.Title),
		"name":        map[string]any{"givenName": orNil(u.Name.Given), "familyName": orNil(u.Name.Family)},
		"active":      u.Active,
		"emails":      emails,
		urnEnterprise: map[string]any{"department": orNil(u.Enterprise.Department)},
	}).(map[string]any)
	return encode(doc)
}

// orNil is a text, or nil for none.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// shows refuses a document with a text that does not show as it is, such as a name
// that reads backwards.
func shows(doc document) error {
	for name, v := range doc {
		if at, character := hiddenIn(name, v); character != "" {
			return bad(invalidValue, "%s must not contain %s", at, character)
		}
	}
	return nil
}

// hiddenIn is where in a value a character does not show, and which; empty if all
// of it shows.
func hiddenIn(path string, v any) (at, character string) {
	switch v := v.(type) {
	case string:
		return path, plaintext.Hidden(v)
	case map[string]any:
		for name, inner := range v {
			if at, character := hiddenIn(path+"."+name, inner); character != "" {
				return at, character
			}
		}
	case []any:
		for _, inner := range v {
			if at, character := hiddenIn(path, inner); character != "" {
				return at, character
			}
		}
	}
	return "", ""
}

// encodeDocument holds a document to the limit for bodies, so that many small
// PATCHes do not make what one POST could not, and to text that shows.
func encodeDocument(doc document, limit int64) ([]byte, error) {
	if err := shows(doc); err != nil {
		return nil, err
	}
	data, err := encode(doc)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, bad(invalidValue, "the resource would be larger than %d bytes", limit)
	}
	return data, nil
}

func str(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

func values(doc document, name string) []Value {
	list, _ := doc[name].([]any)
	out := make([]Value, 0, len(list))
	for _, e := range list {
		if m, ok := e.(map[string]any); ok && str(m, "value") != "" {
			out = append(out, Value{
				Value:   str(m, "value"),
				Type:    str(m, "type"),
				Display: str(m, "display"),
				Primary: isPrimary(m),
			})
		}
	}
	return out
}

// stored reads a document as the store gave it back.
func (t *resourceType) stored(attributes []byte) (document, error) {
	doc := document{}
	if len(attributes) == 0 {
		return doc, nil
	}
	d := json.NewDecoder(bytes.NewReader(attributes))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read stored attributes: %w", err)
	}
	t.dropUnknown(doc)
	return doc, nil
}

// dropUnknown drops what no schema has. Once such names were kept, and a client that
// puts back what it has read would be refused for them.
func (t *resourceType) dropUnknown(doc document) {
	for key, v := range doc {
		m, _ := v.(map[string]any)
		switch ext, a := t.extension(key), t.root(key); {
		case ext != nil:
			for name, v := range m {
				keepKnown(m, name, find(ext.attributes, name), v)
			}
		case isURN(key):
			if !t.keeps(key) {
				delete(doc, key)
			}
		default:
			keepKnown(doc, key, a, v)
		}
	}
}

func keepKnown(in map[string]any, name string, a *attribute, value any) {
	if a == nil {
		delete(in, name)
		return
	}
	for _, e := range spread(value) {
		m, _ := e.(map[string]any)
		for key := range m {
			if a.sub(key) == nil {
				delete(m, key)
			}
		}
	}
}

// meta is what the server knows of every resource.
func (t *resourceType) meta(base, id string, version int64, created, modified time.Time) map[string]any {
	return map[string]any{
		"resourceType": t.name,
		"created":      stamp(created),
		"lastModified": stamp(modified),
		"location":     location(base, t, id),
		"version":      etag(version),
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func location(base string, t *resourceType, id string) string {
	return base + t.endpoint + "/" + id
}

func etag(version int64) string { return fmt.Sprintf(`W/"%d"`, version) }

// renderUser is the user as the client reads it.
func (h *Handler) renderUser(base string, u User) (document, error) {
	doc, err := h.users.stored(u.Attributes)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.ID, err)
	}
	doc["schemas"] = h.users.schemasOf(doc)
	doc["id"] = u.ID
	doc["meta"] = h.users.meta(base, u.ID, u.Version, u.Created, u.LastModified)
	if len(u.Groups) > 0 {
		doc["groups"] = renderMembers(u.Groups, func(Member) string { return base + h.groups.endpoint })
	}
	return doc, nil
}

func renderMembers(members []Member, endpoint func(Member) string) []any {
	out := make([]any, len(members))
	for i, m := range members {
		e := map[string]any{"value": m.Value, "$ref": endpoint(m) + "/" + m.Value}
		if m.Type != "" {
			e["type"] = m.Type
		}
		if m.Display != "" {
			e["display"] = m.Display
		}
		out[i] = e
	}
	return out
}
