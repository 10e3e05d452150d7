package scim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/services/provisioning/internal/connector"
)

const (
	defaultTimeout = 10 * time.Second
	inFlight       = 64               // connections kept for one app
	groupTTL       = 10 * time.Minute // how long the id of a group is believed without asking
)

// Config is one app that serves SCIM.
type Config struct {
	// URL is where the app's SCIM service is: what stands before /Users. http or https; no query, no user.
	URL string
	// Token is sent as a bearer token. It is never part of an error.
	Token string
	// Timeout bounds a call whose context has no deadline. 10 s when 0.
	Timeout time.Duration
	// Outgoing are networks that are called although they are not public, by a transport of its own.
	Outgoing outgoing.Allowed
	// Transport carries the requests; nil for one of its own, with 64 connections kept alive.
	Transport http.RoundTripper
	// Tracer makes a span for each request; nil for none. The app is told the trace in any case.
	Tracer trace.TracerProvider
}

// Connector reaches one app over SCIM. It is safe for concurrent use. Close it when the integration is changed or removed.
type Connector struct {
	base          string
	authorization string
	secret        string
	timeout       time.Duration
	client        *http.Client
	tracer        trace.Tracer
	propagator    propagation.TraceContext

	lookup atomic.Int32 // the best look-up that the app understands
	groups sync.Map     // ref -> knownGroup

	managers atomic.Pointer[kept] // whether the app keeps them
}

var _ connector.Connector = (*Connector)(nil)

// The ways to look somebody up, best first.
const (
	byEither   int32 = iota // externalId and userName in one request
	byEach                  // one request each
	byUserName              // the app cannot filter by externalId
)

type knownGroup struct {
	id string
	at time.Time
}

// New checks cfg and reaches out for nothing.
func New(cfg Config) (*Connector, error) {
	u, err := url.Parse(strings.TrimSpace(cfg.URL))
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return nil, connector.NewError(connector.Permanent, nil, "the address is not an http or https URL")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, connector.NewError(connector.Permanent, nil, "the address must not hold a user, a query or a fragment")
	case cfg.Token == "":
		return nil, connector.NewError(connector.Permanent, nil, "the token is missing")
	case strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, connector.NewError(connector.Permanent, nil, "the token holds a space or a character that cannot be in a token")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.Outgoing)
	}
	if cfg.Tracer == nil {
		cfg.Tracer = noop.NewTracerProvider()
	}
	return &Connector{
		base:          strings.TrimRight(u.String(), "/"),
		authorization: "Bearer " + cfg.Token,
		secret:        cfg.Token,
		timeout:       cfg.Timeout,
		client:        &http.Client{Transport: cfg.Transport, CheckRedirect: sameApp},
		tracer:        cfg.Tracer.Tracer("gatehouse.dev/services/provisioning/connector/scim"),
	}, nil
}

func newTransport(allowed outgoing.Allowed) *http.Transport {
	return &http.Transport{
		Proxy:                  allowed.Proxy(http.ProxyFromEnvironment),
		DialContext:            allowed.Dialer().DialContext,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        inFlight,
		MaxIdleConns:           inFlight,
		MaxIdleConnsPerHost:    inFlight,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// sameApp lets a redirect through that the token may follow, and that does not turn a change into a read.
func sameApp(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Close lets go of connections that wait for the next call.
func (c *Connector) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

func (c *Connector) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}

// Test implements connector.Connector. It does not try to create or remove anything.
func (c *Connector) Test(ctx context.Context) (connector.Report, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var report connector.Report
	add := func(name, fine string, optional bool, err error) bool {
		check := connector.Check{Name: name, OK: err == nil, Optional: optional, Detail: fine}
		if err != nil {
			check.Detail = err.Error()
		}
		report.Checks = append(report.Checks, check)
		return err == nil
	}

	var users list[user]
	err := c.read(ctx, "read the first account", "/Users?startIndex=1&count=1", &users)
	if err == nil && !users.valid() {
		err = notSCIM("read the first account")
	}
	if add("Reach the app and read its accounts", fmt.Sprintf("accounts: %d", users.total()), false, err) {
		nobody := connector.Person{UserID: "00000000-0000-0000-0000-000000000000", UserName: "gatehouse-connection-test@invalid"}
		_, err = c.search(ctx, "look up an account by user name", eq("userName", nobody.UserName))
		add("Look up an account by its user name", "", false, err)
		_, err = c.search(ctx, "look up an account by externalId", eq("externalId", nobody.UserID))
		add("Look up an account by Gatehouse's id (externalId)", "", true, err)

		var groups list[group]
		err = c.read(ctx, "read the first group", "/Groups?startIndex=1&count=1&excludedAttributes=members", &groups)
		if err == nil && !groups.valid() {
			err = notSCIM("read the first group")
		}
		add("Read groups", fmt.Sprintf("groups: %d", groups.total()), true, err)

		var config struct {
			Patch struct {
				Supported *bool `json:"supported"`
			} `json:"patch"`
		}
		err = c.read(ctx, "read what the app supports", "/ServiceProviderConfig", &config)
		if err == nil && config.Patch.Supported != nil && !*config.Patch.Supported {
			add("Change accounts with PATCH", "", false, errors.New("the app says that it does not support PATCH: groups, roles and disabling will not work"))
			report.Checks[len(report.Checks)-1].ForChanges = true
		} else {
			add("Read what the app supports", "", true, err)
		}
	}
	if strings.HasPrefix(c.base, "http://") && !loopback(c.base) {
		add("Encryption", "", true, errors.New("the address starts with http: the token and people's names travel in the clear"))
	}
	if err := ctx.Err(); err != nil {
		return report, connector.Unreachable("test the connection", err)
	}
	return report, nil
}

func loopback(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
