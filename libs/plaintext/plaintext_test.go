package plaintext_test

import (
	"testing"

	"gatehouse.dev/libs/plaintext"
)

func TestHidden(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"Zoë Ångström, 李小龙, محمد": "",
		"two\nlines\tand\r\nmore": "",
		"a\u200fb":                "",
		"a\x00b":                  "U+0000",
		"\x1b[2J":                 "U+001B",
		"del\x7f":                 "U+007F",
		"next\u0085line":          "U+0085",
		"Ada \u202eecalevoL":      "U+202E",
		"\u2066Ada\u2069":         "U+2066",
	} {
		if got := plaintext.Hidden(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
