package secretbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// ErrOpen says that a sealed value was altered, is sealed with a key the box
// does not have, or belongs to other associated data. Which of these is not
// told apart on purpose.
var ErrOpen = errors.New("sealed value cannot be opened")

// A sealed value is version | key id | nonce | ciphertext and tag.
const (
	version   = 1
	keyIDSize = 4
	nonceSize = 12
	tagSize   = 16
	overhead  = 1 + keyIDSize + nonceSize + tagSize
)

// Box seals and opens values. It is safe for concurrent use.
type Box struct {
	keys []sealer // the first one seals
}

type sealer struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// New makes a box that seals with key and opens what was sealed with key or
// any of older. Every key is [KeySize] bytes.
func New(key []byte, older ...[]byte) (*Box, error) {
	b := &Box{}
	for i, k := range append([][]byte{key}, older...) {
		if len(k) != KeySize {
			return nil, fmt.Errorf("key %d has %d bytes, want %d", i+1, len(k), KeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		b.keys = append(b.keys, sealer{id: keyID(k), aead: aead})
	}
	return b, nil
}

// ParseKey reads a key written in base64, standard or URL-safe, padded or not.
func ParseKey(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	key, err := enc.DecodeString(s)
	if err != nil {
		// The decoder's own text quotes a part of the key.
		return nil, errors.New("key is not base64")
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("key has %d bytes, want %d", len(key), KeySize)
	}
	return key, nil
}

// ParseKeys reads the keys of a setting: the one that seals, and after it, separated
// by commas, those that only open what was sealed before.
func ParseKeys(s string) (key []byte, older [][]byte, err error) {
	for one := range strings.SplitSeq(s, ",") {
		k, err := ParseKey(one)
		if err != nil {
			return nil, nil, err
		}
		if key == nil {
			key = k
		} else {
			older = append(older, k)
		}
	}
	return key, older, nil
}

// NewKey returns a random key.
func NewKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails
	return key
}

// Seal encrypts plaintext and binds it to aad, which is not part of the result
// and must be given again to [Box.Open]. Sealing the same value twice gives
// different results.
func (b *Box) Seal(plaintext, aad []byte) []byte {
	k := b.keys[0]
	out := make([]byte, 1+keyIDSize+nonceSize, overhead+len(plaintext))
	out[0] = version
	copy(out[1:], k.id[:])
	nonce := out[1+keyIDSize:]
	rand.Read(nonce)
	return k.aead.Seal(out, nonce, plaintext, aad)
}

// Open decrypts what [Box.Seal] returned for the same aad. Its error is always
// [ErrOpen].
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != version {
		return nil, ErrOpen
	}
	id := sealed[1 : 1+keyIDSize]
	nonce := sealed[1+keyIDSize:][:nonceSize]
	for _, k := range b.keys {
		if !bytes.Equal(k.id[:], id) {
			continue
		}
		if plaintext, err := k.aead.Open(nil, nonce, sealed[1+keyIDSize+nonceSize:], aad); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrOpen
}

// Opening is the box that opens what other opens as well, which may be nil.
func (b *Box) Opening(other *Box) *Box {
	if other == nil {
		return b
	}
	return &Box{keys: slices.Concat(b.keys, other.keys)}
}

// Current reports whether sealed was sealed with the box's first key. What is
// not can be opened and sealed again until no value needs an older key.
func (b *Box) Current(sealed []byte) bool {
	return len(sealed) >= overhead && sealed[0] == version && bytes.Equal(sealed[1:1+keyIDSize], b.keys[0].id[:])
}

// keyID names a key without giving anything of it away.
func keyID(key []byte) (id [keyIDSize]byte) {
	sum := sha256.Sum256(append([]byte("gatehouse secretbox key id\x00"), key...))
	copy(id[:], sum[:])
	return id
}
