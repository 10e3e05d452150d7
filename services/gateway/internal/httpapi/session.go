package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/metadata"

	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// sessions signs browsers in by the development sign-in, and ends sessions.
type sessions struct {
	client identityv1.SessionServiceClient
	auth   *authenticator
	dev    bool
}

// signIn takes the form of a page, sets the cookie and goes back to where the form says,
// return_to, or to a page that says that it did not work.
func (s sessions) signIn(w http.ResponseWriter, r *http.Request) {
	if !s.dev {
		notFound(w, r)
		return
	}
	back := local(r.PostFormValue("return_to"))
	resp, err := s.client.DevSignIn(metadata.NewOutgoingContext(r.Context(), userAgent(r)), &identityv1.DevSignInRequest{
		UserName: r.PostFormValue("user_name"), Organization: r.PostFormValue("organization"),
	})
	if err != nil {
		http.Redirect(w, r, failedAt(back), http.StatusSeeOther)
		return
	}
	setCookie(w, r, resp.GetToken(), 12*time.Hour)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// failedAt is where a sign-in that failed is told: on the reference, if it came from there.
func failedAt(back string) string {
	if back == "/reference" {
		return "/reference?sign-in=failed"
	}
	return "/welcome?" + url.Values{"failed": {"true"}, "to": {back}}.Encode()
}

// end ends the session of a token, and gives where the browser signs out besides; empty
// for nowhere. A session that cannot be ended now ends by itself; the browser forgets
// it in any case.
func (s sessions) end(r *http.Request, token string, how *identityv1.SignOutRequest) (address string) {
	if tokens, err := s.auth.exchange(r.Context(), token); err == nil {
		resp, _ := s.client.SignOut(withTokens(r.Context(), token, tokens), how)
		address = resp.GetEndSessionUrl()
	}
	s.auth.forget(token)
	return address
}

// setCookie gives the browser a session, or takes it back if life is negative.
func setCookie(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	age := int(life.Seconds())
	if life < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: outsideOf(r).scheme == "https",
	})
}

// cookieName is that of the session cookie.
func cookieName(r *http.Request) string { return prefixed(r, sessionCookie) }
