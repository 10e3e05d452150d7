package scim

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"gatehouse.dev/libs/username"
)

// maxFilter is how long a filter or a path may be, in bytes.
const maxFilter = 16 << 10

// The operators of RFC 7644, table 3.
const (
	opEqual        = "eq"
	opNotEqual     = "ne"
	opContains     = "co"
	opStartsWith   = "sw"
	opEndsWith     = "ew"
	opPresent      = "pr"
	opGreater      = "gt"
	opGreaterEqual = "ge"
	opLess         = "lt"
	opLessEqual    = "le"
)

// node is a filter as written. The zero value means nothing.
type node struct {
	// op is "and", "or", "not", "[" (a value path) or a comparison.
	op          string
	left, right *node // of and, or; left also of not and [
	attr        string
	value       any // string, json.Number, bool or nil
}

// parseFilter reads a filter in the grammar of RFC 7644, figure 1. It is our
// own because filters inside brackets may be of any length and depth, strings
// are JSON strings with escapes, and URNs may have underscores.
func parseFilter(s string) (*node, *failure) {
	if len(s) > maxFilter {
		return nil, bad(invalidFilter, "the filter is longer than %d bytes", maxFilter)
	}
	p := &parser{s: s}
	n, err := p.or(0, false)
	if err != nil {
		return nil, err
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.unexpected()
	}
	return n, nil
}

// parsePath reads the path of a PATCH operation: an attribute path, or a value
// path and perhaps a sub-attribute.
func parsePath(s string) (attr string, filter *node, sub string, err *failure) {
	malformed := bad(invalidPath, "the path is malformed")
	if len(s) > maxFilter {
		return "", nil, "", bad(invalidPath, "the path is longer than %d bytes", maxFilter)
	}
	p := &parser{s: strings.TrimSpace(s)}
	attr = p.word()
	if attr == "" {
		return "", nil, "", malformed
	}
	if p.i == len(p.s) {
		return attr, nil, "", nil
	}
	if !p.take('[') {
		return "", nil, "", malformed
	}
	if filter, err = p.or(0, true); err != nil {
		return "", nil, "", bad(invalidPath, "%s", err.detail)
	}
	if p.space(); !p.take(']') {
		return "", nil, "", malformed
	}
	if p.take('.') {
		if sub = p.word(); !isName(sub) {
			return "", nil, "", malformed
		}
	}
	if p.i < len(p.s) {
		return "", nil, "", malformed
	}
	return attr, filter, sub, nil
}

type parser struct {
	s string
	i int
}

func (p *parser) unexpected() *failure {
	if p.i >= len(p.s) {
		return bad(invalidFilter, "the filter ends too early")
	}
	return bad(invalidFilter, "the filter is malformed at character %d", p.i+1)
}

func (p *parser) space() {
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
}

func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// word reads up to a space, bracket, parenthesis or quote.
func (p *parser) word() string {
	from := p.i
	for p.i < len(p.s) && strings.IndexByte(" []()\"", p.s[p.i]) < 0 {
		p.i++
	}
	return p.s[from:p.i]
}

// keyword takes a logical operator if it is the next word.
func (p *parser) keyword(k string) bool {
	from := p.i
	p.space()
	if strings.EqualFold(p.word(), k) {
		return true
	}
	p.i = from
	return false
}

func (p *parser) or(depth int, inner bool) (*node, *failure) {
	left, err := p.and(depth, inner)
	for err == nil && p.keyword("or") {
		var right *node
		right, err = p.and(depth, inner)
		left = &node{op: "or", left: left, right: right}
	}
	return left, err
}

func (p *parser) and(depth int, inner bool) (*node, *failure) {
	left, err := p.term(depth, inner)
	for err == nil && p.keyword("and") {
		var right *node
		right, err = p.term(depth, inner)
		left = &node{op: "and", left: left, right: right}
	}
	return left, err
}

func (p *parser) term(depth int, inner bool) (*node, *failure) {
	if depth > maxDepth {
		return nil, bad(invalidFilter, "the filter nests deeper than %d", maxDepth)
	}
	p.space()
	if p.take('(') {
		return p.group(depth, inner)
	}
	attr := p.word()
	if strings.EqualFold(attr, "not") {
		from := p.i
		if p.space(); p.take('(') {
			n, err := p.group(depth, inner)
			return &node{op: "not", left: n}, err
		}
		p.i = from
	}
	if attr == "" {
		return nil, p.unexpected()
	}
	from := p.i
	if p.space(); !inner && p.take('[') {
		n, err := p.or(depth+1, true)
		if err != nil {
			return nil, err
		}
		if p.space(); !p.take(']') {
			return nil, p.unexpected()
		}
		return p.behind(&node{op: "[", attr: attr, left: n})
	}
	p.i = from
	return p.comparison(attr)
}

// behind reads what may follow a value path. The RFC has nothing there; Entra
// looks for people with `emails[type eq "work"].value eq "…"`, and its manual
// has the same without ".value". Both mean one more condition in the brackets.
func (p *parser) behind(n *node) (*node, *failure) {
	sub := "value"
	if p.take('.') {
		if sub = p.word(); sub == "" {
			return nil, p.unexpected()
		}
	} else {
		from := p.i
		p.space()
		next := strings.ToLower(p.word())
		p.i = from
		if next == "" || next == "and" || next == "or" {
			return n, nil
		}
	}
	more, err := p.comparison(sub)
	if err != nil {
		return nil, err
	}
	n.left = &node{op: "and", left: n.left, right: more}
	return n, nil
}

func (p *parser) group(depth int, inner bool) (*node, *failure) {
	n, err := p.or(depth+1, inner)
	if err != nil {
		return nil, err
	}
	if p.space(); !p.take(')') {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) comparison(attr string) (*node, *failure) {
	p.space()
	from := p.i
	op := strings.ToLower(p.word())
	switch op {
	case opPresent:
		return &node{op: op, attr: attr}, nil
	case opEqual, opNotEqual, opContains, opStartsWith, opEndsWith, opGreater, opGreaterEqual, opLess, opLessEqual:
	default:
		p.i = from
		return nil, p.unexpected()
	}
	p.space()
	v, err := p.literal()
	if err != nil {
		return nil, err
	}
	return &node{op: op, attr: attr, value: v}, nil
}

// literal reads a JSON string, number, true, false or null.
func (p *parser) literal() (any, *failure) {
	from := p.i
	if !p.take('"') {
		w := p.word()
		switch strings.ToLower(w) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		case "null":
			return nil, nil
		}
		var n json.Number
		if w == "" || json.Unmarshal([]byte(w), &n) != nil {
			p.i = from
			return nil, p.unexpected()
		}
		return n, nil
	}
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case '"':
			p.i++
			var s string
			if json.Unmarshal([]byte(p.s[from:p.i]), &s) != nil || checkText(s) != nil {
				p.i = from
				return nil, p.unexpected()
			}
			return s, nil
		}
		p.i++
	}
	p.i = len(p.s)
	return nil, p.unexpected()
}

// predicate answers a filter about a document, or about one complex value.
type predicate func(map[string]any) bool

// scope says what the names in a filter mean.
type scope struct {
	typ *resourceType
	// within is the complex attribute that the filter is inside of.
	within *attribute
	// untyped is set inside a value of which nothing is known.
	untyped bool
	// lenient makes a name that the type does not have one without a value, as
	// RFC 7644, section 3.4.2.1 wants it for several types at once.
	lenient bool
}

// operand is what a name in a filter means: where its values are, and what
// they are.
type operand struct {
	attr   *attribute // nil: unknown
	values func(map[string]any) []any
}

func (s scope) operand(name string) (operand, *failure) {
	if s.within != nil || s.untyped {
		return s.inner(name)
	}
	p, ok := splitPath(s.typ, name)
	if !ok || p.name == "" {
		return operand{}, bad(invalidFilter, "%s is not the name of an attribute", quoted(name))
	}
	g, ok := s.resolve(p)
	switch {
	case !ok && s.lenient:
		return operand{values: func(map[string]any) []any { return nil }}, nil
	case !ok || (g.attr != nil && g.attr.dropped):
		return operand{}, bad(invalidFilter, "there is no attribute %s", quoted(name))
	}
	o := operand{attr: g.attr, values: func(doc map[string]any) []any { return spread(g.value(doc)) }}
	if g.sub != "" {
		return descend(o, g.attr, g.sub), nil
	}
	return o, nil
}

// resolve finds what a path names, also a name of an extension without its URN, as in
// Entra's `manager eq "…"`.
func (s scope) resolve(p path) (g target, ok bool) {
	g, ok = s.typ.resolve(p)
	for i := 0; !ok && p.urn == "" && i < len(s.typ.extensions); i++ {
		g, ok = s.typ.resolve(path{urn: s.typ.extensions[i].id, name: p.name, sub: p.sub})
	}
	return g, ok
}

// lacks says of a name whether no resource of the type has a value of it, which is no
// error where several types are asked.
func (s scope) lacks(name string) bool {
	p, ok := splitPath(s.typ, name)
	if !ok || p.name == "" {
		return false
	}
	_, ok = s.resolve(p)
	return s.lenient && !ok
}

// settle is a filter without what holds of every resource of the type or of none, as the
// type lacks what is compared. If nothing is left, rest is nil and always says which of
// the two it is.
func (s scope) settle(n *node) (rest *node, always bool) {
	switch n.op {
	case "and", "or":
		decides := n.op == "or" // what one side may say for both
		left, leftAlways := s.settle(n.left)
		right, rightAlways := s.settle(n.right)
		switch {
		case left == nil && leftAlways == decides, right == nil && rightAlways == decides:
			return nil, decides
		case left == nil:
			return right, rightAlways
		case right == nil:
			return left, false
		}
		return &node{op: n.op, left: left, right: right}, false
	case "not":
		left, leftAlways := s.settle(n.left)
		if left == nil {
			return nil, !leftAlways
		}
		return &node{op: n.op, left: left}, false
	}
	if !s.lacks(n.attr) {
		return n, false
	}
	switch n.op {
	case opEqual:
		return nil, n.value == nil
	case opNotEqual:
		return nil, n.value != nil
	}
	return nil, false
}

func (s scope) inner(name string) (operand, *failure) {
	if !isName(name) {
		return operand{}, bad(invalidFilter, "%s is not the name of a sub-attribute", quoted(name))
	}
	self := operand{attr: s.within, values: func(m map[string]any) []any { return []any{m} }}
	if s.within != nil {
		sub := s.within.sub(name)
		if sub == nil {
			return operand{}, bad(invalidFilter, "%s has no sub-attribute %s", s.within.name, quoted(name))
		}
		name = sub.name
	}
	return descend(self, s.within, name), nil
}

// descend goes from complex values to one of their sub-attributes.
func descend(o operand, a *attribute, name string) operand {
	out := operand{values: func(doc map[string]any) []any {
		var list []any
		for _, v := range o.values(doc) {
			m, _ := v.(map[string]any)
			if e, ok := lookup(m, name); ok {
				list = append(list, spread(e)...)
			}
		}
		return list
	}}
	if a != nil {
		out.attr = a.sub(name)
	}
	return out
}

func spread(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// quoted shortens what the client wrote for repeating it in a text.
func quoted(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return `"` + s + `"`
}

// bind makes a predicate of a filter.
func (s scope) bind(n *node) (predicate, *failure) {
	switch n.op {
	case "and", "or":
		left, err := s.bind(n.left)
		if err != nil {
			return nil, err
		}
		right, err := s.bind(n.right)
		if err != nil {
			return nil, err
		}
		if n.op == "and" {
			return func(m map[string]any) bool { return left(m) && right(m) }, nil
		}
		return func(m map[string]any) bool { return left(m) || right(m) }, nil
	case "not":
		p, err := s.bind(n.left)
		if err != nil {
			return nil, err
		}
		return func(m map[string]any) bool { return !p(m) }, nil
	case "[":
		return s.bindValuePath(n)
	}
	o, err := s.operand(n.attr)
	if err != nil {
		return nil, err
	}
	return compare(o, n)
}

func (s scope) bindValuePath(n *node) (predicate, *failure) {
	o, err := s.operand(n.attr)
	if err != nil {
		return nil, err
	}
	if o.attr != nil && o.attr.kind != kindComplex {
		return nil, bad(invalidFilter, "%s has no sub-attributes", o.attr.name)
	}
	p, err := scope{typ: s.typ, within: o.attr, untyped: o.attr == nil}.bind(n.left)
	if err != nil {
		return nil, err
	}
	return func(doc map[string]any) bool {
		for _, v := range o.values(doc) {
			if m, ok := v.(map[string]any); ok && p(m) {
				return true
			}
		}
		return false
	}, nil
}

// compare makes a predicate of a comparison, after checking that the operator
// and the value fit the attribute.
func compare(o operand, n *node) (predicate, *failure) {
	if n.op == opPresent {
		return func(doc map[string]any) bool {
			for _, v := range o.values(doc) {
				if prune(v) != nil && v != "" {
					return true
				}
			}
			return false
		}, nil
	}
	if o.attr != nil && o.attr.kind == kindComplex {
		if o.attr.sub("value") == nil {
			return nil, bad(invalidFilter, "%s has several sub-attributes; say which one is meant", o.attr.name)
		}
		o = descend(o, o.attr, "value")
	}
	if n.value == nil {
		return compareNull(o, n)
	}
	test, err := tester(o.attr, n.op, n.value)
	if err != nil {
		return nil, err
	}
	if n.op == opNotEqual {
		return func(doc map[string]any) bool {
			list := o.values(doc)
			for _, v := range list {
				if !test(v) {
					return true
				}
			}
			return len(list) == 0
		}, nil
	}
	return func(doc map[string]any) bool {
		for _, v := range o.values(doc) {
			if test(v) {
				return true
			}
		}
		return false
	}, nil
}

func compareNull(o operand, n *node) (predicate, *failure) {
	switch n.op {
	case opEqual:
		return func(doc map[string]any) bool { return len(o.values(doc)) == 0 }, nil
	case opNotEqual:
		return func(doc map[string]any) bool { return len(o.values(doc)) > 0 }, nil
	}
	return nil, bad(invalidFilter, "%s cannot be compared with null by %q", n.attr, n.op)
}

// tester compares one value; for "ne" it tests for equality.
func tester(a *attribute, op string, want any) (func(any) bool, *failure) {
	k, exact := kindOf(want), false
	if a != nil {
		k, exact = a.kind, a.caseExact
	}
	ordering := op == opGreater || op == opGreaterEqual || op == opLess || op == opLessEqual
	switch {
	case ordering && (k == kindBoolean || k == kindBinary):
		return nil, bad(invalidFilter, "a %s has no order, so %q cannot be used", k, op)
	case k == kindBoolean:
		b, ok := asBool(want)
		if !ok || (op != opEqual && op != opNotEqual) {
			return nil, bad(invalidFilter, "a boolean can only be compared with true or false by eq and ne")
		}
		return func(v any) bool { got, ok := asBool(v); return ok && got == b }, nil
	case k == kindNumber:
		return testNumber(op, want)
	}
	s, ok := want.(string)
	if !ok {
		return nil, bad(invalidFilter, "the value must be a string in double quotes")
	}
	if k == kindDateTime && op != opContains && op != opStartsWith && op != opEndsWith {
		return testTime(op, s)
	}
	fold := strings.ToLower
	switch {
	case exact:
		fold = func(s string) string { return s }
	case a != nil && a.name == "userName": // as names are compared everywhere
		fold = username.Form
	}
	return testText(op, s, fold), nil
}

// kindNumber is only met in extensions that no schema describes.
const kindNumber kind = "decimal"

func kindOf(v any) kind {
	switch v.(type) {
	case bool:
		return kindBoolean
	case json.Number:
		return kindNumber
	}
	return kindString
}

func testText(op, want string, fold func(string) string) func(any) bool {
	want = fold(want)
	return func(v any) bool {
		got, ok := v.(string)
		if !ok {
			return false
		}
		got = fold(got)
		switch op {
		case opContains:
			return strings.Contains(got, want)
		case opStartsWith:
			return strings.HasPrefix(got, want)
		case opEndsWith:
			return strings.HasSuffix(got, want)
		}
		return ordered(op, strings.Compare(got, want))
	}
}

func testTime(op, s string) (func(any) bool, *failure) {
	want, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, bad(invalidFilter, "%s is not a date and time such as 2008-01-23T04:56:22Z", quoted(s))
	}
	return func(v any) bool {
		text, _ := v.(string)
		got, err := time.Parse(time.RFC3339, text)
		return err == nil && ordered(op, got.Compare(want))
	}, nil
}

func testNumber(op string, v any) (func(any) bool, *failure) {
	want, ok := number(v)
	if !ok || op == opContains || op == opStartsWith || op == opEndsWith {
		return nil, bad(invalidFilter, "a number cannot be compared by %q", op)
	}
	return func(v any) bool {
		got, ok := number(v)
		return ok && ordered(op, got.Cmp(want))
	}, nil
}

func number(v any) (*big.Float, bool) {
	n, ok := v.(json.Number)
	if !ok || len(n) > 64 {
		return nil, false
	}
	f, _, err := big.ParseFloat(n.String(), 10, 256, big.ToNearestEven)
	return f, err == nil
}

func ordered(op string, c int) bool {
	switch op {
	case opGreater:
		return c > 0
	case opGreaterEqual:
		return c >= 0
	case opLess:
		return c < 0
	case opLessEqual:
		return c <= 0
	}
	return cmp.Compare(c, 0) == 0
}

// mentions reports whether a filter needs an attribute of the core schema.
func (t *resourceType) mentions(n *node, name string) bool {
	if n == nil {
		return false
	}
	if n.attr != "" {
		p, _ := splitPath(t, n.attr)
		return strings.EqualFold(p.name, name)
	}
	return t.mentions(n.left, name) || t.mentions(n.right, name)
}
