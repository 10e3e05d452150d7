package identitysync_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// listed is a question for users of a source, and what comes.
type listed struct {
	by     string
	filter string
	// reads is what is read for it: an index, or everybody of the source.
	reads string
	found string // the first parts of user names
	typ   string // scimType of an error
}

const (
	byIndex   = "index"
	everybody = "all"
)

// listing is what identity providers look for. $then is a time between Bob and Cem.
var listing = []listed{
	{by: okta, filter: `userName eq "BOB@corp.example"`, reads: byIndex, found: "bob"},
	{by: entra, filter: `externalId eq "ext-cem"`, reads: byIndex, found: "cem"},
	{by: entra, filter: `emails[type eq "work"].value eq "Ann@corp.example"`, reads: byIndex, found: "ann"},
	{by: rfc, filter: `emails.value eq "ann@home.example"`, reads: byIndex, found: "ann"},
	{by: rfc, filter: `emails eq "ann@home.example" and active eq true`, reads: byIndex, found: "ann"},
	{by: rfc, filter: `userName sw "B"`, reads: byIndex, found: "bob"},
	{by: rfc, filter: `meta.lastModified gt "$then"`, reads: byIndex, found: "cem, dan"},
	{by: rfc, filter: `meta.lastModified le "$then" and userName sw "a"`, reads: byIndex, found: "ann"},
	{by: rfc, filter: `userName eq "ann@corp.example" or emails eq "bob@corp.example" or externalId eq "ext-cem"`, reads: byIndex, found: "ann, bob, cem"},
	{by: rfc, filter: `(userName sw "a" or userName sw "b") and title co "engineer"`, reads: byIndex, found: "ann, bob"},
	{by: rfc, filter: `title eq "Pilot"`, reads: everybody, found: "dan"},
	{by: rfc, filter: `userName co "an"`, reads: everybody, found: "ann, dan"},
	{by: rfc, filter: `userName eq "ann@corp.example" or title eq "Pilot"`, reads: everybody, found: "ann, dan"},
	{by: rfc, filter: `userName eq "ＡＮＮ@corp.example" or title eq "Pilot"`, reads: everybody, found: "ann, dan"},
	{by: rfc, filter: `userName eq "ＡＮＮ@corp.example"`, reads: byIndex, found: "ann"},
	{by: rfc, filter: `userName ne "ＡＮＮ@corp.example"`, reads: everybody, found: "bob, cem, dan"},
	{by: rfc, filter: `not (userName sw "a")`, reads: everybody, found: "bob, cem, dan"},
	{by: other, filter: `shoeSize eq 38`, typ: "invalidFilter"},
}

func listingTable() string {
	var b strings.Builder
	b.WriteString("| by | filter | reads | finds |\n|---|---|---|---|\n")
	for _, l := range listing {
		found := l.found
		if l.typ != "" {
			found = "400 " + l.typ
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", l.by, quoted(l.filter), l.reads, found)
	}
	return b.String()
}

// What is looked for is found, by index and by cursor, page for page.
func TestListsBySCIM(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp, other := admin.provider(t, w, "Corp directory"), admin.provider(t, w, "Another directory")
	idp.create(t, "ann", "emails", []object{{"value": "ann@corp.example", "type": "work", "primary": true}, {"value": "ann@home.example", "type": "home"}})
	w.clock.Advance(time.Minute)
	idp.create(t, "bob")
	then := w.clock.Now().Format(time.RFC3339Nano)
	w.clock.Advance(time.Minute)
	idp.create(t, "cem")
	idp.create(t, "dan", "title", "Pilot")
	gone := idp.create(t, "gone")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+gone, nil)
	other.create(t, "anna")
	names := func(r object) (out []string) {
		list, _ := r["Resources"].([]any)
		for _, e := range list {
			name, _ := e.(object)["userName"].(string)
			out = append(out, strings.TrimSuffix(name, "@corp.example"))
		}
		return out
	}
	for _, l := range listing {
		query := "/Users?count=1&filter=" + url.QueryEscape(strings.ReplaceAll(l.filter, "$then", then))
		if l.typ != "" {
			if r := idp.do(t, "GET", query, nil); r.code != http.StatusBadRequest || r.body["scimType"] != l.typ {
				t.Errorf("%s: %d %v", l.filter, r.code, r.body)
			}
			continue
		}
		var byCursor, byIndex []string
		for cursor, more := "", true; more; {
			r := idp.must(t, http.StatusOK, "GET", query+"&cursor="+cursor, nil)
			byCursor = append(byCursor, names(r)...)
			cursor, more = r["nextCursor"].(string)
		}
		for start, total := 1, 1; start <= total; start++ {
			r := idp.must(t, http.StatusOK, "GET", fmt.Sprint(query, "&startIndex=", start), nil)
			byIndex = append(byIndex, names(r)...)
			count, _ := r["totalResults"].(float64)
			total = int(count)
		}
		for how, got := range map[string][]string{"cursor": byCursor, "index": byIndex} {
			if strings.Join(got, ", ") != l.found {
				t.Errorf("%s by %s: %v, want %s", l.filter, how, got, l.found)
			}
		}
	}
	// A cursor is its source's, and expires.
	next, _ := idp.must(t, http.StatusOK, "GET", "/Users?cursor&count=2", nil)["nextCursor"].(string)
	if r := other.do(t, "GET", "/Users?count=2&cursor="+next, nil); r.code != http.StatusBadRequest || r.body["scimType"] != "invalidCursor" {
		t.Errorf("another source's cursor: %d %v", r.code, r.body)
	}
	if got := names(idp.must(t, http.StatusOK, "GET", "/Users?count=2&cursor="+next, nil)); len(got) != 2 || got[0] != "cem" {
		t.Errorf("next page: %v", got)
	}
	w.clock.Advance(time.Hour)
	if r := idp.do(t, "GET", "/Users?count=2&cursor="+next, nil); r.code != http.StatusBadRequest || r.body["scimType"] != "expiredCursor" {
		t.Errorf("an old cursor: %d %v", r.code, r.body)
	}
}
