// Package page pages lists by keyset: a page token says where the last page
// ended, never how many rows to skip, so that rows which come or go between
// two pages are neither shown twice nor missed.
//
// A token is opaque to clients and carries no secret. [Signer] has it be good for one
// list and one caller.
package page

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
)

// DefaultSize is the number of rows in a page when the client names none, and
// MaxSize the most it may ask for.
const (
	DefaultSize = 50
	MaxSize     = 1000
)

// Size gives the number of rows of a page for what the client asked.
func Size(asked int32) int {
	switch {
	case asked <= 0:
		return DefaultSize
	case asked > MaxSize:
		return MaxSize
	default:
		return int(asked)
	}
}

// Encode makes a token of the keys of a page's last row.
func Encode(keys ...string) string {
	b, err := json.Marshal(keys)
	if err != nil { // strings always marshal
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode gives the n keys of a token, or nil for an empty token, the first
// page. A token that is not one of ours is an invalid page_token.
func Decode(token string, n int) ([]string, error) {
	if token == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid()
	}
	var keys []string
	if err := json.Unmarshal(b, &keys); err != nil || len(keys) != n {
		return nil, invalid()
	}
	return keys, nil
}

// TextPlace is where a page ended of a list in the order of a text and an id.
type TextPlace struct {
	Text string
	ID   uuid.UUID
}

// Token is the place as a token.
func (p TextPlace) Token() string { return Encode(p.Text, p.ID.String()) }

// DecodeText reads the token of a [TextPlace]; nil for the first page.
func DecodeText(token string) (*TextPlace, error) {
	keys, err := Decode(token, 2)
	if err != nil || keys == nil {
		return nil, err
	}
	last, err := uuid.Parse(keys[1])
	if err != nil || strings.ContainsRune(keys[0], 0) { // no text of a database has that
		return nil, invalid()
	}
	return &TextPlace{Text: keys[0], ID: last}, nil
}

// TimePlace is where a page ended of a list in the order of a time and an id.
type TimePlace struct {
	Time time.Time
	ID   uuid.UUID
}

// Token is the place as a token.
func (p TimePlace) Token() string {
	return Encode(p.Time.UTC().Format(time.RFC3339Nano), p.ID.String())
}

// DecodeTime reads the token of a [TimePlace]; nil for the first page.
func DecodeTime(token string) (*TimePlace, error) {
	keys, err := Decode(token, 2)
	if err != nil || keys == nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339Nano, keys[0])
	if err != nil {
		return nil, invalid()
	}
	last, err := uuid.Parse(keys[1])
	if err != nil {
		return nil, invalid()
	}
	return &TimePlace{Time: at, ID: last}, nil
}

// IDToken is the token of a list in the order of ids, and DecodeID reads it; the
// nil id for the first page.
func IDToken(last uuid.UUID) string { return Encode(last.String()) }

// DecodeID reads what [IDToken] makes.
func DecodeID(token string) (uuid.UUID, error) {
	keys, err := Decode(token, 1)
	if err != nil || keys == nil {
		return uuid.Nil, err
	}
	last, err := uuid.Parse(keys[0])
	if err != nil {
		return uuid.Nil, invalid()
	}
	return last, nil
}

// Cut cuts rows, of which one more was read than a page has, down to the page. It
// returns the token of the next page; empty if this is the last one.
func Cut[T any](rows []T, size int, token func(T) string) (page []T, next string) {
	if len(rows) <= size {
		return rows, ""
	}
	return rows[:size], token(rows[size-1])
}

func invalid() error {
	return apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
}
