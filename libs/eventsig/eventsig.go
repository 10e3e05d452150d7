package eventsig

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
)

// Header holds the signature: "ed25519=" and the base64 of its 64 bytes.
const Header = "gatehouse-signature"

const scheme = "ed25519="

// signedHeaders are those that the signature covers, in its order.
var signedHeaders = []string{bus.HeaderID, bus.HeaderType, bus.HeaderSource, bus.HeaderSubject, bus.HeaderTime}

// Signer signs the events of one service. The zero value has no key.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner makes a signer of a key of 32 random bytes.
func NewSigner(seed []byte) (Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return Signer{}, fmt.Errorf("the key has %d bytes and not %d", len(seed), ed25519.SeedSize)
	}
	return Signer{key: ed25519.NewKeyFromSeed(seed)}, nil
}

// ParseSigner reads a signer's key, 32 bytes in base64.
func ParseSigner(text string) (Signer, error) {
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Signer{}, errors.New("the key is not base64")
	}
	return NewSigner(seed)
}

// IsZero says that there is no key.
func (s Signer) IsZero() bool { return s.key == nil }

// PublicKey is what the signatures are verified with.
func (s Signer) PublicKey() ed25519.PublicKey {
	return s.key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // by its documentation
}

// Sign signs a message whose subject, headers and data are complete. Without a key
// it does nothing, and the message will be refused.
func (s Signer) Sign(m *nats.Msg) {
	if s.key == nil {
		return
	}
	signature := ed25519.Sign(s.key, content(m.Subject, m.Header, m.Data))
	m.Header[Header] = []string{scheme + base64.StdEncoding.EncodeToString(signature)}
}

// Keys are the public keys of services, by the service's name.
type Keys map[string][]ed25519.PublicKey

// ParseKeys reads keys as a setting has them: service=key, separated by commas, a
// key being 32 bytes in base64. A service may come several times.
func ParseKeys(text string) (Keys, error) {
	keys := Keys{}
	for one := range strings.SplitSeq(text, ",") {
		service, key, ok := strings.Cut(strings.TrimSpace(one), "=")
		raw, err := base64.StdEncoding.DecodeString(key)
		if !ok || service == "" || err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("not of the form service=key,service=key with keys of 32 bytes in base64")
		}
		keys[service] = append(keys[service], raw)
	}
	return keys, nil
}

// String is the keys as [ParseKeys] reads them, of the services in order.
func (k Keys) String(services ...string) string {
	var all []string
	for _, service := range services {
		for _, key := range k[service] {
			all = append(all, service+"="+base64.StdEncoding.EncodeToString(key))
		}
	}
	return strings.Join(all, ",")
}

// Verify returns an error unless the message was signed by the service.
func (k Keys) Verify(service, subject string, h nats.Header, data []byte) error {
	text, ok := strings.CutPrefix(h.Get(Header), scheme)
	if !ok {
		return fmt.Errorf("the event is not signed, as those of %s are", service)
	}
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return errors.New("the event's signature is not base64")
	}
	for _, name := range signedHeaders {
		if len(h[name]) != 1 {
			return fmt.Errorf("the event has the header %s %d times", name, len(h[name]))
		}
	}
	signed := content(subject, h, data)
	for _, key := range k[service] {
		if ed25519.Verify(key, signed, signature) {
			return nil
		}
	}
	return fmt.Errorf("the event was not signed by %s", service)
}

// content is what is signed: each part behind its length.
func content(subject string, h nats.Header, data []byte) []byte {
	const domain = "gatehouse event v1"
	out := make([]byte, 0, len(domain)+len(subject)+len(data)+256)
	add := func(part string) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part))) //nolint:gosec // far below
		out = append(out, part...)
	}
	add(domain)
	add(subject)
	for _, name := range signedHeaders {
		add(h.Get(name))
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(data))) //nolint:gosec // at most bus.MaxMessageBytes
	return append(out, data...)
}
