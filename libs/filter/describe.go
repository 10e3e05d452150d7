package filter

import (
	"fmt"
	"slices"
	"strings"
)

// Request is the full name of the list's request.
func (l *List) Request() string { return string(l.rpc) + "Request" }

// FilterComment is the comment of the field filter in the list's request, which must
// pass Check.
func (l *List) FilterComment() string {
	return comment("Only those that pass this filter (AIP-160; docs/lists.md), and whatever else is asked for here. Fields: " +
		strings.Join(l.names(false), ", ") + ". INVALID_ARGUMENT: FILTER_INVALID, FILTER_TOO_COSTLY.")
}

// OrderComment is the comment of the field order_by.
func (l *List) OrderComment() string {
	is := "Sorted by these fields, with commas between them and \" desc\" behind those that descend (AIP-132). Fields: " + strings.Join(l.names(true), ", ") + "."
	if f := l.byName[strings.TrimSuffix(strings.Fields(l.order)[0], ",")]; f.internal {
		is += " Empty: newest first."
	} else {
		is += " Empty: " + l.order + "."
	}
	return comment(is + " INVALID_ARGUMENT: ORDER_BY_INVALID, ORDER_BY_TOO_COSTLY.")
}

// comment is a text as the lines of a comment within a message.
func comment(text string) string {
	var b strings.Builder
	line := "  //"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 82 {
			b.WriteString(line + "\n")
			line = "  //"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// Shown is a field that callers may filter by.
type Shown struct {
	// Name is as in JSON.
	Name string
	// List says that it is repeated.
	List bool
	// Quoted says that its values stand in quotes.
	Quoted bool
	// Absent says that it may have no value where the answer shows none.
	Absent bool
}

// Shown are the fields that callers may filter by, first the one that tells rows apart.
func (l *List) Shown() []Shown {
	var all []Shown
	for _, f := range l.fields {
		if !f.internal {
			all = append(all, Shown{f.name, f.list, f.kind == text || f.kind == ident || f.kind == instant, f.kind == instant && f.null})
		}
	}
	return all
}

// Examples are filters of the list: every field, with everything that it can be compared
// with. The list must pass Check.
func (l *List) Examples() []string {
	var all []string
	for i := range l.fields {
		f := &l.fields[i]
		if f.internal {
			continue
		}
		values := map[kind][]string{
			text: {`"a"`, `"a*"`, `"*a"`, `"*a*"`, `"*"`, `""`}, word: f.values(), boolean: {"true", "false"}, integer: {"1", "-1", "9223372036854775807"},
			instant: {`"2026-01-31T12:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999+14:00"`},
			ident:   {`"0192f0c1-7a3b-7cde-8f00-112233445566"`, `""`},
		}[f.kind]
		for _, op := range []string{"=", "!=", "<", "<=", ">", ">=", ":"} {
			if f.takes(op) != nil {
				continue
			}
			if op == ":" && f.kind != text && !f.list {
				values = nil
			}
			if op == ":" {
				values = append(slices.Clone(values), "*")
			}
			for _, v := range values {
				if f.list && v == `""` {
					continue
				}
				all = append(all, fmt.Sprintf("%s %s %s", f.name, op, v), fmt.Sprintf("NOT %s %s %s", f.name, op, v))
			}
		}
	}
	return all
}

// Orders are orders of the list: every field, up and down, and several at once.
func (l *List) Orders() []string {
	names := l.names(true)
	var all []string
	for i, n := range names {
		all = append(all, n, n+" desc", n+" desc, "+names[(i+1)%len(names)])
	}
	if len(names) == 1 {
		all = all[:2]
	}
	return all
}
