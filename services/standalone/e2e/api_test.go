package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take here; nothing normally takes a tenth
// of a second. It bounds a hang and says nothing about speed.
const patience = time.Minute

// api is a client of one gateway with one caller's token.
type api struct {
	base  string
	token string
}

// object is a JSON object as it came.
type object = map[string]any

// reply is what a gateway answered.
type reply struct {
	Code   int
	Header http.Header
	Raw    []byte
	JSON   object
}

// do sends one call. A string body goes as it is, anything else as JSON.
func (a api) do(ctx context.Context, method, path string, body any) (reply, error) {
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		rd = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		rd = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, rd)
	if err != nil {
		return reply{}, err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if body != nil {
		ct := "application/json"
		if strings.HasPrefix(path, "/scim/") {
			ct = "application/scim+json"
		}
		req.Header.Set("Content-Type", ct)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{Code: resp.StatusCode, Header: resp.Header, Raw: raw}
	_ = json.Unmarshal(raw, &r.JSON) // a CSV stays raw
	return r, nil
}

// must sends a call that has to succeed and gives the JSON answer.
func (a api) must(t testing.TB, method, path string, body any) object {
	t.Helper()
	r, err := a.do(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.Code/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, r.Code, r.Raw)
	}
	return r.JSON
}

// until repeats a read until ok says yes.
func until[T any](t testing.TB, what string, read func() T, ok func(T) bool) T {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := read()
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v after %s", what, brief(got), patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func brief(v any) string {
	j, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(j) > 600 {
		j = append(j[:600], "…"...)
	}
	return string(j)
}

// get walks into JSON: keys for objects, numbers for arrays. A missing place
// is nil.
func get(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(object)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// str is get for a text; a missing one is empty.
func str(v any, path ...any) string {
	s, _ := get(v, path...).(string)
	return s
}

// list is get for an array.
func list(v any, path ...any) []any {
	l, _ := get(v, path...).([]any)
	return l
}

// column is one text of each element.
func column(l []any, path ...any) []string {
	out := make([]string, 0, len(l))
	for _, v := range l {
		out = append(out, str(v, path...))
	}
	return out
}
