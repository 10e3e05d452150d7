package filter_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"

	_ "gatehouse.dev/proto/gen/gatehouse/identity/v1" // the lists are declared by their answers
	_ "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// tokens is a list with something of every type.
func tokens() *filter.List {
	return filter.New("gatehouse.identity.v1.ListApiTokens", "createTime desc", filter.ID("id", "t.id"),
		filter.Text("name", "t.name").Sort(),
		filter.Bool("readOnly", "t.read_only").Sort(),
		filter.ID("userId", "t.user_id").Null(),
		filter.Time("createTime", "t.create_time").Sort(),
		filter.Time("lastUseTime", "t.last_use_time").Null().Sort(),
		filter.Time("revokeTime", "t.revoke_time").Null().Sort(),
	)
}

func apps() *filter.List {
	return filter.New("gatehouse.request.v1.ListApps", "name", filter.ID("id", "a.id"),
		filter.Text("name", "a.name").Sort(), filter.IDs("adminIds", "a.admin_ids"), filter.Enum("provisioning", "a.provisioning"), filter.Int("version", "a.version").Sort())
}

func TestDeclarationsAreHeldAgainstTheAnswer(t *testing.T) {
	t.Parallel()
	const users = "gatehouse.identity.v1.ListUsers"
	id := filter.ID("id", "u.id")
	for name, l := range map[string]*filter.List{
		"no such answer":   filter.New("gatehouse.identity.v1.ListNobody", "", id),
		"no such field":    filter.New(users, "", id, filter.Text("passwordHash", "u.password_hash")),
		"nothing within":   filter.New(users, "", id, filter.Text("email.host", "u.host")),
		"another type":     filter.New(users, "", id, filter.Text("createTime", "u.create_time")),
		"an enum as text":  filter.New(users, "", id, filter.Text("state", "u.state")),
		"not a list":       filter.New(users, "", id, filter.Texts("email", "u.emails")),
		"a list of things": filter.New("gatehouse.request.v1.ListRequests", "", id, filter.ID("items.appId", "r.app_id")),
		"no such order":    filter.New(users, "email", id, filter.Text("email", "u.email")),
	} {
		if err := l.Check(); err == nil {
			t.Errorf("%s: it is let be", name)
		}
	}
	for _, l := range []*filter.List{tokens(), apps()} {
		if err := l.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestSQL(t *testing.T) {
	t.Parallel()
	const id = "0192f0c1-7a3b-7cde-8f00-112233445566"
	for _, tt := range []struct{ filter, want string }{
		{"", ""},
		{"  ", ""},
		{`name = ada`, `(t.name = $1::text) ada`},
		{`name = "Ada Byron" `, `(t.name = $1::text) Ada Byron`},
		{`name = ada@corp.example`, `(t.name = $1::text) ada@corp.example`},
		{`name = 'it''`, "!"},
		{`name:ad`, `(strpos(lower(t.name), lower($1::text)) > 0) ad`},
		{`name:"a*"`, `(strpos(lower(t.name), lower($1::text)) > 0) a*`},
		{`name:*`, `(t.name <> '')`},
		{`name = "ad*"`, `starts_with(t.name, $1::text) ad`},
		{`name = ad*`, `starts_with(t.name, $1::text) ad`},
		{`name != "*on"`, `not (right(t.name, length($1::text)) = $1::text) on`},
		{`name = "*d*"`, `(strpos(t.name, $1::text) > 0) d`},
		{`name >= "a"`, `(t.name >= $1::text) a`},
		{`readOnly = true`, `(t.read_only = $1::boolean) true`},
		{`read_only != false`, `(t.read_only <> $1::boolean) false`},
		{`userId = "` + id + `"`, `(t.user_id is not null and t.user_id = $1::uuid) ` + id},
		{`userId != "` + id + `"`, `(t.user_id is null or t.user_id <> $1::uuid) ` + id},
		{`userId = ""`, `not (t.user_id is not null)`},
		{`userId != ""`, `(t.user_id is not null)`},
		{`revokeTime:*`, `(t.revoke_time is not null)`},
		{`lastUseTime < "2026-01-02T03:04:05Z"`, `(t.last_use_time is not null and t.last_use_time < $1::timestamptz) 2026-01-02 03:04:05 +0000 UTC`},
		// OR binds closer than AND, and what stands side by side is AND.
		{`name = a AND name = b OR name = c`, `((t.name = $1::text) and ((t.name = $2::text) or (t.name = $3::text))) a b c`},
		{`name = a name = b`, `((t.name = $1::text) and (t.name = $2::text)) a b`},
		{`(name = a AND name = b) OR name = c`, `(((t.name = $1::text) and (t.name = $2::text)) or (t.name = $3::text)) a b c`},
		{`NOT name = a AND -readOnly = true`, `(not (t.name = $1::text) and not (t.read_only = $2::boolean)) a true`},
		{`NOT (name = a OR name = b)`, `not ((t.name = $1::text) or (t.name = $2::text)) a b`},
		{"name = a\n\tAND name = b", `((t.name = $1::text) and (t.name = $2::text)) a b`},
	} {
		q, err := tokens().Parse(filtertest.Request{Filter: tt.filter})
		if tt.want == "!" {
			if !apierr.HasReason(err, "FILTER_INVALID") {
				t.Errorf("%s: %v", tt.filter, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		var args filter.Arguments
		got := q.Filter(args.Add)
		for _, a := range args {
			got += fmt.Sprint(" ", a)
		}
		if got = strings.TrimPrefix(got, " and "); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.filter, got, tt.want)
		}
	}
	q, err := apps().Parse(filtertest.Request{Filter: `adminIds:"` + id + `" AND provisioning = PROVISIONING_SUPPORT_MANUAL AND version > -1 AND adminIds:*`})
	if err != nil {
		t.Fatal(err)
	}
	var args filter.Arguments
	want := " and ((($1::uuid = any (a.admin_ids)) and (a.provisioning = $2::text)) and (a.version > $3::bigint)) and (cardinality(a.admin_ids) > 0))"
	if got := q.Filter(args.Add); got != strings.Replace(want, " and ", " and (", 1) || args[1] != "manual" {
		t.Errorf("%s %v", got, args)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("(", 11) + "name = a" + strings.Repeat(")", 11)
	many := strings.Repeat("name = a AND ", 50) + "name = a"
	for _, tt := range []struct {
		filter, position, says string
	}{
		{`nme = "Ada"`, "1", `there is no field "nme"; there are id, name, readOnly`},
		{`name = a AND naem = b`, "14", `"naem"`},
		{`   nme = "Ada"`, "4", `"nme"`},
		{`"ü" = "ü" AND nme = a`, "1", "expected the name of a field"},
		{`name = "ü" AND nme = a`, "16", `"nme"`},
		{`name`, "1", "expected a comparison"},
		{`ada`, "1", "expected a comparison such as name ="},
		{`name =`, "7", "ends too early"},
		{`name = a AND`, "13", "ends too early: expected a comparison"},
		{`name = a OR OR`, "13", "expected a comparison"},
		{`(name = a`, "10", "ends too early"},
		{`name = a)`, "9", "expected AND, OR or the end"},
		{`name = "a`, "8", "no closing quote"},
		{`name = "a*b"`, "8", "at the end only"},
		{`name = "\x00"`, "8", "NUL"},
		{`name = 42`, "8", "put it in quotes"},
		{`name = 4.2`, "8", "expected a value"},
		{`name = (a OR b)`, "9", "expected a value"},
		{`name(a)`, "5", "no functions"},
		{`name = a AND regex("x")`, "19", "no functions"},
		{`NOT(name = a)`, "4", "a space between NOT"},
		{`readOnly = yes`, "12", "true or false"},
		{`readOnly < true`, "1", "has no order"},
		{`userId = 1`, "10", "an id, in quotes"},
		{`userId = 0192f0c1-7a3b-7cde-8f00-112233445566`, "10", "in quotes"},
		{`createTime > "yesterday"`, "14", "RFC 3339"},
		{`createTime > 2026-01-01T00:00:00Z`, "18", "put in quotes"},
		{`createTime:"2026-01-01T00:00:00Z"`, "12", "compare with ="},
		{`readOnly:true`, "1", "not with :"},
		{deep, "11", "at most 10 deep"},
		{many, "656", "at most 50 comparisons"},
		{strings.Repeat("ü", 2001), "2002", "at most 2000 characters"},
		{"name = \xff", "8", "not UTF-8"},
	} {
		_, err := tokens().Parse(filtertest.Request{Filter: tt.filter})
		e, ok := apierr.From(err)
		if !ok || e.Code != codes.InvalidArgument || e.Reason != "FILTER_INVALID" || len(e.Fields) != 1 || e.Fields[0].Field != "filter" {
			t.Errorf("%.40s: %v", tt.filter, err)
			continue
		}
		if e.Metadata["position"] != tt.position || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%.40s: at %s: %s", tt.filter, e.Metadata["position"], e.Message)
		}
	}
	for _, tt := range []struct{ filter, says string }{
		{`provisioning = MANUAL`, "PROVISIONING_SUPPORT_AUTOMATIC, PROVISIONING_SUPPORT_MANUAL"},
		{`version = "1"`, "without quotes"},
		{`version = 1.5`, "expected a value"},
		{`version = 99999999999999999999`, "expected a value"},
		{`adminIds = "x"`, "compared with : alone"},
	} {
		if _, err := apps().Parse(filtertest.Request{Filter: tt.filter}); !apierr.HasReason(err, "FILTER_INVALID") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.filter, err)
		}
	}
	for _, order := range []string{"nme", "name asc desc", "name;", "id", "userId", "name,name desc", "name,readOnly,createTime,lastUseTime", ",", "name desc,"} {
		_, err := tokens().Parse(filtertest.Request{OrderBy: order})
		e, ok := apierr.From(err)
		if !ok || e.Reason != "ORDER_BY_INVALID" || e.Fields[0].Field != "order_by" || !strings.Contains(e.Message, "fields to sort by: name, readOnly, createTime, lastUseTime, revokeTime") {
			t.Errorf("%s: %v", order, err)
		}
	}
}

// Every comparison that can be written is one that the database takes.
func TestEveryExampleRuns(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := filtertest.Every(t.Context(), t, tokens(), func(ctx context.Context, r filter.Request) error {
		_, _, err := list(ctx, db, uuid.New(), tokens(), r)
		return err
	})
	if n < 50 {
		t.Errorf("only %d", n)
	}
}

// A statement that was asked to filter has a time to run in, and others have none.
func TestWhatIsTooCostlyIsSaid(t *testing.T) {
	t.Parallel()
	db := open(t)
	org := uuid.New()
	insert(t, db, org, row{ID: uuid.New(), Name: "a"})
	slow := filter.New("gatehouse.identity.v1.ListApiTokens", "createTime", filter.ID("id", "t.id"),
		filter.Text("name", "(t.name || pg_sleep(0.3))"), filter.Time("createTime", "t.create_time").Sort()).Bounded(50 * time.Millisecond)
	_, _, err := list(t.Context(), db, org, slow, filtertest.Request{Filter: "name = a"})
	if e, ok := apierr.From(err); !ok || e.Reason != "FILTER_TOO_COSTLY" || e.Code != codes.InvalidArgument || e.Fields[0].Field != "filter" {
		t.Errorf("filter: %v", err)
	}
	err = db.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		q, err := slow.Parse(filtertest.Request{})
		if err != nil {
			return err
		}
		_, _, err = filter.Read(ctx, tx, q, "select pg_sleep(0.2)::text, array[t.id::text, t.id::text] from token t", nil, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Errorf("without a filter: %v", err)
	}
}

// No word of a filter or an order is in the SQL, only names and operators that were
// declared.
func TestNothingOfTheCallerIsInTheSQL(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{`x'; drop table token; --`, `$1`, `) or true or (`, `?`, `%`, `\`} {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(evil) + `"`
		q, err := tokens().Parse(filtertest.Request{Filter: "name = " + quoted + " OR name:" + quoted, OrderBy: "name desc"})
		if err != nil {
			t.Errorf("%s: %v", evil, err)
			continue
		}
		var args filter.Arguments
		sql := q.Where(args.Add) + q.Order()
		if !regexp.MustCompile(`^[a-z_.$0-9():=> ,]+$`).MatchString(sql) || !slices.Equal(args, filter.Arguments{evil, evil}) {
			t.Errorf("%s: %s %q", evil, sql, args)
		}
	}
}

type row struct {
	ID       uuid.UUID
	Name     string
	ReadOnly bool
	User     *uuid.UUID
	Create   time.Time
	LastUse  *time.Time
	Revoke   *time.Time
}

// open is a database with a table under row-level security.
func open(t testing.TB) *postgres.DB {
	t.Helper()
	return pgtest.Open(t, postgres.Set{FS: migrations})
}

func insert(t testing.TB, db *postgres.DB, org uuid.UUID, rows ...row) {
	t.Helper()
	insertRows(t, db, org, rows...)
}

func insertRows(t interface{ Fatal(args ...any) }, db *postgres.DB, org uuid.UUID, rows ...row) {
	err := db.InOrganization(context.Background(), org, func(ctx context.Context, tx *postgres.Tx) error {
		for _, r := range rows {
			if _, err := tx.Exec(ctx, `insert into token (organization_id, id, name, read_only, user_id, create_time, last_use_time, revoke_time) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
				org, r.ID, r.Name, r.ReadOnly, r.User, r.Create, r.LastUse, r.Revoke); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(ctx context.Context, db *postgres.DB, org uuid.UUID, l *filter.List, r filter.Request) (rows []row, next string, err error) {
	q, err := l.Parse(r)
	if err != nil {
		return nil, "", err
	}
	err = db.InOrganizationRead(ctx, org, func(ctx context.Context, tx *postgres.Tx) (err error) {
		args := filter.Arguments{org}
		sql := `select t.id, t.name, t.read_only, t.user_id, t.create_time, t.last_use_time, t.revoke_time, ` + q.Keys() +
			` from token t where t.organization_id = $1` + q.Where(args.Add) + q.Order() + q.Limit(args.Add)
		rows, next, err = filter.Read(ctx, tx, q, sql, args, pgx.RowToStructByPos[row])
		return err
	})
	return rows, next, err
}
