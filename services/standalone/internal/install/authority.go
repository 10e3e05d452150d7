package install

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const (
	// authorityLife and life are how long certificates are good.
	authorityLife = 10 * 365 * 24 * time.Hour
	life          = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is made anew.
	renewBefore = 30 * 24 * time.Hour
)

// authority signs the certificates of one installation.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openAuthority reads the authority of a folder, or makes it.
func openAuthority(dir string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, "authority", "ca.crt"), filepath.Join(dir, "authority", "ca.key")
	cert, certErr := readCertificate(certFile)
	key, keyErr := readKey(keyFile)
	switch {
	case certErr == nil && keyErr == nil && key.PublicKey.Equal(cert.PublicKey):
		return &authority{cert: cert, key: key}, nil
	case certErr == nil && keyErr == nil:
		return nil, errors.New("the authority's key is not that of its certificate, nothing was changed")
	case !errors.Is(certErr, fs.ErrNotExist) || keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist):
		return nil, fmt.Errorf("read the authority, nothing was changed: %w", errors.Join(certErr, keyErr))
	}
	// The key is written first: without a certificate nobody has trusted it yet.
	if keyErr != nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("make the authority's key: %w", err)
		}
	}
	a := &authority{key: key}
	template := template("Gatehouse", authorityLife)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	if err := writeKey(dir, filepath.Join("authority", "ca.key"), key); err != nil {
		return nil, err
	}
	return a, write(dir, filepath.Join("authority", "ca.crt"), certificatePEM(der))
}

// issue has a folder hold a certificate of the name for the uses, its key and that of
// the authority. One that is good for long enough, and goes with its key, stays: an
// interruption may leave a new key beside an old certificate.
func (a *authority) issue(dir, name string, uses ...x509.ExtKeyUsage) error {
	if err := write(dir, "ca.crt", certificatePEM(a.cert.Raw)); err != nil {
		return err
	}
	have, err := readCertificate(filepath.Join(dir, "tls.crt"))
	if key, keyErr := readKey(filepath.Join(dir, "tls.key")); err == nil && keyErr == nil && key.PublicKey.Equal(have.PublicKey) &&
		have.CheckSignatureFrom(a.cert) == nil && time.Now().Before(have.NotAfter.Add(-renewBefore)) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of %s: %w", name, err)
	}
	template := template(name, life)
	template.DNSNames = []string{name}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, uses
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	if err := writeKey(dir, "tls.key", key); err != nil {
		return err
	}
	return write(dir, "tls.crt", certificatePEM(der))
}

func template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		// Clocks may differ.
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
	}
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return write(dir, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func readPEM(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("read %s: it is no PEM", file)
	}
	return block.Bytes, nil
}

func readCertificate(file string) (*x509.Certificate, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return cert, nil
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read %s: not a key of this kind", file)
	}
	return own, nil
}
