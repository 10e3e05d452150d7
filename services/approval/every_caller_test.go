package approval_test

import "testing"

// Every RPC lets in whom its access option names, and refuses everybody else: people of
// each role, every client, and nobody. B-USR-13, in part: gRPC.
func TestEveryCaller(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.CheckRights(t, "approval", w.org)
}
