package gateway_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/gateway"
)

// world is a gateway before five services played by the test: real gRPC
// servers with the interceptors of production.
type world struct {
	t      *testing.T
	tokens *rpctest.Tokens
	clock  *clock.Manual
	url    string
	inner  string
	bus    string
	admin  authz.Caller
	health map[string]*health.Server // of each service
	// refuses is what an app is changed with no more than once in a while.
	refuses error

	mu        sync.Mutex
	secrets   map[string]authz.Caller // what ExchangeToken knows
	exchanged int
	unasked   int           // of these, in the background
	heads     []metadata.MD // of calls, as services saw them
	got       []any         // requests, as services saw them
	signedOut int
	// endSession is where people sign out besides.
	endSession string
	signOut    *identityv1.SignOutRequest // the last
	// version is that of the admin as the request service knows it; older tokens
	// are stale.
	version  int64
	scim     []*http.Request
	parked   map[string][]*opsv1.ParkedEvent
	replayed []string
}

// start runs a gateway. away names services that nobody plays; "no proxies" has it
// trust none, and "limits" has it limit callers.
func start(t *testing.T, away ...string) *world {
	t.Helper()
	w := &world{
		t: t, tokens: rpctest.NewTokens(t), clock: clock.NewManual(time.Now()),
		admin:  rpctest.User(authzv1.Caller_CALLER_ADMIN),
		health: map[string]*health.Server{}, secrets: map[string]authz.Caller{}, parked: map[string][]*opsv1.ParkedEvent{},
	}
	w.secrets["ghp_admin"] = w.admin
	w.secrets["ghs_admin"] = w.admin
	isAway := func(name string) bool { return strings.Contains(" "+strings.Join(away, " ")+" ", " "+name+" ") }
	serve := func(name string, register func(grpc.ServiceRegistrar)) string {
		if isAway(name) {
			return bustest.FreeAddrs(t, 1)[0] // where nobody comes to listen either
		}
		lis := listen(t)
		w.serve(name, lis, register)
		return lis.Addr().String()
	}
	cfg := gateway.Config{
		DevSignIn: true, Clock: w.clock, Hosts: []string{"gate.example"}, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	if isAway("limits") {
		cfg.Limits = ratelimit.DefaultLimits()
	}
	if !isAway("bus") {
		w.bus = bustest.Start(t)
		cfg.NATSURL = w.bus
	}
	if isAway("no proxies") {
		cfg.Proxies = nil
	}
	cfg.IdentityAddr = serve("identity-sync", func(s grpc.ServiceRegistrar) {
		identityv1.RegisterTokenServiceServer(s, tokenService{w: w})
		identityv1.RegisterUserServiceServer(s, userService{w: w})
		identityv1.RegisterSessionServiceServer(s, sessionService{w: w})
		identityv1.RegisterSignInServiceServer(s, signInService{w: w})
		identityv1.RegisterOrganizationServiceServer(s, organizationService{})
		identityv1.RegisterSourceServiceServer(s, sourceService{})
	})
	cfg.RequestAddr = serve("request", func(s grpc.ServiceRegistrar) {
		requestv1.RegisterRequestServiceServer(s, requestService{w: w})
		requestv1.RegisterAppServiceServer(s, appService{w: w})
		opsv1.RegisterParkedEventServiceServer(s, parkedService{w: w, name: "request"})
	})
	cfg.ApprovalAddr = serve("approval", func(s grpc.ServiceRegistrar) {
		opsv1.RegisterParkedEventServiceServer(s, parkedService{w: w, name: "approval"})
	})
	cfg.ProvisioningAddr = serve("provisioning", func(s grpc.ServiceRegistrar) {
		provisioningv1.RegisterChecklistServiceServer(s, checklistService{})
		opsv1.RegisterParkedEventServiceServer(s, parkedService{w: w, name: "provisioning"})
	})
	cfg.AuditAddr = serve("audit", func(s grpc.ServiceRegistrar) {
		auditv1.RegisterAuditServiceServer(s, auditService{})
		opsv1.RegisterParkedEventServiceServer(s, parkedService{w: w, name: "audit"})
	})
	scim := httptest.NewServer(http.HandlerFunc(w.serveSCIM))
	t.Cleanup(scim.Close)
	if isAway("identity-sync") {
		scim.Close()
	}
	cfg.IdentityHTTPAddr = scim.Listener.Addr().String()
	w.url, w.inner = run(t, cfg)
	return w
}

// run runs a gateway and returns its address as a URL, and that of its metrics.
func run(t *testing.T, cfg gateway.Config) (url, inner string) {
	t.Helper()
	lis, innerLis := listen(t), listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() { done <- gateway.Run(ctx, cfg, service.Listeners{HTTP: lis, Inner: innerLis}, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return "http://" + lis.Addr().String(), "http://" + innerLis.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

func (w *world) serve(name string, lis net.Listener, register func(grpc.ServiceRegistrar)) {
	w.t.Helper()
	srv, err := rpc.NewServer(rpc.ServerConfig{Verifier: w.tokens.VerifierOf(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	register(srv)
	w.health[name] = health.NewServer()
	healthpb.RegisterHealthServer(srv, w.health[name])
	serveGRPC(w.t, srv, lis)
}

func serveGRPC(t *testing.T, srv interface {
	Serve(net.Listener) error
	Stop()
}, lis net.Listener,
) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // a test may end before it has begun
			t.Errorf("serve gRPC: %v", err)
		}
	})
}

// saw notes a call.
func (w *world) saw(ctx context.Context, req any) {
	md, _ := metadata.FromIncomingContext(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heads, w.got = append(w.heads, md), append(w.got, req)
}

func (w *world) lastHead() metadata.MD {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.heads) == 0 {
		w.t.Fatal("no call has reached a service")
	}
	return w.heads[len(w.heads)-1]
}

func last[T any](w *world) (req T) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) == 0 {
		w.t.Fatal("no call has reached a service")
	}
	req, ok := w.got[len(w.got)-1].(T)
	if !ok {
		w.t.Fatalf("the last call was %T", w.got[len(w.got)-1])
	}
	return req
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) exchanges() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.exchanged
}

// inBackground is how many of them nobody asked for.
func (w *world) inBackground() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unasked
}

type tokenService struct {
	identityv1.UnimplementedTokenServiceServer
	w *world
}

func (s tokenService) ExchangeToken(_ context.Context, r *identityv1.ExchangeTokenRequest) (*identityv1.ExchangeTokenResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.exchanged++
	if r.GetBackground() {
		s.w.unasked++
	}
	if r.GetToken() == "ghp_limited" {
		return nil, ratelimit.State{Name: "tokens of an organization", Limit: ratelimit.Limit{PerSecond: 0.1, Burst: 2}}.Exceeded()
	}
	c, ok := s.w.secrets[r.GetToken()]
	if !ok {
		return nil, apierr.Unauthenticated("TOKEN_INVALID", "the token is not valid")
	}
	tokens := map[string]string{}
	for _, service := range r.GetAudiences() {
		tokens[service] = s.w.tokens.MintFor(c, service)
	}
	return &identityv1.ExchangeTokenResponse{
		AccessTokens: tokens, ExpireTime: timestamppb.New(s.w.clock.Now().Add(5 * time.Minute)),
	}, nil
}

type userService struct {
	identityv1.UnimplementedUserServiceServer
	w *world
}

func (s userService) GetMe(ctx context.Context, r *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	s.w.saw(ctx, r)
	c := authz.Must(ctx)
	return &identityv1.GetMeResponse{
		User:         &identityv1.User{Id: c.UserID.String(), DisplayName: c.Name, Role: identityv1.Role_ROLE_ADMIN},
		Organization: &identityv1.Organization{Id: c.OrganizationID.String(), Name: "Analytical Engines"},
	}, nil
}

func (s userService) GetUser(context.Context, *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	return nil, apierr.NotFound("USER_NOT_FOUND", "there is no such user")
}

func (s userService) ListUsers(ctx context.Context, r *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	s.w.saw(ctx, r)
	return &identityv1.ListUsersResponse{}, nil
}

type organizationService struct {
	identityv1.UnimplementedOrganizationServiceServer
}

func (organizationService) GetOrganization(context.Context, *identityv1.GetOrganizationRequest) (*identityv1.GetOrganizationResponse, error) {
	panic("select secret from organization")
}

type sourceService struct {
	identityv1.UnimplementedSourceServiceServer
}

func (sourceService) CreateSource(context.Context, *identityv1.CreateSourceRequest) (*identityv1.CreateSourceResponse, error) {
	return &identityv1.CreateSourceResponse{Source: &identityv1.Source{ScimBaseUrl: "/scim/v2"}}, nil
}

func (sourceService) UpdateSource(context.Context, *identityv1.UpdateSourceRequest) (*identityv1.UpdateSourceResponse, error) {
	return &identityv1.UpdateSourceResponse{Source: &identityv1.Source{ScimBaseUrl: "/scim/v2"}}, nil
}

func (sourceService) ListSources(context.Context, *identityv1.ListSourcesRequest) (*identityv1.ListSourcesResponse, error) {
	return &identityv1.ListSourcesResponse{Sources: []*identityv1.Source{{ScimBaseUrl: "/scim/v2"}, {ScimBaseUrl: "/scim/v2"}}}, nil
}

type sessionService struct {
	identityv1.UnimplementedSessionServiceServer
	w *world
}

func (s sessionService) ListDevPeople(context.Context, *identityv1.ListDevPeopleRequest) (*identityv1.ListDevPeopleResponse, error) {
	return &identityv1.ListDevPeopleResponse{Users: []*identityv1.User{
		{UserName: "ada", DisplayName: "Ada Lovelace", Role: identityv1.Role_ROLE_ADMIN},
		{UserName: "grace", DisplayName: "Grace Hopper", Role: identityv1.Role_ROLE_MEMBER, Title: "Rear Admiral"},
	}}, nil
}

func (s sessionService) DevSignIn(_ context.Context, r *identityv1.DevSignInRequest) (*identityv1.DevSignInResponse, error) {
	if r.GetUserName() != "ada" {
		return nil, apierr.NotFound("USER_NOT_FOUND", "there is no such user")
	}
	return &identityv1.DevSignInResponse{Token: "ghs_admin"}, nil
}

func (s sessionService) SignOut(_ context.Context, r *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	resp := &identityv1.SignOutResponse{}
	s.w.set(func() {
		s.w.signedOut++
		s.w.signOut = r
		delete(s.w.secrets, "ghs_admin")
		if s.w.endSession != "" && r.GetPostLogoutRedirectUri() != "" {
			resp.EndSessionUrl = s.w.endSession + "&state=" + r.GetState()
		}
	})
	return resp, nil
}

// signInService signs "good" codes in, and remembers what it was asked.
type signInService struct {
	identityv1.UnimplementedSignInServiceServer
	w *world
}

func (s signInService) ListSignInOptions(_ context.Context, r *identityv1.ListSignInOptionsRequest) (*identityv1.ListSignInOptionsResponse, error) {
	if r.GetOrganization() != "engines" {
		return &identityv1.ListSignInOptionsResponse{}, nil
	}
	return &identityv1.ListSignInOptionsResponse{Options: []*identityv1.SignInOption{
		{IdentityProviderId: uuid, Name: "Corp <b>", OrganizationName: "Analytical Engines"},
	}}, nil
}

func (s signInService) StartSignIn(ctx context.Context, r *identityv1.StartSignInRequest) (*identityv1.StartSignInResponse, error) {
	s.w.saw(ctx, r)
	return &identityv1.StartSignInResponse{AuthorizationUrl: "https://idp.example/auth?state=s1", Attempt: "attempt1"}, nil
}

func (s signInService) StartConfirmation(ctx context.Context, r *identityv1.StartConfirmationRequest) (*identityv1.StartConfirmationResponse, error) {
	s.w.saw(ctx, r)
	return &identityv1.StartConfirmationResponse{AuthorizationUrl: "https://idp.example/auth?state=s2", Attempt: "attempt2"}, nil
}

func (s signInService) FinishSignIn(ctx context.Context, r *identityv1.FinishSignInRequest) (*identityv1.FinishSignInResponse, error) {
	s.w.saw(ctx, r)
	switch r.GetCode() {
	case "good":
		return &identityv1.FinishSignInResponse{Token: "ghs_admin", ExpireTime: timestamppb.New(time.Now().Add(time.Hour + time.Minute)), ReturnTo: "/requests?open=1"}, nil
	case "again":
		return &identityv1.FinishSignInResponse{Token: "ghs_admin", ExpireTime: timestamppb.New(time.Now().Add(time.Hour)), Confirmed: true}, nil
	case "elsewhere":
		return &identityv1.FinishSignInResponse{Token: "ghs_admin", ExpireTime: timestamppb.New(time.Now().Add(time.Hour)), ReturnTo: "https://evil.example/"}, nil
	case "test":
		return &identityv1.FinishSignInResponse{Test: &identityv1.SignInTest{Subject: "<script>", Problems: []string{"No active person."}}}, nil
	case "away":
		return nil, errors.New("connect to 10.1.2.3: refused")
	}
	return nil, apierr.Unauthenticated("SIGN_IN_USER_UNKNOWN", "nobody who may sign in here has this identity")
}

func (s signInService) RedeemSignInLink(_ context.Context, r *identityv1.RedeemSignInLinkRequest) (*identityv1.RedeemSignInLinkResponse, error) {
	if r.GetSecret() != "ghl_good" {
		return nil, apierr.Unauthenticated("SIGN_IN_LINK_INVALID", "the link is not valid")
	}
	return &identityv1.RedeemSignInLinkResponse{Token: "ghs_admin", ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}, nil
}

func (s signInService) EndSessionsByProvider(_ context.Context, r *identityv1.EndSessionsByProviderRequest) (*identityv1.EndSessionsByProviderResponse, error) {
	switch r.GetLogoutToken() {
	case "good":
		return &identityv1.EndSessionsByProviderResponse{}, nil
	case "away":
		return nil, apierr.Unavailable("IDENTITY_PROVIDER_UNAVAILABLE", errors.New("away"))
	}
	return nil, apierr.InvalidField("logout_token", "LOGOUT_TOKEN_INVALID", "the logout token does not hold")
}

type requestService struct {
	requestv1.UnimplementedRequestServiceServer
	w *world
}

func (s requestService) CreateRequest(ctx context.Context, r *requestv1.CreateRequestRequest) (*requestv1.CreateRequestResponse, error) {
	s.w.saw(ctx, r)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if authz.Must(ctx).UserVersion < s.w.version {
		return nil, authz.ErrTokenStale
	}
	return &requestv1.CreateRequestResponse{Request: &requestv1.Request{Justification: r.GetJustification()}}, nil
}

func (s requestService) CancelRequest(context.Context, *requestv1.CancelRequestRequest) (*requestv1.CancelRequestResponse, error) {
	return nil, apierr.New(codes.Unavailable, "DATABASE_UNAVAILABLE", "the database is away").WithRetry(1500 * time.Millisecond)
}

type appService struct {
	requestv1.UnimplementedAppServiceServer
	w *world
}

func (s appService) UpdateApp(ctx context.Context, r *requestv1.UpdateAppRequest) (*requestv1.UpdateAppResponse, error) {
	s.w.saw(ctx, r)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return &requestv1.UpdateAppResponse{App: r.GetApp()}, s.w.refuses
}

type checklistService struct {
	provisioningv1.UnimplementedChecklistServiceServer
}

func (checklistService) ExportChecklists(context.Context, *provisioningv1.ExportChecklistsRequest) (*httpbody.HttpBody, error) {
	return &httpbody.HttpBody{ContentType: "text/csv; charset=utf-8", Data: []byte("person\r\nAda\r\n")}, nil
}

type auditService struct {
	auditv1.UnimplementedAuditServiceServer
}

func (auditService) GetRequestReport(_ context.Context, r *auditv1.GetRequestReportRequest) (*httpbody.HttpBody, error) {
	kind := map[string]string{
		"": "application/json", "csv": "text/csv", "pdf": "application/pdf",
		"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	}[r.GetFormat()]
	return &httpbody.HttpBody{ContentType: kind, Data: []byte("[]")}, nil
}

// parkedService pages by number of events.
type parkedService struct {
	opsv1.UnimplementedParkedEventServiceServer
	w    *world
	name string
}

func (s parkedService) ListParkedEvents(_ context.Context, r *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	from, _ := strconv.Atoi(r.GetPageToken())
	all := slices.Clone(s.w.parked[s.name])
	switch r.GetOrderBy() {
	case "":
	case "attempts desc":
		slices.SortStableFunc(all, func(a, b *opsv1.ParkedEvent) int {
			return cmp.Or(cmp.Compare(b.GetAttempts(), a.GetAttempts()), cmp.Compare(b.GetEventId(), a.GetEventId()))
		})
	case "parkedTime":
		slices.SortStableFunc(all, func(a, b *opsv1.ParkedEvent) int {
			return cmp.Or(a.GetParkedTime().AsTime().Compare(b.GetParkedTime().AsTime()), cmp.Compare(a.GetEventId(), b.GetEventId()))
		})
	default:
		return nil, apierr.InvalidField("order_by", "ORDER_BY_INVALID", "order_by: not so")
	}
	to := min(from+int(r.GetPageSize()), len(all))
	out := &opsv1.ListParkedEventsResponse{ParkedEvents: all[from:to]}
	if to < len(all) {
		out.NextPageToken = strconv.Itoa(to)
	}
	return out, nil
}

func (s parkedService) ReplayParkedEvent(_ context.Context, r *opsv1.ReplayParkedEventRequest) (*opsv1.ReplayParkedEventResponse, error) {
	s.w.set(func() { s.w.replayed = append(s.w.replayed, s.name+" "+r.GetEventId()) })
	return &opsv1.ReplayParkedEventResponse{}, nil
}

// serveSCIM is what identity-sync serves over HTTP.
func (w *world) serveSCIM(rw http.ResponseWriter, r *http.Request) {
	w.set(func() { w.scim = append(w.scim, r) })
	if r.Header.Get("Authorization") == "Bearer ghi_limited" {
		state := ratelimit.State{Name: "SCIM of an organization", Limit: ratelimit.Limit{PerSecond: 0.1, Burst: 2}}
		state.SetHeader(rw.Header())
		rw.Header().Set("Retry-After", "10")
		rw.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ghi_guess") {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	rw.Header().Set("Location", r.Header.Get("X-Forwarded-Proto")+"://"+r.Header.Get("X-Forwarded-Host")+r.URL.Path+"/1")
	rw.Header().Set("Content-Type", "application/scim+json")
	rw.Header().Set("Cache-Control", "max-age=60")
	rw.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(rw, `{"schemas":[]}`)
}

// answer is what the gateway answered.
type answer struct {
	code   int
	header http.Header
	body   string
}

// rpcStatus is the form of every error.
type rpcStatus struct {
	Code    codes.Code
	Message string
	Details []struct {
		Reason          string
		Metadata        map[string]string
		FieldViolations []struct{ Field, Reason, Description string }
	}
}

func (a answer) status(t *testing.T) (st rpcStatus) {
	t.Helper()
	if k := a.header.Get("Content-Type"); k != "application/json" {
		t.Errorf("an error of type %q: %s", k, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &st); err != nil {
		t.Errorf("%q: %v", a.body, err)
	}
	return st
}

// reason is the error's reason and the first wrong field, if any.
func (a answer) reason(t *testing.T) (reason, field string) {
	t.Helper()
	for _, d := range a.status(t).Details {
		if d.Reason != "" {
			reason = d.Reason
		}
		for _, v := range d.FieldViolations {
			if field == "" {
				field = v.Field
			}
		}
	}
	return reason, field
}

// call sends a request; headers are in pairs.
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	return send(w.t, method, w.url+path, r, headers...)
}

func send(t *testing.T, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req) // as it is: redirects are not followed
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// asAdmin is the header of an API token.
func asAdmin(more ...string) []string {
	return append([]string{"Authorization", "Bearer ghp_admin"}, more...)
}
