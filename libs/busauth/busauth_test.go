package busauth_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
)

// Every event has a service that may say it, and that service alone may; each may say
// what every service says of itself.
func TestEveryEventHasOneSayer(t *testing.T) {
	t.Parallel()
	services := []string{"identity-sync", "request", "approval", "provisioning", "audit"}
	for _, typ := range event.Types() {
		var may []string
		for _, n := range services {
			if slices.Contains(busauth.Service(n, "").Publish, typ.Filter()) {
				may = append(may, n)
			}
		}
		want := []string{typ.Service}
		if typ.Service == event.EveryService {
			want = services
		}
		if !slices.Equal(may, want) {
			t.Errorf("%s is said by %v", typ, may)
		}
	}
}

// A NATS server reads the configuration as it is meant.
func TestConfig(t *testing.T) {
	t.Parallel()
	users := []busauth.User{busauth.Service("audit", `pass"word\`), busauth.Subscriber("siem", "p", id.New())}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(busauth.Config(users)), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Users) != len(users) {
		t.Fatalf("%d users", len(o.Users))
	}
	for _, u := range users {
		i := slices.IndexFunc(o.Users, func(got *server.User) bool { return got.Username == u.Name })
		if i < 0 || o.Users[i].Password != u.Password {
			t.Fatalf("%s is not as it should be", u.Name)
		}
		p := o.Users[i].Permissions
		if !slices.Equal(p.Publish.Allow, u.Publish) || !slices.Equal(p.Subscribe.Allow, u.Subscribe) {
			t.Errorf("%s may %v", u.Name, p)
		}
	}
}

func TestParseSubscribers(t *testing.T) {
	t.Parallel()
	org, password := id.New().String(), strings.Repeat("p", 16)
	got, err := busauth.ParseSubscribers(" siem="+org+":"+password+":more,other_1="+org+":"+password, "audit")
	if err != nil || len(got) != 2 || got[0].Name != "siem" || got[0].Password != password+":more" || got[1].Name != "other_1" {
		t.Errorf("%v %v", got, err)
	}
	if got, err := busauth.ParseSubscribers(""); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{
		"siem", "siem=" + org, "=" + org + ":" + password, "s.m=" + org + ":" + password, "s>=" + org + ":" + password,
		"siem=acme:" + password, "siem=" + org + ":short", "audit=" + org + ":" + password,
		busauth.JSONConsumer + "=" + org + ":" + password,
		"siem=00000000-0000-0000-0000-000000000000:" + password,
		"siem=" + org + ":" + password + ",siem=" + org + ":" + password,
	} {
		if got, err := busauth.ParseSubscribers(bad, "audit"); err == nil {
			t.Errorf("%s: %v", bad, got)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error shows the password", bad)
		}
	}
}
