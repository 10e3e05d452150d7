package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse.dev/libs/disktest"
)

// readyz is what the gateway says, to those who run it, of what it stands on: the
// status code, one word, and what does not work. Others are told the word alone.
func (s *standalone) readyz(t testing.TB) (code int, status string, failing map[string]string) {
	t.Helper()
	if outer, err := (api{base: s.base}).do(t.Context(), "GET", "/readyz", nil); err != nil || len(outer.JSON) != 1 || str(outer.JSON, "status") == "" {
		t.Errorf("the outer /readyz: %v %s", err, outer.Raw)
	}
	r, err := api{base: strings.TrimSuffix(s.metrics(t, "gateway"), "/metrics")}.do(t.Context(), "GET", "/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	failing = map[string]string{}
	for _, p := range list(r.JSON, "parts") {
		if str(p, "state") != "working" {
			failing[str(p, "name")] = str(p, "reason")
		}
		if str(p, "since") == "" {
			t.Errorf("%s is so since nobody knows when", str(p, "name"))
		}
	}
	return r.Code, str(r.JSON, "status"), failing
}

// awaitReady waits until all works.
func (s *standalone) awaitReady(t testing.TB) {
	t.Helper()
	until(t, "all is ready", func() string {
		code, status, failing := s.readyz(t)
		return fmt.Sprint(code, " ", status, failing)
	}, func(got string) bool { return got == "200 readymap[]" })
}

// TestDatabaseThatDies kills the private PostgreSQL and keeps it from starting
// for a while: /readyz says so meanwhile, and it comes back without a restart.
//
// B-RUN-03 in part: the database of the one-process form.
func TestDatabaseThatDies(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	s := startStandalone(t)
	s.awaitReady(t)
	data := filepath.Join(s.data, "postgres", "data")
	settings := filepath.Join(data, "postgresql.auto.conf")
	before, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var pid int
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(b), &pid); err != nil || pid <= 1 {
		t.Fatalf("process of PostgreSQL: %d, %v", pid, err)
	}
	sendSignal(t, pid, syscall.SIGKILL)

	until(t, "/readyz names the database", func() string {
		code, status, failing := s.readyz(t)
		return fmt.Sprint(code, " ", status, " ", failing["identity-sync"], "; ", failing["servers"])
	}, func(got string) bool {
		return strings.HasPrefix(got, "503 not ready it is not ready; does not work in it: ") && strings.Contains(got, "database") && strings.Contains(got, "PostgreSQL")
	})
	if r, err := (api{base: s.base}).do(t.Context(), "GET", "/healthz", nil); err != nil || r.Code != http.StatusOK {
		t.Errorf("/healthz: %d %v", r.Code, err)
	}
	if up := s.metric(t, "request", `gatehouse_part_up{part="database",service="request"}`); up != "0" {
		t.Errorf("the metric of the database is %q", up)
	}

	if err := os.WriteFile(settings, before, 0o600); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t)
	newWorld(t, s, nil)
}

// TestFullDisk fills the disk of the one-process form while people work: they
// are told to try again, /readyz says what does not work, and once there is
// space again all goes on without a restart.
//
// B-RUN-03 in part: a full disk.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	disk := disktest.Small(t, "400m")
	s := runStandalone(t, program(t, "gatehouse.dev/services/standalone/cmd"), filepath.Join(disk, "data"))
	w := newWorld(t, s, nil)
	s.awaitReady(t)
	free := disktest.Fill(t, disk)

	// Work goes on until something is full. Each call is taken, or is to be
	// tried again.
	n := 0
	push := func() {
		n++
		r, err := w.scim.do(t.Context(), "POST", "/scim/v2/Users", object{
			"schemas": []string{scimUser}, "userName": fmt.Sprintf("p%d@corp.example", n), "displayName": strings.Repeat("P", 200),
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Code != http.StatusCreated && r.Code != http.StatusServiceUnavailable {
			t.Errorf("person %d: %d %s", n, r.Code, r.Raw)
		}
	}
	until(t, "/readyz names what is full", func() string {
		push()
		code, status, failing := s.readyz(t)
		return fmt.Sprint(code, " ", status, " ", failing)
	}, func(got string) bool {
		return strings.Contains(got, "NATS") || strings.Contains(got, "database") || strings.Contains(got, "relay")
	})
	for range 20 {
		push()
	}
	_, status, failing := s.readyz(t)
	t.Logf("with a full disk, after %d people: %s %v", n, status, failing)

	free()
	s.awaitReady(t)
	// What happens now is published, and so is heard by others.
	w.scimUser(t, "late", "Lea Late", "")
	until(t, "the catalog knows of a new person", func() reply {
		r, err := w.admin.do(t.Context(), "POST", "/v1/apps", object{
			"name": "Wiki", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "approverIds": []string{w.id(t, "late")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, func(r reply) bool { return r.Code == http.StatusOK })
	w.nothingParked(t)
}

// metrics is the address of the metrics of a service.
func (s *standalone) metrics(t testing.TB, service string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.data, "runtime.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Metrics map[string]string }
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r.Metrics[service]
}

// metric is the value of a metric of a service, as Prometheus writes it.
func (s *standalone) metric(t testing.TB, service, name string) string {
	t.Helper()
	got, err := api{base: s.metrics(t, service)}.do(t.Context(), "GET", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(got.Raw)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
