package filter

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"gatehouse.dev/libs/apierr"
)

// condition is a part of a filter that was checked: it writes itself as SQL, with arg
// for each value.
type condition func(arg func(any) string) string

// wrong is what is wrong with a filter, and where.
type wrong struct {
	offset int // in bytes
	text   string
	known  []string // the fields there are, if another was named
}

func (w *wrong) Error() string { return w.text }

func wrongf(offset int, format string, args ...any) *wrong {
	return &wrong{offset: offset, text: fmt.Sprintf(format, args...)}
}

// condition reads a filter; nil for an empty one.
func (l *List) condition(filter string) (condition, error) {
	if strings.TrimSpace(filter) == "" {
		return nil, nil
	}
	c, err := l.parse(filter)
	var w *wrong
	if !errors.As(err, &w) {
		return c, err
	}
	at := utf8.RuneCountInString(filter[:min(max(w.offset, 0), len(filter))]) + 1
	public := apierr.InvalidField("filter", "FILTER_INVALID", "filter, character %d: %s", at, w.text).With("position", strconv.Itoa(at))
	if w.known != nil {
		public = public.With("fields", strings.Join(w.known, ", "))
	}
	return nil, public
}

func (l *List) parse(filter string) (condition, error) {
	if n := utf8.RuneCountInString(filter); n > MaxLength {
		return nil, wrongf(len(filter), "a filter has at most %d characters, this has %d", MaxLength, n)
	}
	trimmed := strings.TrimLeftFunc(filter, unicode.IsSpace)
	c := checker{list: l, shift: len(filter) - len(trimmed)}
	trimmed = strings.TrimSpace(trimmed)
	if err := c.bound(trimmed); err != nil {
		return nil, err
	}
	var p filtering.Parser
	p.Init(trimmed)
	parsed, err := p.Parse()
	if err != nil {
		return nil, c.explain(trimmed, err)
	}
	c.positions = parsed.GetSourceInfo().GetPositions()
	return c.check(parsed.GetExpr())
}

// checker checks a parsed filter against a list.
type checker struct {
	list      *List
	positions map[int64]int32
	// shift is how much blank the filter begins with.
	shift int
}

// bound refuses what would be costly to parse, and functions, which the grammar has.
func (c *checker) bound(filter string) error {
	var lex filtering.Lexer
	lex.Init(filter)
	depth, terms := 0, 0
	var before filtering.Token
	for {
		t, err := lex.Lex()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.explain(filter, err)
		}
		at := int(t.Position.Offset) + c.shift
		switch {
		case t.Type == filtering.TokenTypeLeftParen:
			if before.Type.IsKeyword() {
				return wrongf(at, "expected a space between %s and the parenthesis", before.Value)
			}
			if before.Type == filtering.TokenTypeText {
				return wrongf(at, "there are no functions; expected a comparison such as %s", c.list.example())
			}
			if depth++; depth > MaxDepth {
				return wrongf(at, "parentheses are at most %d deep", MaxDepth)
			}
		case t.Type == filtering.TokenTypeRightParen:
			depth--
		case t.Type.IsComparator():
			if terms++; terms > MaxTerms {
				return wrongf(at, "a filter has at most %d comparisons", MaxTerms)
			}
		}
		before = t
	}
}

// explain says in words what the parser did not expect.
func (c *checker) explain(filter string, err error) error {
	var at interface {
		error
		Position() filtering.Position
		Message() string
	}
	offset, said := len(filter), ""
	var within []string
	for inner := err; errors.As(inner, &at); inner = errors.Unwrap(at) {
		offset, said = int(at.Position().Offset), at.Message()
		within = append(within, said)
	}
	expected := "expected a comparison such as " + c.list.example()
	switch {
	case strings.HasPrefix(said, "unterminated"):
		return wrongf(offset+c.shift, "the text that begins here has no closing quote")
	case strings.HasPrefix(said, "invalid UTF-8"):
		return wrongf(offset+c.shift, "this is not UTF-8")
	case strings.Contains(said, "trailing") && isJunction(filter[offset:]):
		offset = len(filter)
	case strings.Contains(said, "trailing"):
		expected = "expected AND, OR or the end; ids, times and texts with other signs than letters and digits are put in quotes"
	case slices.Contains(within, "arg"):
		expected = "expected a value; ids, times and texts with other signs than letters and digits are put in quotes"
	case len(within) > 1 && strings.HasPrefix(said, "expected )"):
		expected = "expected AND, OR or a closing parenthesis"
	}
	if offset >= len(filter) {
		return wrongf(offset+c.shift, "the filter ends too early: %s", expected)
	}
	return wrongf(offset+c.shift, "%s", expected)
}

// isJunction says whether a rest is AND or OR with nothing behind it.
func isJunction(rest string) bool {
	rest = strings.TrimSpace(rest)
	return rest == filtering.FunctionAnd || rest == filtering.FunctionOr
}

// example is a comparison that the list knows.
func (l *List) example() string {
	for _, f := range l.fields {
		if f.kind == text && !f.list && !f.internal {
			return f.name + ` = "Ada*"`
		}
	}
	return l.fields[0].name + ` = "…"`
}

func (c *checker) at(e *expr.Expr) int { return int(c.positions[e.GetId()]) + c.shift }

func (c *checker) check(e *expr.Expr) (condition, error) {
	call := e.GetCallExpr()
	if call == nil {
		return nil, wrongf(c.at(e), "expected a comparison such as %s", c.list.example())
	}
	switch call.GetFunction() {
	case filtering.FunctionAnd, filtering.FunctionFuzzyAnd:
		return c.both(call, " and ")
	case filtering.FunctionOr:
		return c.both(call, " or ")
	case filtering.FunctionNot:
		inner, err := c.check(call.GetArgs()[0])
		if err != nil {
			return nil, err
		}
		return func(arg func(any) string) string { return "not " + inner(arg) }, nil
	}
	return c.compare(e, call)
}

func (c *checker) both(call *expr.Expr_Call, word string) (condition, error) {
	a, err := c.check(call.GetArgs()[0])
	if err != nil {
		return nil, err
	}
	b, err := c.check(call.GetArgs()[1])
	if err != nil {
		return nil, err
	}
	return func(arg func(any) string) string { return "(" + a(arg) + word + b(arg) + ")" }, nil
}

// named is a name as it was written, with dots; empty if it is none.
func named(e *expr.Expr) string {
	if i := e.GetIdentExpr(); i != nil {
		return i.GetName()
	}
	if s := e.GetSelectExpr(); s != nil {
		if of := named(s.GetOperand()); of != "" {
			return of + "." + s.GetField()
		}
	}
	return ""
}

func (c *checker) compare(e *expr.Expr, call *expr.Expr_Call) (condition, error) {
	left, right, op := call.GetArgs()[0], call.GetArgs()[1], call.GetFunction()
	name := named(left)
	if name == "" {
		return nil, wrongf(c.at(left), "expected the name of a field before %s", op)
	}
	f := c.list.byName[name]
	if f == nil || f.internal {
		known := c.list.names(false)
		w := wrongf(c.at(left), "there is no field %q; there are %s", short(name), strings.Join(known, ", "))
		w.known = known
		return nil, w
	}
	if err := f.takes(op); err != nil {
		err.offset = c.at(e)
		return nil, err
	}
	v, quoted, err := value(right)
	if err == nil {
		var cond condition
		if cond, err = f.condition(op, v, quoted); err == nil {
			return cond, nil
		}
	}
	err.offset = c.at(right)
	return nil, err
}

// takes says whether the field can be compared so.
func (f *Field) takes(op string) *wrong {
	switch {
	case f.list:
		if op != filtering.FunctionHas {
			return wrongf(0, "%s is a list: it is compared with : alone", f.name)
		}
	case op == filtering.FunctionHas:
		if f.kind != text && f.kind != ident && f.kind != instant {
			return wrongf(0, "%s is not a text or a list: it is compared with =, not with :", f.name)
		}
	case op != filtering.FunctionEquals && op != filtering.FunctionNotEquals:
		if f.kind == word || f.kind == boolean || f.kind == ident {
			return wrongf(0, "%s has no order: it is compared with = and != alone", f.name)
		}
	}
	return nil
}

// value is what stands right of a comparison: a string or an int64.
func value(e *expr.Expr) (v any, quoted bool, w *wrong) {
	switch k := e.GetConstExpr().GetConstantKind().(type) {
	case *expr.Constant_StringValue:
		if strings.ContainsRune(k.StringValue, 0) {
			return nil, false, wrongf(0, "expected a value without the character NUL")
		}
		return k.StringValue, true, nil
	case *expr.Constant_Int64Value:
		return k.Int64Value, false, nil
	}
	if name := named(e); name != "" && !strings.ContainsRune(name, 0) {
		return name, false, nil
	}
	return nil, false, wrongf(0, "expected a value: a text, a whole number, true or false")
}

// condition is the field compared with a value; null does not come out of it.
func (f *Field) condition(op string, v any, quoted bool) (condition, *wrong) {
	s, isText := v.(string)
	if isText && s == "*" && (op == filtering.FunctionHas || f.kind == text && op == filtering.FunctionEquals) {
		return fixed(f.present()), nil
	}
	var of any
	switch f.kind {
	case text:
		if !isText {
			return nil, wrongf(0, "%s is a text: put it in quotes", f.name)
		}
		if !f.list {
			return f.text(op, s)
		}
		of = s
	case word:
		w, ok := f.words[s]
		if !ok {
			return nil, wrongf(0, "expected a value of %s: %s", f.name, strings.Join(f.values(), ", "))
		}
		of = w
	case boolean:
		if quoted || s != "true" && s != "false" {
			return nil, wrongf(0, "%s is true or false", f.name)
		}
		of = s == "true"
	case integer:
		if of = v; isText {
			return nil, wrongf(0, "%s is a whole number, without quotes", f.name)
		}
	case instant:
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return nil, wrongf(0, `%s is a time, as RFC 3339 has it and in quotes: "2026-01-31T12:00:00Z"`, f.name)
		}
		of = t
	case ident:
		if isText && s == "" && !f.list && op != filtering.FunctionHas {
			return fixed(map[bool]string{true: "not ", false: ""}[(op == filtering.FunctionEquals)] + f.present()), nil
		}
		parsed, err := uuid.Parse(s)
		if err != nil || len(s) != 36 {
			return nil, wrongf(0, `%s is an id, in quotes: "0192f0c1-7a3b-7cde-8f00-112233445566"`, f.name)
		}
		of = parsed
	}
	if f.list {
		return func(arg func(any) string) string {
			return "(" + arg(of) + "::" + f.kind.sql() + " = any (" + f.sql + "))"
		}, nil
	}
	if op == filtering.FunctionHas {
		return nil, wrongf(0, "%s is not a text or a list: after : expected *, else compare with =", f.name)
	}
	return f.plain(op, of), nil
}

func fixed(sql string) condition { return func(func(any) string) string { return sql } }

// present is the condition that the field has a value.
func (f *Field) present() string {
	switch {
	case f.list:
		return "(cardinality(" + f.sql + ") > 0)"
	case f.kind == text:
		return "(" + f.sql + " <> '')"
	case f.null:
		return "(" + f.sql + " is not null)"
	}
	return "(true)"
}

// text compares a text. Stars at the ends of what it equals stand for any text; what it
// contains is found in any case.
func (f *Field) text(op, s string) (condition, *wrong) {
	if op == filtering.FunctionHas {
		return func(arg func(any) string) string {
			return "(strpos(lower(" + f.sql + "), lower(" + arg(s) + "::text)) > 0)"
		}, nil
	}
	if op != filtering.FunctionEquals && op != filtering.FunctionNotEquals || !strings.Contains(s, "*") {
		return f.plain(op, s), nil
	}
	middle := strings.TrimPrefix(s, "*")
	before := len(middle) < len(s)
	end := strings.TrimSuffix(middle, "*")
	after := len(end) < len(middle)
	if strings.Contains(end, "*") {
		return nil, wrongf(0, "a star stands for any text at the beginning or at the end only")
	}
	not := map[bool]string{true: "not "}[op == filtering.FunctionNotEquals]
	return func(arg func(any) string) string {
		switch {
		case before && after:
			return not + "(strpos(" + f.sql + ", " + arg(end) + "::text) > 0)"
		case after:
			return not + "starts_with(" + f.sql + ", " + arg(end) + "::text)"
		case end == "": // a star alone: every text equals it
			return not + "(true)"
		}
		a := arg(end)
		return not + "(right(" + f.sql + ", length(" + a + "::text)) = " + a + "::text)"
	}, nil
}

func (f *Field) plain(op string, of any) condition {
	op = map[string]string{"!=": "<>"}[op] + map[bool]string{true: op}[op != "!="]
	return func(arg func(any) string) string {
		compared := f.sql + " " + op + " " + arg(of) + "::" + f.kind.sql()
		switch {
		case !f.null:
			return "(" + compared + ")"
		case op == "<>":
			return "(" + f.sql + " is null or " + compared + ")"
		}
		return "(" + f.sql + " is not null and " + compared + ")"
	}
}

// sql is the type of an argument.
func (k kind) sql() string {
	switch k {
	case boolean:
		return "boolean"
	case integer:
		return "bigint"
	case instant:
		return "timestamptz"
	case ident:
		return "uuid"
	}
	return "text"
}

// values are the names of an enum's values but the unspecified one.
func (f *Field) values() []string {
	var names []string
	for name, w := range f.words {
		if w != "unspecified" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// short keeps an error from repeating a long name.
func short(s string) string {
	if r := []rune(s); len(r) > 50 {
		return string(r[:50]) + "…"
	}
	return s
}
