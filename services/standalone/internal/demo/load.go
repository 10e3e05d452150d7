package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// admin is the first admin, who signs up.
const admin = "ada@demo.example"

// people come by SCIM, managers first.
var people = []struct{ name, given, family, title, manager string }{
	{"grace", "Grace", "Hopper", "Head of Engineering", ""},
	{"katherine", "Katherine", "Johnson", "Chat owner", "grace"},
	{"alan", "Alan", "Turing", "Engineer", "grace"},
	{"hedy", "Hedy", "Lamarr", "Engineer", "grace"},
	{"tim", "Tim", "Lee", "Payroll clerk", "katherine"},
}

// groups of the directory, with the people who are in them.
var groups = []struct {
	name    string
	members []string
}{
	{"Everyone", []string{"grace", "katherine", "alan", "hedy", "tim"}},
	{"Engineering", []string{"grace", "alan", "hedy"}},
}

type object = map[string]any

// loader adds what is missing to the organization Demo.
type loader struct {
	base, token string
	client      http.Client
}

// Load loads the demo organization into the Gatehouse at base. Where an
// organization of another name is, nothing is loaded.
func Load(ctx context.Context, base string, app *App, log *slog.Logger) error {
	l := &loader{base: base, client: http.Client{Timeout: 30 * time.Second}}
	defer l.client.CloseIdleConnections()
	ours, err := l.signIn(ctx)
	if err != nil {
		return err
	}
	if !ours {
		log.Warn("There are people here already; the demo organization is not loaded")
		return nil
	}
	ids, err := l.directory(ctx)
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	if err := l.catalog(ctx, app, ids); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

// signIn signs in as the demo's admin, after signing up if nobody is here. It
// says no if others are.
func (l *loader) signIn(ctx context.Context) (ours bool, err error) {
	var there object
	if err := l.call(ctx, "GET", "/v1/sessions:devPeople", nil, &there); err != nil {
		return false, err
	}
	var r object
	if len(list(there, "users")) == 0 {
		err = l.call(ctx, "POST", "/v1/organizations:signUp", object{
			"organizationName": "Demo", "email": admin, "displayName": "Ada Byron",
		}, &r)
	} else {
		err = l.call(ctx, "POST", "/v1/sessions:devSignIn", object{"userName": admin}, &r)
		if f := (failure{}); errors.As(err, &f) && f.code/100 == 4 {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	l.token = str(r, "token")
	return true, nil
}

// directory pushes people and groups as an identity provider does, and gives
// their ids by name.
func (l *loader) directory(ctx context.Context) (map[string]string, error) {
	scim := &loader{base: l.base, client: http.Client{Timeout: 30 * time.Second}}
	defer scim.client.CloseIdleConnections()
	var err error
	if scim.token, err = l.sourceToken(ctx); err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, p := range people {
		userName := p.name + "@demo.example"
		user := object{
			"schemas": []string{
				"urn:ietf:params:scim:schemas:core:2.0:User",
				"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
			},
			"userName": userName, "externalId": "demo-" + p.name, "active": true, "title": p.title,
			"displayName": p.given + " " + p.family, "name": object{"givenName": p.given, "familyName": p.family},
			"emails": []object{{"value": userName, "type": "work", "primary": true}},
		}
		if p.manager != "" {
			user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = object{"manager": object{"value": ids[p.manager]}}
		}
		id, err := scim.ensureResource(ctx, "/scim/v2/Users", fmt.Sprintf("userName eq %q", userName), user)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		ids[p.name] = id
	}
	for _, g := range groups {
		members := []object{}
		for _, m := range g.members {
			members = append(members, object{"value": ids[m]})
		}
		id, err := scim.ensureResource(ctx, "/scim/v2/Groups", fmt.Sprintf("displayName eq %q", g.name), object{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": g.name, "members": members,
		})
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", g.name, err)
		}
		ids["group "+g.name] = id
	}
	return ids, nil
}

// sourceToken gives a bearer token for the demo's source. It is shown once, so
// a later start takes a new one.
func (l *loader) sourceToken(ctx context.Context) (string, error) {
	const name = "Demo directory"
	id, err := l.find(ctx, "/v1/sources", "sources", name)
	if err != nil {
		return "", err
	}
	var r object
	if id == "" {
		err = l.call(ctx, "POST", "/v1/sources", object{"name": name, "kind": "SOURCE_KIND_SCIM"}, &r)
	} else {
		err = l.call(ctx, "POST", "/v1/sources/"+id+":rotateToken", object{}, &r)
	}
	return str(r, "token"), err
}

// ensureResource finds or makes a SCIM resource and gives its id.
func (l *loader) ensureResource(ctx context.Context, path, filter string, resource object) (string, error) {
	var found object
	if err := l.call(ctx, "GET", path+"?filter="+url.QueryEscape(filter), nil, &found); err != nil {
		return "", err
	}
	if r := list(found, "Resources"); len(r) > 0 {
		return str(r[0], "id"), nil
	}
	var made object
	err := l.call(ctx, "POST", path, resource, &made)
	return str(made, "id"), err
}

// catalog makes the apps, and the flows that give them.
func (l *loader) catalog(ctx context.Context, app *App, ids map[string]string) error {
	settings := object{"baseUrl": app.SCIM(), "token": app.Token}
	integration, err := l.ensure(ctx, "/v1/integrations", "integrations", "integration", "Tidepool Chat", object{
		"name": "Tidepool Chat", "kind": "INTEGRATION_KIND_SCIM", "scim": settings,
	})
	if err != nil {
		return err
	}
	if str(integration, "scim", "baseUrl") != app.SCIM() { // another port than last time
		if err := l.call(ctx, "PATCH", "/v1/integrations/"+str(integration, "id"), object{"scim": settings}, nil); err != nil {
			return err
		}
	}
	owner := object{"ownerId": ids["katherine"], "adminIds": []string{ids["katherine"]}, "approverIds": []string{ids["katherine"]}}
	accounts := []string{}
	var groupEntitlement string
	for _, a := range []object{
		{"name": "Tidepool Chat", "description": "Where everybody talks. Accounts come and go by themselves.", "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": str(integration, "id")},
		{"name": "Ledger Payroll", "description": "Salaries. A person makes and removes the accounts.", "provisioning": "PROVISIONING_SUPPORT_MANUAL"},
		{"name": "Press Archive", "description": "Newspapers, with one shared account for all.", "provisioning": "PROVISIONING_SUPPORT_NONE"},
	} {
		for k, v := range owner {
			a[k] = v
		}
		made, err := l.ensure(ctx, "/v1/apps", "apps", "app", str(a, "name"), a)
		if err != nil {
			return err
		}
		entitlements := "/v1/apps/" + str(made, "id") + "/entitlements"
		account, err := l.find(ctx, entitlements, "entitlements", "account")
		if err != nil {
			return err
		}
		accounts = append(accounts, account)
		if str(a, "integrationId") != "" {
			e, err := l.ensure(ctx, entitlements, "entitlements", "entitlement", "Engineers channel", object{
				"name": "Engineers channel", "description": "The channel of the engineers.", "kind": "ENTITLEMENT_KIND_GROUP", "ref": "Engineers",
			})
			if err != nil {
				return err
			}
			groupEntitlement = str(e, "id")
		}
	}
	for _, f := range []object{
		{
			"name": "Welcome", "trigger": "FLOW_TRIGGER_JOIN", "audience": object{"groupIds": []string{ids["group Everyone"]}},
			"scope": object{"entitlementIds": accounts}, "autoApprove": true,
		},
		{
			"name": "Engineers channel", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true},
			"scope": object{"entitlementIds": []string{groupEntitlement}},
			"steps": []object{
				{"name": "Manager", "reviewers": "REVIEWER_KIND_MANAGER", "need": "STEP_NEED_ANY"},
				{"name": "Chat approver", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"},
			},
		},
	} {
		if _, err := l.ensure(ctx, "/v1/flows", "flows", "flow", str(f, "name"), object{"flow": f}); err != nil {
			return err
		}
	}
	return nil
}

// ensure finds by name or makes something, and gives it.
func (l *loader) ensure(ctx context.Context, path, plural, singular, name string, fields object) (any, error) {
	var page object
	if err := l.call(ctx, "GET", path+"?pageSize=1000", nil, &page); err != nil {
		return nil, err
	}
	for _, v := range list(page, plural) {
		if str(v, "name") == name {
			return v, nil
		}
	}
	// What was made a moment ago elsewhere may not have arrived here yet; the
	// answer says so in naming it unknown.
	for try := 0; ; try++ {
		var made object
		err := l.call(ctx, "POST", path, fields, &made)
		f := failure{}
		if err == nil || try >= 100 || !errors.As(err, &f) || f.code != http.StatusBadRequest {
			return get(made, singular), err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// find gives the id of what has the name, or nothing.
func (l *loader) find(ctx context.Context, path, plural, name string) (string, error) {
	var page object
	if err := l.call(ctx, "GET", path+"?pageSize=1000", nil, &page); err != nil {
		return "", err
	}
	for _, v := range list(page, plural) {
		if str(v, "name") == name {
			return str(v, "id"), nil
		}
	}
	return "", nil
}

// failure is an answer that says no.
type failure struct {
	call string
	code int
	text string
}

func (f failure) Error() string { return fmt.Sprintf("%s: %d %s", f.call, f.code, f.text) }

// call sends one call and reads the answer into out.
func (l *loader) call(ctx context.Context, method, path string, body object, out *object) error {
	var rd io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write body: %w", err)
		}
		rd = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, rd)
	if err != nil {
		return fmt.Errorf("make call: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if l.token != "" {
		req.Header.Set("Authorization", "Bearer "+l.token)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<22))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return failure{call: method + " " + path, code: resp.StatusCode, text: string(b)}
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
	}
	return nil
}

func get(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(object)
		v = m[p]
	}
	return v
}

func str(v any, path ...string) string {
	s, _ := get(v, path...).(string)
	return s
}

func list(v any, path ...string) []any {
	l, _ := get(v, path...).([]any)
	return l
}
