package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"gatehouse.dev/libs/authz"
)

// LoadTLS makes the two sides of mutual TLS between machines: the server's,
// which takes only clients with a certificate of the authority, and the
// client's, which shows this one. Files are PEM. A new certificate is picked
// up when its file changes, a new authority at the next start.
func LoadTLS(certFile, keyFile, caFile string) (server, client *tls.Config, err error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read TLS authority: %w", err)
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("read TLS authority %s: no certificate in it", caFile)
	}
	pair := &keyPair{certFile: certFile, keyFile: keyFile}
	if _, err := pair.get(); err != nil {
		return nil, nil, err
	}
	server = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		ClientAuth:     tls.RequireAndVerifyClientCert,
		ClientCAs:      authority,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get() },
	}
	client = &tls.Config{
		MinVersion:           tls.VersionTLS13,
		RootCAs:              authority,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() },
	}
	return server, client, nil
}

// LoadClientTLS makes the client's side of TLS to a server that is not one of ours. Files
// are PEM. Without an authority the system's count; without a certificate and its key
// none is shown. A new certificate is picked up when its file changes, a new authority at
// the next start.
func LoadClientTLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read TLS authority: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read TLS authority %s: no certificate in it", caFile)
		}
	}
	if certFile != "" || keyFile != "" {
		pair := &keyPair{certFile: certFile, keyFile: keyFile}
		if _, err := pair.get(); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() }
	}
	return cfg, nil
}

// keyPair is a certificate and its key, read again when either file changes.
type keyPair struct {
	certFile, keyFile string

	mu      sync.Mutex
	cert    *tls.Certificate
	changed [2]time.Time
}

func (p *keyPair) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var (
		changed [2]time.Time
		failed  error
	)
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		changed[i] = info.ModTime()
	}
	if failed == nil && p.cert != nil && changed == p.changed {
		return p.cert, nil
	}
	if failed == nil {
		cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
		if err == nil {
			p.cert, p.changed = &cert, changed
			return p.cert, nil
		}
		failed = err
	}
	if p.cert != nil {
		// Half of the pair may be written by now; the old one still serves.
		return p.cert, nil
	}
	return nil, fmt.Errorf("read TLS certificate: %w", failed)
}

// OnlyCertificates lets requests pass that come by mutual TLS from somebody whose
// certificate has one of the names; others are answered 403.
func OnlyCertificates(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || !slices.ContainsFunc(authz.CertificateNames(*r.TLS), func(n string) bool { return slices.Contains(names, n) }) {
			http.Error(w, "this certificate may not call", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
