package httpapi

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/apierr"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

//go:embed signin
var signInFiles embed.FS

var signInPage = template.Must(template.ParseFS(signInFiles, "signin/sign_in.html"))

// door is how browsers sign in by identity providers:
//
//	GET  /sign-in                              choose where; ?organization=, ?return_to=
//	GET  /sign-in/{provider}                   go there
//	POST /sign-in/{provider}                   go there again: purpose=step-up, link or test
//	GET  /sign-in/{provider}/callback          come back
//	POST /sign-in/{provider}/backchannel-logout  the provider ends sessions
//	POST /sign-out                             sign out, and go to the provider to do it there
//	GET  /sign-in/{provider}/signed-out        come back from that
type door struct {
	sessions
	client identityv1.SignInServiceClient
	log    *slog.Logger
}

// view is what the page shows.
type view struct {
	Title, Problem, Text string
	// Choose shows where one can sign in.
	Choose                 bool
	Organization, ReturnTo string
	Options                []option
	// Continue is where the browser goes on to.
	Continue string
	// Again leads to where one signs in.
	Again bool
	Test  *identityv1.SignInTest
	Back  string
}

type option struct{ Name, Organization, URL string }

func (d door) show(w http.ResponseWriter, v view) {
	var b bytes.Buffer
	if err := signInPage.Execute(&b, v); err != nil {
		d.log.Error("The sign-in page cannot be made", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// problems are what people read who were not signed in, by the reason.
var problems = map[string]string{
	"SIGN_IN_EXPIRED":               "That took too long, or was begun in another window. Please sign in again.",
	"SIGN_IN_REFUSED":               "The identity provider did not sign you in.",
	"SIGN_IN_NOT_PROVEN":            "What the identity provider sent does not hold. Please tell an admin of your organization.",
	"SIGN_IN_USER_UNKNOWN":          "Nobody who may sign in here has this identity. Please ask an admin of your organization.",
	"SIGN_IN_IDENTITY_TAKEN":        "This is not the identity that was expected. Please ask an admin of your organization.",
	"SIGN_IN_TOO_WEAK":              "The identity provider did not ask again who you are, or not strongly enough.",
	"SIGN_IN_LINK_INVALID":          "The link is not valid. It can be used once, for 15 minutes.",
	"IDENTITY_PROVIDER_NOT_FOUND":   "There is no such identity provider.",
	"IDENTITY_PROVIDER_UNAVAILABLE": "The identity provider does not answer. Please try again in a while.",
	"USER_OF_SOURCE":                "You are known by your organization's identity provider, and link no other identity.",
	"STEP_UP_NOT_POSSIBLE":          "This session cannot be confirmed. Please sign out and sign in again.",
	"SESSION_REQUIRED":              "Please sign in first.",
	"TOKEN_MISSING":                 "Please sign in first.",
	"TOKEN_INVALID":                 "Please sign in first.",
	"ROLE_NOT_ALLOWED":              "Only an admin may do this.",
	"RATE_LIMITED":                  "There were too many tries. Please wait a moment.",

	"INSUFFICIENT_USER_AUTHENTICATION": "This needs a recent sign-in. Please sign in again.",
}

// problem is what people read of an error.
func problem(reason string) string {
	if text, ok := problems[reason]; ok {
		return text
	}
	return "Signing in is not possible at the moment. Please try again in a while."
}

// reasonFor is the reason of the error of a call.
func reasonFor(err error) string {
	reason, _ := reasonOf(status.Convert(err))
	return reason
}

// choose shows where one can sign in.
func (d door) choose(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := view{Title: "Sign in", Choose: true, Organization: q.Get("organization"), ReturnTo: local(q.Get("return_to"))}
	if len(v.Organization) > 100 {
		v.Organization = ""
	}
	if reason := q.Get("error"); reason != "" {
		v.Problem = problem(reason)
	}
	list, err := d.client.ListSignInOptions(r.Context(), &identityv1.ListSignInOptionsRequest{Organization: v.Organization})
	switch {
	case err != nil:
		v.Problem = problem("")
	case len(list.GetOptions()) == 0 && v.Organization != "" && v.Problem == "":
		v.Problem = "Nobody signs in here by that name. Please look at it again, or ask an admin of your organization."
	}
	for _, o := range list.GetOptions() {
		to := "/sign-in/" + o.GetIdentityProviderId()
		if v.ReturnTo != "/" {
			to += "?" + url.Values{"return_to": {v.ReturnTo}}.Encode()
		}
		v.Options = append(v.Options, option{Name: o.GetName(), Organization: o.GetOrganizationName(), URL: to})
	}
	d.show(w, v)
}

// back says on the page that it did not work.
func (d door) back(w http.ResponseWriter, r *http.Request, err error) {
	reason := reasonFor(err)
	if status.Code(err) == codes.InvalidArgument { // of the address, which names no provider then
		reason = "IDENTITY_PROVIDER_NOT_FOUND"
	}
	if _, ok := problems[reason]; !ok {
		reason = "FAILED"
		if status.Code(err) != codes.Canceled {
			d.log.WarnContext(r.Context(), "Sign-in was not possible", "error", err, "trace_id", traceID(r.Context()))
		}
	}
	http.Redirect(w, r, "/sign-in?error="+url.QueryEscape(reason), http.StatusSeeOther)
}

// redirectURI is where a provider sends a browser back to; an id of {id} stands for
// whichever provider it will be.
func redirectURI(r *http.Request, id string) string { return address(r, id, "/callback") }

// address is one of a provider's here, as the browser calls it.
func address(r *http.Request, id, what string) string {
	return outsideOf(r).url("/sign-in/" + id + what)
}

// start sends a browser to an identity provider.
func (d door) start(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	hint := q.Get("login_hint")
	if len(hint) > 320 {
		hint = ""
	}
	resp, err := d.client.StartSignIn(r.Context(), &identityv1.StartSignInRequest{
		IdentityProviderId: r.PathValue("provider"), RedirectUri: redirectURI(r, r.PathValue("provider")),
		ReturnTo: local(q.Get("return_to")), LoginHint: hint,
	})
	if err != nil {
		d.back(w, r, err)
		return
	}
	setAttempt(w, r, resp.GetAttempt(), attemptLife)
	http.Redirect(w, r, resp.GetAuthorizationUrl(), http.StatusSeeOther)
}

// purposes are why somebody who is signed in goes to an identity provider again, as
// forms say it.
var purposes = map[string]identityv1.ConfirmationPurpose{
	"step-up": identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP,
	"link":    identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_LINK,
	"test":    identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_TEST,
}

// confirm sends somebody who is signed in to an identity provider again. It takes
// only forms of this site's own pages: else another site could link an identity of
// its own to whoever is signed in.
func (d door) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	purpose, ok := purposes[r.PostFormValue("purpose")]
	if !ok {
		send(w, r, apierr.InvalidField("purpose", "PURPOSE_INVALID", "the purpose is step-up, link or test"))
		return
	}
	// For a step-up the provider may be left open, and is that of the session then.
	provider := r.PathValue("provider")
	uri := redirectURI(r, provider)
	if provider == "session" {
		provider, uri = "", redirectURI(r, "{id}")
	}
	resp, err := d.client.StartConfirmation(r.Context(), &identityv1.StartConfirmationRequest{
		Purpose: purpose, IdentityProviderId: provider, RedirectUri: uri, ReturnTo: local(r.PostFormValue("return_to")),
	})
	if err != nil {
		d.back(w, r, err)
		return
	}
	setAttempt(w, r, resp.GetAttempt(), attemptLife)
	// A form of this page may lead to no other site, not even by a redirect.
	d.show(w, view{Title: "Confirm who you are", Continue: resp.GetAuthorizationUrl()})
}

// callback takes a browser that an identity provider has sent back.
func (d door) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	kept, err := r.Cookie(attemptCookie(r))
	if err != nil || len(kept.Value) > 8000 {
		kept = &http.Cookie{}
	}
	setAttempt(w, r, "", -time.Second)
	resp, err := d.client.FinishSignIn(metadata.NewOutgoingContext(r.Context(), userAgent(r)), &identityv1.FinishSignInRequest{
		IdentityProviderId: r.PathValue("provider"), Attempt: kept.Value, State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"),
		Error: cut(q.Get("error"), 200), ErrorDescription: cut(q.Get("error_description"), 2000),
	})
	if status.Code(err) == codes.InvalidArgument {
		err = apierr.StatusWithTrace(apierr.Unauthenticated("SIGN_IN_EXPIRED", "not what an identity provider sends"), "").Err()
	}
	if err != nil {
		d.back(w, r, err)
		return
	}
	if resp.GetTest() != nil {
		d.show(w, view{Title: "What the identity provider says", Test: resp.GetTest(), Back: local(resp.GetReturnTo())})
		return
	}
	if resp.GetToken() != "" {
		d.replace(r, resp.GetConfirmed())
		setCookie(w, r, resp.GetToken(), time.Until(resp.GetExpireTime().AsTime()))
	}
	http.Redirect(w, r, local(resp.GetReturnTo()), http.StatusSeeOther)
}

// redeem signs in with a one-time link.
func (d door) redeem(w http.ResponseWriter, r *http.Request) {
	secret := r.PostFormValue("link")
	resp, err := d.client.RedeemSignInLink(metadata.NewOutgoingContext(r.Context(), userAgent(r)), &identityv1.RedeemSignInLinkRequest{Secret: secret})
	if status.Code(err) == codes.InvalidArgument {
		err = apierr.StatusWithTrace(apierr.Unauthenticated("SIGN_IN_LINK_INVALID", "no link"), "").Err()
	}
	if err != nil {
		d.back(w, r, err)
		return
	}
	d.replace(r, false)
	setCookie(w, r, resp.GetToken(), time.Until(resp.GetExpireTime().AsTime()))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// post takes the forms of /sign-in.
func (d door) post(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if r.PostFormValue("link") != "" {
		d.redeem(w, r)
		return
	}
	d.signIn(w, r)
}

// replace lets go of the token that the browser had, and ends the session of it unless
// that goes on with the new one: whoever signs in anew has one session, and nobody goes
// on with the other's.
func (d door) replace(r *http.Request, goesOn bool) {
	c, err := r.Cookie(cookieName(r))
	switch {
	case err != nil || c.Value == "":
	case goesOn:
		d.auth.forget(c.Value)
	default:
		d.end(r, c.Value, &identityv1.SignOutRequest{})
	}
}

// signOut ends the browser's session and takes the cookie back. Then, if people sign out
// at the identity provider as well, the browser goes there.
func (d door) signOut(w http.ResponseWriter, r *http.Request) {
	state, there := rand.Text(), ""
	if c, err := r.Cookie(cookieName(r)); err == nil && c.Value != "" {
		there = d.end(r, c.Value, &identityv1.SignOutRequest{PostLogoutRedirectUri: address(r, "{id}", "/signed-out"), State: state})
	}
	setCookie(w, r, "", -1)
	if there == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	keep(w, r, "gatehouse_sign_out", state, signOutLife)
	// A form of this page may lead to no other site, not even by a redirect.
	d.show(w, view{Title: "Signed out", Text: "You are signed out of Gatehouse. The identity provider signs you out next.", Continue: there})
}

// signedOut takes a browser that has signed out at an identity provider. Any other, which
// does not bring the state that it was given, learns nothing.
func (d door) signedOut(w http.ResponseWriter, r *http.Request) {
	kept, err := r.Cookie(prefixed(r, "gatehouse_sign_out"))
	if err != nil || subtle.ConstantTimeCompare([]byte(kept.Value), []byte(r.URL.Query().Get("state"))) != 1 || kept.Value == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	keep(w, r, "gatehouse_sign_out", "", -time.Second)
	d.show(w, view{Title: "Signed out", Text: "You are signed out of Gatehouse and have been to the identity provider to sign out there.", Again: true})
}

// logout ends the sessions that a logout token of an identity provider names (OpenID
// Connect Back-Channel Logout 1.0).
func (d door) logout(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 32<<10)
	_, err := d.client.EndSessionsByProvider(r.Context(), &identityv1.EndSessionsByProviderRequest{
		IdentityProviderId: r.PathValue("provider"), LogoutToken: r.PostFormValue("logout_token"),
	})
	w.Header().Set("Content-Type", "application/json")
	switch status.Code(err) {
	case codes.OK:
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("{}"))
	case codes.InvalidArgument, codes.NotFound:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_request","error_description":"the logout token does not hold"}`))
	default:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"temporarily_unavailable"}`))
	}
}

// attemptLife is how long a browser keeps a sign-in that it has begun, and signOutLife
// how long the state of a sign-out.
const (
	attemptLife = 10 * time.Minute
	signOutLife = 10 * time.Minute
)

func attemptCookie(r *http.Request) string { return prefixed(r, "gatehouse_sign_in") }

// setAttempt has the browser keep a sign-in, or forget it if life is negative.
func setAttempt(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	keep(w, r, "gatehouse_sign_in", value, life)
}

// prefixed is the name of a cookie. Behind TLS the browser holds that no other host of
// the domain has set it.
func prefixed(r *http.Request, name string) string {
	if outsideOf(r).scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// keep has the browser keep a cookie, or forget it if life is negative.
func keep(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: prefixed(r, name), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: outsideOf(r).scheme == "https",
	})
}

// local is a place on this site to go to; what is none is the first page.
func local(place string) string {
	u, err := url.Parse(place)
	bad := strings.IndexFunc(place, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7F }) >= 0
	if err != nil || bad || len(place) > 1000 || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(place, "/") || strings.HasPrefix(place, "//") {
		return "/"
	}
	return place
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}
