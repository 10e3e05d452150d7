package scim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a, b := id(s.user("ada")), id(s.user("bob"))
	body := fmt.Sprintf(`{"schemas":[%q],"externalId":"g1","displayName":"Crew","members":[{"value":%q,"display":"ignored","$ref":"x","type":"User"},{"value":%q},{"value":%q}]}`, groupURN, a, b, b)
	r := s.do("POST", "/Groups", body)
	g := r.ok(http.StatusCreated)
	if r.header.Get("Location") != s.url+"/Groups/"+id(g) || r.header.Get("ETag") != `W/"1"` {
		t.Errorf("headers: %v", r.header)
	}
	is(t, "members", g["members"], fmt.Sprintf(`[{"value":%q,"$ref":"%s/Users/%s","display":"bob"},{"value":%q,"$ref":"%s/Users/%s","type":"User","display":"ada"}]`, b, s.url, b, a, s.url, a)) // in the order of the ids
	is(t, "meta.resourceType", at(g, "meta.resourceType"), `"Group"`)
	if d := cmp.Diff(g, s.do("GET", "/Groups/"+id(g), "").ok(200)); d != "" {
		t.Errorf("read back (-created +read):\n%s", d)
	}

	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"]}`).refused(400, "invalidValue")
	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"x","members":[{"value":"nobody"}]}`).refused(400, "invalidValue")
	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"x","members":[{"display":"nobody"}]}`).refused(400, "invalidValue")
	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"x","members":[{"value":"`+a+`","type":"Robot"}]}`).refused(400, "invalidValue")
	core := s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"`+groupURN+`":{"displayName":"Core","members":[{"value":"`+a+`"}]}}`).ok(201)
	is(t, "displayName", core["displayName"], `"Core"`)
	is(t, "member", at(core, "members.0.value"), `"`+a+`"`)

	// PUT is all of it.
	path := "/Groups/" + id(g)
	put := s.do("PUT", path, fmt.Sprintf(`{"schemas":[%q],"displayName":"Crew 2","members":[{"value":%q}]}`, groupURN, b)).ok(200)
	is(t, "displayName", put["displayName"], `"Crew 2"`)
	is(t, "externalId", put["externalId"], `null`)
	is(t, "member", at(put, "members.0.value"), `"`+b+`"`)
	is(t, "second member", at(put, "members.1"), `null`)
	// The same PUT again is no change.
	again := s.do("PUT", path, fmt.Sprintf(`{"schemas":[%q],"displayName":"Crew 2","members":[{"value":%q}]}`, groupURN, b)).ok(200)
	if d := cmp.Diff(put, again); d != "" {
		t.Errorf("the same PUT changed the group:\n%s", d)
	}
	is(t, "members", s.do("PUT", path, `{"schemas":["`+groupURN+`"],"displayName":"Crew 2"}`).ok(200)["members"], `null`)

	if r := s.do("DELETE", path, ""); r.status != 204 {
		t.Errorf("DELETE: %d", r.status)
	}
	s.do("DELETE", path, "").refused(404, "")
	s.do("GET", path, "").refused(404, "")
}

// B-USR-04: memberships follow the identity provider, in every way that those
// have of saying it.
func TestPatchMembers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	who := map[string]string{}
	for _, n := range []string{"A", "B", "C", "D"} {
		who[n] = id(s.user(n))
	}
	fill := strings.NewReplacer("$A", who["A"], "$B", who["B"], "$C", who["C"], "$D", who["D"])
	tests := []struct {
		name, ops, want string // the group starts with A and B
	}{
		{"add one", `{"op":"add","path":"members","value":[{"value":"$C"}]}`, "ABC"},
		{"add one as an object", `{"op":"add","path":"members","value":{"value":"$C"}}`, "ABC"},
		{"add one without a path", `{"op":"Add","value":{"members":[{"value":"$C"}]}}`, "ABC"},
		{"add one with the schema", `{"op":"add","path":"` + groupURN + `:members","value":[{"value":"$C"}]}`, "ABC"},
		{"add who is there", `{"op":"add","path":"members","value":[{"value":"$A"}]}`, "AB"},
		{"add several", `{"op":"add","path":"Members","value":[{"value":"$C","display":"c"},{"$ref":null,"value":"$D"}]}`, "ABCD"},
		{"add in several operations", `{"op":"Add","path":"members","value":[{"value":"$C"}]},{"op":"Add","path":"members","value":[{"value":"$D"}]}`, "ABCD"},
		{"add nobody", `{"op":"add","path":"members","value":[]}`, "AB"},
		{"remove by filter", `{"op":"remove","path":"members[value eq \"$A\"]"}`, "B"},
		{"remove by filter, Entra", `{"op":"Remove","path":"members[Value Eq \"$A\"]"}`, "B"},
		{"remove by a filter with two", `{"op":"remove","path":"members[value eq \"$A\" or value eq \"$B\"]"}`, ""},
		{"remove by display", `{"op":"remove","path":"members[display eq \"b\"]"}`, "A"},
		{"remove all but one", `{"op":"remove","path":"members[not (value eq \"$B\")]"}`, "B"},
		{"remove who was just added, by display unknown", `{"op":"add","path":"members","value":[{"value":"$C"}]},{"op":"remove","path":"members[value ne \"$A\"]"}`, "A"},
		{"remove by value, Entra", `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"$A"},{"value":"$B"}]}`, ""},
		{"remove by value as strings", `{"op":"remove","path":"members","value":["$A"]}`, "B"},
		{"remove who is not there", `{"op":"remove","path":"members[value eq \"$D\"]"}`, "AB"},
		{"remove by value who is not there", `{"op":"remove","path":"members","value":[{"value":"$D"}]}`, "AB"},
		{"remove all", `{"op":"remove","path":"members"}`, ""},
		{"replace", `{"op":"replace","path":"members","value":[{"value":"$B"},{"value":"$C"}]}`, "BC"},
		{"replace without a path", `{"op":"replace","value":{"members":[{"value":"$C"}]}}`, "C"},
		{"replace with nobody", `{"op":"replace","path":"members","value":[]}`, ""},
		{"replace with null", `{"op":"replace","path":"members","value":null}`, ""},
		{"remove and add again", `{"op":"remove","path":"members[value eq \"$A\"]"},{"op":"add","path":"members","value":[{"value":"$A"}]}`, "AB"},
		{"add and remove again", `{"op":"add","path":"members","value":[{"value":"$C"}]},{"op":"remove","path":"members[value eq \"$C\"]"}`, "AB"},
		{"add, remove and add again", `{"op":"add","path":"members","value":[{"value":"$C"}]},{"op":"remove","path":"members[value eq \"$C\"]"},{"op":"add","path":"members","value":[{"value":"$C"}]}`, "ABC"},
		{"remove all and one", `{"op":"remove","path":"members"},{"op":"remove","path":"members[value eq \"$A\"]"}`, ""},
		{"remove all and add", `{"op":"remove","path":"members"},{"op":"add","path":"members","value":[{"value":"$D"}]}`, "D"},
		{"replace and add and remove", `{"op":"replace","path":"members","value":[{"value":"$C"},{"value":"$D"}]},{"op":"add","path":"members","value":[{"value":"$A"}]},{"op":"remove","path":"members[value eq \"$C\"]"}`, "AD"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := s.group("crew", who["A"], who["B"])
			got := s.patchGroup(g, fill.Replace(test.ops)).ok(200)
			read := s.members(g)
			var want []string
			for _, n := range strings.Split(test.want, "") {
				want = append(want, who[n])
			}
			slices.Sort(want)
			slices.Sort(read)
			if d := cmp.Diff(want, read, cmp.Transformer("nil", func(l []string) string { return strings.Join(l, " ") })); d != "" {
				t.Errorf("members (-want +got):\n%s", d)
			}
			checkChange(t, s.dir.change)
			version := `"W/\"2\""`
			if test.want == "AB" {
				version = `"W/\"1\""`
			}
			is(t, "version", at(got, "meta.version"), version)
		})
	}
	g := s.group("crew", who["A"])
	for _, test := range []struct{ ops, want string }{
		{`{"op":"add","path":"members","value":[{"value":"nobody"}]}`, "invalidValue"},
		{`{"op":"add","path":"members","value":[{"display":"x"}]}`, "invalidValue"},
		{`{"op":"add","path":"members","value":[7]}`, "invalidValue"},
		{`{"op":"replace","path":"members[value eq \"$A\"].display","value":"x"}`, "mutability"},
		{`{"op":"replace","path":"members[value eq \"$A\"]","value":{"value":"$B"}}`, "mutability"},
		{`{"op":"remove","path":"members.value"}`, "mutability"},
		{`{"op":"remove","path":"members[colour eq \"x\"]"}`, "invalidPath"},
		{`{"op":"remove","path":"members","value":[]}`, "invalidValue"},
		{`{"op":"replace","path":"colour","value":"red"}`, "invalidPath"},
		{`{"op":"replace","value":{"colour":"red"}}`, "invalidPath"},
		{`{"op":"replace","path":"` + userURN + `:displayName","value":"x"}`, "invalidPath"},
		{`{"op":"replace","path":"` + enterpriseURN + `:department","value":"x"}`, "invalidPath"},
		{`{"op":"remove","path":"displayName"}`, "mutability"},
		{`{"op":"replace","path":"title","value":"x"}`, "invalidPath"},
		{`{"op":"remove"}`, "noTarget"},
		{`{"op":"replace","value":{"id":"another","displayName":"x"}}`, "mutability"},
	} {
		s.patchGroup(g, fill.Replace(test.ops)).refused(400, test.want)
	}
	// Okta repeats the id.
	got := s.patchGroup(g, `{"op":"replace","value":{"id":"`+g+`","displayName":"Renamed"}}`).ok(200)
	is(t, "displayName", got["displayName"], `"Renamed"`)
	is(t, "member", at(got, "members.0.value"), `"`+who["A"]+`"`)
}

// checkChange holds what MemberChange promises to stores.
func checkChange(t *testing.T, c scim.MemberChange) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range c.Add {
		if seen[m.Value] {
			t.Errorf("%s is added twice", m.Value)
		}
		seen[m.Value] = true
	}
	for _, id := range c.Remove {
		if seen[id] {
			t.Errorf("%s is added and removed, or removed twice", id)
		}
		seen[id] = true
	}
	if c.Clear && len(c.Remove) > 0 {
		t.Errorf("%v are removed from nobody", c.Remove)
	}
}

func TestLargeGroups(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const n = 3000
	type member struct {
		Value string `json:"value"`
	}
	list := make([]member, n)
	for i := range list {
		list[i].Value = id(s.user(fmt.Sprintf("u%d", i)))
	}
	extra := id(s.user("extra"))
	body, _ := json.Marshal(map[string]any{"schemas": []string{groupURN}, "displayName": "everyone", "members": list})
	g := id(s.do("POST", "/Groups?excludedAttributes=members", string(body)).ok(201))
	s.dir.mu.Lock()
	s.dir.written, s.dir.loaded = 0, 0
	s.dir.mu.Unlock()
	cost := func(what string, written, loaded int) {
		t.Helper()
		s.dir.mu.Lock()
		defer s.dir.mu.Unlock()
		if s.dir.written != written || s.dir.loaded != loaded {
			t.Errorf("%s wrote %d and read %d rows of members, want %d and %d", what, s.dir.written, s.dir.loaded, written, loaded)
		}
		s.dir.written, s.dir.loaded = 0, 0
	}

	a := s.patchGroup(g, `{"op":"add","path":"members","value":[{"value":"`+extra+`"}]}`)
	if a.status != http.StatusNoContent || len(a.raw) > 0 || a.header.Get("ETag") != `W/"2"` {
		t.Errorf("PATCH: %d %v %s", a.status, a.header, clip(string(a.raw)))
	}
	cost("adding one", 1, 0)
	s.patchGroup(g, `{"op":"remove","path":"members[value eq \"`+extra+`\"]"}`)
	cost("removing one", 1, 0)
	is(t, "displayName", s.do("PATCH", "/Groups/"+g+"?attributes=displayName", ops(`{"op":"replace","path":"displayName","value":"all"}`)).ok(200)["displayName"], `"all"`)
	cost("renaming", 0, 0)
	s.do("GET", "/Groups/"+g+"?excludedAttributes=members", "").ok(200)
	s.do("GET", "/Groups"+query("excludedAttributes", "members", "filter", `displayName eq "ALL"`), "").ok(200)
	s.do("GET", "/Groups"+query("attributes", "displayName"), "").ok(200)
	s.do("GET", "/Groups"+query("count", "0"), "").ok(200)
	is(t, "total", s.do("GET", "/Groups"+query("attributes", "id", "filter", `id eq "`+g+`" and members eq "`+list[7].Value+`"`), "").ok(200)["totalResults"], `1`)
	cost("reading without members", 0, 0)
	if got := len(s.members(g)); got != n {
		t.Errorf("%d members, want %d", got, n)
	}
}

func TestSmallGroupAnswerIsConfigurable(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *scim.Config) { c.MaxGroupAnswer = 1 })
	a, b := id(s.user("ada")), id(s.user("bob"))
	g := s.group("crew")
	s.patchGroup(g, `{"op":"add","path":"members","value":[{"value":"`+a+`"}]}`).ok(200)
	if r := s.patchGroup(g, `{"op":"add","path":"members","value":[{"value":"`+b+`"}]}`); r.status != 204 {
		t.Errorf("status %d", r.status)
	}
}

// Large groups are answered in full, and read a page of members at a time: what is asked
// for, in a list too.
func TestLargeGroupsAreStreamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const n = 2500
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id(s.user(fmt.Sprint("p", i)))
	}
	slices.Sort(ids)
	crew, staff, empty := s.group("crew", ids...), s.group("staff", ids[:1000]...), s.group("empty")
	s.dir.loaded, s.dir.page = 0, 0
	if got := s.members(crew); !slices.Equal(got, ids) {
		t.Errorf("%d members, want %d in the order of their ids", len(got), n)
	}
	list := s.do("GET", "/Groups", "").ok(http.StatusOK)
	resources, _ := list["Resources"].([]any)
	is(t, "itemsPerPage", list["itemsPerPage"], `3`)
	for i, want := range []struct {
		id string
		n  int
	}{{crew, n}, {staff, 1000}, {empty, 0}} {
		g, _ := resources[i].(map[string]any)
		members, _ := g["members"].([]any)
		if g["id"] != want.id || len(members) != want.n {
			t.Errorf("%v has %d members, want %s with %d", g["id"], len(members), want.id, want.n)
		}
	}
	if s.dir.loaded != 2*n+1000 || s.dir.page > 1000 {
		t.Errorf("read %d members, up to %d at once", s.dir.loaded, s.dir.page)
	}
	part := s.do("GET", "/Groups/"+crew+"?attributes=members.value", "").ok(http.StatusOK)
	is(t, "member", at(part, "members.2000"), `{"value":"`+ids[2000]+`"}`)

	s.dir.loaded = 0
	for _, without := range []string{"?excludedAttributes=members", "?attributes=displayName", "?count=0"} {
		s.do("GET", "/Groups"+without, "").ok(http.StatusOK)
	}
	if s.dir.loaded != 0 {
		t.Errorf("read %d members that nobody asked for", s.dir.loaded)
	}

	// A fault at the beginning is answered; later the answer breaks off.
	faultAt := func(page int) {
		s.dir.fault = func(method string) error {
			if method == "ListMembers" {
				if page--; page == 0 {
					return errors.New("secret fault")
				}
			}
			return nil
		}
	}
	faultAt(1)
	s.do("GET", "/Groups/"+crew, "").refused(http.StatusInternalServerError, "")
	faultAt(3)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/Groups/"+crew, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer tok")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("half of an answer, %d bytes, looks whole", len(b))
	}
}
