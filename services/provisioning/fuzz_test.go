package provisioning_test

import "testing"

// Whatever a call holds, the answer is one that was meant.
func FuzzCalls(f *testing.F) {
	w := start(f)
	w.FuzzCalls(f, w.org)
}
