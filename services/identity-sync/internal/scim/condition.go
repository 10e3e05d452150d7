package scim

import (
	"strings"
	"time"
)

// Condition is one that a store answers from its columns: that all of All hold, or any
// of Any, or else a comparison.
type Condition struct {
	All, Any []Condition

	Attribute Attribute
	Operator  Operator
	// Values are what the attribute is compared with: of Equal any of them, of
	// StartsWith the one.
	Values []string
	// Time is what AttributeLastModified is compared with, in whole milliseconds.
	Time time.Time
}

// Operator is how an attribute is compared.
type Operator string

// The operators. Text is compared by Equal, and AttributeUserName also by StartsWith;
// times by NotBefore and Before.
const (
	Equal      Operator = "eq"
	StartsWith Operator = "sw"
	NotBefore  Operator = "ge"
	Before     Operator = "lt"
)

// conjuncts lists the filters that must all hold for n to hold.
func conjuncts(n *node) []*node {
	if n.op != "and" {
		return []*node{n}
	}
	return append(conjuncts(n.left), conjuncts(n.right)...)
}

// pushDown splits a filter into a condition that the store answers and the rest; each
// is nil if there is none.
func (t *resourceType) pushDown(n *node, columns map[string]Attribute) (where *Condition, rest *node) {
	for _, c := range conjuncts(n) {
		e, exact := t.condition(c, columns)
		where = both(where, e)
		switch {
		case exact:
		case rest == nil:
			rest = c
		default:
			rest = &node{op: "and", left: rest, right: c}
		}
	}
	return where, rest
}

// condition is one that holds wherever a filter holds, nil if there is none; exact:
// and nowhere else.
func (t *resourceType) condition(n *node, columns map[string]Attribute) (c *Condition, exact bool) {
	switch n.op {
	case "and", "or":
		left, leftExact := t.condition(n.left, columns)
		right, rightExact := t.condition(n.right, columns)
		exact = leftExact && rightExact
		if n.op == "and" {
			return both(left, right), exact
		}
		return either(left, right), exact
	case "[":
		return t.narrow(n, columns), false
	case "not":
		return nil, false
	}
	c = t.comparison(n, columns)
	return c, c != nil
}

// both is that two conditions hold, of which either may be nil.
func both(a, b *Condition) *Condition {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := &Condition{}
	for _, c := range []*Condition{a, b} {
		if len(c.All) > 0 {
			out.All = append(out.All, c.All...)
		} else {
			out.All = append(out.All, *c)
		}
	}
	return out
}

// either is that one of two conditions holds; nil if one of them is unknown.
// Comparisons of one attribute become one.
func either(a, b *Condition) *Condition {
	if a == nil || b == nil {
		return nil
	}
	out := &Condition{}
	for _, c := range []*Condition{a, b} {
		list := c.Any
		if len(list) == 0 {
			list = []Condition{*c}
		}
		for _, e := range list {
			out.Any = addEither(out.Any, e)
		}
	}
	if len(out.Any) == 1 {
		return &out.Any[0]
	}
	return out
}

func addEither(list []Condition, c Condition) []Condition {
	for i, e := range list {
		if c.Operator == Equal && e.Operator == Equal && e.Attribute == c.Attribute {
			list[i].Values = append(e.Values, c.Values...)
			return list
		}
	}
	return append(list, c)
}

// narrow finds a condition for the store in a value path, which by itself does
// not answer it: `emails[type eq "work" and value eq "…"]`.
func (t *resourceType) narrow(n *node, columns map[string]Attribute) *Condition {
	for _, c := range conjuncts(n.left) {
		if c.op == opEqual && strings.EqualFold(c.attr, "value") {
			return t.comparison(&node{op: opEqual, attr: n.attr, value: c.value}, columns)
		}
	}
	return nil
}

// comparison is a comparison that the store knows; nil if it does not.
func (t *resourceType) comparison(n *node, columns map[string]Attribute) *Condition {
	value, isText := n.value.(string)
	p, ok := splitPath(t, n.attr)
	if !isText || !ok {
		return nil
	}
	g, ok := t.resolve(p)
	if !ok || g.attr == nil || g.ext != "" {
		return nil
	}
	name := g.name
	switch {
	case g.sub != "":
		name += "." + g.sub
	case g.attr.kind == kindComplex:
		name += ".value"
	}
	a, ok := columns[name]
	switch {
	case !ok:
		return nil
	case a == AttributeLastModified:
		return compareTimes(n.op, value)
	case n.op == opEqual, n.op == opStartsWith && a == AttributeUserName:
		return &Condition{Attribute: a, Operator: Operator(n.op), Values: []string{value}}
	}
	return nil
}

// compareTimes compares with lastModified, of which clients see whole milliseconds.
func compareTimes(op, value string) *Condition {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return nil
	}
	floor := at.Truncate(time.Millisecond)
	next := floor.Add(time.Millisecond)
	ceil := floor
	if !at.Equal(floor) {
		ceil = next
	}
	is := func(o Operator, t time.Time) *Condition {
		return &Condition{Attribute: AttributeLastModified, Operator: o, Time: t.UTC()}
	}
	switch op {
	case opGreater:
		return is(NotBefore, next)
	case opGreaterEqual:
		return is(NotBefore, ceil)
	case opLess:
		return is(Before, ceil)
	case opLessEqual:
		return is(Before, next)
	case opEqual:
		return both(is(NotBefore, ceil), is(Before, next)) // none if it is no whole millisecond
	}
	return nil
}
