package page_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
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

func TestPlaces(t *testing.T) {
	t.Parallel()
	last := uuid.New()
	text := page.TextPlace{Text: "Ж", ID: last}
	if got, err := page.DecodeText(text.Token()); err != nil || *got != text {
		t.Errorf("text: %v, %v", got, err)
	}
	at := page.TimePlace{Time: time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC), ID: last}
	if got, err := page.DecodeTime(at.Token()); err != nil || *got != at {
		t.Errorf("time: %v, %v", got, err)
	}
	if got, err := page.DecodeID(page.IDToken(last)); err != nil || got != last {
		t.Errorf("id: %v, %v", got, err)
	}
	if a, err := page.DecodeText(""); a != nil || err != nil {
		t.Errorf("first page: %v, %v", a, err)
	}
	if a, err := page.DecodeTime(""); a != nil || err != nil {
		t.Errorf("first page: %v, %v", a, err)
	}
	if a, err := page.DecodeID(""); a != uuid.Nil || err != nil {
		t.Errorf("first page: %v, %v", a, err)
	}
	for _, token := range []string{page.Encode("a", "b"), page.Encode("a\x00", last.String()), page.Encode("x"), page.Encode("yesterday", last.String())} {
		_, text := page.DecodeText(token)
		_, at := page.DecodeTime(token)
		_, byID := page.DecodeID(token)
		if at == nil || byID == nil || text == nil && token != page.Encode("yesterday", last.String()) {
			t.Errorf("%s: %v, %v, %v", token, text, at, byID)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for rows, want := range map[int]string{0: "", 2: "", 3: "2"} {
		all := []string{"1", "2", "3"}[:rows]
		got, next := page.Cut(all, 2, func(s string) string { return s })
		if len(got) != min(rows, 2) || next != want {
			t.Errorf("%d rows: %v, next %q", rows, got, next)
		}
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
