package store_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/provisioning/migrations"
)

var statement = regexp.MustCompile(`^\s*(select\s|insert into\s|update\s[\w\s]+\sset\s|delete from\s|with\s)`)

// Every statement that stands in the source as a constant fits the schema.
func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	found := statements(t)
	if len(found) < 25 {
		t.Fatalf("%d statements found", len(found))
	}
	conn, err := pgx.Connect(t.Context(), pgtest.New(t, backend.Schema(migrations.FS)...))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for sql, where := range found {
		if _, err := conn.Prepare(t.Context(), "", sql); err != nil {
			t.Errorf("%s: %v\n%s", where, err, sql)
		}
	}
}

// statements are the constant statements of the package, with where they stand.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
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
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && (g.Tok == token.CONST || g.Tok == token.VAR) {
				for _, s := range g.Specs {
					for i, e := range s.(*ast.ValueSpec).Values {
						known[s.(*ast.ValueSpec).Names[i].Name] = e
					}
				}
			}
		}
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
			if statement.MatchString(sql) && !strings.Contains(sql, "%") {
				found[sql] = set.Position(e.Pos()).String()
			}
			return false
		})
	}
	return found
}

// values are what package-level names stand for.
type values map[string]ast.Expr

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
