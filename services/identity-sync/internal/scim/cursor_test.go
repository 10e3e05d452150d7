package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// walk reads a list by cursor to its end, and gives what is on each page.
func (s *server) walk(path string, pairs ...string) (pages [][]string, totals []any) {
	s.t.Helper()
	for cursor := ""; ; {
		got := s.do("GET", path+query(append(pairs, "cursor", cursor)...), "").ok(http.StatusOK)
		pages, totals = append(pages, names(got)), append(totals, got["totalResults"])
		if got["startIndex"] != nil || got["itemsPerPage"] != float64(len(names(got))) {
			s.t.Errorf("page by cursor: %v", got)
		}
		next, more := got["nextCursor"].(string)
		if !more {
			return pages, totals
		}
		if len(pages) > 50 || next != url.QueryEscape(next) {
			s.t.Fatalf("after %d pages: next cursor %q", len(pages), next)
		}
		cursor = next
	}
}

// Pages by cursor (RFC 9865) are the list, once and in order, whatever is listed.
func TestPagesByCursor(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *scim.Config) { c.PageSize, c.MaxPageSize = 4, 6 })
	for i := range 10 {
		s.user(fmt.Sprintf("u%d", i), fmt.Sprintf(`"title":"t%d"`, i%2))
	}
	for i := range 3 {
		s.group(fmt.Sprintf("g%d", i))
	}
	for _, test := range []struct {
		path  string
		query []string
		want  string
		total any
	}{
		{"/Users", nil, "[[u0 u1 u2 u3] [u4 u5 u6 u7] [u8 u9]]", 10.},
		{"/Users", []string{"count", "5"}, "[[u0 u1 u2 u3 u4] [u5 u6 u7 u8 u9]]", 10.},
		{"/Users", []string{"count", "1000"}, "[[u0 u1 u2 u3 u4 u5] [u6 u7 u8 u9]]", 10.}, // as many as a page may have
		{"/Users", []string{"filter", `userName sw "u"`, "sortBy", "userName", "sortOrder", "descending", "count", "6"}, "[[u9 u8 u7 u6 u5 u4] [u3 u2 u1 u0]]", 10.},
		{"/Users", []string{"filter", `userName eq "u1" or userName eq "u7"`, "count", "1"}, "[[u1] [u7]]", 2.},
		{"/Users", []string{"filter", `userName eq "nobody"`}, "[[]]", 0.},
		{"/Users", []string{"filter", `title eq "t1"`, "count", "2"}, "[[u1 u3] [u5 u7] [u9]]", nil}, // not counted
		{"/Groups", []string{"count", "2"}, "[[g0 g1] [g2]]", 3.},
		{"/", nil, "[[u0 u1 u2 u3] [u4 u5 u6 u7] [u8 u9 g0 g1] [g2]]", 13.},
		{"/", []string{"count", "5"}, "[[u0 u1 u2 u3 u4] [u5 u6 u7 u8 u9] [g0 g1 g2]]", 13.},
		{"/", []string{"filter", `userName eq "u1" or displayName eq "g1"`, "count", "1"}, "[[u1] [g1]]", nil},
	} {
		pages, totals := s.walk(test.path, test.query...)
		if fmt.Sprint(pages) != test.want {
			t.Errorf("%s %v: %v, want %s", test.path, test.query, pages, test.want)
		}
		if slices.ContainsFunc(totals, func(got any) bool { return got != test.total }) {
			t.Errorf("%s %v: totals %v, want %v", test.path, test.query, totals, test.total)
		}
	}
	// The same in a body; an empty cursor is one, and null is none.
	first := s.do("POST", "/Users/.search", `{"cursor":"","count":6}`).ok(http.StatusOK)
	next, _ := first["nextCursor"].(string)
	is(t, "next", names(s.do("POST", "/Users/.search", `{"count":6,"cursor":"`+next+`"}`).ok(http.StatusOK)), `["u6","u7","u8","u9"]`)
	is(t, "by index", s.do("POST", "/Users/.search", `{"cursor":null}`).ok(http.StatusOK)["startIndex"], `1`)
	is(t, "by index", s.do("GET", "/Users", "").ok(http.StatusOK)["nextCursor"], `null`)
	is(t, "pagination", s.do("GET", "/ServiceProviderConfig", "").ok(http.StatusOK)["pagination"],
		`{"cursor":true,"index":true,"defaultPaginationMethod":"index","defaultPageSize":4,"maxPageSize":6,"cursorTimeout":3600}`)
}

// A walk goes on where it was while others come and go, and keeps the total that it
// began with.
func TestCursorsStandWhilePeopleComeAndGo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, id(s.user(fmt.Sprintf("u%d", i))))
	}
	first := s.do("GET", "/Users?cursor=&count=3", "").ok(http.StatusOK)
	next, _ := first["nextCursor"].(string)
	s.do("DELETE", "/Users/"+ids[0], "").ok(http.StatusNoContent)
	s.user("u6")
	got := s.do("GET", "/Users"+query("cursor", next, "count", "3"), "").ok(http.StatusOK)
	is(t, "page", names(got), `["u3","u4","u5"]`)
	is(t, "total", got["totalResults"], `6`)
}

// A cursor is good for one source and one query, for an hour, and as it was given.
func TestCursorsThatAreNotGood(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	s := newServer(t, func(c *scim.Config) { c.Clock = manual })
	for i := range 4 {
		s.user(fmt.Sprintf("u%d", i))
		s.group(fmt.Sprintf("g%d", i))
		s.do("POST", "/Users", fmt.Sprintf(`{"schemas":[%q],"userName":"other%d"}`, userURN, i), "Authorization: Bearer other").ok(http.StatusCreated)
	}
	next, _ := s.do("GET", "/Users?cursor&count=2", "").ok(http.StatusOK)["nextCursor"].(string)
	if next == "" {
		t.Fatal("no next cursor")
	}
	flip := func(i int) string {
		b := []byte(next)
		b[i] ^= 1
		return string(b)
	}
	s.do("GET", "/Users"+query("cursor", next, "count", "3", "attributes", "userName"), "").ok(http.StatusOK)
	for name, path := range map[string]string{
		"made up":        "/Users?cursor=abc",
		"of nothing":     "/Users?cursor=%21",
		"another sum":    "/Users" + query("cursor", flip(0)),
		"another place":  "/Users" + query("cursor", flip(len(next)-5)),
		"another list":   "/Groups" + query("cursor", next),
		"of all types":   "/" + query("cursor", next),
		"another filter": "/Users" + query("cursor", next, "filter", `userName sw "u"`),
		"another key":    "/Users" + query("cursor", next, "sortBy", "userName"),
		"another order":  "/Users" + query("cursor", next, "sortOrder", "descending"),
	} {
		if a := s.do("GET", path, ""); a.status != http.StatusBadRequest || a.body["scimType"] != "invalidCursor" {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	s.do("GET", "/Users"+query("cursor", next), "", "Authorization: Bearer other").refused(http.StatusBadRequest, "invalidCursor")
	for _, count := range []string{"0", "-1", "x", "1.5"} {
		s.do("GET", "/Users"+query("cursor", "", "count", count), "").refused(http.StatusBadRequest, "invalidCount")
		s.do("POST", "/Users/.search", `{"cursor":"","count":"`+count+`"}`).refused(http.StatusBadRequest, "invalidCount")
	}
	s.do("GET", "/Users"+query("cursor", "", "startIndex", "1"), "").refused(http.StatusBadRequest, "invalidValue")
	s.do("POST", "/Users/.search", `{"cursor":7}`).refused(http.StatusBadRequest, "invalidValue")
	manual.Advance(time.Hour - time.Second)
	s.do("GET", "/Users"+query("cursor", next), "").ok(http.StatusOK)
	manual.Advance(time.Second)
	s.do("GET", "/Users"+query("cursor", next), "").refused(http.StatusBadRequest, "expiredCursor")
	if _, err := scim.New(scim.Config{Directory: newMemory(), CursorKey: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
}
