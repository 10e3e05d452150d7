package scim

import (
	"slices"
	"strings"
)

// The URNs of the RFCs.
const (
	urnUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	urnSchema     = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	urnType       = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	urnConfig     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	urnError      = "urn:ietf:params:scim:api:messages:2.0:Error"
	urnList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnSearch     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	urnPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// maxText is how long the values of most attributes may be, in bytes: what an
// index of the store can hold.
const maxText = 1024

// kind is the type of an attribute's values.
type kind string

const (
	kindString    kind = "string"
	kindBoolean   kind = "boolean"
	kindDateTime  kind = "dateTime"
	kindReference kind = "reference"
	kindBinary    kind = "binary"
	kindComplex   kind = "complex"
)

// attribute is a definition as in RFC 7643, section 7.
type attribute struct {
	name      string
	doc       string
	kind      kind
	multi     bool
	required  bool
	caseExact bool
	readOnly  bool
	immutable bool
	unique    bool
	always    bool // returned in every answer
	dropped   bool // accepted, never kept, not in the published schema
	decided   bool // PATCH cannot leave it without a value
	long      bool // may be longer than maxText
	canonical []string
	refs      []string
	subs      []*attribute
}

// sub finds a sub-attribute, ignoring case.
func (a *attribute) sub(name string) *attribute { return find(a.subs, name) }

// given finds a sub-attribute by the name that a client gave it: Entra calls the
// display of a role displayName.
func (a *attribute) given(name string) *attribute {
	if sub := a.sub(name); sub != nil || !a.multi || !strings.EqualFold(name, "displayName") {
		return sub
	}
	return a.sub("display")
}

func find(list []*attribute, name string) *attribute {
	for _, a := range list {
		if strings.EqualFold(a.name, name) {
			return a
		}
	}
	return nil
}

// schema is a named set of attributes.
type schema struct {
	id, name, doc string
	attributes    []*attribute
}

// resourceType is what can be created, read and so on. It is never changed
// once built.
type resourceType struct {
	name, endpoint, doc string
	core                *schema
	extensions          []*schema
	// common are the attributes that every resource has and no schema lists.
	common []*attribute
}

// root finds an attribute of the core schema or one that every resource has.
func (t *resourceType) root(name string) *attribute {
	if a := find(t.core.attributes, name); a != nil {
		return a
	}
	return find(t.common, name)
}

// extension finds an extension by its URN, ignoring case.
func (t *resourceType) extension(urn string) *schema {
	for _, e := range t.extensions {
		if strings.EqualFold(e.id, urn) {
			return e
		}
	}
	return nil
}

// unknown says of a name that no schema has it and, if an extension has, which.
func (t *resourceType) unknown(scimType, name string) *failure {
	for _, e := range t.extensions {
		if a := find(e.attributes, name); a != nil {
			return bad(scimType, "there is no attribute %s; there is %s:%s", quoted(name), e.id, a.name)
		}
	}
	return bad(scimType, "there is no attribute %s", quoted(name))
}

// reserved reports whether a URN cannot be that of a client's own extension. What
// the RFCs name is theirs, but for extensions by another name than theirs: that
// is how Entra names those of its customers.
func reserved(urn string) bool {
	urn = strings.ToLower(urn)
	own, isExtension := strings.CutPrefix(urn, "urn:ietf:params:scim:schemas:extension:")
	if !isExtension {
		return strings.HasPrefix(urn, "urn:ietf:") || strings.HasPrefix(urn, "urn:scim:")
	}
	return slices.Contains(strings.FieldsFunc(own, func(r rune) bool { return r == ':' || r == '.' }), "enterprise")
}

// isOwn reports whether a path is meant for a client's own extension, be it one that can
// be kept or not.
func isOwn(path string) bool { return isURN(path) && !reserved(path) }

// keeps reports whether a document may have an extension of a client's own under
// this URN. What it may not have would be gone when it is read.
func (t *resourceType) keeps(urn string) bool {
	p, ok := splitPath(t, urn)
	return ok && p.urn != "" && !reserved(p.urn) && !reserved(urn)
}

func commonAttributes() []*attribute {
	return []*attribute{
		{name: "schemas", kind: kindReference, multi: true, caseExact: true, always: true},
		{name: "id", kind: kindString, caseExact: true, readOnly: true, always: true},
		{name: "externalId", kind: kindString, caseExact: true},
		{name: "meta", kind: kindComplex, readOnly: true, subs: []*attribute{
			{name: "resourceType", kind: kindString, caseExact: true, readOnly: true},
			{name: "created", kind: kindDateTime, readOnly: true},
			{name: "lastModified", kind: kindDateTime, readOnly: true},
			{name: "location", kind: kindReference, caseExact: true, readOnly: true},
			{name: "version", kind: kindString, caseExact: true, readOnly: true},
		}},
	}
}

// text is a plain attribute of one string.
func text(name, doc string) *attribute {
	return &attribute{name: name, doc: doc, kind: kindString}
}

// plural is an attribute of several values with a type each, as in RFC 7643,
// section 2.4.
func plural(name, doc string, value *attribute, canonical ...string) *attribute {
	return &attribute{name: name, doc: doc, kind: kindComplex, multi: true, subs: []*attribute{
		value,
		text("display", "A name for people to read."),
		{name: "type", doc: "What the value is for.", kind: kindString, canonical: canonical},
		{name: "primary", doc: "Whether this is the preferred value. True at most once.", kind: kindBoolean},
	}}
}

func userType() *resourceType {
	return &resourceType{
		name:     "User",
		endpoint: "/Users",
		doc:      "People",
		common:   commonAttributes(),
		core: &schema{
			id:   urnUser,
			name: "User",
			doc:  "People",
			attributes: []*attribute{
				{name: "userName", doc: "The name the user signs in with at the identity provider. Unique in a source, ignoring case.", kind: kindString, required: true, unique: true},
				{name: "name", doc: "The parts of the user's name.", kind: kindComplex, subs: []*attribute{
					text("formatted", "The full name for display."),
					text("familyName", "The family name."),
					text("givenName", "The given name."),
					text("middleName", "The middle names."),
					text("honorificPrefix", "The prefixes, such as Ms."),
					text("honorificSuffix", "The suffixes, such as III."),
				}},
				text("displayName", "The name shown to others."),
				text("nickName", "The casual name."),
				{name: "profileUrl", doc: "The address of the user's page.", kind: kindReference, caseExact: true, long: true, refs: []string{"external"}},
				text("title", "The job title."),
				text("userType", "The relation to the organization, such as Employee or Contractor."),
				text("preferredLanguage", "The preferred languages, as in Accept-Language."),
				text("locale", "The locale for dates, numbers and so on."),
				text("timezone", "The time zone, by its IANA name."),
				{name: "active", doc: "Whether the user may sign in and hold access.", kind: kindBoolean, decided: true},
				{name: "password", kind: kindString, caseExact: true, dropped: true},
				plural("emails", "The e-mail addresses.", text("value", "The address."), "work", "home", "other"),
				plural("phoneNumbers", "The phone numbers.", text("value", "The number."), "work", "home", "mobile", "fax", "pager", "other"),
				plural("ims", "The instant-messaging addresses.", text("value", "The address."), "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
				plural("photos", "The pictures.", &attribute{name: "value", doc: "The address of the picture.", kind: kindReference, caseExact: true, long: true, refs: []string{"external"}}, "photo", "thumbnail"),
				{name: "addresses", doc: "The postal addresses.", kind: kindComplex, multi: true, subs: []*attribute{
					{name: "formatted", doc: "The full address.", kind: kindString, long: true},
					text("streetAddress", "The street and number."),
					text("locality", "The city."),
					text("region", "The state or region."),
					text("postalCode", "The postal code."),
					text("country", "The country."),
					{name: "type", doc: "What the address is for.", kind: kindString, canonical: []string{"work", "home", "other"}},
					{name: "primary", doc: "Whether this is the preferred address. True at most once.", kind: kindBoolean},
				}},
				{name: "groups", doc: "The groups the user is in. Changed through the groups.", kind: kindComplex, multi: true, readOnly: true, subs: []*attribute{
					{name: "value", doc: "The group's id.", kind: kindString, caseExact: true, readOnly: true},
					{name: "$ref", doc: "The group's address.", kind: kindReference, caseExact: true, readOnly: true, refs: []string{"Group"}},
					{name: "display", doc: "The group's name.", kind: kindString, readOnly: true},
					{name: "type", doc: "How the user is in the group.", kind: kindString, readOnly: true, canonical: []string{"direct", "indirect"}},
				}},
				plural("entitlements", "What the user is entitled to, in the identity provider's words.", &attribute{name: "value", doc: "The entitlement.", kind: kindString, long: true}),
				plural("roles", "The user's roles, in the identity provider's words.", &attribute{name: "value", doc: "The role.", kind: kindString, long: true}),
				plural("x509Certificates", "The certificates.", &attribute{name: "value", doc: "The certificate, DER in base64.", kind: kindBinary, caseExact: true, long: true}),
			},
		},
		extensions: []*schema{{
			id:   urnEnterprise,
			name: "EnterpriseUser",
			doc:  "What an employer knows of a user",
			attributes: []*attribute{
				text("employeeNumber", "The number or code the organization gives the person."),
				text("costCenter", "The cost centre."),
				text("organization", "The organization."),
				text("division", "The division."),
				text("department", "The department."),
				{name: "manager", doc: "The user's manager.", kind: kindComplex, subs: []*attribute{
					{name: "value", doc: "The manager's id. The manager's user may come later.", kind: kindString, caseExact: true},
					{name: "$ref", doc: "The manager's address.", kind: kindReference, caseExact: true, refs: []string{"User"}},
					{name: "displayName", doc: "The manager's name.", kind: kindString, readOnly: true},
				}},
			},
		}},
	}
}

func groupType() *resourceType {
	return &resourceType{
		name:     "Group",
		endpoint: "/Groups",
		doc:      "Groups of people",
		common:   commonAttributes(),
		core: &schema{
			id:   urnGroup,
			name: "Group",
			doc:  "Groups of people",
			attributes: []*attribute{
				{name: "displayName", doc: "The group's name.", kind: kindString, required: true},
				{name: "members", doc: "Who is in the group.", kind: kindComplex, multi: true, subs: []*attribute{
					{name: "value", doc: "The member's id.", kind: kindString, caseExact: true, immutable: true},
					{name: "$ref", doc: "The member's address.", kind: kindReference, caseExact: true, immutable: true, refs: []string{"User", "Group"}},
					{name: "type", doc: "What the member is.", kind: kindString, immutable: true, canonical: []string{"User", "Group"}},
					{name: "display", doc: "The member's name.", kind: kindString, readOnly: true},
				}},
			},
		},
	}
}

// describe is the definition as /Schemas shows it.
func (a *attribute) describe() map[string]any {
	m := map[string]any{
		"name":        a.name,
		"type":        string(a.kind),
		"multiValued": a.multi,
		"description": a.doc,
		"required":    a.required,
		"mutability":  "readWrite",
		"returned":    "default",
	}
	switch {
	case a.readOnly:
		m["mutability"] = "readOnly"
	case a.immutable:
		m["mutability"] = "immutable"
	}
	if a.always {
		m["returned"] = "always"
	}
	if a.kind == kindString || a.kind == kindReference || a.kind == kindBinary || a.kind == kindComplex {
		m["uniqueness"] = "none"
		if a.unique {
			m["uniqueness"] = "server"
		}
	}
	if a.kind == kindString || a.kind == kindReference || a.kind == kindBinary {
		m["caseExact"] = a.caseExact
	}
	if len(a.canonical) > 0 {
		m["canonicalValues"] = a.canonical
	}
	if len(a.refs) > 0 {
		m["referenceTypes"] = a.refs
	}
	if len(a.subs) > 0 {
		m["subAttributes"] = describeAll(a.subs)
	}
	return m
}

func describeAll(list []*attribute) []map[string]any {
	out := make([]map[string]any, 0, len(list))
	for _, a := range list {
		if !a.dropped {
			out = append(out, a.describe())
		}
	}
	return out
}
