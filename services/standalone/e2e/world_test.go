package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

func newUUID() string { return uuid.NewString() }

// programs are the commands of this module that were built so far. Tests share
// them, since linking one takes longer than most of what is done with it.
var programs struct {
	mu    sync.Mutex
	dir   string // made and removed by TestMain
	built map[string]func() (string, error)
}

// program gives the path of a command of this module, built.
func program(t testing.TB, pkg string) string {
	t.Helper()
	programs.mu.Lock()
	build, ok := programs.built[pkg]
	if !ok {
		out := filepath.Join(programs.dir, strings.ReplaceAll(strings.TrimPrefix(pkg, "gatehouse.dev/services/"), "/", "-"))
		build = sync.OnceValues(func() (string, error) {
			// Not of the test that happens to come first: others wait for it.
			cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "build", "-o", out, pkg)
			if b, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("%w\n%s", err, b)
			}
			return out, nil
		})
		if programs.built == nil {
			programs.built = map[string]func() (string, error){}
		}
		programs.built[pkg] = build
	}
	programs.mu.Unlock()
	out, err := build()
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	return out
}

// process is a program that runs until the test ends.
type process struct {
	cmd *exec.Cmd
	log string
	// killed processes are not expected to have the last word.
	killed bool
}

// start runs a program as a process of its own. What it says goes to a file
// that is shown if the test fails.
func start(t testing.TB, bin string, env ...string) *process {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(bin) //nolint:noctx // ended by the cleanup, in the order that servers need
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	// Ends with this process, which a program may go by.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatalf("start %s: %v", bin, err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", bin, err)
	}
	p := &process{cmd: cmd, log: log}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() && !p.killed {
			b, _ := os.ReadFile(log)
			t.Logf("log of %s:\n%s", bin, tail(b, 8000))
		}
	})
	return p
}

// stop asks the program to end and waits for it.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	killer := time.AfterFunc(patience, func() {
		t.Errorf("%s did not end within %s of SIGTERM", p.cmd.Path, patience)
		_ = p.cmd.Process.Kill()
	})
	_ = p.cmd.Wait()
	killer.Stop()
}

func tail(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// standalone is a running Gatehouse, every service in one process.
type standalone struct {
	*process
	base string // of the gateway
	data string // data directory
}

// startStandalone runs Gatehouse from nothing, without the demo organization.
func startStandalone(t testing.TB, env ...string) *standalone {
	t.Helper()
	data := dataDir(t)
	copyFresh(t, data)
	return runStandalone(t, program(t, "gatehouse.dev/services/standalone/cmd"), data, env...)
}

// fresh is the data directory of a Gatehouse that has started once: with its databases,
// and nothing in them. To copy it takes a tenth of the work of making one.
var fresh struct {
	once sync.Once
	dir  string
}

// copyFresh makes data a copy of the fresh directory.
func copyFresh(t testing.TB, data string) {
	t.Helper()
	fresh.once.Do(func() {
		bin := program(t, "gatehouse.dev/services/standalone/cmd")
		dir := filepath.Join(programs.dir, "fresh")
		runStandalone(t, bin, dir).stop(t)
		fresh.dir = dir
	})
	if fresh.dir == "" {
		t.Fatal("a fresh data directory could not be made")
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", fresh.dir, data).CombinedOutput(); err != nil {
		t.Fatalf("copy data directory: %v: %s", err, out)
	}
}

// runStandalone runs Gatehouse on a data directory and waits until it is ready.
func runStandalone(t testing.TB, bin, data string, env ...string) *standalone {
	t.Helper()
	_ = os.Remove(filepath.Join(data, "runtime.json"))
	env = append([]string{"GATEHOUSE_HTTP_ADDR=127.0.0.1:0", "GATEHOUSE_DATA_DIR=" + data, "GATEHOUSE_DEMO=false", "GATEHOUSE_OUTGOING_ALLOW=127.0.0.0/8", "GATEHOUSE_RATE_LIMITS=false"}, env...)
	s := &standalone{process: start(t, bin, env...), data: data}
	s.base = until(t, "address of "+bin, func() string {
		b, err := os.ReadFile(filepath.Join(data, "runtime.json"))
		if err != nil {
			return ""
		}
		var r struct {
			URL string `json:"url"`
		}
		_ = json.Unmarshal(b, &r)
		return r.URL
	}, func(u string) bool { return u != "" })
	waitReady(t, s.base)
	return s
}

func waitReady(t testing.TB, base string) {
	t.Helper()
	until(t, "readiness of "+base, func() int {
		r, err := api{base: base}.do(t.Context(), "GET", "/readyz", nil)
		if err != nil {
			return 0
		}
		return r.Code
	}, func(code int) bool { return code == http.StatusOK })
}

// scimTarget is a real SCIM server of somebody else's making.
type scimTarget struct {
	url, token string
	direct     string // where the test itself calls it, if that is not url
}

// startScimTarget runs the SCIM server of scimtarget/ with the group
// "engineers".
func startScimTarget(t testing.TB, env ...string) *scimTarget {
	t.Helper()
	s := &scimTarget{token: "e2e-" + newUUID()}
	s.url = startNode(t, "scimtarget", append([]string{"SCIM_TOKEN=" + s.token, "SCIM_GROUPS=engineers"}, env...)...)
	return s
}

// startNode runs the server in a folder of this one, which is written for node, until
// the test ends, and gives its address.
func startNode(t testing.TB, name string, env ...string) string {
	t.Helper()
	dir, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		install(t, dir)
	}
	cmd := exec.CommandContext(t.Context(), "node", name+".mjs", "0", "--until-eof")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		missing(t, "node cannot be started: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, tail(log.Bytes(), 4000))
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said nothing: %v", name, err)
	}
	var said struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.URL == "" {
		t.Fatalf("%s said %q", name, line)
	}
	return said.URL
}

// install gets a server's packages. Where that cannot be done on
// somebody's machine the test is skipped, saying so; in CI it fails.
func install(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm ci in %s: %v: %s", dir, err, b)
	}
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("needed in CI: "+format, args...)
	}
	t.Skipf("not on this machine: "+format, args...)
}

func (s *scimTarget) list(t testing.TB, path string) []object {
	t.Helper()
	a, prefix := s.api()
	r, err := a.do(context.WithoutCancel(t.Context()), "GET", prefix+path, nil)
	if err != nil || r.Code != http.StatusOK {
		t.Fatalf("SCIM target: GET %s: %v %d %s", path, err, r.Code, r.Raw)
	}
	out := []object{}
	for _, v := range list(r.JSON, "Resources") {
		out = append(out, v.(object))
	}
	return out
}

// users gives the accounts with a user name; there should never be two.
func (s *scimTarget) users(t testing.TB, userName string) []object {
	t.Helper()
	return s.list(t, "/Users?filter="+url.QueryEscape(`userName eq "`+userName+`"`))
}

// api calls the target, below a prefix.
func (s *scimTarget) api() (a api, prefix string) {
	base, rest, _ := strings.Cut(cmp.Or(s.direct, s.url), "/scim")
	return api{base: base, token: s.token}, "/scim" + rest
}

// addGroup makes a group there.
func (s *scimTarget) addGroup(t testing.TB, name string) {
	t.Helper()
	a, prefix := s.api()
	a.must(t, "POST", prefix+"/Groups", object{"schemas": []string{scimGroup}, "displayName": name})
}

// member says whether a user is in a group, as the group says.
func (s *scimTarget) member(t testing.TB, group, userName string) bool {
	t.Helper()
	us := s.users(t, userName)
	gs := s.list(t, "/Groups?filter="+url.QueryEscape(`displayName eq "`+group+`"`))
	if len(us) == 0 || len(gs) == 0 {
		return false
	}
	return slices.Contains(column(list(gs[0], "members"), "value"), str(us[0], "id"))
}

// world is an organization on a running Gatehouse, seen from outside.
type world struct {
	gh     *standalone
	target *scimTarget
	admin  api    // the first admin
	scim   api    // the identity provider
	name   string // by which people find where to sign in
}

// newWorld signs up an organization with an admin and makes its SCIM source.
func newWorld(t testing.TB, gh *standalone, target *scimTarget) *world {
	t.Helper()
	client := api{base: gh.base}
	signUp := client.must(t, "POST", "/v1/organizations:signUp", object{
		"organizationName": "Corp", "email": "root-" + newUUID() + "@corp.example", "displayName": "Rob Root",
	})
	w := &world{gh: gh, target: target, admin: api{base: gh.base, token: str(signUp, "token")}, name: str(signUp, "organization", "signInName")}
	source := w.admin.must(t, "POST", "/v1/sources", object{"name": "Corp directory", "kind": "SOURCE_KIND_SCIM"})
	w.scim = api{base: gh.base, token: str(source, "token")}
	return w
}

const (
	scimUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	scimEnt   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	scimPatch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// scimUser pushes a person as an identity provider does.
func (w *world) scimUser(t testing.TB, name, display, manager string) object {
	t.Helper()
	given, family, _ := strings.Cut(display, " ")
	u := object{
		"schemas": []string{scimUser, scimEnt}, "userName": name + "@corp.example", "externalId": "ext-" + name, "active": true,
		"displayName": display, "name": object{"givenName": given, "familyName": family},
		"emails": []object{{"value": name + "@corp.example", "type": "work", "primary": true}},
	}
	if manager != "" {
		u[scimEnt] = object{"manager": object{"value": manager}}
	}
	return w.scim.must(t, "POST", "/scim/v2/Users", u)
}

func (w *world) scimGroup(t testing.TB, name string, members ...object) object {
	t.Helper()
	ms := []object{}
	for _, m := range members {
		ms = append(ms, object{"value": str(m, "id")})
	}
	return w.scim.must(t, "POST", "/scim/v2/Groups", object{"schemas": []string{scimGroup}, "displayName": name, "members": ms})
}

func (w *world) scimJoin(t testing.TB, group, user object) {
	t.Helper()
	w.scim.must(t, "PATCH", "/scim/v2/Groups/"+str(group, "id"), object{
		"schemas":    []string{scimPatch},
		"Operations": []object{{"op": "add", "path": "members", "value": []object{{"value": str(user, "id")}}}},
	})
}

// user gives a person of the directory by the first part of the user name.
func (w *world) user(t testing.TB, name string) any {
	t.Helper()
	users := until(t, "user "+name, func() []any {
		return list(w.admin.must(t, "GET", "/v1/users?query="+name+"@corp.example", nil), "users")
	}, func(l []any) bool { return len(l) == 1 })
	return users[0]
}

func (w *world) id(t testing.TB, name string) string {
	t.Helper()
	return str(w.user(t, name), "id")
}

// as signs in as a person.
func (w *world) as(t testing.TB, name string) api {
	t.Helper()
	s := api{base: w.gh.base}.must(t, "POST", "/v1/sessions:devSignIn", object{"userName": name + "@corp.example", "organization": w.name})
	return api{base: w.gh.base, token: str(s, "token")}
}

// app is an app in the catalog with its entitlement "account".
type app struct{ id, account string }

// app puts an app into the catalog.
func (w *world) app(t testing.TB, fields object) app {
	t.Helper()
	made := w.admin.must(t, "POST", "/v1/apps", fields)
	return app{id: str(made, "app", "id"), account: str(made, "account", "id")}
}

// automaticApp puts an app into the catalog that the SCIM target stands for.
func (w *world) automaticApp(t testing.TB, name, approver string) app {
	t.Helper()
	i := w.admin.must(t, "POST", "/v1/integrations", object{
		"name": name, "kind": "INTEGRATION_KIND_SCIM", "scim": object{"baseUrl": w.target.url, "token": w.target.token},
	})
	if got := str(i, "integration", "state"); got != "INTEGRATION_STATE_WORKING" {
		t.Fatalf("integration: %s: %s", got, str(i, "integration", "stateDetail"))
	}
	return w.app(t, object{
		"name": name, "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": str(i, "integration", "id"),
		"approverIds": []string{w.id(t, approver)},
	})
}

func (w *world) entitlement(t testing.TB, a app, name, kind, ref string) string {
	t.Helper()
	e := w.admin.must(t, "POST", "/v1/apps/"+a.id+"/entitlements", object{"name": name, "kind": kind, "ref": ref, "description": "What " + name + " may do"})
	return str(e, "entitlement", "id")
}

// joinFlow gives entitlements to everyone in a group, approved by itself.
func (w *world) joinFlow(t testing.TB, name, group string, entitlements ...string) (id string) {
	t.Helper()
	return str(w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": name, "trigger": "FLOW_TRIGGER_JOIN", "audience": object{"groupIds": []string{group}},
		"scope": object{"entitlementIds": entitlements}, "autoApprove": true,
	}}), "flow", "id")
}

// requestFlow has an entitlement approved by one of each kind of reviewer, in
// order.
func (w *world) requestFlow(t testing.TB, name, entitlement string, reviewers ...string) {
	t.Helper()
	steps := []object{}
	for _, r := range reviewers {
		steps = append(steps, object{"name": r, "reviewers": r, "need": "STEP_NEED_ANY"})
	}
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": name, "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true},
		"scope": object{"entitlementIds": []string{entitlement}}, "steps": steps,
	}})
}

// ask makes a permanent request. What has just happened elsewhere may take a
// moment to be known to the catalog, which then refuses in so many words.
func (w *world) ask(t testing.TB, who api, kind, entitlement string) string {
	t.Helper()
	body := object{"requestId": newUUID(), "kind": kind, "entitlementIds": []string{entitlement}, "justification": "for the story"}
	r := until(t, "request taken", func() reply {
		r, err := who.do(t.Context(), "POST", "/v1/requests", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, func(r reply) bool {
		return r.Code != http.StatusBadRequest || !strings.Contains(string(r.Raw), "ALREADY_HELD") && !strings.Contains(string(r.Raw), "NOTHING_TO_REVOKE")
	})
	if r.Code != http.StatusOK {
		t.Fatalf("request: %d %s", r.Code, r.Raw)
	}
	return str(r.JSON, "request", "id")
}

// task gives the id of a reviewer's open task on a request.
func (w *world) task(t testing.TB, reviewer api, request string) string {
	t.Helper()
	return str(w.asked(t, reviewer, request), "id")
}

// asked gives a reviewer's open task on a request.
func (w *world) asked(t testing.TB, reviewer api, request string) any {
	t.Helper()
	find := func() any {
		for _, task := range list(reviewer.must(t, "GET", "/v1/tasks?pageSize=1000", nil), "tasks") {
			if str(task, "requestId") == request {
				return task
			}
		}
		return nil
	}
	return until(t, "task on request "+request, find, func(task any) bool { return task != nil })
}

// approve approves all that a reviewer's open task on a request is about.
func (w *world) approve(t testing.TB, reviewer api, request string) {
	t.Helper()
	task := w.asked(t, reviewer, request)
	reviewer.must(t, "POST", "/v1/tasks/"+str(task, "id")+":approve", object{"itemIds": list(task, "itemIds")})
}

// requestState waits until a request stands where it should.
func (w *world) requestState(t testing.TB, request, state string) any {
	t.Helper()
	return until(t, "request in "+state, func() any {
		return get(w.admin.must(t, "GET", "/v1/requests/"+request, nil), "request")
	}, func(r any) bool { return str(r, "state") == state })
}

// grants gives a person's grants; the id stays valid after they have left.
func (w *world) grants(t testing.TB, name string) []any {
	t.Helper()
	users := list(w.admin.must(t, "GET", "/v1/users?query="+name+"@corp.example", nil), "users")
	if len(users) == 0 {
		users = list(w.admin.must(t, "GET", "/v1/users?state=USER_STATE_REMOVED&query="+name+"@corp.example", nil), "users")
	}
	if len(users) != 1 {
		t.Fatalf("people named %s: %s", name, brief(users))
	}
	return list(w.admin.must(t, "GET", "/v1/grants?pageSize=1000&userId="+str(users[0], "id"), nil), "grants")
}

func (w *world) grantOf(t testing.TB, request string) any {
	t.Helper()
	return get(w.admin.must(t, "GET", "/v1/grants?requestId="+request, nil), "grants", 0)
}

// checklist gives a person's open checklist of a kind, or nil.
func (w *world) checklist(t testing.TB, kind, name string) any {
	t.Helper()
	for _, c := range list(w.admin.must(t, "GET", "/v1/checklists?pageSize=1000&kind="+kind, nil), "checklists") {
		if str(c, "user", "email") == name+"@corp.example" {
			return c
		}
	}
	return nil
}

// trail waits until a request's report tells these events in this order, other
// events between them allowed.
func (w *world) trail(t testing.TB, request string, events ...string) {
	t.Helper()
	until(t, "trail of "+request+" with "+strings.Join(events, ", "), func() []string {
		r, err := w.admin.do(t.Context(), "GET", "/v1/requests/"+request+"/report?format=json", nil)
		if err != nil {
			t.Fatal(err)
		}
		var entries []any
		_ = json.Unmarshal(r.Raw, &entries)
		return column(entries, "event")
	}, func(got []string) bool {
		want := events
		for _, e := range got {
			if len(want) > 0 && e == want[0] {
				want = want[1:]
			}
		}
		return len(want) == 0
	})
}

func (w *world) nothingParked(t testing.TB) {
	t.Helper()
	if got := list(w.admin.must(t, "GET", "/v1/parkedEvents", nil), "parkedEvents"); len(got) != 0 {
		t.Errorf("parked events: %s", brief(got))
	}
}

// organization is the id of the organization.
func (w *world) organization(t testing.TB) string {
	t.Helper()
	return str(w.admin.must(t, "GET", "/v1/organization", nil), "organization", "id")
}
