package pgserver_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"gatehouse.dev/libs/pgserver"
)

// Set for the process that TestMain plays in place of the tests: it starts a
// server in this folder, says so, and waits to be killed.
const helperDir, helperEphemeral = "GATEHOUSE_TEST_PGSERVER_DIR", "GATEHOUSE_TEST_PGSERVER_EPHEMERAL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		s, err := pgserver.Start(context.Background(), pgserver.Config{Dir: dir, Ephemeral: os.Getenv(helperEphemeral) != ""})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(s.OwnerURL("postgres"))
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		runtime.KeepAlive(s)
		return
	}
	goleak.VerifyTestMain(m)
}
