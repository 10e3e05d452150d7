package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/enum"
)

// Bounds of what a caller may ask.
const (
	// MaxLength is how long a filter may be, in characters.
	MaxLength = 2000
	// MaxTerms is how many comparisons a filter may have.
	MaxTerms = 50
	// MaxDepth is how deep its parentheses may be.
	MaxDepth = 10
	// MaxOrder is how many fields an order may have.
	MaxOrder = 3
	// Within is how long a statement may run that filters or sorts as asked.
	Within = 5 * time.Second
)

type kind string

const (
	text    kind = "text"
	word    kind = "enum"
	boolean kind = "boolean"
	integer kind = "integer"
	instant kind = "time"
	ident   kind = "id"
)

// Field is something that a list can be filtered by.
type Field struct {
	name string
	kind kind
	sql  string
	// list says that the field is repeated, and sql an array.
	list bool
	null bool
	// internal fields are of the default order only.
	internal bool
	// sort is what the list is sorted by, of sortKind; empty if it cannot be.
	sort     string
	sortKind kind
	// words are those of an enum, by the names of its values.
	words map[string]string
}

// Text is a field whose SQL is a text that is never null. Names of fields are those of
// JSON: lower camel case, with dots to fields of messages.
func Text(name, sql string) Field { return Field{name: name, kind: text, sql: sql} }

// Enum is a field whose SQL is the word of an enum's value.
func Enum(name, sql string) Field { return Field{name: name, kind: word, sql: sql} }

// Bool is a field whose SQL is a boolean that is never null.
func Bool(name, sql string) Field { return Field{name: name, kind: boolean, sql: sql} }

// Int is a field whose SQL is an integer that is never null.
func Int(name, sql string) Field { return Field{name: name, kind: integer, sql: sql} }

// Time is a field whose SQL is a timestamptz.
func Time(name, sql string) Field { return Field{name: name, kind: instant, sql: sql} }

// ID is a field whose SQL is a uuid.
func ID(name, sql string) Field { return Field{name: name, kind: ident, sql: sql} }

// Environment is the field of the environment that owns a row, for a column that has the
// nil uuid where the organization itself does.
func Environment(name, column string) Field {
	return ID(name, `nullif(`+column+`, '00000000-0000-0000-0000-000000000000')`).Null()
}

// Texts is a repeated field, or one of a repeated message, whose SQL is an array of text.
func Texts(name, sql string) Field { return Field{name: name, kind: text, sql: sql, list: true} }

// Enums is Texts of an enum's words.
func Enums(name, sql string) Field { return Field{name: name, kind: word, sql: sql, list: true} }

// IDs is Texts of uuids.
func IDs(name, sql string) Field { return Field{name: name, kind: ident, sql: sql, list: true} }

// Null says that the SQL of a time or an id may be null: the field has no value then.
func (f Field) Null() Field {
	f.null = true
	return f
}

// Sort says that the list can be sorted by the field.
func (f Field) Sort() Field {
	f.sort, f.sortKind = f.sql, f.kind
	return f
}

// SortText has the list be sorted by another text than the field's, such as one in lower
// case. It must have a bound of some 200 characters.
func (f Field) SortText(sql string) Field {
	f.sort, f.sortKind = sql, text
	return f
}

// SortID has the list be sorted by an id that grows as the field does.
func (f Field) SortID(sql string) Field {
	f.sort, f.sortKind = sql, ident
	return f
}

// Internal says that the field is for the default order alone.
func (f Field) Internal() Field {
	f.internal = true
	return f
}

// List is what a list is filtered, sorted and paged by.
type List struct {
	rpc    protoreflect.FullName
	id     Field
	fields []Field
	order  string
	within time.Duration

	bind    sync.Once
	byName  map[string]*Field
	deft    []key
	bindErr error
}

// New declares the list of an RPC, such as "gatehouse.identity.v1.ListUsers". id is what
// tells rows apart, the last thing that they are sorted by; order is the order where
// none is asked for, in the words of order_by.
func New(rpc, order string, id Field, fields ...Field) *List {
	return &List{rpc: protoreflect.FullName(rpc), id: id, order: order, fields: append([]Field{id}, fields...), within: Within}
}

// Bounded gives statements that filter or sort as asked another time than Within.
func (l *List) Bounded(within time.Duration) *List {
	l.within = within
	return l
}

// Check says what is wrong with the declaration: a field that the answer does not show,
// or not with that type, or a default order that there is not.
func (l *List) Check() error {
	l.bind.Do(func() { l.bindErr = l.resolve() })
	return l.bindErr
}

func (l *List) resolve() error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(l.rpc + "Response")
	if err != nil {
		return fmt.Errorf("answer of %s: %w", l.rpc, err)
	}
	row := rowOf(found.(protoreflect.MessageDescriptor))
	if row == nil {
		return fmt.Errorf("answer of %s has no rows", l.rpc)
	}
	l.byName = make(map[string]*Field, 2*len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		if !f.internal {
			snake, err := f.resolve(row)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", f.name, row.FullName(), err)
			}
			l.byName[snake] = f
		}
		l.byName[f.name] = f
	}
	l.deft, err = l.keys(l.order, true)
	if err != nil {
		return fmt.Errorf("order of %s: %w", l.rpc, err)
	}
	return nil
}

// rowOf is the message of a list's rows.
func rowOf(answer protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	for i := range answer.Fields().Len() {
		if f := answer.Fields().Get(i); f.IsList() && f.Message() != nil {
			return f.Message()
		}
	}
	return nil
}

// resolve finds the field in a message and holds it against that. It returns the name as
// protos have it.
func (f *Field) resolve(m protoreflect.MessageDescriptor) (snake string, err error) {
	var path []string
	list := false
	var d protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(f.name, ".") {
		if m == nil {
			return "", fmt.Errorf("nothing is within %s", d.Name())
		}
		if d = m.Fields().ByJSONName(name); d == nil {
			return "", fmt.Errorf("the answer has no %s", name)
		}
		path, list, m = append(path, string(d.Name())), list || d.IsList(), d.Message()
	}
	is := map[protoreflect.Kind][]kind{
		protoreflect.StringKind: {text, ident}, protoreflect.EnumKind: {word}, protoreflect.BoolKind: {boolean},
		protoreflect.Int32Kind: {integer}, protoreflect.Int64Kind: {integer},
	}[d.Kind()]
	if m != nil && m.FullName() == "google.protobuf.Timestamp" {
		is = []kind{instant}
	}
	if !slices.Contains(is, f.kind) || list != f.list {
		return "", fmt.Errorf("it is not declared as what the answer shows")
	}
	if f.kind == word {
		f.words = enum.Names(d.Enum())
	}
	return strings.Join(path, "."), nil
}

// names are the fields that callers may filter by, or only those that they may sort by,
// in the order of their declaration.
func (l *List) names(sorted bool) []string {
	var names []string
	for _, f := range l.fields {
		if !f.internal && (!sorted || f.sort != "") {
			names = append(names, f.name)
		}
	}
	return names
}
