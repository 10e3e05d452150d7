package scim

import "strings"

// path is an attribute path: [URN ":"] name ["." sub]. With a URN and no name
// it is a whole extension.
type path struct {
	raw       string
	urn       string
	name, sub string
}

// splitPath reads an attribute path. Which part is the URN is known for the
// schemas of the type, and else is everything before the last colon.
func splitPath(t *resourceType, s string) (path, bool) {
	p := path{raw: s}
	rest := s
	if isURN(s) {
		known := false
		for _, sch := range append([]*schema{t.core}, t.extensions...) {
			switch n := len(sch.id); {
			case strings.EqualFold(s, sch.id):
				p.urn = sch.id
				return p, true
			case len(s) > n && strings.EqualFold(s[:n], sch.id) && s[n] == ':':
				p.urn, rest, known = sch.id, s[n+1:], true
			}
		}
		if !known {
			i := strings.LastIndexByte(s, ':')
			p.urn, rest = s[:i], s[i+1:]
			if !isURN(p.urn) {
				return p, false
			}
		}
	}
	var dotted bool
	p.name, p.sub, dotted = strings.Cut(rest, ".")
	if !isName(p.name) || (dotted && !isName(p.sub)) {
		return p, false
	}
	return p, true
}

// isName is the ATTRNAME of RFC 7644, and "$ref".
func isName(s string) bool {
	s = strings.TrimPrefix(s, "$")
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		later := c >= '0' && c <= '9' || c == '-' || c == '_'
		if !letter && (i == 0 || !later) {
			return false
		}
	}
	return s != ""
}

// target is what a path means for a resource type.
type target struct {
	path
	// ext is the URN under which the attribute is in a document, or empty.
	ext string
	// whole is set if the path is that of an extension or of the core schema.
	whole bool
	// attr and sub are nil where no schema knows the name.
	attr, subAttr *attribute
}

// resolve finds what a path means. ok is false if no schema has the name, and it
// is not of a client's own extension.
func (t *resourceType) resolve(p path) (target, bool) {
	g := target{path: p}
	switch ext := t.extension(p.urn); {
	case p.urn == "" || strings.EqualFold(p.urn, t.core.id):
		if g.whole = p.name == ""; g.whole {
			return g, true
		}
		g.attr = t.root(p.name)
		if g.attr == nil {
			return g, false
		}
	case ext != nil:
		g.ext = ext.id
		if g.whole = p.name == ""; g.whole {
			return g, true
		}
		g.attr = find(ext.attributes, p.name)
		if g.attr == nil {
			return g, false
		}
	case reserved(p.urn):
		return g, false
	default:
		g.ext = p.urn
		return g, true
	}
	g.name = g.attr.name
	if p.sub == "" {
		return g, true
	}
	if g.subAttr = g.attr.sub(p.sub); g.subAttr == nil {
		return g, false
	}
	g.sub = g.subAttr.name
	return g, true
}

// container is the object of a document that holds the attribute, or nil.
func (g target) container(doc document) map[string]any {
	if g.ext == "" {
		return doc
	}
	v, _ := lookup(doc, g.ext)
	m, _ := v.(map[string]any)
	return m
}

// value is the attribute's value in a document, or nil.
func (g target) value(doc document) any {
	c := g.container(doc)
	if c == nil {
		return nil
	}
	if g.attr != nil {
		return c[g.name]
	}
	v, _ := lookup(c, g.name)
	return v
}
