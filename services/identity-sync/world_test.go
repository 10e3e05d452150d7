package identitysync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
	"gatehouse.dev/services/identity-sync/migrations"
)

// world is a running identity-sync and everybody who calls it.
type world struct {
	*servicetest.Harness
	// clock is the service's.
	clock *clock.Manual
	key   []byte
	older [][]byte
}

// start runs identity-sync, open to everybody unless changed.
func start(t testing.TB, change ...func(*identitysync.Config)) *world {
	t.Helper()
	w := &world{clock: clock.NewManual(clock.System{}.Now()), key: secretbox.NewKey()}
	w.Harness = servicetest.StartWith(t, migrations.FS, migrations.Included(), func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		cfg.Clock = w.clock
		c := identitysync.Config{Config: cfg, EncryptionKey: w.key, OlderKeys: w.older, AllowSignUp: true, DevSignIn: true}
		for _, f := range change {
			f(&c)
		}
		return identitysync.Run(ctx, c, lis, log)
	})
	return w
}

// dial calls a replica with a secret, exchanged anew for each call; without one
// if it is empty.
func dial(t testing.TB, addr, secret string) *rpc.Conn {
	t.Helper()
	cfg := rpc.DialConfig{}
	if secret != "" {
		open := dial(t, addr, "")
		cfg.Token = func(ctx context.Context) (string, error) {
			r, err := identityv1.NewTokenServiceClient(open).ExchangeToken(ctx, &identityv1.ExchangeTokenRequest{Token: secret, Audiences: []string{"identity-sync"}})
			return r.GetAccessToken(), err
		}
	}
	conn, err := rpc.Dial(addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// person is somebody who is signed in.
type person struct {
	secret        string
	user          *identityv1.User
	organization  *identityv1.Organization
	conn          *rpc.Conn
	users         identityv1.UserServiceClient
	groups        identityv1.GroupServiceClient
	sources       identityv1.SourceServiceClient
	tokens        identityv1.ApiTokenServiceClient
	sessions      identityv1.SessionServiceClient
	organizations identityv1.OrganizationServiceClient
	environments  identityv1.EnvironmentServiceClient
	providers     identityv1.IdentityProviderServiceClient
	signIns       identityv1.SignInServiceClient
}

func (w *world) person(t testing.TB, secret string) person {
	t.Helper()
	return callers(person{secret: secret, conn: dial(t, w.Addr, secret)})
}

func callers(p person) person {
	p.users = identityv1.NewUserServiceClient(p.conn)
	p.groups = identityv1.NewGroupServiceClient(p.conn)
	p.sources = identityv1.NewSourceServiceClient(p.conn)
	p.tokens = identityv1.NewApiTokenServiceClient(p.conn)
	p.sessions = identityv1.NewSessionServiceClient(p.conn)
	p.environments = identityv1.NewEnvironmentServiceClient(p.conn)
	p.providers = identityv1.NewIdentityProviderServiceClient(p.conn)
	p.signIns = identityv1.NewSignInServiceClient(p.conn)
	p.organizations = identityv1.NewOrganizationServiceClient(p.conn)
	return p
}

// heldToken calls with one signed token, again and again.
func (w *world) heldToken(t testing.TB, token string) person {
	t.Helper()
	conn, err := rpc.Dial(w.Addr, rpc.DialConfig{Token: func(context.Context) (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return callers(person{conn: conn})
}

// nobody calls without a token.
func (w *world) nobody(t testing.TB) person { return w.person(t, "") }

// signUp makes an organization and returns its first admin.
func (w *world) signUp(t testing.TB) person {
	t.Helper()
	email := "root-" + uuid.NewString()[:8] + "@corp.example"
	r, err := w.nobody(t).organizations.SignUp(t.Context(), &identityv1.SignUpRequest{
		OrganizationName: "Corp", Email: email, DisplayName: "Rob Root",
	})
	if err != nil {
		t.Fatal(err)
	}
	p := w.person(t, r.GetToken())
	p.user, p.organization = r.GetUser(), r.GetOrganization()
	return p
}

// as signs somebody in.
func (w *world) as(t testing.TB, userName string) person {
	t.Helper()
	r, err := w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: userName})
	if err != nil {
		t.Fatal(err)
	}
	p := w.person(t, r.GetToken())
	p.user = r.GetUser()
	return p
}

// exchange exchanges a secret for a signed token.
func (w *world) exchange(t testing.TB, secret string) (*identityv1.ExchangeTokenResponse, error) {
	t.Helper()
	return identityv1.NewTokenServiceClient(dial(t, w.Addr, "")).ExchangeToken(t.Context(), &identityv1.ExchangeTokenRequest{Token: secret, Audiences: []string{"identity-sync"}})
}

// caller is whom a signed token names, verified with the published keys.
func (w *world) caller(t testing.TB, signed string) authz.Caller {
	t.Helper()
	v := &authz.Verifier{Audience: "identity-sync", Keys: authz.KeysFrom(dial(t, w.Addr, "")), Clock: w.clock}
	c, err := v.Verify(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// apiToken makes an API token.
func (p person) apiToken(t testing.TB, w *world, readOnly bool) *identityv1.CreateApiTokenResponse {
	t.Helper()
	r, err := p.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
		Name: "nightly export", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)), ReadOnly: readOnly,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// find returns a user of the directory as an admin sees them.
func (p person) find(t testing.TB, id string) *identityv1.User {
	t.Helper()
	r, err := p.users.GetUser(t.Context(), &identityv1.GetUserRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetUser()
}

// object is a JSON object.
type object = map[string]any

// provider is an identity provider that pushes to a source.
type provider struct {
	source *identityv1.Source
	base   string
	token  string
}

// provider makes a source and returns who pushes to it.
func (p person) provider(t testing.TB, w *world, name string) *provider {
	t.Helper()
	r, err := p.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: name, Kind: identityv1.SourceKind_SOURCE_KIND_SCIM})
	if err != nil {
		t.Fatal(err)
	}
	return &provider{source: r.GetSource(), base: "http://" + w.HTTPAddr + "/scim/v2", token: r.GetToken()}
}

// reply is what came back.
type reply struct {
	code   int
	header http.Header
	body   object
}

func (p *provider) do(t testing.TB, method, path string, body any, header ...string) reply {
	t.Helper()
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.base+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return send(t, req)
}

func send(t testing.TB, req *http.Request) reply {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{code: resp.StatusCode, header: resp.Header}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &r.body); err != nil {
			t.Fatalf("%s %s: %d %q", req.Method, req.URL, resp.StatusCode, b)
		}
	}
	return r
}

// must is do that has to be answered with code.
func (p *provider) must(t testing.TB, code int, method, path string, body any, header ...string) object {
	t.Helper()
	r := p.do(t, method, path, body, header...)
	if r.code != code {
		t.Fatalf("%s %s: %d, want %d: %v", method, path, r.code, code, r.body)
	}
	return r.body
}

const (
	schemaUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	schemaPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// describe is a person as an identity provider sends them, changed by pairs of
// names and values; a nil value leaves the name out.
func describe(name string, change ...any) object {
	u := object{
		"schemas": []string{schemaUser, schemaEnterprise}, "userName": name + "@corp.example", "externalId": "ext-" + name, "active": true,
		"displayName": strings.ToUpper(name[:1]) + name[1:] + " Example",
		"name":        object{"givenName": strings.ToUpper(name[:1]) + name[1:], "familyName": "Example"},
		"title":       "Engineer",
		"emails":      []object{{"value": name + "@corp.example", "type": "work", "primary": true}},
	}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == nil {
			delete(u, change[i].(string))
			continue
		}
		u[change[i].(string)] = change[i+1]
	}
	return u
}

// manager is the enterprise extension with a department and a manager.
func manager(ref string) object {
	return object{"department": "Engines", "manager": object{"value": ref}}
}

// create pushes a person and returns the id.
func (p *provider) create(t testing.TB, name string, change ...any) string {
	t.Helper()
	id, _ := p.must(t, http.StatusCreated, "POST", "/Users", describe(name, change...))["id"].(string)
	return id
}

// createGroup pushes a group and returns the id.
func (p *provider) createGroup(t testing.TB, name string, members ...string) string {
	t.Helper()
	id, _ := p.must(t, http.StatusCreated, "POST", "/Groups", object{
		"schemas": []string{schemaGroup}, "displayName": name, "members": values(members...),
	})["id"].(string)
	return id
}

func values(ids ...string) []object {
	out := []object{}
	for _, id := range ids {
		out = append(out, object{"value": id})
	}
	return out
}

// patch is a PATCH body of one operation.
func patch(op, path string, value any) object {
	o := object{"op": op}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return object{"schemas": []string{schemaPatch}, "Operations": []object{o}}
}

// withToken calls with a signed token that is at hand.
func withToken(t testing.TB, signed string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+signed)
}

// inAnHour is a time for a token to end.
func (w *world) inAnHour() *timestamppb.Timestamp {
	return timestamppb.New(w.clock.Now().Add(time.Hour))
}

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }
