package bustest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs a package's tests and fails if they leave goroutines
// behind: for the TestMain of packages that use this one. Those that the
// embedded server itself may leave when it is stopped while a stream is being
// made are not counted.
func VerifyNoLeaks(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction(server+"/ats.Register.func1"),
		goleak.IgnoreAnyFunction(server+".(*msgBlock).flushLoop"),
		goleak.IgnoreAnyFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(server+".(*consumerFileStore).flushLoop"),
	)
}
