package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert, a.key = certificate(t, "authority", nil, nil)
	writePEM(t, a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

// issue writes a certificate and its key into dir.
func (a *authority) issue(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	cert, key := certificate(t, name, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePEM(t, certFile, "CERTIFICATE", cert.Raw)
	writePEM(t, keyFile, "PRIVATE KEY", der)
	return certFile, keyFile
}

func certificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	certFile, keyFile := ours.issue(t, dir, "first")
	server, client, err := rpc.LoadTLS(certFile, keyFile, ours.file)
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
	foreignCert, foreignKey := theirs.issue(t, t.TempDir(), "stranger")
	_, stranger, err := rpc.LoadTLS(foreignCert, foreignKey, ours.file)
	if err != nil {
		t.Fatal(err)
	}
	_, distrusting, err := rpc.LoadTLS(certFile, keyFile, theirs.file)
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
	ours.issue(t, dir, "second")
	if err := os.Chtimes(certFile, later.Add(time.Minute), later.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if saw, err := call(rpc.DialConfig{TLS: client}); err != nil || saw != "second" || serverSaw != "second" {
		t.Errorf("a renewed certificate: %v; client saw %q, server saw %q", err, saw, serverSaw)
	}
}

func TestLoadTLSRefuses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.issue(t, t.TempDir(), "x")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][3]string{
		"no authority file":    {cert, key, empty + "x"},
		"no authority":         {cert, key, empty},
		"no certificate file":  {empty + "x", key, a.file},
		"certificate as a key": {cert, cert, a.file},
	} {
		if _, _, err := rpc.LoadTLS(files[0], files[1], files[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
