package filtertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/filter"
)

// Door holds a list that a service serves against its declaration: that what the answer
// shows of each row finds that row, and what it does not show does not; that a filter and
// its opposite have all rows between them; and that pages, in any order, are the list. in
// asks for rows, of which there must be at least two.
func Door(t *testing.T, conn grpc.ClientConnInterface, l *filter.List, in proto.Message) {
	t.Helper()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	d := door{T: t, conn: conn, list: l, in: in, method: method(t, l)}
	all := d.ids(ask{})
	if len(all) < 2 {
		t.Fatalf("%s: %d rows", l.Request(), len(all))
	}
	for _, row := range d.rows(ask{}) {
		for _, f := range l.Shown() {
			d.finds(row, f)
		}
	}
	for _, example := range l.Examples() {
		if strings.HasPrefix(example, "NOT ") {
			continue
		}
		yes, no := d.ids(ask{filter: example}), d.ids(ask{filter: "NOT " + example})
		if got := slices.Concat(yes, no); !sameRows(got, all) {
			t.Errorf("%s: %s finds %d rows and its opposite %d, of %d", l.Request(), example, len(yes), len(no), len(all))
		}
	}
	for _, order := range l.Orders() {
		whole, paged := d.ids(ask{order: order}), d.ids(ask{order: order, size: 1})
		if !slices.Equal(whole, paged) || !sameRows(whole, all) {
			t.Errorf("%s by %s:\n%v, page by page\n%v", l.Request(), order, whole, paged)
		}
		d.sorted(order)
	}
}

func sameRows(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

type door struct {
	*testing.T
	conn   grpc.ClientConnInterface
	list   *filter.List
	in     proto.Message
	method protoreflect.MethodDescriptor
}

type ask struct {
	filter, order string
	size          int32
}

// method is the RPC of a list.
func method(t *testing.T, l *filter.List) (found protoreflect.MethodDescriptor) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			all := f.Services().Get(i).Methods()
			for j := range all.Len() {
				if m := all.Get(j); string(m.Input().FullName()) == l.Request() {
					found = m
				}
			}
		}
		return found == nil
	})
	if found == nil {
		t.Fatalf("no RPC takes %s", l.Request())
	}
	return found
}

// rows are those on all pages.
func (d *door) rows(a ask) (rows []protoreflect.Message) {
	d.Helper()
	in := proto.Clone(d.in).ProtoReflect()
	set := func(name protoreflect.Name, v any) {
		if f := in.Descriptor().Fields().ByName(name); f != nil {
			in.Set(f, protoreflect.ValueOf(v))
		}
	}
	set("filter", a.filter)
	set("order_by", a.order)
	set("page_size", a.size)
	for {
		out := dynamicpb.NewMessage(d.method.Output())
		if err := d.conn.Invoke(d.Context(), "/"+string(d.method.Parent().FullName())+"/"+string(d.method.Name()), in.Interface(), out); err != nil {
			d.Fatalf("%v: %v", in, err)
		}
		fields := d.method.Output().Fields()
		for i := range fields.Len() {
			if f := fields.Get(i); f.IsList() && f.Message() != nil {
				for j := range out.Get(f).List().Len() {
					rows = append(rows, out.Get(f).List().Get(j).Message())
				}
			}
		}
		next := fields.ByName("next_page_token")
		if next == nil || out.Get(next).String() == "" {
			return rows
		}
		set("page_token", out.Get(next).String())
	}
}

// ids tell the rows of an answer apart.
func (d *door) ids(a ask) (ids []string) {
	d.Helper()
	for _, r := range d.rows(a) {
		ids = append(ids, d.id(r))
	}
	return ids
}

func (d *door) id(row protoreflect.Message) string {
	return fmt.Sprint(shown(row, d.list.Shown()[0].Name)[0])
}

// shown is what a row shows in a field: as many values as it has.
func shown(row protoreflect.Message, name string) []string {
	first, rest, deeper := strings.Cut(name, ".")
	f := row.Descriptor().Fields().ByJSONName(first)
	var values []protoreflect.Value
	switch {
	case f.IsList():
		for i := range row.Get(f).List().Len() {
			values = append(values, row.Get(f).List().Get(i))
		}
	case f.Message() == nil || row.Has(f):
		values = append(values, row.Get(f))
	case deeper: // what is unset shows no value
		return []string{""}
	}
	var all []string
	for _, v := range values {
		switch {
		case deeper:
			all = append(all, shown(v.Message(), rest)...)
		case f.Message() != nil:
			b, _ := proto.Marshal(v.Message().Interface())
			var at timestamppb.Timestamp
			_ = proto.Unmarshal(b, &at)
			all = append(all, at.AsTime().Format(time.RFC3339Nano))
		case f.Enum() != nil:
			all = append(all, string(f.Enum().Values().ByNumber(v.Enum()).Name()))
		default:
			all = append(all, v.String())
		}
	}
	return all
}

// finds asks for a row by what it shows in a field.
func (d *door) finds(row protoreflect.Message, f filter.Shown) {
	d.Helper()
	values := shown(row, f.Name)
	if len(values) == 0 || len(values) == 1 && values[0] == "" && f.Absent {
		if !f.List && !f.Absent {
			d.Errorf("%s: %s is not shown", d.list.Request(), f.Name)
			return
		}
		if !slices.Contains(d.ids(ask{filter: "NOT " + f.Name + ":*"}), d.id(row)) {
			d.Errorf("%s: NOT %s:* does not find a row that shows none", d.list.Request(), f.Name)
		}
		return
	}
	for _, v := range values {
		if f.Quoted {
			v = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(v) + `"`
		}
		if f.List {
			if found := d.ids(ask{filter: f.Name + ":" + v}); !slices.Contains(found, d.id(row)) {
				d.Errorf("%s: %s:%s does not find a row that shows it", d.list.Request(), f.Name, v)
			}
			continue
		}
		if strings.Contains(v, "*") {
			continue
		}
		if found := d.ids(ask{filter: f.Name + " = " + v}); !slices.Contains(found, d.id(row)) {
			d.Errorf("%s: %s = %s does not find a row that shows it", d.list.Request(), f.Name, v)
		}
		if found := d.ids(ask{filter: f.Name + " != " + v}); slices.Contains(found, d.id(row)) {
			d.Errorf("%s: %s != %s finds a row that shows it", d.list.Request(), f.Name, v)
		}
	}
}

// sorted looks whether rows are in the order of a time or a number.
func (d *door) sorted(order string) {
	d.Helper()
	by, _, _ := strings.Cut(order, ",")
	name, desc := strings.CutSuffix(by, " desc")
	rows := d.rows(ask{order: order})
	for i := 1; i < len(rows); i++ {
		a, b := shown(rows[i-1], name), shown(rows[i], name)
		if desc {
			a, b = b, a
		}
		if compare(a, b) > 0 {
			d.Errorf("%s by %s: %v stands before %v", d.list.Request(), order, a, b)
		}
	}
}

// compare compares times and numbers; what is absent is more than all else, and texts are
// equal: their order is the database's.
func compare(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return len(b) - len(a)
	}
	at, err := time.Parse(time.RFC3339Nano, a[0])
	if err == nil {
		other, _ := time.Parse(time.RFC3339Nano, b[0])
		return at.Compare(other)
	}
	var x, y int64
	if _, err := fmt.Sscan(a[0], &x); err == nil {
		if _, err := fmt.Sscan(b[0], &y); err == nil {
			return int(x - y)
		}
	}
	return 0
}
