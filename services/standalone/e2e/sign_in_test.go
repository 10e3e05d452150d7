package e2e_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// browser follows redirects and keeps cookies, as a browser does, and shows what a
// page has.
type browser struct {
	http.Client
	t testing.TB
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{Client: http.Client{Jar: jar, Timeout: patience}, t: t}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

// visited is a page.
type visited struct {
	url  *url.URL
	code int
	body string
}

// visit opens a page, or sends a form to it, and follows where that leads.
func (b *browser) visit(address string, form url.Values) visited {
	b.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return visited{resp.Request.URL, resp.StatusCode, string(text)}
}

// json reads a page that is JSON.
func (b *browser) json(address string) object {
	b.t.Helper()
	v := b.visit(address, nil)
	var out object
	if err := json.Unmarshal([]byte(v.body), &out); err != nil || v.code != http.StatusOK {
		b.t.Fatalf("%s: %d %s", address, v.code, v.body)
	}
	return out
}

// me is who the browser is signed in as at Gatehouse; empty for nobody.
func (b *browser) me(base string) string {
	b.t.Helper()
	v := b.visit(base+"/v1/me", nil)
	var me object
	if v.code == http.StatusOK {
		if err := json.Unmarshal([]byte(v.body), &me); err != nil {
			b.t.Fatal(err)
		}
	}
	return str(me, "user", "userName")
}

var (
	formAction = regexp.MustCompile(`(?s)<form[^>]*action="([^"]+)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	refresh    = regexp.MustCompile(`content="0;url=([^"]+)"`)
)

// answer fills the forms of the provider's pages until it sends the browser back:
// who it is, and that Gatehouse may know.
func (b *browser) answer(v visited, base, who string) visited {
	b.t.Helper()
	if next := refresh.FindStringSubmatch(v.body); next != nil && strings.HasPrefix(v.url.String(), base) {
		v = b.visit(html.UnescapeString(next[1]), nil)
	}
	for range 4 {
		if strings.HasPrefix(v.url.String(), base) {
			return v
		}
		action := formAction.FindStringSubmatch(v.body)
		if action == nil {
			b.t.Fatalf("%s: %d shows no form: %s", v.url, v.code, v.body)
		}
		form := url.Values{"login": {who}, "password": {"x"}}
		for _, in := range formHidden.FindAllStringSubmatch(v.body, -1) {
			form.Set(in[1], html.UnescapeString(in[2]))
		}
		to, err := v.url.Parse(html.UnescapeString(action[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		v = b.visit(to.String(), form)
	}
	b.t.Fatalf("the provider does not send back: %s %s", v.url, v.body)
	return v
}

// TestSignIn: people sign in by an OpenID provider of another's making, confirm who
// they are before what needs it, and are out when they sign out there.
//
// B-USR-20, in part: there are no mails yet, so the founder's link is made at the
// machine.
func TestSignIn(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	op := startNode(t, "openidprovider")
	gh := startStandalone(t)
	w := newWorld(t, gh, nil)
	w.scimUser(t, "mia", "Mia Manager", "")
	w.scimUser(t, "ned", "Ned New", "")
	organization := w.admin.must(t, "GET", "/v1/organization", nil)
	sources := w.admin.must(t, "GET", "/v1/sources", nil)

	t.Log("an admin adds the provider, and is told what is wrong before people meet it")
	idp := get(w.admin.must(t, "POST", "/v1/identityProviders", object{
		"name": "Corp sign-in", "issuer": op, "sourceId": str(sources, "sources", 0, "id"), "userClaim": "sub", "userField": "USER_FIELD_EXTERNAL_ID", "signOutAtProvider": true,
	}), "identityProvider")
	path := "/v1/identityProviders/" + str(idp, "id")
	if problems := list(w.admin.must(t, "POST", path+":check", object{}), "problems"); len(problems) == 0 {
		t.Error("nothing is wrong with a provider that has no client")
	}
	back := gh.base + "/sign-in/" + str(idp, "id")
	client := register(t, op, object{
		"redirect_uris": []string{back + "/callback"}, "post_logout_redirect_uris": []string{back + "/signed-out"}, "backchannel_logout_uri": back + "/backchannel-logout", "backchannel_logout_session_required": true,
		"application_type": "web", "response_types": []string{"code"}, "grant_types": []string{"authorization_code"},
	})
	w.admin.must(t, "PATCH", path, object{"clientId": str(client, "client_id"), "clientSecret": str(client, "client_secret"), "state": "IDENTITY_PROVIDER_STATE_ENABLED"})
	if problems := list(w.admin.must(t, "POST", path+":check", object{}), "problems"); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}

	t.Log("mia finds where to sign in by the organization's name, and is led back to where she was")
	mia := newBrowser(t)
	page := mia.visit(gh.base+"/sign-in?organization="+str(organization, "organization", "signInName")+"&return_to=/v1/me", nil)
	link := regexp.MustCompile(`href="(/sign-in/[^"]+)"`).FindStringSubmatch(page.body)
	if link == nil {
		t.Fatalf("%d %s", page.code, page.body)
	}
	v := mia.answer(mia.visit(gh.base+html.UnescapeString(link[1]), nil), gh.base, "ext-mia")
	if v.url.Path != "/v1/me" || v.code != http.StatusOK || !strings.Contains(v.body, "Mia Manager") {
		t.Fatalf("%s %d %s", v.url, v.code, v.body)
	}
	session := get(mia.json(gh.base+"/v1/sessions"), "sessions", 0)
	if str(session, "method") != "SIGN_IN_METHOD_OPENID_CONNECT" || str(session, "authTime") == "" {
		t.Errorf("session %v", session)
	}

	t.Log("a stranger of the provider is told that nobody knows them")
	eve := newBrowser(t)
	if v = eve.answer(eve.visit(back, nil), gh.base, "eve"); v.url.Query().Get("error") != "SIGN_IN_USER_UNKNOWN" || eve.me(gh.base) != "" {
		t.Errorf("%s %s", v.url, v.body)
	}

	t.Log("mia confirms who she is: the session goes on with another cookie")
	v = mia.answer(mia.visit(gh.base+"/sign-in/session", url.Values{"purpose": {"step-up"}, "return_to": {"/v1/sessions"}}), gh.base, "ext-mia")
	if v.url.Path != "/v1/sessions" || v.code != http.StatusOK || strings.Count(v.body, `"userAgent"`) != 1 {
		t.Errorf("%s %d %s", v.url, v.code, v.body)
	}

	t.Log("ned signs out at the provider, and is out here")
	ned := newBrowser(t)
	ned.answer(ned.visit(back, nil), gh.base, "ext-ned")
	if who := ned.me(gh.base); who != "ned@corp.example" {
		t.Fatalf("signed in as %q", who)
	}
	v = ned.visit(op+"/session/end", nil)
	xsrf := regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindStringSubmatch(v.body)
	if xsrf == nil {
		t.Fatalf("%d %s", v.code, v.body)
	}
	ned.visit(op+"/session/end/confirm", url.Values{"xsrf": {xsrf[1]}, "logout": {"yes"}})
	until(t, "ned is out", func() string { return ned.me(gh.base) }, func(who string) bool { return who == "" })
	if mia.me(gh.base) != "mia@corp.example" {
		t.Error("mia is out too")
	}

	t.Log("mia signs out here, and is led to the provider, which signs her out and sends her back")
	v = mia.visit(gh.base+"/sign-out", url.Values{})
	if mia.me(gh.base) != "" {
		t.Error("mia is not out here")
	}
	next := refresh.FindStringSubmatch(v.body)
	if next == nil || !strings.HasPrefix(html.UnescapeString(next[1]), op+"/") {
		t.Fatalf("%d %s", v.code, v.body)
	}
	v = mia.visit(html.UnescapeString(next[1]), nil)
	if xsrf = regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindStringSubmatch(v.body); xsrf == nil {
		t.Fatalf("%d %s", v.code, v.body)
	}
	v = mia.visit(op+"/session/end/confirm", url.Values{"xsrf": {xsrf[1]}, "logout": {"yes"}})
	if v.url.Path != "/sign-in/"+str(idp, "id")+"/signed-out" || v.code != http.StatusOK || !strings.Contains(v.body, "You are signed out") {
		t.Errorf("%s %d %s", v.url, v.code, v.body)
	}
	// She is asked who she is when she signs in again.
	if v = mia.visit(back, nil); !strings.HasPrefix(v.url.String(), op+"/") {
		t.Errorf("signed in again without being asked: %s", v.url)
	}

	t.Log("everything is in the audit log")
	until(t, "entries", func() string {
		r, err := w.admin.do(t.Context(), "GET", "/v1/auditEntries?page_size=200", nil)
		if err != nil {
			return ""
		}
		return string(r.Raw)
	}, func(all string) bool {
		for _, event := range []string{"identity_provider.created", "identity_provider.updated", "user_identity.linked", "session.started", "session.confirmed", "session.ended", "sign_in.refused"} {
			if !strings.Contains(all, event) {
				return false
			}
		}
		return true
	})

	t.Log("the founder, whose session is lost, gets in by a link that is made at the machine")
	root := str(w.admin.must(t, "GET", "/v1/me", nil), "user", "userName")
	gatehouse := program(t, "gatehouse.dev/services/standalone/cmd")
	signInByLink(t, gh.base, root, exec.CommandContext(t.Context(), gatehouse, "sign-in-link", "-data-dir", gh.data, root))
	out, err := exec.CommandContext(t.Context(), gatehouse, "sign-in-link", "-data-dir", gh.data, "nobody@corp.example").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there is no such user") {
		t.Errorf("%v: %s", err, out)
	}
	// Where another organization has somebody of that name, the operator says which.
	api{base: gh.base}.must(t, "POST", "/v1/organizations:signUp", object{"organizationName": "Another", "email": root, "displayName": "Rob Other"})
	out, err = exec.CommandContext(t.Context(), gatehouse, "sign-in-link", "-data-dir", gh.data, root).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "people of several organizations have that name") {
		t.Errorf("%v: %s", err, out)
	}
	for _, which := range []string{str(organization, "organization", "signInName"), str(organization, "organization", "id")} {
		signInByLink(t, gh.base, root, exec.CommandContext(t.Context(), gatehouse, "sign-in-link", "-data-dir", gh.data, "-organization", which, root))
	}
}

// signInByLink opens the link that a command prints, which signs a user in once.
func signInByLink(t testing.TB, base, user string, command *exec.Cmd) {
	t.Helper()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, secret, ok := bytes.Cut(bytes.TrimSpace(out), []byte("/sign-in#link="))
	if !ok {
		t.Fatalf("%s", out)
	}
	b := newBrowser(t)
	if v := b.visit(base+"/sign-in", url.Values{"link": {string(secret)}}); b.me(base) != user {
		t.Errorf("%s %d", v.url, v.code)
	}
	if v := newBrowser(t).visit(base+"/sign-in", url.Values{"link": {string(secret)}}); v.url.Query().Get("error") != "SIGN_IN_LINK_INVALID" {
		t.Errorf("again: %s", v.url)
	}
}

// register makes a client at the provider.
func register(t testing.TB, op string, client object) object {
	t.Helper()
	b, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, op+"/reg", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("register: %d %v %v", resp.StatusCode, out, err)
	}
	return out
}
