package identitysync_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/ratelimit"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// All sources of an organization together are held to a limit, and so are all its API
// tokens and sessions that are exchanged; another organization has its own.
func TestLimitsOfOrganization(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *identitysync.Config) {
		// One a minute, which the test's clock does not reach.
		c.Limits = &ratelimit.Limits{
			OrganizationSCIM:   ratelimit.Limit{PerSecond: 1. / 60, Burst: 3},
			OrganizationTokens: ratelimit.Limit{PerSecond: 1. / 60, Burst: 8},
		}
	})
	exchange := func(token string) error {
		_, err := identityv1.NewTokenServiceClient(w.nobody(t).conn).ExchangeToken(t.Context(), &identityv1.ExchangeTokenRequest{Token: token, Audiences: []string{"request"}})
		return err
	}
	one, two := w.signUp(t), w.signUp(t)
	first, second, others := one.provider(t, w, "First"), one.provider(t, w, "Second"), two.provider(t, w, "Others") // exchanges three and three tokens at most
	token, err := one.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "ci", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}

	for i, p := range []*provider{first, second, first} {
		if r := p.do(t, http.MethodGet, "/Users", nil); r.code != http.StatusOK {
			t.Errorf("call %d: %d %v", i+1, r.code, r.body)
		}
	}
	r := second.do(t, http.MethodGet, "/Users", nil)
	if r.code != http.StatusTooManyRequests || r.header.Get("Retry-After") != "60" || r.header.Get("RateLimit-Policy") != `"SCIM of an organization";q=3;w=180` ||
		!strings.HasPrefix(r.header.Get("RateLimit"), `"SCIM of an organization";r=0;`) || r.body["status"] != "429" {
		t.Errorf("one too many: %d %v %v", r.code, r.header, r.body)
	}
	if r := others.do(t, http.MethodGet, "/Users", nil); r.code != http.StatusOK {
		t.Errorf("another organization: %d %v", r.code, r.body)
	}
	w.clock.Advance(time.Minute)
	if r := second.do(t, http.MethodGet, "/Users", nil); r.code != http.StatusOK {
		t.Errorf("a minute later: %d %v", r.code, r.body)
	}

	// A token that is not good uses up nothing of anybody's.
	refused(t, exchange("ghp_"+strings.Repeat("x", 43)), codes.Unauthenticated, "TOKEN_INVALID")
	taken := 0
	for err = exchange(token.GetToken()); err == nil && taken < 100; err = exchange(token.GetToken()) {
		taken++
	}
	refused(t, err, codes.ResourceExhausted, ratelimit.Reason)
	refused(t, exchange(one.secret), codes.ResourceExhausted, ratelimit.Reason)
	if err := exchange(two.secret); err != nil {
		t.Errorf("another organization: %v", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {token.GetApiToken().GetId()}, "client_secret": {token.GetToken()}, "audience": {"request"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTPAddr+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"temporarily_unavailable"`) ||
		resp.Header.Get("RateLimit-Policy") != `"tokens of an organization";q=8;w=480` {
		t.Errorf("the token endpoint: %d %v %s", resp.StatusCode, resp.Header, body)
	}
}
