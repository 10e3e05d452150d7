package eventsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
)

// Header holds the signature: "ed25519=" and the base64 of its 64 bytes. SetHeader
// holds the base64 of the digests of the events that were signed together, 32 bytes
// each, in their order; it is absent where an event was signed alone.
const (
	Header    = "gatehouse-signature"
	SetHeader = "gatehouse-signed-set"
)

const (
	scheme = "ed25519="
	domain = "gatehouse events v1"
	// maxSet bounds how many events are signed together: each carries the digests
	// of all.
	maxSet = 16
)

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

// Key is a key of 32 bytes for another use, that all replicas of the service have.
func (s Signer) Key(use string) []byte {
	key, err := hkdf.Key(sha256.New, s.key.Seed(), nil, "gatehouse "+use, sha256.Size)
	if err != nil { // only for lengths that this is not
		panic(err)
	}
	return key
}

// PublicKey is what the signatures are verified with.
func (s Signer) PublicKey() ed25519.PublicKey {
	return s.key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // by its documentation
}

// Sign signs messages whose subjects, headers and data are complete, several with one
// signature. Without a key it does nothing, and they will be refused.
func (s Signer) Sign(messages ...*nats.Msg) {
	if s.key == nil {
		return
	}
	for set := range slices.Chunk(messages, maxSet) {
		digests := make([]byte, 0, len(set)*sha256.Size)
		for _, m := range set {
			d := digest(m.Subject, m.Header, m.Data)
			digests = append(digests, d[:]...)
		}
		signature := scheme + base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, signed(digests)))
		together := base64.StdEncoding.EncodeToString(digests)
		for _, m := range set {
			m.Header[Header] = []string{signature}
			if len(set) > 1 {
				m.Header[SetHeader] = []string{together}
			}
		}
	}
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
	own := digest(subject, h, data)
	digests := own[:]
	if text := h.Get(SetHeader); text != "" {
		if digests, err = base64.StdEncoding.DecodeString(text); err != nil || len(digests) > maxSet*sha256.Size || !holds(digests, own) {
			return errors.New("the event is not among those that it says were signed together")
		}
	}
	for _, key := range k[service] {
		if verified.verify(key, signed(digests), signature) {
			return nil
		}
	}
	return fmt.Errorf("the event was not signed by %s", service)
}

// holds says whether a digest is one of several.
func holds(digests []byte, one [sha256.Size]byte) bool {
	if len(digests)%sha256.Size != 0 {
		return false
	}
	for d := range slices.Chunk(digests, sha256.Size) {
		if bytes.Equal(d, one[:]) {
			return true
		}
	}
	return false
}

// signed is what a signature is of.
func signed(digests []byte) []byte { return append([]byte(domain), digests...) }

// digest is that of an event: of each part behind its length.
func digest(subject string, h nats.Header, data []byte) [sha256.Size]byte {
	out := make([]byte, 0, len(subject)+len(data)+256)
	add := func(part string) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part))) //nolint:gosec // far below
		out = append(out, part...)
	}
	add(subject)
	for _, name := range signedHeaders {
		add(h.Get(name))
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(data))) //nolint:gosec // at most bus.MaxMessageBytes
	return sha256.Sum256(append(out, data...))
}

// verified remembers signatures that were good: events that were signed together
// share one, and several services may be in one process.
var verified memory

// memory remembers the last signatures that were verified.
type memory struct {
	mu           sync.Mutex
	recent, past map[[sha256.Size]byte]bool
}

// remembered is how many signatures are remembered at least.
const remembered = 1024

func (m *memory) verify(key ed25519.PublicKey, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	h := sha256.New() // of lengths that do not vary, but for the last
	for _, part := range [][]byte{key, signature, message} {
		_, _ = h.Write(part)
	}
	id := [sha256.Size]byte(h.Sum(nil))
	m.mu.Lock()
	known := m.recent[id] || m.past[id]
	m.mu.Unlock()
	if known {
		return true
	}
	if !ed25519.Verify(key, message, signature) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recent == nil || len(m.recent) >= remembered {
		m.recent, m.past = make(map[[sha256.Size]byte]bool, remembered), m.recent
	}
	m.recent[id] = true
	return true
}
