package identitysync_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// Every RPC lets in whom its access option names, and refuses everybody else: people of
// each role, every client, and nobody, with tokens that identity-sync itself has given
// them. B-USR-13, in part: gRPC.
func TestEveryCaller(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{}
	for _, client := range servicetest.Clients() {
		secrets[client] = client + "-0123456789abcdef0123456789abcdef"
	}
	w := start(t, func(c *identitysync.Config) { c.Clients = secrets })
	admin := w.signUp(t)
	directory := admin.provider(t, w, "Corp directory")
	people := map[authzv1.Caller]person{}
	conn := w.nobody(t).conn
	tokens := identityv1.NewTokenServiceClient(conn)
	servicetest.CheckRights(t, conn, "identity-sync", func(role authzv1.Caller, client, audience string) string {
		if role == authzv1.Caller_CALLER_SERVICE {
			r, err := tokens.ExchangeClientSecret(t.Context(), &identityv1.ExchangeClientSecretRequest{ClientId: client, ClientSecret: secrets[client], Audience: audience})
			if err != nil {
				t.Fatal(err)
			}
			return r.GetAccessToken()
		}
		if people[role].secret == "" {
			name := authz.RoleName(role)
			r := identityv1.Role(identityv1.Role_value["ROLE_"+strings.ToUpper(name)])
			if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: directory.create(t, name), Role: r}); err != nil {
				t.Fatal(err)
			}
			people[role] = w.as(t, name+"@corp.example")
		}
		r, err := tokens.ExchangeToken(t.Context(), &identityv1.ExchangeTokenRequest{Token: people[role].secret, Audiences: []string{audience}})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetAccessToken()
	})
}
