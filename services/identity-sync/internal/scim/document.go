package scim

import (
	"strings"
	"time"
)

// maxValues is how many values one attribute of a user may have.
const maxValues = 500

// document is a resource in the form that is stored: names as the schemas
// spell them, values of the right type, nothing that is null, empty or
// read-only, extensions under their URN.
type document = map[string]any

// normalise makes a document of what a client sent with POST or PUT. Read-only
// attributes are ignored, as RFC 7644, sections 3.3 and 3.5.1 say.
func (t *resourceType) normalise(raw map[string]any) (document, *failure) {
	doc := document{}
	for _, key := range sortedKeys(raw) {
		if err := t.normaliseKey(doc, key, raw[key]); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// withoutUnkept is what a client sent with PUT, without extensions of its own that cannot
// be kept, if that makes somebody inactive: it happens without them.
func (t *resourceType) withoutUnkept(raw map[string]any) map[string]any {
	var active any
	if v, ok := lookup(raw, "active"); ok {
		active, _ = coerce(t.root("active"), v)
	}
	if active != false {
		return raw
	}
	kept := make(map[string]any, len(raw))
	for key, v := range raw {
		if !isOwn(key) || t.keeps(key) {
			kept[key] = v
		}
	}
	return kept
}

func (t *resourceType) normaliseKey(doc document, key string, value any) *failure {
	if strings.EqualFold(key, t.core.id) {
		inner, ok := value.(map[string]any)
		if !ok {
			return bad(invalidValue, "%s must be an object", key)
		}
		for _, k := range sortedKeys(inner) {
			if err := t.normaliseKey(doc, k, inner[k]); err != nil {
				return err
			}
		}
		return nil
	}
	if ext := t.extension(key); ext != nil {
		return normaliseExtension(doc, ext, value)
	}
	if p, ok := splitPath(t, key); ok && p.urn != "" {
		return t.normaliseQualified(doc, p, value)
	}
	a := t.root(key)
	switch {
	case a == nil:
		return t.unknown(invalidSyntax, key)
	case a.readOnly, a.dropped, a.name == "schemas":
		return nil
	}
	v, err := coerce(a, value)
	if err != nil || v == nil {
		return err
	}
	return put(doc, a.name, v)
}

// normaliseQualified takes a name such as "urn:…:User:department" at the top
// of a resource, or the URN of a client's own extension.
func (t *resourceType) normaliseQualified(doc document, p path, value any) *failure {
	switch ext := t.extension(p.urn); {
	case strings.EqualFold(p.urn, t.core.id):
		return t.normaliseKey(doc, p.name, value)
	case ext != nil:
		return normaliseExtension(doc, ext, map[string]any{p.name: value})
	case !t.keeps(p.raw):
		return t.unknown(invalidSyntax, p.raw)
	}
	if v := prune(value); v != nil {
		return put(doc, p.raw, v)
	}
	return nil
}

func normaliseExtension(doc document, ext *schema, value any) *failure {
	if value == nil {
		return nil
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return bad(invalidValue, "%s must be an object", ext.id)
	}
	target, _ := doc[ext.id].(map[string]any)
	if target == nil {
		target = map[string]any{}
	}
	for _, key := range sortedKeys(inner) {
		a := find(ext.attributes, key)
		if a == nil {
			return bad(invalidSyntax, "there is no attribute %s", quoted(ext.id+":"+key))
		}
		v, err := coerce(a, inner[key])
		switch {
		case err != nil:
			return err
		case v == nil:
			continue
		}
		if err := put(target, a.name, v); err != nil {
			return err
		}
	}
	if len(target) > 0 {
		doc[ext.id] = target
	}
	return nil
}

// put sets a value that must not have been set before, in whatever spelling.
func put(doc document, name string, value any) *failure {
	if _, ok := lookup(doc, name); ok {
		return bad(invalidSyntax, "the attribute %s comes twice", name)
	}
	doc[name] = value
	return nil
}

// prune drops null and empty arrays and objects, which mean "unassigned"
// (RFC 7643, section 2.5), from a value that no schema describes.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if e = prune(e); e != nil {
				m[k] = e
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		l := make([]any, 0, len(v))
		for _, e := range v {
			if e = prune(e); e != nil {
				l = append(l, e)
			}
		}
		if len(l) == 0 {
			return nil
		}
		return l
	default:
		return v
	}
}

// coerce makes a value fit its attribute, or returns nil if it is none.
func coerce(a *attribute, v any) (any, *failure) {
	if v == nil {
		return nil, nil
	}
	list, isList := v.([]any)
	switch {
	case a.multi:
		if !isList {
			list = []any{v}
		}
		return coerceList(a, list)
	case isList && len(list) == 0:
		return nil, nil
	case isList && len(list) == 1:
		v = list[0]
	case isList:
		return nil, bad(invalidValue, "%s takes one value", a.name)
	}
	return coerceOne(a, v)
}

func coerceList(a *attribute, list []any) (any, *failure) {
	out := make([]any, 0, len(list))
	for _, e := range list {
		v, err := coerceOne(a, e)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	out = fold(a, out)
	if err := checkList(a, out); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// checkList holds what must be true of the values of an attribute together.
func checkList(a *attribute, list []any) *failure {
	if len(list) > maxValues {
		return bad(invalidValue, "%s has more than %d values", a.name, maxValues)
	}
	if countPrimary(list) > 1 {
		return bad(invalidValue, "%s has more than one primary value", a.name)
	}
	return nil
}

func coerceOne(a *attribute, v any) (any, *failure) {
	if v == nil {
		return nil, nil
	}
	if a.kind == kindComplex {
		return coerceComplex(a, v)
	}
	if m, ok := v.(map[string]any); ok {
		// Entra's older form of a plain value: {"$ref": null, "value": …}.
		inner, has := lookup(m, "value")
		if _, nested := inner.(map[string]any); !has || nested {
			return nil, bad(invalidValue, "%s must be a %s", a.name, a.kind)
		}
		if v = inner; v == nil {
			return nil, nil
		}
	}
	if a.kind == kindBoolean {
		if b, ok := asBool(v); ok {
			return b, nil
		}
		return nil, bad(invalidValue, "%s must be true or false", a.name)
	}
	s, ok := v.(string)
	if !ok {
		return nil, bad(invalidValue, "%s must be a string", a.name)
	}
	if len(s) > maxText && !a.long {
		return nil, bad(invalidValue, "%s is longer than %d bytes", a.name, maxText)
	}
	if a.kind == kindDateTime {
		if _, err := time.Parse(time.RFC3339, s); err != nil {
			return nil, bad(invalidValue, "%s must be a date and time such as 2008-01-23T04:56:22Z", a.name)
		}
	}
	return s, nil
}

func coerceComplex(a *attribute, v any) (any, *failure) {
	m, ok := v.(map[string]any)
	if !ok {
		// A plain value for an attribute that has a "value": Entra's manager.
		if _, isList := v.([]any); isList || a.sub("value") == nil {
			return nil, bad(invalidValue, "%s must be an object", a.name)
		}
		m = map[string]any{"value": v}
	}
	out := map[string]any{}
	for _, key := range sortedKeys(m) {
		sub := a.given(key)
		switch {
		case sub == nil:
			return nil, bad(invalidSyntax, "there is no attribute %s", quoted(a.name+"."+key))
		case sub.readOnly:
			continue
		}
		e, err := coerce(sub, m[key])
		if err != nil {
			err.detail = a.name + "." + err.detail
			return nil, err
		}
		if e == nil {
			continue
		}
		if err := put(out, sub.name, e); err != nil {
			return nil, err
		}
	}
	if dead(a, out) {
		return nil, nil
	}
	return out, nil
}

// dead reports whether a complex value says nothing: it is empty, or its
// "value" is, or it has a type and no more.
func dead(a *attribute, m map[string]any) bool {
	if s, ok := m["value"].(string); ok && s == "" && a.sub("value") != nil {
		return true
	}
	for k := range m {
		if !a.multi || (k != "type" && k != "primary") {
			return false
		}
	}
	return true
}

func asBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		if strings.EqualFold(v, "true") {
			return true, true
		}
		return false, strings.EqualFold(v, "false")
	}
	return false, false
}

// fold makes values with the same type and value one (RFC 7643, section 2.4).
// What the later one says of it wins.
func fold(a *attribute, list []any) []any {
	out := make([]any, 0, len(list))
	at := make(map[string]int, len(list))
	for _, e := range list {
		key, ok := foldKey(a, e)
		if !ok {
			out = append(out, e)
			continue
		}
		i, twice := at[key]
		if !twice {
			at[key] = len(out)
			out = append(out, e)
			continue
		}
		before, _ := out[i].(map[string]any)
		later, _ := e.(map[string]any)
		merged := make(map[string]any, len(before)+len(later))
		for k, v := range before {
			merged[k] = v
		}
		for k, v := range later {
			merged[k] = v
		}
		out[i] = merged
	}
	return out
}

// foldKey says which values are one and the same: those with equal type and
// value, and, where there is no value, those that are equal in everything.
func foldKey(a *attribute, e any) (string, bool) {
	m, ok := e.(map[string]any)
	if !ok {
		return "", false
	}
	value, ok := m["value"].(string)
	if !ok {
		text, err := encode(m)
		return "=" + string(text), err == nil
	}
	if sub := a.sub("value"); sub == nil || !sub.caseExact {
		value = strings.ToLower(value)
	}
	kind, _ := m["type"].(string)
	return strings.ToLower(kind) + "\x00" + value, true
}

func countPrimary(list []any) int {
	n := 0
	for _, e := range list {
		if isPrimary(e) {
			n++
		}
	}
	return n
}

func isPrimary(e any) bool {
	m, _ := e.(map[string]any)
	p, _ := m["primary"].(bool)
	return p
}

// demote leaves at most the primary values that keep says.
func demote(list []any, keep func(i int) bool) {
	for i, e := range list {
		if isPrimary(e) && !keep(i) {
			e.(map[string]any)["primary"] = false
		}
	}
}

// complete holds what must be true of a document before it is stored.
func (t *resourceType) complete(doc document) *failure {
	for _, a := range t.core.attributes {
		if !a.required {
			continue
		}
		s, _ := doc[a.name].(string)
		if strings.TrimSpace(s) == "" {
			return bad(invalidValue, "%s is required", a.name)
		}
	}
	return nil
}

// checkSchemas holds the schemas attribute of a message against the URN that
// must be in it. Resources must have it; PATCH and search bodies may lack it.
func checkSchemas(raw map[string]any, urn string, required bool) *failure {
	v, ok := lookup(raw, "schemas")
	if !ok {
		if required {
			return bad(invalidValue, "schemas is required")
		}
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		return bad(invalidValue, "schemas must be an array of URNs")
	}
	found := false
	for _, e := range list {
		s, isText := e.(string)
		if !isText {
			return bad(invalidValue, "schemas must be an array of URNs")
		}
		found = found || strings.EqualFold(s, urn)
	}
	if !found {
		return bad(invalidValue, "schemas must contain %s", urn)
	}
	return nil
}

// schemasOf lists the core schema and the extensions that have data.
func (t *resourceType) schemasOf(doc document) []any {
	out := []any{t.core.id}
	for _, key := range sortedKeys(doc) {
		if _, ok := doc[key].(map[string]any); ok && isURN(key) {
			out = append(out, key)
		}
	}
	return out
}

func isURN(s string) bool { return len(s) > 4 && strings.EqualFold(s[:4], "urn:") }
