// Package secret makes the long-lived tokens that people, programs and sources
// show, and recognises them.
//
// A token is a prefix that says what it is for, 32 random bytes and a check
// sum, in letters and digits only:
//
//	ghp_…  API token           ghs_…  session
//	ghi_…  source of people    ghl_…  one-time link to sign in
//
// It guarantees that a token cannot be guessed, that what is mistyped or cut off
// is refused without asking a database, and that what is stored, a SHA-256, is
// of no use to whoever reads it: with 256 random bits no slower hash is needed.
//
// It does not know which tokens exist.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/big"
	"strings"
)

// Kind is what a token is for.
type Kind string

// The kinds, which are also the prefixes.
const (
	APIToken Kind = "ghp_"
	Session  Kind = "ghs_"
	Source   Kind = "ghi_"
	Link     Kind = "ghl_"
)

const (
	random = 32 // bytes
	check  = crc32.Size
	// digits is the length of 36 bytes in base 62.
	digits = 49
	// shown is how much of a token may be shown, to recognise it by.
	shown = 10
)

// Hash is what is stored of a token.
type Hash [sha256.Size]byte

// New makes a token.
func New(kind Kind) (token string, hash Hash) {
	b := make([]byte, random, random+check)
	rand.Read(b) //nolint:errcheck // never fails
	b = binary.BigEndian.AppendUint32(b, sum(kind, b))
	text := new(big.Int).SetBytes(b).Text(62)
	token = string(kind) + strings.Repeat("0", digits-len(text)) + text
	return token, sha256.Sum256([]byte(token))
}

// Parse returns what a token is for and what would be stored of it. ok is false
// for what New has never made, whatever it is.
func Parse(token string) (kind Kind, hash Hash, ok bool) {
	for _, k := range []Kind{APIToken, Session, Source, Link} {
		if text, is := strings.CutPrefix(token, string(k)); is && valid(k, text) {
			return k, sha256.Sum256([]byte(token)), true
		}
	}
	return "", Hash{}, false
}

func valid(kind Kind, text string) bool {
	if len(text) != digits {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	n, ok := new(big.Int).SetString(text, 62)
	if !ok || n.BitLen() > 8*(random+check) {
		return false
	}
	b := n.FillBytes(make([]byte, random+check))
	return binary.BigEndian.Uint32(b[random:]) == sum(kind, b[:random])
}

func sum(kind Kind, b []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(kind)), crc32.IEEETable, b)
}

// Prefix is the part of a token that may be shown, to recognise it by.
func Prefix(token string) string { return token[:min(len(token), shown)] }
