package scim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/connector/connectortest"
	"gatehouse.dev/services/provisioning/internal/connector/scim"
)

const (
	standalone = "../../../../standalone"
	secret     = "kit-secret-4711"
	engineers  = "Engineering"
)

var entitlements = []connector.Entitlement{
	{Kind: connector.Group, Ref: engineers},
	{Kind: connector.Group, Ref: "Sales & Support"},
	{Kind: connector.Role, Ref: "analyst"},
	{Kind: connector.License, Ref: "seat"},
}

// startScimmy starts an independent SCIM server, and returns where it is.
func startScimmy(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(standalone, "e2e", "scimtarget")
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "scimmy")); err != nil {
		missing(t, "its packages are not installed: run npm ci in services/standalone/e2e/scimtarget")
	}
	cmd := exec.Command(node, "scimtarget.mjs", "0", "--until-eof")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SCIM_TOKEN="+secret, "SCIM_GROUPS="+groupNames())
	return start(t, cmd)
}

// startDemoApp builds and starts the demo app, and returns where it is.
func startDemoApp(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(standalone, "internal", "demoapp")); err != nil {
		missing(t, "the demo app is not part of this tree")
	}
	binary := filepath.Join(t.TempDir(), "demoapp")
	build := exec.Command("go", "build", "-o", binary, "./internal/demoapp/cmd")
	build.Dir = standalone
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the demo app: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-groups", groupNames())
	cmd.Env = append(os.Environ(), "SCIM_TOKEN="+secret)
	return start(t, cmd)
}

func groupNames() string {
	var names []string
	for _, e := range entitlements {
		if e.Kind == connector.Group {
			names = append(names, e.Ref)
		}
	}
	return strings.Join(names, ",")
}

// missing skips on a developer's machine, and fails where everything must be there.
func missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("the server cannot be started: %s", reason)
	}
	t.Skipf("skipped, the server cannot be started: %s", reason)
}

// start runs a server that prints where it is as a line of JSON, and that ends with its standard input.
func start(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended: %v\n%s", cmd.Path, err, &problems)
		}
	})
	late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var ready struct{ URL string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		t.Fatalf("%s did not say where it is: %v\n%s", cmd.Path, err, &problems)
	}
	return ready.URL
}

func factory(url string, noManagers bool) connectortest.Factory {
	return func(t *testing.T) connectortest.App {
		faults := connectortest.NewHTTPFaults(t, url)
		connect := func(token string) func(*testing.T) connector.Connector {
			return func(t *testing.T) connector.Connector { return open(t, scim.Config{URL: faults.URL, Token: token}) }
		}
		app := direct{url: url, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
		return connectortest.App{
			Connect:      connect(secret),
			ConnectWrong: connect("wrong-" + secret),
			Faults:       faults,
			Look:         app.look,
			Make:         app.make,
			Destroy:      app.destroy,
			Entitlements: entitlements,
			Secrets:      []string{secret},
			NoManagers:   noManagers,
		}
	}
}

func open(t testing.TB, cfg scim.Config) *scim.Connector {
	t.Helper()
	cfg.Outgoing = outgoing.Loopback()
	c, err := scim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// direct reads and changes the app without the connector.
type direct struct {
	url    string
	client *http.Client
}

func (d direct) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

func (d direct) look(ctx context.Context, p connector.Person) ([]connectortest.Seen, error) {
	type values []struct{ Value string }
	var users struct {
		TotalResults int
		Resources    []struct {
			ID, UserName, ExternalID string
			Active                   bool
			Roles, Entitlements      values
			DisplayName, Title       string
			Name                     struct{ GivenName, FamilyName string }
			Emails                   values
			Enterprise               struct {
				Department string
				Manager    struct{ Value string }
			} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
		}
	}
	if err := d.do(ctx, http.MethodGet, "/Users?count=1000", nil, &users); err != nil {
		return nil, err
	}
	if len(users.Resources) != users.TotalResults {
		return nil, fmt.Errorf("%d of %d accounts", len(users.Resources), users.TotalResults)
	}
	var groups struct {
		Resources []struct {
			DisplayName string
			Members     values
		}
	}
	if err := d.do(ctx, http.MethodGet, "/Groups?count=1000", nil, &groups); err != nil {
		return nil, err
	}
	var out []connectortest.Seen
	for _, u := range users.Resources {
		if !strings.EqualFold(u.UserName, p.UserName) && u.ExternalID != p.UserID {
			continue
		}
		s := connectortest.Seen{ID: u.ID, UserName: u.UserName, Active: u.Active, Manager: u.Enterprise.Manager.Value, Profile: connector.Person{
			UserName: u.UserName, DisplayName: u.DisplayName, Title: u.Title, GivenName: u.Name.GivenName, FamilyName: u.Name.FamilyName, Department: u.Enterprise.Department,
		}}
		if len(u.Emails) > 0 {
			s.Profile.Email = u.Emails[0].Value
		}
		for _, v := range u.Roles {
			s.Holds = append(s.Holds, connector.Entitlement{Kind: connector.Role, Ref: v.Value})
		}
		for _, v := range u.Entitlements {
			s.Holds = append(s.Holds, connector.Entitlement{Kind: connector.License, Ref: v.Value})
		}
		for _, g := range groups.Resources {
			for _, m := range g.Members {
				if m.Value == u.ID {
					s.Holds = append(s.Holds, connector.Entitlement{Kind: connector.Group, Ref: g.DisplayName})
				}
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func (d direct) make(ctx context.Context, p connector.Person) (string, error) {
	var made struct{ ID string }
	err := d.do(ctx, http.MethodPost, "/Users", map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": p.UserName, "displayName": "made by hand",
	}, &made)
	return made.ID, err
}

func (d direct) destroy(ctx context.Context, id string) error {
	return d.do(ctx, http.MethodDelete, "/Users/"+id, nil, nil)
}
