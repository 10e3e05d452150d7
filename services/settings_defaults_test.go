package services_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// readers are the calls that read a setting, by the number of their argument that names
// it; the next one is the default, unless the setting has none.
var readers = map[string]struct {
	name     int
	fallback bool
}{
	"String": {0, true}, "Bool": {0, true}, "Int": {0, true}, "Duration": {0, true}, "DurationWithin": {0, true}, "IntWithin": {0, true}, "Peer": {0, true}, "env": {0, true}, "open": {0, true},
	"Required": {0, false}, "RequiredPeer": {0, false}, "Getenv": {0, false}, "Parse": {1, false},
}

// Every default in docs/settings.md is the one that the programs have.
func TestDefaultsOfSettings(t *testing.T) {
	t.Parallel()
	code := map[string][]string{} // by setting; empty for none
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	for _, root := range []string{"../libs", "."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(set, path, nil, 0)
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for folder, files := range packages {
		for _, f := range files {
			at := place{packages, folder, f}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				called := ""
				switch fun := call.Fun.(type) {
				case *ast.Ident:
					called = fun.Name
				case *ast.SelectorExpr:
					called = fun.Sel.Name
				}
				how, ok := readers[called]
				if !ok || len(call.Args) <= how.name {
					return true
				}
				name := at.value(call.Args[how.name])
				if name == nil || name.Kind() != constant.String || !strings.HasPrefix(constant.StringVal(name), "GATEHOUSE_") {
					return true
				}
				setting, fallback := constant.StringVal(name), ""
				if how.fallback {
					switch v := at.value(call.Args[how.name+1]); {
					case v == nil:
						return true // is handed on
					case v.Kind() == constant.String:
						fallback = constant.StringVal(v)
					case strings.HasPrefix(called, "Duration"):
						n, _ := constant.Int64Val(v)
						fallback = time.Duration(n).String()
					default:
						fallback = v.ExactString()
					}
				}
				if !slices.Contains(code[setting], fallback) {
					code[setting] = append(code[setting], fallback)
				}
				return true
			})
		}
	}

	doc, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	listed := map[string][]string{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		names, defaults := quoted.FindAllStringSubmatch(cells[1], -1), quoted.FindAllStringSubmatch(cells[3], -1)
		for i, name := range names {
			if !strings.HasPrefix(name[1], "GATEHOUSE_") {
				continue
			}
			said := ""
			if len(defaults) > 0 {
				said = defaults[min(i, len(defaults)-1)][1]
			}
			if d, err := time.ParseDuration(said); err == nil && said != "0" {
				said = d.String()
			}
			listed[name[1]] = append(listed[name[1]], said)
		}
	}
	with := 0
	for name, defaults := range listed {
		for _, d := range defaults {
			if d != "" {
				with++
			}
		}
		slices.Sort(defaults)
		slices.Sort(code[name])
		if got := slices.Compact(defaults); !slices.Equal(got, code[name]) {
			t.Errorf("%s: docs/settings.md says %q, the programs have %q", name, got, code[name])
		}
	}
	if with < 20 {
		t.Errorf("only %d settings have a default", with)
	}
}

// place is where an expression stands.
type place struct {
	packages map[string][]*ast.File
	folder   string
	file     *ast.File
}

// value is that of a constant expression; nil if it is none, or of another kind than
// those that defaults are.
func (p place) value(e ast.Expr) constant.Value {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.BinaryExpr:
		x, y := p.value(e.X), p.value(e.Y)
		if x == nil || y == nil {
			return nil
		}
		return constant.BinaryOp(x, e.Op, y)
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return constant.MakeBool(e.Name == "true")
		}
		return p.named(p.folder, e.Name)
	case *ast.SelectorExpr:
		of, ok := e.X.(*ast.Ident)
		if !ok {
			return nil
		}
		if of.Name == "time" {
			d, ok := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name]
			if !ok {
				return nil
			}
			return constant.MakeInt64(int64(d))
		}
		for _, i := range p.file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			own, ok := strings.CutPrefix(path, services)
			if !ok {
				if own, ok = strings.CutPrefix(path, "gatehouse.dev/libs/"); ok {
					own = "../libs/" + own
				}
			}
			if ok && (i.Name != nil && i.Name.Name == of.Name || filepath.Base(path) == of.Name) {
				return p.named(own, e.Sel.Name)
			}
		}
	}
	return nil
}

// named is a constant of a package.
func (p place) named(folder, name string) constant.Value {
	for _, f := range p.packages[folder] {
		for _, d := range f.Decls {
			d, ok := d.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, s := range d.Specs {
				s, ok := s.(*ast.ValueSpec)
				if !ok {
					panic(fmt.Sprintf("a constant that is a %T", s))
				}
				if i := slices.IndexFunc(s.Names, func(n *ast.Ident) bool { return n.Name == name }); i >= 0 && i < len(s.Values) {
					return place{p.packages, folder, f}.value(s.Values[i])
				}
			}
		}
	}
	return nil
}
