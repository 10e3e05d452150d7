package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse.dev/proto"
)

// operation is one of openapi.json, which is made from the protos.
type operation struct {
	method, path string
	rpc          string   // such as AppService/GetApp
	callers      []string // roles; "public" for anybody
	scope        string   // what a token with scopes needs; empty for none
	body         object   // schema; nil for none
	query        []string // parameters that are ids
	needed       object   // the other parameters that a call must have
}

// document reads the operations of the API, and the schemas that they refer to.
func document(t testing.TB) (operations []operation, schemas object) {
	t.Helper()
	var doc object
	if err := json.Unmarshal(proto.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range get(doc, "paths").(object) {
		for method, op := range item.(object) {
			if str(op, "x-standard") != "" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, callers: []string{"public"}}
			o.rpc = strings.Replace(str(op, "operationId"), "_", "/", 1)
			if _, said, ok := strings.Cut(str(op, "description"), "Callers: "); ok {
				roles, _, _ := strings.Cut(said, ".")
				o.callers = strings.Split(roles, ", ")
			}
			if _, said, ok := strings.Cut(str(op, "description"), " Scope: "); ok {
				o.scope, _, _ = strings.Cut(said, ".")
			}
			if content, ok := get(op, "requestBody", "content").(object); ok {
				o.body, _ = get(content, "application/json", "schema").(object)
			}
			for _, p := range list(op, "parameters") {
				if name := str(p, "name"); str(p, "in") == "query" && strings.HasSuffix(name, "Id") {
					o.query = append(o.query, name)
				} else if str(p, "in") == "query" && get(p, "required") == true {
					kinds := get(doc, "components", "schemas").(object)[strings.TrimPrefix(str(p, "schema", "$ref"), "#/components/schemas/")]
					o.needed = object{name: list(kinds, "enum")[1]}
				}
			}
			operations = append(operations, o)
		}
	}
	slices.SortFunc(operations, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return operations, get(doc, "components", "schemas").(object)
}

// tenant is an environment, or an organization, with one of everything in it.
type tenant struct {
	mark  string // is in every name
	admin api
	ids   map[string]string // by collection
	// about are ids by what fields call them.
	about map[string]string
}

// newTenant fills an environment, or the organization if that is empty, whose admin
// is made of the people that its source pushes.
func (w *world) newTenant(t testing.TB, mark, environment string) *tenant {
	t.Helper()
	n := &tenant{mark: mark}
	made := w.admin.must(t, "POST", "/v1/sources", object{"name": "Directory " + mark, "kind": "SOURCE_KIND_SCIM", "environmentId": environment})
	scim := api{base: w.gh.base, token: str(made, "token")}
	person := func(name string) string {
		return str(scim.must(t, "POST", "/scim/v2/Users", object{
			"schemas": []string{scimUser}, "userName": name + "-" + mark + "@corp.example", "externalId": name, "active": true, "displayName": name + " " + mark,
		}), "id")
	}
	boss, member, reviewer := person("boss"), person("member"), person("reviewer")
	group := str(scim.must(t, "POST", "/scim/v2/Groups", object{"schemas": []string{scimGroup}, "displayName": "Group " + mark, "members": []object{{"value": member}}}), "id")
	w.admin.must(t, "POST", "/v1/users/"+boss+":setRole", object{"role": "ROLE_ADMIN", "roleEnvironmentId": environment})
	as := func(id string) api { return w.signIn(t, id) }
	n.admin = as(boss)
	on := &world{gh: w.gh, target: w.target, admin: n.admin, scim: scim}
	a := on.app(t, object{"name": "App " + mark, "provisioning": "PROVISIONING_SUPPORT_MANUAL", "approverIds": []string{reviewer}})
	flow := get(n.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Flow " + mark, "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"entitlementIds": []string{a.account}},
		"steps": []object{{"name": "one", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}}), "flow", "id").(string)
	integration := str(n.admin.must(t, "POST", "/v1/integrations", object{
		"name": "Integration " + mark, "kind": "INTEGRATION_KIND_SCIM", "scim": object{"baseUrl": w.target.url, "token": w.target.token},
	}), "integration", "id")
	idp := str(n.admin.must(t, "POST", "/v1/identityProviders", object{"name": "Sign-in " + mark, "issuer": "https://idp.example", "sourceId": str(made, "source", "id")}), "identityProvider", "id")
	asks, decides := as(member), as(reviewer)
	granted := on.ask(t, asks, "REQUEST_KIND_GRANT", a.account)
	on.approve(t, decides, granted)
	grant := on.grantOf(t, granted)
	item := until(t, "work item", func() string {
		return str(n.admin.must(t, "GET", "/v1/workItems?appId="+a.id, nil), "workItems", 0, "id")
	}, func(id string) bool { return id != "" })
	other := n.admin.must(t, "POST", "/v1/apps/"+a.id+"/entitlements", object{"name": "Seat " + mark, "kind": "ENTITLEMENT_KIND_GROUP", "ref": "seat", "description": "A seat"})
	open := on.ask(t, asks, "REQUEST_KIND_GRANT", str(other, "entitlement", "id"))
	task := on.task(t, decides, open)
	token := str(asks.must(t, "POST", "/v1/apiTokens", object{"name": "Token " + mark, "expireTime": "2027-06-01T00:00:00Z"}), "apiToken", "id")
	session := str(asks.must(t, "GET", "/v1/sessions", nil), "sessions", 0, "id")
	bundle := str(n.admin.must(t, "POST", "/v1/bundles", object{"name": "Bundle " + mark, "entitlementIds": []string{a.account}}), "bundle", "id")
	n.ids = map[string]string{
		"users": member, "groups": group, "sources": str(made, "source", "id"), "apps": a.id, "flows": flow, "integrations": integration, "identityProviders": idp,
		"requests": open, "tasks": task, "grants": str(grant, "id"), "workItems": item, "apiTokens": token, "sessions": session, "environments": environment, "bundles": bundle,
	}
	n.about = map[string]string{
		"userId": member, "beneficiaryId": member, "accountableUserId": member, "ownerId": member, "reviewerId": reviewer, "actorId": member,
		"adminIds": member, "approverIds": member, "userIds": member, "appId": a.id, "appIds": a.id, "entitlementIds": a.account, "groupIds": group,
		"integrationId": integration, "sourceId": n.ids["sources"], "environmentId": environment, "roleEnvironmentId": environment, "offeredEnvironmentIds": environment,
		"requestId": open, "workItemIds": item, "flowId": flow, "bundleIds": bundle,
	}
	return n
}

// signIn signs a person in by id, who may have come a moment ago.
func (w *world) signIn(t testing.TB, id string) api {
	t.Helper()
	s := api{base: w.gh.base}.must(t, "POST", "/v1/sessions:devSignIn", object{"userName": id})
	return api{base: w.gh.base, token: str(s, "token")}
}

var pathID = regexp.MustCompile(`\{[^}]+\}`)

// at is a path with the ids of a tenant's resources, or with ids of nothing.
func (n *tenant) at(path string) string {
	collection := strings.Split(path, "/")[2]
	return pathID.ReplaceAllStringFunc(path, func(name string) string {
		if name == "{service}" {
			return "approval"
		}
		if n != nil && n.ids[collection] != "" {
			return n.ids[collection]
		}
		return newUUID()
	})
}

// bodyOf makes a body that the schema takes, with ids of the tenant's in it. held says
// whether there are any.
func (n *tenant) bodyOf(schemas, schema object, name string, depth int) (v any, held bool) {
	if ref := str(schema, "$ref"); ref != "" {
		of := schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(object)
		return n.bodyOf(schemas, of, name, depth)
	}
	switch {
	case schema["enum"] != nil:
		all := list(schema, "enum")
		return all[min(1, len(all)-1)], false
	case str(schema, "type") == "array":
		one, held := n.bodyOf(schemas, get(schema, "items").(object), name, depth)
		return []any{one}, held
	case str(schema, "type") == "object" || schema["properties"] != nil:
		out := object{}
		properties, _ := schema["properties"].(object)
		for p, s := range properties {
			if p == "requestId" { // what makes a call safe to repeat, and no request's id
				continue
			}
			// What is needed, and every id.
			needed := slices.ContainsFunc(list(schema, "required"), func(r any) bool { return r == p })
			if n.about[p] == "" && !needed && depth > 1 {
				continue
			}
			if n.about[p] == "" && !needed && str(s.(object), "$ref") == "" {
				continue
			}
			one, ids := n.bodyOf(schemas, s.(object), p, depth+1)
			if needed || ids {
				out[p], held = one, held || ids
			}
		}
		return out, held
	case str(schema, "type") == "boolean":
		return true, false
	case str(schema, "type") == "integer":
		return 1, false
	case str(schema, "format") == "date-time":
		return "2027-01-01T00:00:00Z", false
	case n.about[name] != "":
		return n.about[name], true
	case str(schema, "format") == "uuid":
		return newUUID(), false
	}
	return "something", false
}

// bodies are what bodyOf does not make well enough to get as far as the walls.
func (n *tenant) bodies(operation string) []object {
	scim := object{"baseUrl": "https://scim.example", "token": "x"}
	app := func(field string, value any) object {
		return object{"name": newUUID(), "provisioning": "PROVISIONING_SUPPORT_MANUAL", field: value}
	}
	flow := func(change object) object {
		f := object{
			"name": newUUID(), "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"appIds": []string{n.about["appId"]}},
			"steps": []object{{"name": "one", "reviewers": "REVIEWER_KIND_MANAGER", "need": "STEP_NEED_ANY"}},
		}
		for k, v := range change {
			f[k] = v
		}
		return object{"flow": f}
	}
	switch operation {
	case "POST /v1/apps":
		return []object{
			app("ownerId", n.about["ownerId"]), app("adminIds", []string{n.about["ownerId"]}), app("approverIds", []string{n.about["ownerId"]}),
			app("environmentId", n.about["environmentId"]), app("ssoAppId", n.about["appId"]),
			{"name": newUUID(), "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": n.about["integrationId"]},
		}
	case "POST /v1/apps/{app_id}/entitlements":
		return []object{{"name": "x", "kind": "ENTITLEMENT_KIND_GROUP", "ref": "x"}}
	case "PATCH /v1/bundles/{id}":
		return []object{{"name": newUUID()}, {"entitlementIds": []string{n.about["entitlementIds"]}}}
	case "POST /v1/apps/{app_id}/entitlements:batchCreate":
		return []object{{"requests": []object{{"name": "x", "kind": "ENTITLEMENT_KIND_GROUP", "ref": "x"}}}}
	case "POST /v1/flows":
		return []object{
			flow(nil), flow(object{"scope": object{"entitlementIds": []string{n.about["entitlementIds"]}}}), flow(object{"audience": object{"groupIds": []string{n.about["groupIds"]}}}),
			flow(object{"steps": []object{{"name": "one", "reviewers": "REVIEWER_KIND_USERS", "userIds": []string{n.about["userId"]}, "need": "STEP_NEED_ANY"}}}),
		}
	case "POST /v1/integrations":
		return []object{{"name": newUUID(), "kind": "INTEGRATION_KIND_SCIM", "scim": scim, "environmentId": n.about["environmentId"]}}
	case "POST /v1/sources/{id}:handOverUsers":
		return []object{{"users": []object{{"userId": n.about["userId"]}}}}
	case "PATCH /v1/integrations/{id}":
		return []object{{"name": newUUID(), "scim": scim}}
	case "PATCH /v1/flows/{id}":
		return []object{{"name": newUUID()}, {"scope": object{"entitlementIds": []string{n.about["entitlementIds"]}}}}
	case "PATCH /v1/identityProviders/{id}", "PATCH /v1/sources/{id}", "PATCH /v1/environments/{id}",
		"PATCH /v1/apps/{app_id}/entitlements/{id}":
		return []object{{"name": newUUID()}}
	case "POST /v1/identityProviders":
		return []object{{"name": newUUID(), "issuer": "https://idp.example", "sourceId": n.about["sourceId"]}}
	case "POST /v1/users":
		return []object{{
			"kind": "USER_KIND_SERVICE", "userName": newUUID(), "displayName": "x", "purpose": "x", "endTime": "2027-01-01T00:00:00Z", "accountableUserId": n.about["userId"],
		}}
	}
	return nil
}

// picture is what a tenant's admin sees of it.
func (n *tenant) picture(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{
		"/v1/users", "/v1/groups", "/v1/sources", "/v1/apps", "/v1/bundles", "/v1/flows", "/v1/integrations", "/v1/identityProviders", "/v1/requests", "/v1/grants", "/v1/workItems", "/v1/apiTokens",
		"/v1/checklists", "/v1/accounts", "/v1/sessions?userId=" + n.ids["users"], "/v1/groups/" + n.ids["groups"] + "/members", "/v1/requests/" + n.ids["requests"] + "/comments",
	} {
		r, err := n.admin.do(t.Context(), "GET", path, nil)
		if err != nil || r.Code != http.StatusOK {
			t.Fatalf("%s: %d %v", path, r.Code, err)
		}
		fmt.Fprintln(&b, path, string(volatile.ReplaceAll(r.Raw, nil)))
	}
	return b.String()
}

// volatile is what changes by being looked at.
var volatile = regexp.MustCompile(`"(lastUseTime|lastSeenTime|lastCheckTime)": ?"[^"]*",?`)

// TestMatrix calls every operation of the API in every role: on what is the caller's
// own, of another environment, and of another organization. Whom the protos do not let
// in is refused, and whoever is let in neither sees nor changes what is others'.
// docs/rights.md is the table of it, with the answers to whoever is let in, which are
// kept in elsewhere.json. B-USR-12, B-USR-13.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	target := startDemoApp(t, nil)
	w, foreign := newWorld(t, gh, target), newWorld(t, gh, target)
	environment := func(w *world, name string) string {
		return str(w.admin.must(t, "POST", "/v1/environments", object{"name": name}), "environment", "id")
	}
	north := environment(w, "North")
	others := []*tenant{
		w.newTenant(t, "zzsouth", environment(w, "South zzsouth")),
		foreign.newTenant(t, "zzforeign", environment(foreign, "Foreign zzforeign")),
	}
	var before []string
	for _, n := range others {
		before = append(before, n.picture(t))
	}
	source := w.admin.must(t, "POST", "/v1/sources", object{"name": "Directory of North", "kind": "SOURCE_KIND_SCIM", "environmentId": north})
	scim := api{base: gh.base, token: str(source, "token")}
	callers := map[string]api{"public": {base: gh.base}}
	for _, role := range []string{"admin", "it_admin", "risk_manager", "member", "external"} {
		id := str(scim.must(t, "POST", "/scim/v2/Users", object{"schemas": []string{scimUser}, "userName": role, "active": true, "displayName": "Own " + role}), "id")
		w.admin.must(t, "POST", "/v1/users/"+id+":setRole", object{"role": "ROLE_" + strings.ToUpper(role), "roleEnvironmentId": north})
		callers[role] = w.signIn(t, id)
	}
	operations, schemas := document(t)
	if len(operations) < 60 {
		t.Fatalf("only %d operations", len(operations))
	}
	// A second call of these finds nothing to do, which is fine.
	fine := regexp.MustCompile(`^(DELETE|POST /v1/sessions/\{id\}:end)`)
	cells := 0
	answers := map[string]elsewhere{}
	for _, o := range operations {
		if strings.HasSuffix(o.path, ":signOut") || strings.HasSuffix(o.path, ":devSignIn") || strings.HasSuffix(o.path, ":devPeople") || strings.HasSuffix(o.path, ":signUp") {
			continue // about nobody's things: have tests of their own
		}
		for role, who := range callers {
			allowed := slices.Contains(o.callers, "public") || slices.Contains(o.callers, role)
			call := func(path string, body any) (code int, raw string) {
				t.Helper()
				cells++
				r, err := who.do(t.Context(), o.method, path, body)
				if err != nil {
					t.Fatal(err)
				}
				if r.Code >= 500 {
					t.Errorf("%s: %s %s: %d %s", role, o.method, path, r.Code, r.Raw)
				}
				return r.Code, string(r.Raw)
			}
			// Own: by the role alone. What has an id is of nothing.
			code, raw := call((*tenant)(nil).at(o.path), object{})
			out := code == http.StatusUnauthorized || code == http.StatusForbidden && strings.Contains(raw, "ROLE_NOT_ALLOWED")
			if allowed == out {
				t.Errorf("%s: %s %s: %d %s", role, o.method, o.path, code, raw)
			}
			for _, n := range others {
				path, named := n.at(o.path), n.at(o.path) != o.path
				var bodies []any
				for _, body := range n.bodies(o.method + " " + o.path) {
					bodies, named = append(bodies, body), true
				}
				switch {
				case len(bodies) > 1 && role != "admin":
					bodies = bodies[:1] // what is not known is waited for, which takes its time
				case len(bodies) > 0:
				case o.body != nil:
					body, held := n.bodyOf(schemas, o.body, "", 0)
					bodies, named = append(bodies, body), named || held
				default:
					bodies = append(bodies, nil)
				}
				if len(o.query)+len(o.needed) > 0 {
					q := url.Values{}
					for name := range o.needed {
						q.Set(name, str(o.needed, name))
					}
					for _, name := range o.query {
						q.Set(name, n.about[name])
					}
					path += "?" + q.Encode()
				}
				if !named && bodies[0] != nil {
					continue // makes something of the caller's own
				}
				for _, body := range bodies {
					code, raw := call(path, body)
					switch {
					case strings.Contains(raw, "zzsouth"), strings.Contains(raw, "zzforeign"):
						t.Errorf("%s sees what is of %s: %s %s: %d %s", role, n.mark, o.method, path, code, raw)
					case named && code < 300 && !fine.MatchString(o.method+" "+o.path) && (o.method != "GET" || len(o.query) == 0):
						t.Errorf("%s reaches what is of %s: %s %s %v: %d %s", role, n.mark, o.method, path, body, code, raw)
					}
					switch answer := answerOf(o.method, code, raw); {
					case !allowed && answer != "PERMISSION_DENIED ROLE_NOT_ALLOWED" && code != http.StatusUnauthorized:
						t.Errorf("%s: %s %s of %s: %d %s", role, o.method, path, n.mark, code, raw)
					case allowed && n == others[0]:
						answers[o.rpc] = elsewhere{add(answers[o.rpc].Environment, answer), answers[o.rpc].Organization}
					case allowed:
						answers[o.rpc] = elsewhere{answers[o.rpc].Environment, add(answers[o.rpc].Organization, answer)}
					}
				}
			}
		}
	}
	for i, n := range others {
		if after := n.picture(t); after != before[i] {
			t.Errorf("%s has changed\nfrom %s\nto   %s", n.mark, before[i], after)
		}
	}
	checkElsewhere(t, answers)
	if cells < 800 {
		t.Errorf("only %d cells", cells)
	}
	t.Logf("%d cells", cells)
}
