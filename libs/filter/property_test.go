package filter_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/filter/filtertest"
)

var migrations = fstest.MapFS{"00001_token.sql": {Data: []byte(`-- +goose Up
create table token (
	id uuid primary key, organization_id uuid not null, name text not null, read_only boolean not null, user_id uuid,
	create_time timestamptz not null, last_use_time timestamptz, revoke_time timestamptz
);
comment on table token is 'A list.';
call protect('token', 'organization');
`)}}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Few values, so that many rows are equal.
var (
	names = rapid.SampledFrom([]string{"", "a", "ab", "abc", "b", "ba", "B", "x*y"})
	users = rapid.SampledFrom([]uuid.UUID{{15: 1}, {15: 2}, {15: 3}})
	times = rapid.Custom(func(t *rapid.T) time.Time {
		return epoch.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "µs")) * time.Microsecond)
	})
	rowGen = rapid.Custom(func(t *rapid.T) row {
		r := row{ID: uuid.New(), Name: names.Draw(t, "name"), ReadOnly: rapid.Bool().Draw(t, "read_only"), Create: times.Draw(t, "create")}
		r.User, r.LastUse, r.Revoke = rapid.Ptr(users, true).Draw(t, "user"), rapid.Ptr(times, true).Draw(t, "last_use"), rapid.Ptr(times, true).Draw(t, "revoke")
		return r
	})
)

// test is a filter, and what it means.
type test struct {
	text string
	pass func(row) bool
}

var comparisons = map[string]func(int) bool{
	"=": func(c int) bool { return c == 0 }, "!=": func(c int) bool { return c != 0 },
	"<": func(c int) bool { return c < 0 }, "<=": func(c int) bool { return c <= 0 }, ">": func(c int) bool { return c > 0 }, ">=": func(c int) bool { return c >= 0 },
}

var leaf = rapid.Custom(func(t *rapid.T) test {
	op := rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">="}).Draw(t, "op")
	equal := rapid.SampledFrom([]string{"=", "!="}).Draw(t, "equal")
	at := times.Draw(t, "time")
	stamp := `"` + at.Format(time.RFC3339Nano) + `"`
	nullable := func(name string, of func(row) *time.Time) test {
		return test{name + " " + op + " " + stamp, func(r row) bool {
			if of(r) == nil {
				return op == "!="
			}
			return comparisons[op](of(r).Compare(at))
		}}
	}
	name := names.Filter(func(s string) bool { return s != "" && !strings.Contains(s, "*") }).Draw(t, "text")
	switch rapid.IntRange(0, 12).Draw(t, "kind") {
	case 0:
		return test{fmt.Sprintf("name %s %q", equal, name), func(r row) bool { return comparisons[equal](cmp.Compare(r.Name, name)) }}
	case 1:
		return test{fmt.Sprintf("name %s %q", equal, name+"*"), func(r row) bool { return strings.HasPrefix(r.Name, name) == (equal == "=") }}
	case 2:
		return test{fmt.Sprintf("name %s %q", equal, "*"+name), func(r row) bool { return strings.HasSuffix(r.Name, name) == (equal == "=") }}
	case 3:
		return test{fmt.Sprintf("name = %q", "*"+name+"*"), func(r row) bool { return strings.Contains(r.Name, name) }}
	case 4:
		return test{fmt.Sprintf("name:%q", name), func(r row) bool { return strings.Contains(strings.ToLower(r.Name), strings.ToLower(name)) }}
	case 5:
		return test{"name:*", func(r row) bool { return r.Name != "" }}
	case 6:
		return test{"readOnly " + equal + " true", func(r row) bool { return r.ReadOnly == (equal == "=") }}
	case 7:
		u := users.Draw(t, "user")
		return test{fmt.Sprintf("userId %s %q", equal, u), func(r row) bool { return (r.User != nil && *r.User == u) == (equal == "=") }}
	case 8:
		return test{`user_id ` + equal + ` ""`, func(r row) bool { return (r.User == nil) == (equal == "=") }}
	case 9:
		return test{"createTime " + op + " " + stamp, func(r row) bool { return comparisons[op](r.Create.Compare(at)) }}
	case 10:
		return nullable("lastUseTime", func(r row) *time.Time { return r.LastUse })
	case 11:
		return nullable("revokeTime", func(r row) *time.Time { return r.Revoke })
	default:
		return test{"revokeTime:*", func(r row) bool { return r.Revoke != nil }}
	}
})

func tree(depth int) *rapid.Generator[test] {
	if depth == 0 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) test {
		switch rapid.IntRange(0, 3).Draw(t, "node") {
		case 0:
			a, b := tree(depth-1).Draw(t, "a"), tree(depth-1).Draw(t, "b")
			return test{"(" + a.text + " AND " + b.text + ")", func(r row) bool { return a.pass(r) && b.pass(r) }}
		case 1:
			a, b := tree(depth-1).Draw(t, "a"), tree(depth-1).Draw(t, "b")
			return test{"(" + a.text + " OR " + b.text + ")", func(r row) bool { return a.pass(r) || b.pass(r) }}
		case 2:
			a := tree(depth-1).Draw(t, "a")
			return test{rapid.SampledFrom([]string{"NOT ", "-"}).Draw(t, "not") + "(" + a.text + ")", func(r row) bool { return !a.pass(r) }}
		default:
			return leaf.Draw(t, "leaf")
		}
	})
}

// compareTimes has what is absent come last.
func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

var orders = map[string]func(a, b row) int{
	"name": func(a, b row) int { return cmp.Compare(a.Name, b.Name) },
	"readOnly": func(a, b row) int {
		return cmp.Compare(map[bool]int{true: 1}[a.ReadOnly], map[bool]int{true: 1}[b.ReadOnly])
	},
	"createTime":  func(a, b row) int { return a.Create.Compare(b.Create) },
	"lastUseTime": func(a, b row) int { return compareTimes(a.LastUse, b.LastUse) },
	"revokeTime":  func(a, b row) int { return compareTimes(a.Revoke, b.Revoke) },
}

// order draws an order and what it means.
func order(t *rapid.T) (string, func(a, b row) int) {
	fields := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"name", "readOnly", "createTime", "lastUseTime", "revokeTime"}), 0, 3, rapid.ID[string]).Draw(t, "order")
	if len(fields) == 0 {
		return "", func(a, b row) int { return -cmp.Or(a.Create.Compare(b.Create), bytes.Compare(a.ID[:], b.ID[:])) }
	}
	signs := make([]int, len(fields))
	parts := make([]string, len(fields))
	for i, f := range fields {
		signs[i], parts[i] = 1, f
		if rapid.Bool().Draw(t, "desc") {
			signs[i], parts[i] = -1, f+" desc"
		}
	}
	return strings.Join(parts, ", "), func(a, b row) int {
		for i, f := range fields {
			if c := orders[f](a, b); c != 0 {
				return signs[i] * c
			}
		}
		return signs[len(signs)-1] * bytes.Compare(a.ID[:], b.ID[:])
	}
}

// The pages of a list, joined, are the list: what passes the filter, each row once, in the
// order. Rows that come between two pages change nothing about the others.
func TestPagesJoinedAreTheList(t *testing.T) {
	t.Parallel()
	db := open(t)
	l := filter.New("gatehouse.identity.v1.ListApiTokens", "createTime desc", filter.ID("id", "t.id"),
		filter.Text("name", "t.name").SortText(`t.name collate "C"`),
		filter.Bool("readOnly", "t.read_only").Sort(),
		filter.ID("userId", "t.user_id").Null(),
		filter.Time("createTime", "t.create_time").Sort(),
		filter.Time("lastUseTime", "t.last_use_time").Null().Sort(),
		filter.Time("revokeTime", "t.revoke_time").Null().Sort(),
	)
	rapid.Check(t, func(t *rapid.T) {
		org := uuid.New()
		all := rapid.SliceOfN(rowGen, 0, 25).Draw(t, "rows")
		insertRows(t, db, org, all...)
		f := tree(rapid.IntRange(0, 3).Draw(t, "depth")).Draw(t, "filter")
		by, compare := order(t)
		asked := filtertest.Request{Filter: f.text, OrderBy: by, Size: rapid.Int32Range(1, 7).Draw(t, "size")}
		disturbed := rapid.Bool().Draw(t, "disturbed")
		late := map[uuid.UUID]row{}
		var got []row
		for n := 0; ; n++ {
			page, next, err := list(context.Background(), db, org, l, asked)
			if err != nil {
				t.Fatalf("%v: %v", asked, err)
			}
			if len(page) > int(asked.Size) || next != "" && len(page) < int(asked.Size) || n > 100 {
				t.Fatalf("%v: a page of %d", asked, len(page))
			}
			got = append(got, page...)
			if asked.Token = next; next == "" {
				break
			}
			if disturbed {
				r := rowGen.Draw(t, "late")
				insertRows(t, db, org, r)
				late[r.ID] = r
			}
		}
		var want []uuid.UUID
		for _, r := range slices.SortedFunc(slices.Values(all), compare) {
			if f.pass(r) {
				want = append(want, r.ID)
			}
		}
		var old []uuid.UUID
		for i, r := range got {
			if i > 0 && compare(got[i-1], r) >= 0 {
				t.Fatalf("%v: row %d is not behind the one before", asked, i)
			}
			if !f.pass(r) {
				t.Fatalf("%v: %+v does not pass", asked, r)
			}
			if _, ok := late[r.ID]; !ok {
				old = append(old, r.ID)
			}
		}
		if !slices.Equal(old, want) {
			t.Fatalf("%v, disturbed %t:\n got %v\nwant %v", asked, disturbed, old, want)
		}
	})
}

// A token is none of an order with other keys. (That it is good for the very filter and
// order that it was made for is what page.Signer sees to.)
func TestTokens(t *testing.T) {
	t.Parallel()
	db := open(t)
	org := uuid.New()
	for i := range 3 {
		insert(t, db, org, row{ID: uuid.New(), Name: fmt.Sprint(i), Create: epoch})
	}
	_, token, err := list(t.Context(), db, org, tokens(), filtertest.Request{OrderBy: "name, lastUseTime", Size: 1})
	if err != nil || token == "" {
		t.Fatalf("%q %v", token, err)
	}
	for order, token := range map[string]string{"": token, "name": token, "name, lastUseTime": "x", "lastUseTime, name": token} {
		if _, err := tokens().Parse(filtertest.Request{OrderBy: order, Token: token}); !apierr.HasReason(err, "PAGE_TOKEN_INVALID") {
			t.Errorf("%s: %v", order, err)
		}
	}
}

// Whatever a filter and an order hold, it is refused as one that is wrong, or the
// database takes what becomes of it.
func FuzzList(f *testing.F) {
	db := open(f)
	l := tokens()
	org := uuid.New()
	insert(f, db, org, row{ID: uuid.New(), Name: "ada", Create: epoch})
	if err := l.Check(); err != nil {
		f.Fatal(err)
	}
	for _, e := range l.Examples() {
		f.Add(e, "name desc")
	}
	for _, o := range l.Orders() {
		f.Add("", o)
	}
	for _, s := range []string{
		`a AND (b OR c)`, `((((((((((name=a))))))))))`, `NOT NOT a`, `- -a`, `name="\u0000"`, `name="\xff"`, `name='\''`, "name=\"\ufffd\"", `a.b.c:d.e`, `name=a*b`,
		`f(g(h(i(`, `name = -5`, `0x=0x`, `.5`, `1.`, `name = "` + strings.Repeat("x", 1900) + `"`, `"name" = "name"`, `createTime > "0000-01-01T00:00:00Z"`,
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, condition, order string) {
		_, _, err := list(t.Context(), db, org, l, filtertest.Request{Filter: condition, OrderBy: order, Size: 1})
		if err == nil {
			return
		}
		if e, ok := apierr.From(err); !ok || e.Reason != "FILTER_INVALID" && e.Reason != "ORDER_BY_INVALID" {
			t.Errorf("%q, %q: %v", condition, order, err)
		}
	})
}
