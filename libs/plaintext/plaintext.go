// Package plaintext holds text from outside to what shows as it is: what a reader
// cannot see must not change what the reader sees.
package plaintext

import (
	"fmt"
	"strings"
)

// Hidden is the first character of a text that is refused: a control character
// other than tab and the ends of lines, which no column takes (U+0000) or which
// drives a terminal, or one that turns the direction of the text around it, so
// that "exe.gpj" reads "jpg.exe". It is empty if there is none. Marks that a word
// of mixed directions needs (U+200E, U+200F) are not refused.
func Hidden(text string) string {
	at := strings.IndexFunc(text, hidden)
	if at < 0 {
		return ""
	}
	for _, r := range text[at:] {
		return fmt.Sprintf("U+%04X", r)
	}
	return ""
}

func hidden(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	case r < ' ', r >= 0x7F && r <= 0x9F:
		return true
	}
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}
