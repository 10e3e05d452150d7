package pgserver

import "testing"

func TestLastLines(t *testing.T) {
	t.Parallel()
	if got := lastLines("a\n\n b \nc\n\n", 2); got != "b | c" {
		t.Errorf("got %q", got)
	}
	if got := lastLines("", 2); got != "" {
		t.Errorf("got %q", got)
	}
}
