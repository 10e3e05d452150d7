package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"regexp"
	"strings"
	"testing"

	"gatehouse.dev/libs/eventsig"
)

// olderKeysCanGo is what a service says once nothing needs an older key.
var olderKeysCanGo = regexp.MustCompile(`older keys can go.*"what":"data keys"`)

// testChangeKeys changes keys as docs/operate.md says, one process after the other,
// while the rest runs. After each step a request for an app with an integration, whose
// secret is sealed, lives to its end: nobody finds a secret that does not open, an event
// that is not believed or a client that is not known.
func testChangeKeys(t *testing.T, c *cluster) {
	groups := []string{"one", "two", "three", "four", "five", "six", "seven"}
	w := newWorld(t, &standalone{base: c.base}, startDemoApp(t, groups))
	w.scimUser(t, "kim", "Kim Member", "")
	w.scimUser(t, "kay", "Kay Approver", "")
	kim, kay := w.as(t, "kim"), w.as(t, "kay")
	chat := w.automaticApp(t, "Chat", "kay")
	ask := func() string {
		t.Helper()
		w.allAnswer(t) // also after what was restarted
		of := w.entitlement(t, chat, groups[0], "ENTITLEMENT_KIND_GROUP", groups[0])
		groups = groups[1:]
		return w.ask(t, kim, "REQUEST_KIND_GRANT", of)
	}
	live := func(request string) {
		t.Helper()
		w.allAnswer(t)
		w.approve(t, kay, request)
		w.requestState(t, request, "REQUEST_STATE_FULFILLED")
		w.nothingParked(t)
	}
	newKey := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b) // never fails
		return base64.StdEncoding.EncodeToString(b)
	}
	sealing := []string{"identity-sync", "provisioning"}

	t.Log("the key that data keys are wrapped with")
	next := map[string]string{}
	for _, n := range sealing {
		next[n] = newKey()
		c.restart(t, n, "GATEHOUSE_ENCRYPTION_KEY="+c.installation.setting(t, n, "GATEHOUSE_ENCRYPTION_KEY")+","+next[n])
	}
	live(ask())
	for _, n := range sealing {
		c.restart(t, n, "GATEHOUSE_ENCRYPTION_KEY="+next[n]+","+c.installation.setting(t, n, "GATEHOUSE_ENCRYPTION_KEY"), "GATEHOUSE_LOG_LEVEL=info")
		until(t, n+" says that the older key can go", func() string {
			b, err := os.ReadFile(c.services[n].proc.log)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}, olderKeysCanGo.MatchString)
	}
	live(ask())
	for _, n := range sealing {
		c.restart(t, n, "GATEHOUSE_ENCRYPTION_KEY="+next[n], "GATEHOUSE_LOG_LEVEL=warn")
	}
	live(ask())

	t.Log("the key that a service signs its events with")
	signed := ask() // is approved after the change
	key := newKey()
	signer, err := eventsig.ParseSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	public := base64.StdEncoding.EncodeToString(signer.PublicKey())
	for _, n := range databaseNames {
		c.restart(t, n, "GATEHOUSE_EVENT_KEYS="+c.installation.setting(t, n, "GATEHOUSE_EVENT_KEYS")+",approval="+public)
	}
	live(signed)
	c.restart(t, "approval", "GATEHOUSE_EVENT_KEY="+key)
	live(ask())

	t.Log("the secret of a client")
	was := c.installation.setting(t, "request", "GATEHOUSE_CLIENT_SECRET")
	secret := newKey()[:43]
	clients := c.installation.setting(t, "identity-sync", "GATEHOUSE_CLIENTS")
	c.restart(t, "identity-sync", "GATEHOUSE_CLIENTS="+strings.Replace(clients, "request="+was, "request="+secret, 1))
	c.restart(t, "request", "GATEHOUSE_CLIENT_SECRET="+secret)
	live(ask())
}
