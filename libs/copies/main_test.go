package copies_test

import (
	"flag"
	"testing"

	"gatehouse.dev/libs/bustest"
)

func TestMain(m *testing.M) {
	// Each check is a life with a real database.
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	bustest.VerifyNoLeaks(m)
}
