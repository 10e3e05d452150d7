package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// companySource is where the company's people come from.
	companySource = "People register"
	// companyLoaded is the file beside the demo app's that names the organization whose
	// company is loaded: from then on what is there is people's own.
	companyLoaded = "company-loaded"
	// atOnce is how many things are loaded at once: whoever looks at the demo meanwhile
	// comes first.
	atOnce = 3
	// patience is for how long something that follows by itself is waited for.
	patience = 90 * time.Second
	// Attempts to sign in are limited by address, and the person in front of the machine
	// has the same one.
	signInsAtOnce, signInEvery = 5, 1100 * time.Millisecond
)

// Company is the company of a demo organization, to be loaded while people look at it.
type Company struct {
	admin *loader // Ada
	app   *App

	organization string
	scim         *loader // pushes to companySource
	sessions     sessions

	mu           sync.Mutex
	progress     func(done, total int)
	done         int
	users        map[string]string // ids by name, of those who have left too
	gone         map[string]bool   // who has left or is suspended, by name, when loading begins
	groups       map[string]string
	apps         map[string]string
	entitlements map[what]string
	requests     map[string]any // of people and of assignments, by their reason
}

// Facts is how much is in the company.
type Facts struct{ People, Apps, Flows, Requests int }

// Load adds what is missing of the company. It looks at what is there first, so what was
// begun is gone on with, and nothing is made twice. What cannot be loaded is left out and
// in the error; the rest comes all the same. Once all of it was loaded nothing is loaded
// again, so that what people have changed since stays; then there are no facts.
func (c *Company) Load(ctx context.Context, progress func(done, total int)) (*Facts, error) {
	loaded, err := c.loaded(ctx)
	if err == nil {
		err = c.reach(ctx)
	}
	if loaded || err != nil {
		return nil, err
	}
	c.progress = progress
	c.sessions = sessions{people: map[string]*session{}, free: signInsAtOnce}
	err = c.load(ctx)
	err = errors.Join(err, c.sessions.end(context.WithoutCancel(ctx)))
	if err != nil {
		return nil, err
	}
	// Those who were there before are of it as well, and those who have left are not.
	facts := &Facts{
		People: 1 + len(people) + len(companyPeople), Apps: 3 + len(companyApps), Flows: 2 + len(companyFlows), Requests: len(stories) + len(assignments),
	}
	for _, d := range departures {
		if !d.away {
			facts.People--
		}
	}
	return facts, os.WriteFile(c.file(), []byte(c.organization+"\n"), 0o600)
}

// loaded says whether all of it was loaded once, into this organization.
func (c *Company) loaded(ctx context.Context) (bool, error) {
	var me object
	if err := c.admin.call(ctx, "GET", "/v1/me", nil, &me); err != nil {
		return false, err
	}
	c.organization = str(me, "organization", "id")
	b, err := os.ReadFile(c.file())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return strings.TrimSpace(string(b)) == c.organization, err
}

func (c *Company) file() string { return filepath.Join(c.app.dir, companyLoaded) }

// reach has the integrations that are there lead to where the app is now.
func (c *Company) reach(ctx context.Context) error {
	there, err := c.admin.named(ctx, "/v1/integrations", "integrations", "name")
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if there[t.name] == "" {
			continue
		}
		if _, err := c.admin.integration(ctx, t.name, c.app.SCIM(t.path), c.app.Token); err != nil {
			return fmt.Errorf("integration %s: %w", t.name, err)
		}
	}
	return nil
}

func (c *Company) load(ctx context.Context) error {
	c.step(0)
	var err error
	if c.scim, err = c.admin.source(ctx, companySource); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	defer c.scim.client.CloseIdleConnections()
	for _, part := range []struct {
		name string
		load func(context.Context) error
	}{
		{"people", c.loadPeople},
		{"groups", c.loadGroups},
		{"programs", c.loadPrograms},
		{"apps", c.loadApps},
		{"flows", c.loadFlows},
		{"requests", c.knowRequests},
		{"assignments", c.loadAssignments},
	} {
		if err := part.load(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	// From here on each thing stands by itself.
	var failed []error
	work := errgroup.Group{}
	work.SetLimit(atOnce)
	each := func(name string, load func() error) {
		work.Go(func() error {
			err := load()
			c.step(1)
			if err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				failed = append(failed, fmt.Errorf("%s: %w", name, err))
			}
			return nil
		})
	}
	for _, s := range stories {
		each(fmt.Sprintf("request %q", s.reason), func() error { return c.live(ctx, s) })
	}
	for _, q := range questions {
		each(fmt.Sprintf("question %q", q.text), func() error { return c.ask(ctx, q) })
	}
	for _, a := range absences {
		each("absence of "+a.by, func() error { return c.delegate(ctx, a) })
	}
	for _, w := range chores {
		each("work in "+w.app, func() error { return c.work(ctx, w) })
	}
	_ = work.Wait()
	// Who leaves has had something, and made it.
	for _, d := range departures {
		each("departure of "+d.name, func() error { return c.depart(ctx, d.name, d.away, d.note) })
	}
	_ = work.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(failed...)
}

// step counts what is done.
func (c *Company) step(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	c.progress(c.done, len(companyPeople)+len(companyGroups)+len(programs)+len(companyApps)+len(companyFlows)+len(assignments)+len(stories)+len(questions)+len(absences)+len(chores)+len(departures))
}

// all gives all of a list.
func (l *loader) all(ctx context.Context, path, plural string) ([]any, error) {
	var out []any
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for token := ""; ; {
		var page object
		if err := l.call(ctx, "GET", path+separator+"pageSize=1000&pageToken="+url.QueryEscape(token), nil, &page); err != nil {
			return nil, err
		}
		out = append(out, list(page, plural)...)
		if token = str(page, "nextPageToken"); token == "" {
			return out, nil
		}
	}
}

// named gives the ids of a list by name.
func (l *loader) named(ctx context.Context, path, plural, name string) (map[string]string, error) {
	found, err := l.all(ctx, path, plural)
	out := make(map[string]string, len(found))
	for _, v := range found {
		out[str(v, name)] = str(v, "id")
	}
	return out, err
}

// loadPeople makes those who are not there, and have not left.
func (c *Company) loadPeople(ctx context.Context) error {
	c.users, c.gone = map[string]string{}, map[string]bool{}
	for _, state := range []string{"", "?state=USER_STATE_REMOVED"} {
		found, err := c.admin.all(ctx, "/v1/users"+state, "users")
		if err != nil {
			return err
		}
		for _, u := range found {
			name := strings.TrimSuffix(str(u, "userName"), "@demo.example")
			c.users[name], c.gone[name] = str(u, "id"), str(u, "state") != "USER_STATE_ACTIVE"
		}
	}
	for _, p := range companyPeople {
		if c.users[p.name] == "" {
			var made object
			if err := c.scim.call(ctx, "POST", "/scim/v2/Users", scimUser(p.name, p.given, p.family, p.title, p.department, c.users[p.manager]), &made); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			c.users[p.name] = str(made, "id")
		}
		c.step(1)
	}
	for _, r := range companyRoles {
		var got object
		if err := c.admin.call(ctx, "GET", "/v1/users/"+c.users[r.name], nil, &got); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if str(got, "user", "role") != "ROLE_MEMBER" { // it was given already, or another by somebody
			continue
		}
		if err := c.admin.call(ctx, "POST", "/v1/users/"+c.users[r.name]+":setRole", object{"role": r.role}, nil); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// membersOf are the names of those in a group of the company.
func membersOf(name string) []string {
	var out []string
	for _, g := range companyGroups {
		if g.name != name {
			continue
		}
		out = append(out, g.members...)
		for _, p := range companyPeople {
			if len(g.members) == 0 && p.department != "External" && (g.department == "" || g.department == p.department) {
				out = append(out, p.name)
			}
		}
	}
	return out
}

func (c *Company) loadGroups(ctx context.Context) error {
	for _, g := range companyGroups {
		members := []object{}
		for _, m := range membersOf(g.name) {
			members = append(members, object{"value": c.users[m]})
		}
		found, err := c.admin.named(ctx, "/v1/groups", "groups", "displayName")
		if err != nil {
			return err
		}
		if found[g.name] == "" {
			var made object
			if err := c.scim.call(ctx, "POST", "/scim/v2/Groups", scimGroup(g.name, members), &made); err != nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
			found[g.name] = str(made, "id")
		}
		c.groups = found
		c.step(1)
	}
	return nil
}

// loadPrograms makes services and agents. Nobody keeps the secrets of their tokens.
func (c *Company) loadPrograms(ctx context.Context) error {
	tokens, err := c.admin.named(ctx, "/v1/apiTokens", "apiTokens", "name")
	if err != nil {
		return err
	}
	end := time.Now().Add(300 * day).UTC().Format(time.RFC3339)
	for _, p := range programs {
		if c.users[p.name] == "" {
			var made object
			if err := c.admin.call(ctx, "POST", "/v1/users", object{
				"kind": p.kind, "userName": p.name, "displayName": p.display, "accountableUserId": c.users[p.accountable], "purpose": p.purpose, "endTime": end,
			}, &made); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			c.users[p.name] = str(made, "user", "id")
		}
		if tokens[p.token] == "" {
			if err := c.admin.call(ctx, "POST", "/v1/apiTokens", object{
				"name": p.token, "userId": c.users[p.name], "expireTime": end, "scopes": []string{p.scope},
			}, nil); err != nil {
				return fmt.Errorf("token of %s: %w", p.name, err)
			}
		}
		c.step(1)
	}
	return nil
}

func (c *Company) ids(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = c.users[n]
	}
	return out
}

func (c *Company) loadApps(ctx context.Context) error {
	var err error
	if c.apps, err = c.admin.named(ctx, "/v1/apps", "apps", "name"); err != nil {
		return err
	}
	for _, a := range companyApps {
		if err := c.loadApp(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		c.step(1)
	}
	c.entitlements = map[what]string{}
	for name, id := range c.apps {
		found, err := c.admin.named(ctx, "/v1/apps/"+id+"/entitlements", "entitlements", "name")
		if err != nil {
			return err
		}
		for e, id := range found {
			c.entitlements[what{name, e}] = id
		}
	}
	return c.loadBundles(ctx)
}

func (c *Company) loadBundles(ctx context.Context) error {
	found, err := c.admin.named(ctx, "/v1/bundles", "bundles", "name")
	if err != nil {
		return err
	}
	for _, b := range companyBundles {
		if found[b.name] != "" {
			continue
		}
		if err := c.admin.call(ctx, "POST", "/v1/bundles", object{"name": b.name, "description": b.description, "entitlementIds": c.things(b.things)}, nil); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

func (c *Company) loadApp(ctx context.Context, a companyApp) error {
	if c.apps[a.name] == "" {
		app := object{
			"name": a.name, "icon": a.icon, "description": a.description, "provisioning": "PROVISIONING_SUPPORT_MANUAL", "onlyByFlow": a.onlyByFlow,
			"category": a.category, "tags": a.tags, "instructions": a.instructions,
			"ownerId": c.users[a.owner], "adminIds": c.ids(a.admins), "approverIds": c.ids(a.approvers),
		}
		if a.none {
			app["provisioning"] = "PROVISIONING_SUPPORT_NONE"
		}
		for _, t := range tenants {
			if t.name != a.name {
				continue
			}
			integration, err := c.admin.integration(ctx, t.name, c.app.SCIM(t.path), c.app.Token)
			if err != nil {
				return err
			}
			app["provisioning"], app["integrationId"] = "PROVISIONING_SUPPORT_AUTOMATIC", integration
		}
		var made object
		if err := c.admin.arrived(ctx, "/v1/apps", app, &made); err != nil {
			return err
		}
		c.apps[a.name] = str(made, "app", "id")
	}
	path := "/v1/apps/" + c.apps[a.name] + "/entitlements"
	found, err := c.admin.named(ctx, path, "entitlements", "name")
	if err != nil {
		return err
	}
	for _, e := range a.entitlements {
		if found[e.name] != "" {
			continue
		}
		if err := c.admin.call(ctx, "POST", path, object{"name": e.name, "kind": e.kind, "ref": e.ref, "description": e.description, "risk": cmp.Or(companyRisks[what{a.name, e.name}], "ENTITLEMENT_RISK_UNSPECIFIED")}, nil); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

func (c *Company) things(things []what) []string {
	out := make([]string, len(things))
	for i, w := range things {
		out[i] = c.entitlements[w]
	}
	return out
}

func (c *Company) loadFlows(ctx context.Context) error {
	found, err := c.admin.named(ctx, "/v1/flows", "flows", "name")
	if err != nil {
		return err
	}
	for _, f := range companyFlows {
		if found[f.name] == "" {
			if err := c.admin.arrived(ctx, "/v1/flows", object{"flow": c.flow(f)}, nil); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		c.step(1)
	}
	return nil
}

func (c *Company) flow(f companyFlow) object {
	flow := object{"name": f.name, "trigger": "FLOW_TRIGGER_REQUEST", "priority": f.priority, "audience": object{"everyone": true}}
	if f.joiners != "" {
		flow["trigger"], flow["audience"] = "FLOW_TRIGGER_JOIN", object{"groupIds": []string{c.groups[f.joiners]}}
	}
	if f.audience != "" {
		flow["audience"] = object{"groupIds": []string{c.groups[f.audience]}}
	}
	if f.kind != "" {
		flow["kinds"] = []string{f.kind}
	}
	scope := object{}
	if len(f.apps) > 0 {
		apps := []string{}
		for _, a := range f.apps {
			apps = append(apps, c.apps[a])
		}
		scope["appIds"] = apps
	}
	if len(f.things) > 0 {
		scope["entitlementIds"] = c.things(f.things)
	}
	flow["scope"] = scope
	if f.maxDuration > 0 {
		flow["maxDuration"] = fmt.Sprintf("%ds", int(f.maxDuration.Seconds()))
	}
	flow["condition"], flow["distinctReviewers"], flow["minJustificationLength"], flow["fields"] = f.condition, f.distinct, f.justification, f.fields
	steps := []object{}
	for _, s := range f.steps {
		step := object{"name": s.name, "reviewers": s.reviewers, "need": "STEP_NEED_ANY"}
		if s.group != "" {
			step["reviewers"], step["groupIds"] = "REVIEWER_KIND_GROUPS", []string{c.groups[s.group]}
		}
		if s.count > 0 {
			step["need"], step["needCount"] = "STEP_NEED_COUNT", s.count
		}
		steps = append(steps, step)
	}
	flow["steps"], flow["autoApprove"] = steps, len(steps) == 0
	return flow
}

// knowRequests finds those that are there already.
func (c *Company) knowRequests(ctx context.Context) error {
	found, err := c.admin.all(ctx, "/v1/requests?filter="+url.QueryEscape("origin != REQUEST_ORIGIN_JOIN"), "requests")
	c.requests = map[string]any{}
	for _, r := range found {
		c.requests[str(r, "justification")] = r
	}
	return err
}

func until(lasts time.Duration) string { return time.Now().Add(lasts).UTC().Format(time.RFC3339) }

func (c *Company) loadAssignments(ctx context.Context) error {
	for _, a := range assignments {
		if c.requests[a.reason] == nil {
			body := object{"userIds": c.ids(a.to), "entitlementIds": c.things(a.things), "justification": a.reason}
			if a.lasts > 0 {
				body["until"] = until(a.lasts)
			}
			if err := c.admin.arrived(ctx, "/v1/requests:assign", body, nil); err != nil {
				return fmt.Errorf("%s: %w", a.reason, err)
			}
		}
		if a.inPlace {
			if err := c.inPlace(ctx, a.things[0].app, a.to); err != nil {
				return fmt.Errorf("%s: %w", a.reason, err)
			}
		}
		c.step(1)
	}
	return nil
}

// await looks again and again until something has followed.
func await(ctx context.Context, look func() (bool, error)) error {
	end := time.Now().Add(patience)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		ok, err := look()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return errors.New("it does not come")
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// inPlace waits until people have an account in an app.
func (c *Company) inPlace(ctx context.Context, app string, names []string) error {
	return await(ctx, func() (bool, error) {
		missing, err := c.withoutAccount(ctx, app, names)
		return len(missing) == 0, err
	})
}

// withoutAccount are the ids of those who have no account in an app yet.
func (c *Company) withoutAccount(ctx context.Context, app string, names []string) ([]string, error) {
	accounts, err := c.admin.all(ctx, "/v1/accounts?appId="+c.apps[app], "accounts")
	missing := c.ids(names)
	for _, a := range accounts {
		if str(a, "state") == "ACCOUNT_STATE_ACTIVE" {
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == str(a, "user", "userId") })
		}
	}
	return missing, err
}

// live makes a request as somebody, and has others do with it what they did.
func (c *Company) live(ctx context.Context, s story) error {
	request := c.requests[s.reason]
	if request == nil {
		by, err := c.as(ctx, s.by)
		if err != nil {
			return err
		}
		body := object{"kind": kindGrant, "entitlementIds": c.things(s.things), "justification": s.reason}
		if s.whom != "" {
			body["beneficiaryId"] = c.users[s.whom]
		}
		if s.revoke {
			body["kind"] = kindRevoke
		}
		if s.lasts > 0 {
			body["until"] = until(s.lasts)
		}
		var made object
		if err := by.arrived(ctx, "/v1/requests", body, &made); err != nil {
			return err
		}
		request = get(made, "request")
	}
	for _, a := range s.acts {
		if err := c.act(ctx, str(request, "id"), a); err != nil {
			return fmt.Errorf("%s: %w", a.by, err)
		}
	}
	return nil
}

// act does what somebody did about a request, unless it is done or somebody has done
// something else.
func (c *Company) act(ctx context.Context, request string, a act) error {
	path := "/v1/requests/" + request
	switch {
	case a.approve || a.deny != "":
		return c.decide(ctx, request, a)
	case a.resolve != "":
		return c.resolve(ctx, request, a)
	case a.failed || a.giveUp != "":
		closed := false
		err := await(ctx, func() (bool, error) {
			var got object
			err := c.admin.call(ctx, "GET", path, nil, &got)
			closed = str(got, "request", "closeTime") != ""
			return closed || slices.ContainsFunc(list(got, "request", "items"), func(i any) bool { return str(i, "state") == "ITEM_STATE_FAILED" }), err
		})
		if err != nil || closed || a.failed {
			return err
		}
	case a.say != "":
		said, err := c.admin.all(ctx, path+"/comments", "comments")
		if err != nil || slices.ContainsFunc(said, func(v any) bool { return str(v, "text") == a.say }) {
			return err
		}
	default:
		var got object
		if err := c.admin.call(ctx, "GET", path, nil, &got); err != nil || str(got, "request", "closeTime") != "" {
			return err
		}
	}
	by, err := c.as(ctx, a.by)
	if err != nil {
		return err
	}
	switch {
	case a.giveUp != "":
		return by.call(ctx, "POST", path+":giveUp", object{"reason": a.giveUp}, nil)
	case a.say != "":
		return by.call(ctx, "POST", path+"/comments", object{"text": a.say}, nil)
	}
	return by.call(ctx, "POST", path+":cancel", object{"reason": a.cancel}, nil)
}

// ask asks those who run an app, unless that was done, and has people say what they said.
func (c *Company) ask(ctx context.Context, q question) error {
	found, err := c.admin.all(ctx, "/v1/conversations", "conversations")
	if err != nil {
		return err
	}
	id := ""
	for _, v := range found {
		if str(v, "opening") == q.text {
			id = str(v, "id")
		}
	}
	if id == "" {
		by, err := c.as(ctx, q.by)
		if err != nil {
			return err
		}
		var made object
		if err := by.call(ctx, "POST", "/v1/conversations", object{"appId": c.apps[q.app], "text": q.text}, &made); err != nil {
			return err
		}
		id = str(made, "conversation", "id")
	}
	path := "/v1/conversations/" + id + "/messages"
	said, err := c.admin.all(ctx, path, "messages")
	if err != nil {
		return err
	}
	for _, l := range q.said {
		if slices.ContainsFunc(said, func(v any) bool { return str(v, "text") == l.text }) {
			continue
		}
		by, err := c.as(ctx, l.by)
		if err != nil {
			return err
		}
		if err := by.call(ctx, "POST", path, object{"text": l.text}, nil); err != nil {
			return err
		}
	}
	return nil
}

// delegate has somebody decide for who will be away, unless that was said.
func (c *Company) delegate(ctx context.Context, a absence) error {
	found, err := c.admin.all(ctx, "/v1/delegations", "delegations")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(v any) bool { return str(v, "reason") == a.reason }) {
		return nil
	}
	by, err := c.as(ctx, a.by)
	if err != nil {
		return err
	}
	from := time.Now().Add(a.in).UTC()
	return by.call(ctx, "POST", "/v1/delegations", object{
		"delegateId": c.users[a.to], "reason": a.reason, "from": from.Format(time.RFC3339), "until": from.Add(a.lasts).Format(time.RFC3339),
	}, nil)
}

// decide waits for the task of a reviewer, and decides it. A reviewer decides once about a
// request; where they have, or nothing of it waits, nothing is to be done.
func (c *Company) decide(ctx context.Context, request string, a act) error {
	var task any
	err := await(ctx, func() (bool, error) {
		for _, state := range []string{"TASK_STATE_APPROVED", "TASK_STATE_DENIED"} {
			if decided, err := c.task(ctx, request, a.by, state); decided != nil || err != nil {
				return true, err
			}
		}
		var err error
		if task, err = c.task(ctx, request, a.by, "TASK_STATE_OPEN"); task != nil || err != nil {
			return true, err
		}
		var got object
		err = c.admin.call(ctx, "GET", "/v1/requests/"+request, nil, &got)
		return !slices.ContainsFunc(list(got, "request", "items"), func(i any) bool { return str(i, "state") == "ITEM_STATE_PENDING" }), err
	})
	if err != nil || task == nil {
		return err
	}
	by, err := c.as(ctx, a.by)
	if err != nil {
		return err
	}
	path := "/v1/tasks/" + str(task, "id")
	if a.deny != "" {
		err = by.call(ctx, "POST", path+":deny", object{"reason": a.deny, "itemIds": get(task, "itemIds")}, nil)
	} else {
		err = by.call(ctx, "POST", path+":approve", object{"comment": a.say, "itemIds": get(task, "itemIds")}, nil)
	}
	if f := (failure{}); errors.As(err, &f) && strings.Contains(f.text, "TASK_ALREADY_DECIDED") {
		return nil
	}
	return err
}

// task gives a reviewer's task of a request, if there is one in this state.
func (c *Company) task(ctx context.Context, request, reviewer, state string) (any, error) {
	tasks, err := c.admin.all(ctx, "/v1/tasks?requestId="+request+"&state="+state, "tasks")
	for _, t := range tasks {
		if str(t, "reviewer", "userId") == c.users[reviewer] {
			return t, nil
		}
	}
	return nil, err
}

// resolve waits until a request has asked people for something, and says that it is done.
func (c *Company) resolve(ctx context.Context, request string, a act) error {
	return await(ctx, func() (bool, error) {
		var got object
		if err := c.admin.call(ctx, "GET", "/v1/requests/"+request, nil, &got); err != nil || str(got, "request", "closeTime") != "" {
			return true, err
		}
		items, err := c.admin.all(ctx, "/v1/workItems?state=WORK_ITEM_STATE_OPEN", "workItems")
		if err != nil {
			return false, err
		}
		var ids []string
		for _, i := range items {
			if slices.Contains(list(i, "requestIds"), any(request)) {
				ids = append(ids, str(i, "id"))
			}
		}
		return false, c.sayDone(ctx, a.by, ids, a.resolve)
	})
}

// sayDone resolves work items as somebody.
func (c *Company) sayDone(ctx context.Context, name string, items []string, note string) error {
	if len(items) == 0 {
		return nil
	}
	by, err := c.as(ctx, name)
	if err != nil {
		return err
	}
	return by.call(ctx, "POST", "/v1/checklists:resolve", object{"workItemIds": items, "note": note}, nil)
}

// work does what an app asks people for: for those to whom it was assigned, and for who
// has got it by joining, but not for those who are left.
func (c *Company) work(ctx context.Context, w chore) error {
	var names []string
	for _, a := range assignments {
		if a.things[0].app == w.app {
			names = append(names, a.to...)
		}
	}
	for _, f := range companyFlows {
		if f.joiners != "" && f.things[0].app == w.app {
			names = append(names, membersOf(f.joiners)...)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(w.left, n) || c.gone[n] })
	return await(ctx, func() (bool, error) {
		missing, err := c.withoutAccount(ctx, w.app, names)
		if err != nil {
			return false, err
		}
		items, err := c.admin.all(ctx, "/v1/workItems?state=WORK_ITEM_STATE_OPEN&appId="+c.apps[w.app], "workItems")
		if err != nil {
			return false, err
		}
		whose := c.ids(names)
		var ids []string
		for _, i := range items {
			kind := str(i, "kind")
			if slices.Contains(whose, str(i, "user", "userId")) && (kind == "WORK_ITEM_KIND_CREATE_ACCOUNT" || kind == "WORK_ITEM_KIND_ASSIGN") {
				ids = append(ids, str(i, "id"))
			}
		}
		return len(missing) == 0 && len(ids) == 0, c.sayDone(ctx, w.by, ids, w.note)
	})
}

// depart removes or suspends somebody, and does what that asks people for if there is a
// note of it.
func (c *Company) depart(ctx context.Context, name string, away bool, note string) error {
	id := c.users[name]
	if !c.gone[name] {
		var err error
		if away {
			err = c.scim.call(ctx, "PATCH", "/scim/v2/Users/"+id, object{
				"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
				"Operations": []object{{"op": "replace", "path": "active", "value": false}},
			}, nil)
		} else {
			err = c.scim.call(ctx, "DELETE", "/scim/v2/Users/"+id, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	if note == "" {
		return nil
	}
	return await(ctx, func() (bool, error) {
		var closed, open object
		kind := "/v1/checklists?kind=CHECKLIST_KIND_OFFBOARDING&userId=" + id
		if err := c.admin.call(ctx, "GET", kind+"&closed=true", nil, &closed); err != nil {
			return false, err
		}
		if err := c.admin.call(ctx, "GET", kind, nil, &open); err != nil {
			return false, err
		}
		lists := list(open, "checklists")
		if len(lists) == 0 {
			return len(list(closed, "checklists")) > 0, nil
		}
		var got object
		if err := c.admin.call(ctx, "GET", "/v1/checklists/"+str(lists[0], "id"), nil, &got); err != nil {
			return false, err
		}
		var ids []string
		for _, i := range list(got, "workItems") {
			if str(i, "state") == "WORK_ITEM_STATE_OPEN" {
				ids = append(ids, str(i, "id"))
			}
		}
		return false, c.sayDone(ctx, "nikola", ids, note)
	})
}

// session is that of somebody of the company.
type session struct {
	ready chan struct{} // closed once it is there, or err is
	as    *loader
	err   error
}

// sessions are those that the company has opened.
type sessions struct {
	mu     sync.Mutex
	people map[string]*session

	turn sync.Mutex // one signs in at a time
	free int        // how many more do so without a pause
	last time.Time
}

// as gives who calls as somebody.
func (c *Company) as(ctx context.Context, name string) (*loader, error) {
	if name == "ada" {
		return c.admin, nil
	}
	c.sessions.mu.Lock()
	s := c.sessions.people[name]
	first := s == nil
	if first {
		s = &session{ready: make(chan struct{})}
		c.sessions.people[name] = s
	}
	c.sessions.mu.Unlock()
	if first {
		s.as, s.err = c.signIn(ctx, name)
		close(s.ready)
	}
	select {
	case <-s.ready:
		return s.as, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Company) signIn(ctx context.Context, name string) (*loader, error) {
	c.sessions.turn.Lock()
	defer c.sessions.turn.Unlock()
	if c.sessions.free > 0 {
		c.sessions.free--
	} else if err := pause(ctx, time.Until(c.sessions.last.Add(signInEvery))); err != nil {
		return nil, err
	}
	c.sessions.last = time.Now()
	l := &loader{base: c.admin.base, client: http.Client{Timeout: 30 * time.Second}}
	var r object
	if err := l.call(ctx, "POST", "/v1/sessions:devSignIn", object{"userName": userName(name)}, &r); err != nil {
		return nil, err
	}
	l.token = str(r, "token")
	return l, nil
}

// end signs all out.
func (s *sessions) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var failed error
	for _, p := range s.people {
		if p.as == nil {
			continue
		}
		failed = errors.Join(failed, p.as.call(ctx, "POST", "/v1/sessions:signOut", object{}, nil))
		p.as.client.CloseIdleConnections()
	}
	return failed
}
