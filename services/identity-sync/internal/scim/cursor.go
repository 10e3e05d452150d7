package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
)

// Pages by cursor are those of RFC 9865. A cursor says where a page ended, and how
// many resources there were in all when the first page was read. It is good for one
// source and one query, for [Config].CursorTimeout.

// cursor is what a nextCursor says.
type cursor struct {
	// Groups says that the users of a list of all types are behind it.
	Groups bool     `json:"g,omitempty"`
	Behind Position `json:"b"`
	// Total is that of the first page; nil if it is not known.
	Total *int `json:"t,omitempty"`
	// Until is when it expires, in Unix seconds.
	Until int64 `json:"u"`
}

// bind puts what a cursor is good for into words: the source, the kind of list, and
// what is listed in which order.
func (l listing) bind(src Source, kind string) string {
	h := sha256.New()
	for _, s := range []string{src.ID.String(), kind, l.filterText, strings.ToLower(l.sortBy), strconv.FormatBool(l.descending)} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return "scim cursor " + hex.EncodeToString(h.Sum(nil))
}

// begin reads the cursor of a listing, and nil of one by index. The first page has
// the zero cursor.
func (h *Handler) begin(c *call, l listing, kind string) (*cursor, error) {
	if !l.byCursor {
		return nil, nil //nolint:nilnil // pages by index have none
	}
	if l.cursor == "" {
		return &cursor{}, nil
	}
	invalid := bad(invalidCursor, "the cursor is not one of this list: ask for the first page with an empty cursor, and change nothing of the query but the cursor after that")
	token, ok := h.cursors.Verify(l.bind(c.src, kind), l.cursor)
	if !ok {
		return nil, invalid
	}
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid
	}
	var at cursor
	if err := json.Unmarshal(data, &at); err != nil {
		return nil, invalid
	}
	if h.cfg.Clock.Now().Unix() >= at.Until {
		return nil, bad(expiredCursor, "the cursor has expired: it is good for %d seconds; ask for the first page anew", int(h.cfg.CursorTimeout.Seconds()))
	}
	return &at, nil
}

// next makes the cursor of the next page.
func (h *Handler) next(c *call, l listing, kind string, at cursor) (string, error) {
	at.Until = h.cfg.Clock.Now().Add(h.cfg.CursorTimeout).Unix()
	data, err := json.Marshal(at)
	if err != nil {
		return "", err //nolint:wrapcheck // texts and numbers always marshal
	}
	return h.cursors.Sign(l.bind(c.src, kind), base64.RawURLEncoding.EncodeToString(data)), nil
}

// first reports whether it is that of the first page.
func (at *cursor) first() bool { return at != nil && at.Until == 0 }
