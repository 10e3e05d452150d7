package pgtest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// PrepareStatements fails t for every constant statement of the package under
// test that the database cannot prepare after the migrations, and if there are
// fewer than atLeast. A statement that is put together when it runs is left out.
func PrepareStatements(t testing.TB, atLeast int, sets ...postgres.Set) {
	t.Helper()
	found, err := statements(".")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if len(found) < atLeast {
		t.Fatalf("%d statements found, want at least %d", len(found), atLeast)
	}
	conn, err := pgx.Connect(t.Context(), New(t, sets...))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer conn.Close(t.Context())
	for sql, where := range found {
		if _, err := conn.Prepare(t.Context(), "", sql); err != nil {
			t.Errorf("%s: %v\n%s", where, err, sql)
		}
	}
}

var (
	statement = regexp.MustCompile(`^\s*(select\s|insert into\s|update\s[\w\s]+\sset\s|delete from\s|with\s)`)
	// unfinished is the end of a statement that goes on elsewhere.
	unfinished = regexp.MustCompile(`\s(and|or|where|from)\s*$`)
)

// statements are the constant statements of the package in a folder, with where
// they are.
func statements(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	known := values{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		parsed = append(parsed, f)
		known.add(f)
	}
	found := map[string]string{}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			if _, ok := e.(*ast.Ident); ok {
				return true
			}
			sql, ok := known.text(e)
			if !ok {
				_, sum := e.(*ast.BinaryExpr) // a statement that is not constant
				return !sum
			}
			if statement.MatchString(sql) && !unfinished.MatchString(sql) && !strings.Contains(sql, "%") {
				found[sql] = set.Position(e.Pos()).String()
			}
			return false
		})
	}
	return found, nil
}

// values are what package-level names stand for.
type values map[string]ast.Expr

func (v values) add(f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST && g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, e := range spec.Values {
				v[spec.Names[i].Name] = e
			}
		}
	}
}

// text is the value of a constant expression.
func (v values) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.INT {
			return e.Value, true
		}
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		if of, ok := v[e.Name]; ok {
			return v.text(of)
		}
	case *ast.BinaryExpr:
		a, ok1 := v.text(e.X)
		b, ok2 := v.text(e.Y)
		return a + b, ok1 && ok2 && e.Op == token.ADD
	case *ast.CallExpr:
		return v.sprintf(e)
	}
	return "", false
}

func (v values) sprintf(e *ast.CallExpr) (string, bool) {
	f, ok := e.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Sprintf" {
		return "", false
	}
	format, ok := v.text(e.Args[0])
	var args []any
	for _, a := range e.Args[1:] {
		s, known := v.text(a)
		ok = ok && known
		args = append(args, s)
	}
	return fmt.Sprintf(strings.ReplaceAll(format, "%d", "%s"), args...), ok
}

// Plan is how the server runs a statement, of a transaction that sees nobody's
// rows.
func Plan(t testing.TB, db *postgres.DB, sql string, args ...any) string {
	t.Helper()
	var plan []string
	err := db.InOrganization(t.Context(), uuid.New(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, "explain "+sql, args...)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
