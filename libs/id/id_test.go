package id_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/id"
)

func TestNewSortsByTime(t *testing.T) {
	t.Parallel()
	last := id.New()
	if last.Version() != 7 {
		t.Errorf("version %d, want 7", last.Version())
	}
	for range 10_000 {
		next := id.New()
		if next.String() <= last.String() {
			t.Fatalf("%s came after %s", next, last)
		}
		last = next
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const good = "0192f0c1-7a3b-7cde-8f00-112233445566"
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"plain", good, true},
		{"upper case", "0192F0C1-7A3B-7CDE-8F00-112233445566", true},
		{"empty", "", false},
		{"nil id", "00000000-0000-0000-0000-000000000000", false},
		{"braces", "{" + good + "}", false},
		{"urn", "urn:uuid:" + good, false},
		{"no dashes", "0192f0c17a3b7cde8f00112233445566", false},
		{"not hexadecimal", "0192f0c1-7a3b-7cde-8f00-11223344556g", false},
		{"sql", "0192f0c1-7a3b-7cde-8f00-1122334455'--", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := id.Parse("user_id", tt.in)
			if tt.ok {
				if err != nil || u.String() != good {
					t.Errorf("got %s, %v", u, err)
				}
				return
			}
			e, ok := apierr.From(err)
			if !ok || e.Code != codes.InvalidArgument || e.Reason != "INVALID_ID" || len(e.Fields) != 1 || e.Fields[0].Field != "user_id" {
				t.Errorf("got %v", err)
			}
		})
	}
}
