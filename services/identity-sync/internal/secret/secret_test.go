package secret_test

import (
	"strings"
	"testing"

	"gatehouse.dev/services/identity-sync/internal/secret"
)

func TestNewThenParse(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		for _, kind := range []secret.Kind{secret.APIToken, secret.Session, secret.Source} {
			token, hash := secret.New(kind)
			if len(token) != 53 || seen[token] {
				t.Fatalf("token %q", token)
			}
			seen[token] = true
			gotKind, gotHash, ok := secret.Parse(token)
			if !ok || gotKind != kind || gotHash != hash {
				t.Fatalf("Parse(%q) = %q, %x, %t", token, gotKind, gotHash, ok)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good, _ := secret.New(secret.APIToken)
	last := "0"
	if strings.HasSuffix(good, "0") {
		last = "1"
	}
	for name, token := range map[string]string{
		"empty":           "",
		"prefix alone":    "ghp_",
		"other prefix":    "ghs_" + good[4:],
		"unknown prefix":  "ghx_" + good[4:],
		"no prefix":       good[4:],
		"cut off":         good[:len(good)-1],
		"too long":        good + "0",
		"mistyped":        good[:len(good)-1] + last,
		"space behind":    good + " ",
		"sign":            "ghp_-" + good[5:],
		"underscore":      "ghp_1_" + good[6:],
		"too large":       "ghp_" + strings.Repeat("Z", 49),
		"all zero digits": "ghp_" + strings.Repeat("0", 49),
		"not ASCII":       "ghp_" + strings.Repeat("é", 24) + "0",
	} {
		if _, _, ok := secret.Parse(token); ok {
			t.Errorf("%s: %q passes", name, token)
		}
	}
}

func TestPrefixTellsLittle(t *testing.T) {
	t.Parallel()
	token, _ := secret.New(secret.APIToken)
	if p := secret.Prefix(token); len(p) != 10 || !strings.HasPrefix(token, p) {
		t.Errorf("Prefix(%q) = %q", token, p)
	}
}
