// Package httpapi is what identity-sync serves over HTTP besides SCIM: the
// OAuth 2.0 token endpoint (RFC 6749, client-credentials grant) and the public
// keys (RFC 7517).
//
// A client is an API token: its id is the client id, the token itself the
// client secret. It gets a signed token that acts as the token's user at the one
// service that the parameter audience names, narrowed to the token's scopes or to those
// of them that the parameter scope names.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/services/identity-sync/internal/exchange"
	"gatehouse.dev/services/identity-sync/internal/keyring"
)

// Paths of the endpoints.
const (
	TokenPath = "/oauth2/token"
	KeysPath  = "/.well-known/jwks.json"
)

// maxForm bounds the body of a token request, in bytes.
const maxForm = 16 << 10

// API is the endpoints. Log may be nil.
type API struct {
	Exchanger exchange.Exchanger
	Ring      *keyring.Ring
	Log       *slog.Logger
}

// Register adds the endpoints to a mux.
func (a API) Register(mux *http.ServeMux) {
	mux.Handle(TokenPath, FromGateway(TokenPath, http.HandlerFunc(a.token)))
	mux.HandleFunc("GET "+KeysPath, a.keys)
}

// FromGateway has the audit log name what is called, and the address that the gateway
// says its client has. Where there is TLS nobody but the gateway comes here; in plain
// text nobody else may be on the network.
func FromGateway(called string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := authz.ParseAddress(r.Header.Get("X-Forwarded-For"))
		if !client.IsValid() {
			host, _, _ := net.SplitHostPort(r.RemoteAddr) //nolint:errcheck // then there is none
			client = authz.ParseAddress(host)
		}
		next.ServeHTTP(w, r.WithContext(authz.WithCall(r.Context(), called, client)))
	})
}

// refusal is an error as RFC 6749, section 5.2 has it.
type refusal struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	basic       bool   // the client tried HTTP Basic
}

func (r *refusal) Error() string { return r.Code + ": " + r.Description }

func invalid(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

// granted is an answer as RFC 6749, section 5.1 has it.
type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope,omitempty"`
}

func (a API) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, invalid("the method must be POST"))
		return
	}
	g, err := a.grant(w, r)
	if err == nil {
		answer(w, http.StatusOK, g)
		return
	}
	var no *refusal
	if !errors.As(err, &no) {
		no = a.unknown(r.Context(), w, err)
	}
	if no.status == http.StatusUnauthorized && no.basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="gatehouse", charset="UTF-8"`)
	}
	answer(w, no.status, no)
}

// unknown answers an error that is not the client's.
func (a API) unknown(ctx context.Context, w http.ResponseWriter, err error) *refusal {
	if e, ok := apierr.From(err); ok && e.Reason == ratelimit.Reason {
		ratelimit.SetHeaderOf(e.Metadata, w.Header())
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds())))))
		return &refusal{status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Description: e.Message}
	}
	if e, ok := apierr.From(err); (ok && e.Code == codes.Unavailable) || ctx.Err() != nil {
		w.Header().Set("Retry-After", "1")
		return &refusal{status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "please try again"}
	}
	if a.Log != nil {
		a.Log.ErrorContext(ctx, "Token request failed", "error", err)
	}
	return &refusal{status: http.StatusInternalServerError, Code: "server_error", Description: "internal error"}
}

func (a API) grant(w http.ResponseWriter, r *http.Request) (*granted, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalid("the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, invalid("the body cannot be read")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalid("a parameter comes twice: " + strconv.Quote(name))
		}
	}
	switch r.PostForm.Get("grant_type") {
	case "":
		return nil, invalid("grant_type is missing")
	case "client_credentials":
	default:
		return nil, &refusal{status: http.StatusBadRequest, Code: "unsupported_grant_type", Description: "the grant type must be client_credentials"}
	}
	in, basic, err := client(r)
	if err != nil {
		return nil, err
	}
	in.Audience = r.PostForm.Get("audience")
	if services := authz.Audiences(); !slices.Contains(services, in.Audience) {
		return nil, &refusal{
			status: http.StatusBadRequest, Code: "invalid_target",
			Description: "audience must name the service that the token is for: " + strings.Join(services, ", "),
		}
	}
	// One that is empty is as none (RFC 6749, section 3.1).
	if scope := r.PostForm.Get("scope"); scope != "" {
		in.Scopes = strings.Split(scope, " ")
	}
	g, err := a.Exchanger.ExchangeClient(r.Context(), in)
	if errors.Is(err, exchange.ErrScopeInvalid) {
		return nil, &refusal{status: http.StatusBadRequest, Code: "invalid_scope", Description: err.Error()}
	}
	if e, ok := apierr.From(err); ok && e.Code == codes.Unauthenticated {
		return nil, &refusal{status: http.StatusUnauthorized, Code: "invalid_client", Description: "the client cannot be authenticated", basic: basic}
	}
	if err != nil {
		return nil, err
	}
	left := g.ExpireTime.Sub(a.Exchanger.Clock.Now())
	return &granted{AccessToken: g.Token, TokenType: "Bearer", ExpiresIn: int64(left.Seconds()), Scope: strings.Join(g.Scopes, " ")}, nil
}

// client reads the client's credentials, from the header or the body.
func client(r *http.Request) (c exchange.Client, basic bool, err error) {
	c.ID, c.Secret, basic = r.BasicAuth()
	switch {
	case basic && r.PostForm.Has("client_secret"):
		return c, true, invalid("the client is authenticated in two ways")
	case basic:
		// RFC 6749, section 2.3.1: both are form-encoded first.
		id, err1 := url.QueryUnescape(c.ID)
		secret, err2 := url.QueryUnescape(c.Secret)
		if err1 != nil || err2 != nil || (r.PostForm.Has("client_id") && r.PostForm.Get("client_id") != id) {
			return c, true, invalid("the client's credentials cannot be read")
		}
		c.ID, c.Secret = id, secret
		return c, true, nil
	}
	c.ID, c.Secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if c.ID == "" || c.Secret == "" {
		return c, false, &refusal{
			status: http.StatusUnauthorized, Code: "invalid_client", Description: "the client must be authenticated", basic: r.Header.Get("Authorization") != "",
		}
	}
	return c, false, nil
}

func (a API) keys(w http.ResponseWriter, r *http.Request) {
	b, err := a.Ring.JSON(r.Context())
	if err != nil {
		answer(w, http.StatusInternalServerError, a.unknown(r.Context(), w, err))
		return
	}
	// Keys are published ten minutes before their use.
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(b) // the client has gone, which is its business
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
