// Package filtertest holds the declarations of lists against the protos and a database.
package filtertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse.dev/libs/filter"
)

var write = flag.Bool("write-comments", false, "write what lists filter and sort by into the comments of the protos")

// Comments fails t for every list whose request does not say in its comments which fields
// filter and sort it; protos is the folder of the protos. With -write-comments it writes
// them.
func Comments(t *testing.T, protos string, lists ...*filter.List) {
	t.Helper()
	for _, l := range lists {
		if err := l.Check(); err != nil {
			t.Error(err)
			continue
		}
		file, text := find(t, protos, l.Request())
		want := text
		for field, comment := range map[string]string{"filter": l.FilterComment(), "order_by": l.OrderComment()} {
			want = replaced(want, l.Request(), field, comment)
		}
		switch {
		case want == text:
		case *write:
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("the comments of %s do not say what the list is filtered and sorted by:\n%s\n%s\nWrite them with -args -write-comments, then make generate.",
				l.Request(), l.FilterComment(), l.OrderComment())
		}
	}
}

// find finds the file that declares a message.
func find(t *testing.T, protos, message string) (name, text string) {
	t.Helper()
	i := strings.LastIndexByte(message, '.')
	dir := filepath.Join(append([]string{protos}, strings.Split(message[:i], ".")...)...)
	files, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "message "+message[i+1:]+" {") {
			return f, string(b)
		}
	}
	t.Fatalf("no file in %s declares %s", dir, message)
	return "", ""
}

// replaced is a file with another comment on a field of a message.
func replaced(text, message, field, comment string) string {
	name := message[strings.LastIndexByte(message, '.')+1:]
	begin := strings.Index(text, "message "+name+" {")
	end := begin + strings.Index(text[begin:], "\n}")
	body := regexp.MustCompile(`(?m)(?:^  //.*\n)+(  string `+field+` = )`).ReplaceAllString(text[begin:end], strings.ReplaceAll(comment, "$", "$$")+"$1")
	return text[:begin] + body + text[end:]
}

// Every compares each field of a list with something, each way that it can be, and sorts
// by each, and has run list what was asked for. It returns how many it asked.
func Every(ctx context.Context, t *testing.T, l *filter.List, run func(context.Context, filter.Request) error) int {
	t.Helper()
	asked := 0
	for _, f := range l.Examples() {
		asked++
		if err := run(ctx, Request{Filter: f}); err != nil {
			t.Errorf("%s, filter %s: %v", l.Request(), f, err)
		}
	}
	for _, o := range l.Orders() {
		asked++
		if err := run(ctx, Request{OrderBy: o}); err != nil {
			t.Errorf("%s, order_by %s: %v", l.Request(), o, err)
		}
	}
	return asked
}

// Request is a request of a list.
type Request struct {
	Filter, OrderBy, Token string
	Size                   int32
}

// GetFilter is the filter.
func (r Request) GetFilter() string { return r.Filter }

// GetOrderBy is the order.
func (r Request) GetOrderBy() string { return r.OrderBy }

// GetPageToken is the token.
func (r Request) GetPageToken() string { return r.Token }

// GetPageSize is the size.
func (r Request) GetPageSize() int32 { return r.Size }

// String shows the request.
func (r Request) String() string {
	return fmt.Sprintf("filter %q, order_by %q, %d rows after %q", r.Filter, r.OrderBy, r.Size, r.Token)
}
