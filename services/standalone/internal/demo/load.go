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
	"strconv"
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

// Load loads what the demo organization begins with into the Gatehouse at base, and gives
// the company that is still to be loaded. Where an organization of another name is,
// nothing is loaded, and there is none.
func Load(ctx context.Context, base string, app *App, log *slog.Logger) (*Company, error) {
	l := &loader{base: base, client: http.Client{Timeout: 30 * time.Second}}
	defer l.client.CloseIdleConnections()
	ours, err := l.signIn(ctx)
	if err != nil {
		return nil, err
	}
	if !ours {
		log.Warn("There are people here already; the demo organization is not loaded")
		return nil, nil
	}
	ids, err := l.directory(ctx)
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	if err := l.catalog(ctx, app, ids); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return &Company{admin: l, app: app}, nil
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
	scim, err := l.source(ctx, "Demo directory")
	if err != nil {
		return nil, err
	}
	defer scim.client.CloseIdleConnections()
	ids := map[string]string{}
	for _, p := range people {
		user := scimUser(p.name, p.given, p.family, p.title, "", ids[p.manager])
		id, err := scim.ensureResource(ctx, "/scim/v2/Users", fmt.Sprintf("userName eq %q", user["userName"]), user)
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
		id, err := scim.ensureResource(ctx, "/scim/v2/Groups", fmt.Sprintf("displayName eq %q", g.name), scimGroup(g.name, members))
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", g.name, err)
		}
		ids["group "+g.name] = id
	}
	return ids, nil
}

// userName is what somebody of the demo is known by.
func userName(name string) string { return name + "@demo.example" }

// scimUser is a user as an identity provider says it.
func scimUser(name, given, family, title, department, manager string) object {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	user := object{
		"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", enterprise},
		"userName": userName(name), "externalId": "demo-" + name, "active": true, "title": title,
		"displayName": given + " " + family, "name": object{"givenName": given, "familyName": family},
		"emails": []object{{"value": userName(name), "type": "work", "primary": true}},
	}
	work := object{}
	if department != "" {
		work["department"] = department
	}
	if manager != "" {
		work["manager"] = object{"value": manager}
	}
	if len(work) > 0 {
		user[enterprise] = work
	}
	return user
}

// scimGroup is a group as an identity provider says it.
func scimGroup(name string, members []object) object {
	return object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": name, "members": members}
}

// source finds or makes a source, and gives who pushes to it. A token is shown once, so
// a later start takes a new one.
func (l *loader) source(ctx context.Context, name string) (*loader, error) {
	id, err := l.find(ctx, "/v1/sources", "sources", name)
	if err != nil {
		return nil, err
	}
	var r object
	if id == "" {
		err = l.call(ctx, "POST", "/v1/sources", object{"name": name, "kind": "SOURCE_KIND_SCIM"}, &r)
	} else {
		err = l.call(ctx, "POST", "/v1/sources/"+id+":rotateToken", object{}, &r)
	}
	return &loader{base: l.base, token: str(r, "token"), client: http.Client{Timeout: 30 * time.Second}}, err
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
	integration, err := l.integration(ctx, "Tidepool Chat", app.SCIM(""), app.Token)
	if err != nil {
		return err
	}
	owner := object{"ownerId": ids["katherine"], "adminIds": []string{ids["katherine"]}, "approverIds": []string{ids["katherine"]}}
	accounts := []string{}
	var groupEntitlement string
	for _, a := range []object{
		{"name": "Tidepool Chat", "description": "Where everybody talks. Accounts come and go by themselves.", "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": integration, "icon": "chat", "category": "Communication", "tags": []string{"messages", "channels"}},
		{"name": "Ledger Payroll", "description": "Salaries. A person makes and removes the accounts.", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "icon": "payroll", "category": "Finance", "tags": []string{"money", "salaries"}, "instructions": "Your first sign-in is at the payroll office: bring your pass."},
		{"name": "Press Archive", "description": "Newspapers, with one shared account for all.", "provisioning": "PROVISIONING_SUPPORT_NONE", "icon": "news", "category": "Research", "tags": []string{"newspapers"}, "instructions": "The shared password is in the welcome letter of your team."},
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

// integration finds or makes one that leads to the demo's app, and gives its id. If the
// app has another port than last time, it leads there from now on.
func (l *loader) integration(ctx context.Context, name, address, token string) (string, error) {
	settings := object{"baseUrl": address, "token": token}
	integration, err := l.ensure(ctx, "/v1/integrations", "integrations", "integration", name, object{
		"name": name, "kind": "INTEGRATION_KIND_SCIM", "scim": settings,
	})
	if err == nil && str(integration, "scim", "baseUrl") != address {
		err = l.call(ctx, "PATCH", "/v1/integrations/"+str(integration, "id"), object{"scim": settings}, nil)
	}
	return str(integration, "id"), err
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
	var made object
	err := l.arrived(ctx, path, fields, &made)
	return get(made, singular), err
}

// arrived makes something, and sends the call again while it is refused as invalid: what was made a moment ago
// elsewhere may not have arrived here yet, and the answer says so in naming it unknown.
func (l *loader) arrived(ctx context.Context, path string, body object, out *object) error {
	for try := 0; ; try++ {
		err := l.call(ctx, "POST", path, body, out)
		f := failure{}
		if err == nil || try >= 100 || !errors.As(err, &f) || f.code != http.StatusBadRequest {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits, unless it is to end.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
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

// call sends one call and reads the answer into out. Asked to wait, it waits and sends it
// again.
func (l *loader) call(ctx context.Context, method, path string, body object, out *object) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write body: %w", err)
		}
	}
	for try := 0; ; try++ {
		answer, wait, err := l.send(ctx, method, path, sent)
		if err != nil && wait > 0 && try < 20 {
			if err := pause(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if out != nil {
			if err := json.Unmarshal(answer, out); err != nil {
				return fmt.Errorf("read answer: %w", err)
			}
		}
		return nil
	}
}

// send sends one call. With an error, wait is for how long it asks to wait.
func (l *loader) send(ctx context.Context, method, path string, body []byte) (answer []byte, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fmt.Errorf("make call: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if l.token != "" {
		req.Header.Set("Authorization", "Bearer "+l.token)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("call: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<24))
	if err != nil {
		return nil, 0, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, time.Duration(seconds) * time.Second, failure{call: method + " " + path, code: resp.StatusCode, text: string(b)}
	}
	return b, 0, nil
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
