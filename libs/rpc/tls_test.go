package rpc_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := rpctest.NewAuthority(t), rpctest.NewAuthority(t)
	dir := t.TempDir()
	certFile, keyFile := ours.Issue(t, dir, "first")
	server, client, err := rpc.LoadTLS(certFile, keyFile, ours.File)
	if err != nil {
		t.Fatal(err)
	}
	var serverSaw string
	tokens := rpctest.NewTokens(t)
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), TLS: server}, parked{list: func(ctx context.Context, _ *opsv1.ListParkedEventsRequest) error {
		p, _ := peer.FromContext(ctx)
		serverSaw = p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName
		return nil
	}}.register)
	call := func(cfg rpc.DialConfig) (clientSaw string, err error) {
		cfg.Token = func(context.Context) (string, error) { return tokens.Mint(admin), nil }
		conn, err := rpc.Dial(addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var p peer.Peer
		_, err = opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(t.Context(), listParked, grpc.Peer(&p))
		if err == nil && p.AuthInfo != nil {
			clientSaw = p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName
		}
		return clientSaw, err
	}

	if saw, err := call(rpc.DialConfig{TLS: client}); err != nil || saw != "first" || serverSaw != "first" {
		t.Errorf("both with our certificate: %v; client saw %q, server saw %q", err, saw, serverSaw)
	}

	// Refused: no TLS, no certificate, a certificate of others, a server of others.
	foreignCert, foreignKey := theirs.Issue(t, t.TempDir(), "stranger")
	_, stranger, err := rpc.LoadTLS(foreignCert, foreignKey, ours.File)
	if err != nil {
		t.Fatal(err)
	}
	_, distrusting, err := rpc.LoadTLS(certFile, keyFile, theirs.File)
	if err != nil {
		t.Fatal(err)
	}
	bare := client.Clone()
	bare.GetClientCertificate = nil
	for name, cfg := range map[string]rpc.DialConfig{
		"plain text": {}, "no certificate": {TLS: bare}, "a stranger's certificate": {TLS: stranger}, "a server we do not trust": {TLS: distrusting},
	} {
		if _, err := call(cfg); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A renewed certificate serves without a restart; half of one does not harm.
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(certFile, later, later); err != nil {
		t.Fatal(err)
	}
	if saw, err := call(rpc.DialConfig{TLS: client}); err != nil || saw != "first" {
		t.Errorf("half a certificate: %v; client saw %q", err, saw)
	}
	ours.Issue(t, dir, "second")
	if err := os.Chtimes(certFile, later.Add(time.Minute), later.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if saw, err := call(rpc.DialConfig{TLS: client}); err != nil || saw != "second" || serverSaw != "second" {
		t.Errorf("a renewed certificate: %v; client saw %q, server saw %q", err, saw, serverSaw)
	}
}

func TestLoadTLSRefuses(t *testing.T) {
	t.Parallel()
	a := rpctest.NewAuthority(t)
	cert, key := a.Issue(t, t.TempDir(), "x")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][3]string{
		"no authority file":    {cert, key, empty + "x"},
		"no authority":         {cert, key, empty},
		"no certificate file":  {empty + "x", key, a.File},
		"certificate as a key": {cert, cert, a.File},
	} {
		if _, _, err := rpc.LoadTLS(files[0], files[1], files[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// tlsOf are the sides of mutual TLS of somebody of the name.
func tlsOf(t *testing.T, a *rpctest.Authority, name string) (server, client *tls.Config) {
	t.Helper()
	cert, key := a.Issue(t, t.TempDir(), name)
	server, client, err := rpc.LoadTLS(cert, key, a.File)
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// Names in certificates are checked on both sides: who is called is the service that
// is meant, and a certificate goes with the token that comes with it.
func TestCertificatesHaveNames(t *testing.T) {
	t.Parallel()
	a := rpctest.NewAuthority(t)
	tokens := rpctest.NewTokens(t)
	server, _ := tlsOf(t, a, "provisioning")
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), TLS: server}, func(s grpc.ServiceRegistrar) {
		parked{list: func(context.Context, *opsv1.ListParkedEventsRequest) error { return nil }}.register(s)
		copyOwner{}.register(s)
	})
	person := rpctest.User(admin.Role)
	for _, tt := range []struct {
		name, certificate, meant string
		caller                   authz.Caller
		reason                   string
	}{
		{"the gateway, for a person", "gateway", "provisioning", person, ""},
		{"a program, for a person", "billing", "provisioning", person, ""},
		{"a program, as a client", "operator", "provisioning", rpctest.Service("operator"), ""},
		{"a service, for a person", "audit", "provisioning", person, "CERTIFICATE_NOT_ALLOWED"},
		{"a service, as another", "audit", "provisioning", rpctest.Service("operator"), "CERTIFICATE_NOT_ALLOWED"},
		{"the gateway, as a client", "gateway", "provisioning", rpctest.Service("operator"), "CERTIFICATE_NOT_ALLOWED"},
		{"another service is meant", "gateway", "request", person, "UNAVAILABLE"},
	} {
		_, client := tlsOf(t, a, tt.certificate)
		conn, err := rpc.Dial(addr, rpc.DialConfig{
			TLS: client, ServerName: tt.meant, Token: func(context.Context) (string, error) { return tokens.Mint(tt.caller), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if tt.caller.IsService() {
			_, err = opsv1.NewCopyServiceClient(conn).RebuildCopies(t.Context(), &opsv1.RebuildCopiesRequest{})
		} else {
			_, err = opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(t.Context(), listParked)
		}
		got := rpctest.Reason(err)
		if status.Code(err) == codes.Unavailable {
			got = "UNAVAILABLE"
		}
		if (err == nil) != (tt.reason == "") || got != tt.reason {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.reason)
		}
		conn.Close()
	}
}

type copyOwner struct {
	opsv1.UnimplementedCopyServiceServer
}

func (c copyOwner) register(s grpc.ServiceRegistrar) { opsv1.RegisterCopyServiceServer(s, c) }

func (copyOwner) RebuildCopies(context.Context, *opsv1.RebuildCopiesRequest) (*opsv1.RebuildCopiesResponse, error) {
	return &opsv1.RebuildCopiesResponse{}, nil
}

// HTTP between services takes the certificates that are named.
func TestOnlyCertificates(t *testing.T) {
	t.Parallel()
	a := rpctest.NewAuthority(t)
	server, _ := tlsOf(t, a, "identity-sync")
	s := httptest.NewUnstartedServer(rpc.OnlyCertificates([]string{"gateway"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	s.TLS = server
	s.StartTLS()
	defer s.Close()
	for name, want := range map[string]int{"gateway": http.StatusOK, "request": http.StatusForbidden} {
		_, client := tlsOf(t, a, name)
		client.ServerName = "identity-sync"
		transport := &http.Transport{TLSClientConfig: client}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if r.Body.Close(); r.StatusCode != want {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
		transport.CloseIdleConnections()
	}
	plain := httptest.NewRecorder()
	rpc.OnlyCertificates([]string{"gateway"}, http.NotFoundHandler()).ServeHTTP(plain, httptest.NewRequest(http.MethodGet, "/", nil))
	if plain.Code != http.StatusForbidden {
		t.Errorf("in plain text: %d", plain.Code)
	}
}

// The address of a client is what the gateway's certificate vouches for; others have
// that of their connection, whatever they say.
func TestOnlyTheGatewayForwardsAddresses(t *testing.T) {
	t.Parallel()
	a := rpctest.NewAuthority(t)
	tokens := rpctest.NewTokens(t)
	server, _ := tlsOf(t, a, "provisioning")
	var saw string
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), TLS: server}, parked{list: func(ctx context.Context, _ *opsv1.ListParkedEventsRequest) error {
		saw = authz.AddressText(authz.ClientAddress(ctx))
		return nil
	}}.register)
	for certificate, want := range map[string]string{"gateway": "192.0.2.7", "billing": "127.0.0.1"} {
		_, client := tlsOf(t, a, certificate)
		conn, err := rpc.Dial(addr, rpc.DialConfig{TLS: client, ServerName: "provisioning", Token: func(context.Context) (string, error) { return tokens.Mint(admin), nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx := authz.WithForwarded(t.Context(), netip.MustParseAddr("192.0.2.7"))
		if _, err := opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(ctx, listParked); err != nil || saw != want {
			t.Errorf("%s: %v, the address is %q, want %q", certificate, err, saw, want)
		}
	}
}
