package scim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/connector/scim"
)

// lister is an app with groups 1 to n, which lists them in its own way.
type lister struct {
	groups int
	// cap is the most that it gives at once, from a place that it is told or, without, always the first.
	cap          int
	noStartIndex bool
	// noCount gives everything that is left.
	noCount bool
	// total says how many there are, whatever there are; nil says it as it is.
	total func(shown int) any
	// filter is what it does with a filter: it knows it, refuses it with a status, or is blind to it.
	refuses int
	blind   bool

	asked atomic.Int32
}

func (a *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked.Add(1)
	q := r.URL.Query()
	filter := q.Get("filter")
	if filter != "" && a.refuses != 0 {
		http.Error(w, `{"scimType":"invalidFilter"}`, a.refuses)
		return
	}
	start, _ := strconv.Atoi(q.Get("startIndex"))
	count, _ := strconv.Atoi(q.Get("count"))
	if a.noStartIndex {
		start = 1
	}
	if a.noCount {
		count = a.groups
	}
	if a.cap > 0 {
		count = min(count, a.cap)
	}
	all := []map[string]string{}
	for n := range a.groups {
		g := map[string]string{"id": fmt.Sprint("id-", n), "displayName": fmt.Sprintf("Group %d of Sales\n", n)}
		if filter == "" || a.blind || strings.Contains(strings.ToLower(g["displayName"]), strings.ToLower(strings.Trim(filter[len("displayName co "):], `"`))) {
			all = append(all, g)
		}
	}
	shown := all[min(start-1, len(all)):]
	shown = shown[:min(count, len(shown))]
	answer := map[string]any{"Resources": shown, "totalResults": len(all)}
	if a.total != nil {
		answer["totalResults"] = a.total(len(shown))
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// B-CAT-06, in part: an app's groups are listed, each once, whatever it says of its totals, and though it does not know
// startIndex, count or filters. The list always ends.
func TestListGroupsOfOddApps(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		app   *lister
		query string
		want  int
		asked int // at most
	}{
		"as it should be":           {&lister{groups: 25}, "", 25, 3},
		"one page":                  {&lister{groups: 10}, "", 10, 1},
		"none":                      {&lister{}, "", 0, 1},
		"gives three at once":       {&lister{groups: 25, cap: 3}, "", 25, 12},
		"no totals":                 {&lister{groups: 25, total: func(int) any { return nil }}, "", 25, 4},
		"too small totals":          {&lister{groups: 25, total: func(shown int) any { return shown }}, "", 25, 4},
		"too large totals":          {&lister{groups: 25, total: func(int) any { return 1 << 40 }}, "", 25, 5},
		"all at once, always":       {&lister{groups: 25, noStartIndex: true, noCount: true}, "", 25, 5},
		"the first, always":         {&lister{groups: 25, noStartIndex: true}, "", 11, 4},
		"the first three, always":   {&lister{groups: 25, noStartIndex: true, cap: 3, total: func(int) any { return 25 }}, "", 3, 4},
		"searched":                  {&lister{groups: 500}, "GROUP 7", 11, 2},
		"searched, refused":         {&lister{groups: 25, refuses: http.StatusBadRequest}, "group 7", 1, 3},
		"searched, not known":       {&lister{groups: 25, refuses: http.StatusNotImplemented}, "SALES", 25, 5},
		"searched, not looked at":   {&lister{groups: 25, blind: true, cap: 5}, "group 7", 1, 7},
		"searched in many, refused": {&lister{groups: 5000, refuses: http.StatusBadRequest}, "group 4999 ", 1, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.app)
			t.Cleanup(server.Close)
			c := open(t, scim.Config{URL: server.URL, Token: secret})
			seen := map[string]bool{}
			l := connector.Listing{Kind: connector.Group, Query: tt.query, Size: 10}
			for pages := 0; ; pages++ {
				page, err := c.ListEntitlements(t.Context(), l)
				if err != nil || len(page.Offers) > 10 || pages > 200 {
					t.Fatal(page, err, pages)
				}
				for _, o := range page.Offers {
					if seen[o.Ref] || !strings.HasSuffix(o.Name, "of Sales") || o.Kind != connector.Group {
						t.Errorf("%+v", o)
					}
					seen[o.Ref] = true
				}
				if l.After = page.Next; l.After == "" {
					break
				}
			}
			if asked := int(tt.app.asked.Load()); len(seen) != tt.want || asked > tt.asked {
				t.Errorf("%d groups, asked %d times", len(seen), asked)
			}
		})
	}
}

// An app that always has more does not make a list endless, nor one call of it.
func TestListOfEndlessApp(t *testing.T) {
	t.Parallel()
	n := 0
	o, c := serve(t, func(string, string, http.ResponseWriter) (int, string) {
		var groups []string
		for range 201 {
			n++
			groups = append(groups, fmt.Sprintf(`{"id":"g%d","displayName":"x"}`, n))
		}
		return 200, users(groups...)
	})
	page, err := c.ListEntitlements(t.Context(), connector.Listing{Kind: connector.Group, Query: "y", Size: 200})
	if asked := o.asked(); err != nil || len(page.Offers) > 0 || page.Next == "" || len(asked) != 10 {
		t.Errorf("%v %v, asked %d times", page, err, len(asked))
	}
	l := connector.Listing{Kind: connector.Group, Size: 200}
	for pages := 0; ; pages++ {
		if page, err = c.ListEntitlements(t.Context(), l); err != nil || pages > 1000 {
			t.Fatal(err, pages)
		}
		if l.After = page.Next; l.After == "" {
			break
		}
	}
}

// B-CAT-06, in part: no is said only of what the app surely does not have; by name and by id, and as it is now.
func TestHasGroup(t *testing.T) {
	t.Parallel()
	names := map[string]string{"g1": "Engineering", "g2": "Twice", "g3": "Twice"}
	away := false
	o, c := serve(t, func(asked, _ string, _ http.ResponseWriter) (int, string) {
		if away {
			return 400, "no"
		}
		if id, ok := strings.CutPrefix(asked, "GET /Groups/"); ok {
			if name := names[id]; name != "" {
				return 200, fmt.Sprintf(`{"id":%q,"displayName":%q}`, id, name)
			}
			return 404, ""
		}
		var found []string
		for id, name := range names {
			if strings.Contains(asked, fmt.Sprintf("%q", name)) || !strings.Contains(asked, "?") {
				found = append(found, fmt.Sprintf(`{"id":%q,"displayName":%q}`, id, name))
			}
		}
		return 200, users(found...)
	})
	has := func(ref string) (bool, error) {
		return c.HasEntitlement(t.Context(), connector.Entitlement{Kind: connector.Group, Ref: ref})
	}
	for ref, want := range map[string]bool{"Engineering": true, "g1": true, "Engineers": false, "": false, " ": false, "..": false, "a/b": false} {
		if got, err := has(ref); err != nil || got != want {
			t.Errorf("%q: %t %v", ref, got, err)
		}
	}
	_, err := has("Twice")
	if wantError(t, err, connector.Permanent, "2 groups"); !errors.Is(err, connector.ErrAmbiguous) {
		t.Errorf("%v", err)
	}
	// What is known from giving it out does not count.
	o.asked()
	_ = c.Add(t.Context(), "a1", connector.Entitlement{Kind: connector.Group, Ref: "Engineering"})
	names["g1"] = "Development"
	if got, err := has("Engineering"); err != nil || got {
		t.Errorf("renamed: %t %v", got, err)
	}
	if got, err := has("g1"); err != nil || !got {
		t.Errorf("renamed, by id: %t %v", got, err)
	}
	away = true
	if _, err := has("Nothing"); connector.KindOf(err) != connector.Permanent {
		t.Errorf("something else answers: %v", err)
	}
	for _, kind := range []string{connector.Role, connector.License, "account"} {
		if _, err := c.HasEntitlement(t.Context(), connector.Entitlement{Kind: kind, Ref: "x"}); !errors.Is(err, connector.ErrNotListed) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := c.ListEntitlements(t.Context(), connector.Listing{Kind: kind, Size: 1}); !errors.Is(err, connector.ErrNotListed) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, after := range []string{"x", "0 a", "-1 a", "2"} {
		if _, err := c.ListEntitlements(t.Context(), connector.Listing{Kind: connector.Group, Size: 1, After: after}); err == nil {
			t.Errorf("after %q", after)
		}
	}
	if asked := o.asked(); slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "POST") }) {
		t.Errorf("%q", asked)
	}
}

// B-CAT-06, in part: an app that refuses filters, ignores them, or finds nothing by them is not taken for one that does not
// have a group, unless it shows all that it has.
func TestHasGroupWithoutSearch(t *testing.T) {
	t.Parallel()
	const all = 450 // groups
	for _, tt := range []struct {
		name string
		// filtered answers a search, nil as a list; shown is how many a list shows at most, and deaf one that knows no startIndex.
		filtered func(http.ResponseWriter)
		shown    int
		deaf     bool
		total    string
		sure     bool // whether it is sure that there is no group of a name
	}{
		{"ignores filters", nil, all, false, `"totalResults":450,`, true},
		{"ignores filters, by pages", nil, 100, false, `"totalResults":450,`, true},
		{"ignores filters, without a total", nil, 100, false, "", true},
		{"refuses filters", func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) }, 100, false, `"totalResults":450,`, true},
		{"finds nothing", func(w http.ResponseWriter) { _, _ = io.WriteString(w, none) }, 100, false, `"totalResults":450,`, true},
		{"shows the same again", nil, 100, true, `"totalResults":450,`, false},
		{"shows the same again, without a total", nil, 100, true, "", false},
		{"shows too few at once", nil, 10, false, `"totalResults":450,`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/scim+json")
				switch q := r.URL.Query(); {
				case r.URL.Path != "/Groups":
					w.WriteHeader(http.StatusNotFound)
				case q.Get("filter") != "" && tt.filtered != nil:
					tt.filtered(w)
				default:
					start, _ := strconv.Atoi(q.Get("startIndex"))
					if start == 0 || tt.deaf {
						start = 1
					}
					count, err := strconv.Atoi(q.Get("count"))
					if err != nil {
						count = tt.shown
					}
					var groups []string
					for n := start; n <= all && len(groups) < min(tt.shown, count); n++ {
						groups = append(groups, fmt.Sprintf(`{"id":"id-%d","displayName":"Group %d"}`, n, n))
					}
					_, _ = fmt.Fprintf(w, `{%s"Resources":[%s]}`, tt.total, strings.Join(groups, ","))
				}
			}))
			t.Cleanup(app.Close)
			c := open(t, scim.Config{URL: app.URL, Token: secret})
			has := func(name string) (bool, error) {
				return c.HasEntitlement(t.Context(), connector.Entitlement{Kind: connector.Group, Ref: name})
			}
			switch got, err := has("Nothing"); {
			case got, tt.sure != (err == nil):
				t.Errorf("a group that it does not have: %t, %v", got, err)
			case err != nil:
				wantError(t, err, connector.Permanent, "does not show all")
			}
			// Add finds it only if the search does, which shows what a list does.
			if got, err := has("Group 440"); got != (tt.shown == all) || !got && err == nil {
				t.Errorf("the 440th group: %t, %v", got, err)
			}
		})
	}
}
