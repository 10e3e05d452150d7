package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/migrations"
)

// Every constant of the package that is a whole statement is one that the
// database can prepare.
func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t, slices.Concat([]postgres.Set{outbox.Schema()}, copies.Schema(copies.Environments|copies.Users), []postgres.Set{{FS: migrations.FS}})...))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	prepared := 0
	for name, sql := range constants(t) {
		first, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
		switch first {
		case "select", "insert", "update", "with", "delete":
		default:
			continue // a part of a statement
		}
		if strings.HasSuffix(strings.TrimSpace(sql), " and") {
			continue
		}
		if _, err := conn.Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		prepared++
	}
	if prepared < 20 {
		t.Errorf("found %d statements only", prepared)
	}
}

// constants are the string constants of the package.
func constants(t *testing.T) map[string]string {
	t.Helper()
	exprs := make(map[string]ast.Expr)
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i := range v.Values {
					exprs[v.Names[i].Name] = v.Values[i]
				}
			}
		}
	}
	out := make(map[string]string)
	for name, e := range exprs {
		if s, ok := text(e, exprs); ok {
			out[name] = s
		}
	}
	return out
}

// text is the value of a constant expression of strings.
func text(e ast.Expr, constants map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		if c, ok := constants[e.Name]; ok {
			return text(c, constants)
		}
	case *ast.BinaryExpr:
		a, okA := text(e.X, constants)
		b, okB := text(e.Y, constants)
		return a + b, okA && okB && e.Op == token.ADD
	}
	return "", false
}
