package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// cookieOf is what an answer sets a cookie to; "gone" if it takes it back.
func cookieOf(a answer, name string) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			if c.MaxAge < 0 {
				return "gone"
			}
			return c.Value
		}
	}
	return ""
}

// B-USR-20, in part: a browser goes to the identity provider and comes back signed in.
func TestSignInByIdentityProvider(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := w.call("GET", "/sign-in?organization=engines&return_to=/requests", "")
	if a.code != http.StatusOK || !strings.Contains(a.body, `href="/sign-in/`+uuid+`?return_to=%2Frequests"`) || !strings.Contains(a.body, "Corp &lt;b&gt;") ||
		!strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(a.header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("%d %v %s", a.code, a.header, a.body)
	}
	if a = w.call("GET", "/sign-in?organization=nobody", ""); !strings.Contains(a.body, "Nobody signs in here by that name") {
		t.Errorf("%d %s", a.code, a.body)
	}
	a = w.call("GET", "/sign-in/"+uuid+"?return_to=/requests&login_hint=ada%40corp.example", "", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost")
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "https://idp.example/auth?state=s1" || cookieOf(a, "__Host-gatehouse_sign_in") != "attempt1" {
		t.Errorf("%d %v", a.code, a.header)
	}
	begun := last[*identityv1.StartSignInRequest](w)
	if begun.GetRedirectUri() != "https://localhost/sign-in/"+uuid+"/callback" || begun.GetReturnTo() != "/requests" || begun.GetLoginHint() != "ada@corp.example" {
		t.Errorf("begun: %v", begun)
	}
	for _, elsewhere := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "evil", "/a%0d%0ab", "javascript:alert(1)", ""} {
		w.call("GET", "/sign-in/"+uuid+"?return_to="+elsewhere, "")
		if got := last[*identityv1.StartSignInRequest](w).GetReturnTo(); got != "/" {
			t.Errorf("%q leads to %q", elsewhere, got)
		}
	}
	back := "/sign-in/" + uuid + "/callback?state=s1&iss=https%3A%2F%2Fidp.example&code="
	a = w.call("GET", back+"good", "", "Cookie", "gatehouse_sign_in=attempt1", "Sec-Fetch-Site", "cross-site")
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "/requests?open=1" || cookieOf(a, "gatehouse_session") != "ghs_admin" || cookieOf(a, "gatehouse_sign_in") != "gone" {
		t.Errorf("%d %v", a.code, a.header)
	}
	done := last[*identityv1.FinishSignInRequest](w)
	if done.GetAttempt() != "attempt1" || done.GetState() != "s1" || done.GetCode() != "good" || done.GetIssuer() != "https://idp.example" || done.GetIdentityProviderId() != uuid {
		t.Errorf("finished: %v", done)
	}
	if a = w.call("GET", back+"elsewhere", "", "Cookie", "gatehouse_sign_in=attempt1"); a.header.Get("Location") != "/" {
		t.Errorf("leads to %q", a.header.Get("Location"))
	}
	for code, reason := range map[string]string{"stranger": "SIGN_IN_USER_UNKNOWN", "away": "FAILED", strings.Repeat("x", 9000): "SIGN_IN_EXPIRED"} {
		a = w.call("GET", back+code, "", "Cookie", "gatehouse_sign_in=attempt1")
		if a.code != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?error="+reason || cookieOf(a, "gatehouse_session") != "" {
			t.Errorf("%.10s: %d %v", code, a.code, a.header)
		}
	}
	if a = w.call("GET", "/sign-in?error=SIGN_IN_USER_UNKNOWN", ""); !strings.Contains(a.body, "has this identity") {
		t.Errorf("%s", a.body)
	}
	if a = w.call("GET", "/sign-in?error=%3Cscript%3E", ""); strings.Contains(a.body, "<script>") {
		t.Errorf("%s", a.body)
	}
	if a = w.call("GET", "/sign-in/nothing", ""); a.header.Get("Location") == "" {
		t.Errorf("%d %v", a.code, a.header)
	}
	// Who signs in anew has one session.
	w.call("GET", back+"good", "", "Cookie", "gatehouse_sign_in=attempt1; gatehouse_session=ghs_admin")
	if w.signedOut != 1 {
		t.Errorf("signed out %d times", w.signedOut)
	}
	w.call("GET", back+"again", "", "Cookie", "gatehouse_sign_in=attempt1; gatehouse_session=ghs_admin")
	if w.signedOut != 1 {
		t.Error("a session that was confirmed has ended")
	}
}

// Who is signed in goes there again by a form of this site alone.
func TestConfirmation(t *testing.T) {
	t.Parallel()
	w := start(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Cookie", "gatehouse_session=ghs_admin"}
	a := w.call("POST", "/sign-in/session", "purpose=step-up&return_to=/flows", append(form, "Sec-Fetch-Site", "same-origin")...)
	if a.code != http.StatusOK || !strings.Contains(a.body, `content="0;url=https://idp.example/auth?state=s2"`) || cookieOf(a, "gatehouse_sign_in") != "attempt2" {
		t.Errorf("%d %v %s", a.code, a.header, a.body)
	}
	r := last[*identityv1.StartConfirmationRequest](w)
	if r.GetIdentityProviderId() != "" || !strings.HasSuffix(r.GetRedirectUri(), "/sign-in/{id}/callback") || r.GetReturnTo() != "/flows" ||
		r.GetPurpose() != identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP {
		t.Errorf("asked for %v", r)
	}
	if a = w.call("POST", "/sign-in/"+uuid, "purpose=link", append(form, "Sec-Fetch-Site", "cross-site")...); a.code != http.StatusForbidden {
		t.Errorf("another site links an identity: %d", a.code)
	}
	if a = w.call("POST", "/sign-in/"+uuid, "purpose=other", form...); a.code != http.StatusBadRequest {
		t.Errorf("another purpose: %d", a.code)
	}
	if a = w.call("POST", "/sign-in/"+uuid, "purpose=link", form[:2]...); a.code != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?error=TOKEN_MISSING" {
		t.Errorf("nobody: %d %v", a.code, a.header)
	}
	a = w.call("GET", "/sign-in/"+uuid+"/callback?state=s1&code=test", "", "Cookie", "gatehouse_sign_in=attempt1")
	if a.code != http.StatusOK || !strings.Contains(a.body, "&lt;script&gt;") || !strings.Contains(a.body, "No active person.") || cookieOf(a, "gatehouse_session") != "" {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestOneTimeLinkAndLogout(t *testing.T) {
	t.Parallel()
	w := start(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	a := w.call("POST", "/sign-in", "link=ghl_good", form...)
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "/" || cookieOf(a, "gatehouse_session") != "ghs_admin" {
		t.Errorf("%d %v", a.code, a.header)
	}
	if a = w.call("POST", "/sign-in", "link=bad", form...); a.header.Get("Location") != "/sign-in?error=SIGN_IN_LINK_INVALID" {
		t.Errorf("%d %v", a.code, a.header)
	}
	if a = w.call("POST", "/sign-in", "link=ghl_good", append(form, "Origin", "https://evil.example")...); a.code != http.StatusForbidden {
		t.Errorf("another site: %d", a.code)
	}
	for token, code := range map[string]int{"good": 200, "bad": 400, "away": 503} {
		a = w.call("POST", "/sign-in/"+uuid+"/backchannel-logout", "logout_token="+token, form...)
		if a.code != code || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", token, a.code, a.header)
		}
	}
}

// Who signs out goes on to the identity provider where the session began, if people sign
// out there too, and comes back to a page of this site.
func TestSignOutAtProvider(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.set(func() { w.endSession = "https://idp.example/end?id_token_hint=t" })
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Cookie", "gatehouse_session=ghs_admin", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost"}
	form[3] = "__Host-" + form[3]
	a := w.call("POST", "/sign-out", "", form...)
	var asked *identityv1.SignOutRequest
	w.set(func() { asked = w.signOut })
	state := cookieOf(a, "__Host-gatehouse_sign_out")
	if asked.GetPostLogoutRedirectUri() != "https://localhost/sign-in/{id}/signed-out" || asked.GetState() == "" || asked.GetState() != state {
		t.Errorf("asked %v, keeps %q", asked, state)
	}
	if a.code != http.StatusOK || cookieOf(a, "__Host-gatehouse_session") != "gone" ||
		!strings.Contains(a.body, `content="0;url=https://idp.example/end?id_token_hint=t&amp;state=`+state+`"`) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.code, a.header, a.body)
	}
	back := "/sign-in/" + uuid + "/signed-out?state="
	a = w.call("GET", back+state, "", "Cookie", "gatehouse_sign_out="+state, "Sec-Fetch-Site", "cross-site")
	if a.code != http.StatusOK || !strings.Contains(a.body, "You are signed out") || cookieOf(a, "gatehouse_sign_out") != "gone" {
		t.Errorf("%d %v %s", a.code, a.header, a.body)
	}
	for _, tt := range [][]string{{"other", "gatehouse_sign_out=" + state}, {"", "gatehouse_sign_out="}, {state, "a=b"}} {
		if a = w.call("GET", back+tt[0], "", "Cookie", tt[1]); a.code != http.StatusSeeOther || a.header.Get("Location") != "/" {
			t.Errorf("%q: %d %v", tt, a.code, a.header)
		}
	}
	// A session of another kind, and one that is over, lead nowhere.
	w.set(func() { w.endSession = "" })
	if a = w.call("POST", "/sign-out", "", form...); a.code != http.StatusSeeOther || a.header.Get("Location") != "/" || cookieOf(a, "__Host-gatehouse_sign_out") != "" {
		t.Errorf("%d %v", a.code, a.header)
	}
	if a = w.call("POST", "/sign-out", "", append(form, "Sec-Fetch-Site", "cross-site")...); a.code != http.StatusForbidden {
		t.Errorf("another site signs out: %d", a.code)
	}
}
