// Package username says which names people may be given to sign in by, as RFC 8265
// does for user names: two that look the same are the same, and nothing in one is
// hidden.
package username

import (
	"fmt"
	"strings"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Form is the form by which user names are compared: in any case and width, as databases
// compare them by lower(normalize(name, NFKC)).
func Form(name string) string { return strings.ToLower(norm.NFKC.String(name)) }

// Fault is what is wrong with a user name, such as "must not contain U+202E"; empty if
// it is good. The parts between spaces, "@" and "." are each held to the profile
// UsernameCaseMapped, so that an address may have a part written from right to left.
func Fault(name string) string {
	folded := width.Fold.String(name)
	if folded == "" || strings.TrimSpace(folded) != folded || strings.Contains(folded, "  ") {
		return "must not be empty, begin or end with a space, or have two in a row"
	}
	for part := range strings.FieldsFuncSeq(folded, func(r rune) bool { return r == ' ' || r == '@' || r == '.' }) {
		if _, err := precis.UsernameCaseMapped.String(part); err != nil {
			return faultOf(part)
		}
	}
	return ""
}

// faultOf names the character that cannot be in any name, if there is one.
func faultOf(part string) string {
	for _, r := range part {
		if _, err := precis.UsernameCaseMapped.String(string(r)); err != nil {
			return fmt.Sprintf("must not contain U+%04X here", r)
		}
	}
	return "must not mix directions of writing within a part, or characters that do not go together"
}
