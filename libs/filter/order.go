package filter

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.einride.tech/aip/ordering"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/page"
)

// key is something that a list is sorted by.
type key struct {
	sql  string
	kind kind
	desc bool
	null bool
}

// keys reads an order; the id is the last of it, in the direction of what is before.
func (l *List) keys(order string, internal bool) ([]key, error) {
	var parsed ordering.OrderBy
	if err := parsed.UnmarshalString(strings.TrimSpace(order)); err != nil {
		return nil, l.orderError(`expected fields with commas between them, each with " desc" behind it or not`)
	}
	if len(parsed.Fields) > MaxOrder {
		return nil, l.orderError("expected at most %d fields", MaxOrder)
	}
	var keys []key
	seen := make(map[*Field]bool)
	desc := false
	for _, by := range parsed.Fields {
		f := l.byName[by.Path]
		if f == nil || f.sort == "" || f.internal && !internal {
			return nil, l.orderError("the list is not sorted by %q", short(by.Path))
		}
		if seen[f] {
			return nil, l.orderError("%q stands there twice", f.name)
		}
		seen[f], desc = true, by.Desc
		if len(keys) > 0 && keys[len(keys)-1].sql == l.id.sql {
			continue // no two rows are equal up to here
		}
		keys = append(keys, key{sql: f.sort, kind: f.sortKind, desc: desc, null: f.null && f.sort == f.sql})
	}
	if len(keys) == 0 || keys[len(keys)-1].sql != l.id.sql {
		keys = append(keys, key{sql: l.id.sql, kind: l.id.kind, desc: desc})
	}
	return keys, nil
}

func (l *List) orderError(format string, args ...any) error {
	known := strings.Join(l.names(true), ", ")
	if known == "" {
		known = "none"
	}
	return apierr.InvalidField("order_by", "ORDER_BY_INVALID", "order_by: %s; fields to sort by: %s", fmt.Sprintf(format, args...), known).With("fields", known)
}

// orderBy is the order as SQL. Rows without a value are last, or first if the order is
// descending: PostgreSQL's own way, so that its indexes serve both.
func orderBy(keys []key) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k.sql
		if k.desc {
			parts[i] += " desc"
		}
	}
	return strings.Join(parts, ", ")
}

// columns are the keys of a row as one array of text.
func columns(keys []key) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = "(" + k.sql + ")::text"
		if k.kind == instant { // whatever the session's time zone
			parts[i] = "(extract(epoch from " + k.sql + ") * 1000000)::bigint::text"
		}
	}
	return "array[" + strings.Join(parts, ", ") + "]"
}

// behind is the condition that a row comes after the one with the values.
func behind(keys []key, values []any, arg func(any) string) string {
	same := true
	for _, k := range keys {
		same = same && !k.null && k.desc == keys[0].desc
	}
	if same { // one range of an index
		left, right := make([]string, len(keys)), make([]string, len(keys))
		for i, k := range keys {
			left[i], right[i] = k.sql, arg(values[i])+"::"+k.kind.sql()
		}
		return "(" + strings.Join(left, ", ") + ")" + map[bool]string{true: " < ", false: " > "}[keys[0].desc] + "(" + strings.Join(right, ", ") + ")"
	}
	return behindFrom(keys, values, arg)
}

func behindFrom(keys []key, values []any, arg func(any) string) string {
	k, v := keys[0], values[0]
	if v == nil {
		// Nothing has a value less than none, and everything that has one is after none
		// if that comes first.
		switch {
		case len(keys) == 1 && k.desc:
			return "(" + k.sql + " is not null)"
		case len(keys) == 1:
			return "(false)"
		case k.desc:
			return "(" + k.sql + " is not null or " + behindFrom(keys[1:], values[1:], arg) + ")"
		}
		return "(" + k.sql + " is null and " + behindFrom(keys[1:], values[1:], arg) + ")"
	}
	a := arg(v) + "::" + k.kind.sql()
	beyond := k.sql + map[bool]string{true: " < ", false: " > "}[k.desc] + a
	if k.null && !k.desc {
		beyond = "(" + beyond + " or " + k.sql + " is null)"
	}
	if len(keys) == 1 {
		return "(" + beyond + ")"
	}
	rest := "(" + beyond + " or " + k.sql + " = " + a + " and " + behindFrom(keys[1:], values[1:], arg) + ")"
	if k.null {
		return rest
	}
	// What an index can begin at.
	return "(" + k.sql + map[bool]string{true: " <= ", false: " >= "}[k.desc] + a + " and " + rest + ")"
}

// token is the token of the page after a row with the keys.
func token(keys []key, values []*string) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		switch v := values[i]; {
		case k.null && v == nil:
		case k.null:
			texts[i] = "=" + *v
		default:
			texts[i] = *v
		}
	}
	return page.Encode(texts...)
}

// values reads a token; nil for the first page.
func values(keys []key, token string) ([]any, error) {
	texts, err := page.Decode(token, len(keys))
	if err != nil || texts == nil {
		return nil, err
	}
	out := make([]any, len(keys))
	for i, k := range keys {
		s := texts[i]
		if k.null {
			if s == "" {
				continue
			}
			s = s[1:]
		}
		if out[i], err = k.kind.read(s); err != nil {
			return nil, apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list").Wrap(err)
		}
	}
	return out, nil
}

// read reads a value out of a token.
func (k kind) read(s string) (any, error) {
	switch k {
	case boolean:
		return strconv.ParseBool(s) //nolint:wrapcheck // wrapped by the caller
	case integer:
		return strconv.ParseInt(s, 10, 64) //nolint:wrapcheck // wrapped by the caller
	case instant:
		n, err := strconv.ParseInt(s, 10, 64)
		return time.UnixMicro(n).UTC(), err //nolint:wrapcheck // wrapped by the caller
	case ident:
		return uuid.Parse(s) //nolint:wrapcheck // wrapped by the caller
	}
	if strings.ContainsRune(s, 0) {
		return nil, fmt.Errorf("a text with NUL")
	}
	return s, nil
}
