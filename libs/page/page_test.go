package page_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/page"
)

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{{"a"}, {"2026-01-01T00:00:00Z", "id"}, {"", "ü|\x00"}} {
		got, err := page.Decode(page.Encode(keys...), len(keys))
		if err != nil {
			t.Fatalf("decode %q: %v", keys, err)
		}
		for i := range keys {
			if got[i] != keys[i] {
				t.Errorf("key %d: got %q, want %q", i, got[i], keys[i])
			}
		}
	}
	if got, err := page.Decode("", 2); got != nil || err != nil {
		t.Errorf("empty token: got %v, %v", got, err)
	}
}

func TestForeignTokenIsRefused(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"not base64":     "%%%",
		"not json":       "AAAA",
		"too few keys":   page.Encode("a"),
		"too many keys":  page.Encode("a", "b", "c"),
		"another's form": "eyJhIjoxfQ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := page.Decode(token, 2)
			e, ok := apierr.From(err)
			if !ok || e.Code != codes.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != "page_token" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{-1: 50, 0: 50, 1: 1, 1000: 1000, 5000: 1000} {
		if got := page.Size(asked); got != want {
			t.Errorf("Size(%d) = %d, want %d", asked, got, want)
		}
	}
}
