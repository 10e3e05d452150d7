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

func invalid() error {
	return apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
}
