package copies_test

import (
	"testing"

	"gatehouse.dev/libs/bustest"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }
