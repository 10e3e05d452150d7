package identitysync_test

import (
	"testing"

	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/servicetest"
)

// Whatever a call holds, the answer is one that was meant.
func FuzzCalls(f *testing.F) {
	w := start(f, loopback)
	admin := w.signUp(f)
	admin.provider(f, w, "Corp directory").create(f, "ned")
	// By API tokens: a session would be signed out.
	program := func(p person) *rpc.Conn { return w.person(f, p.apiToken(f, w, false).GetToken()).conn }
	servicetest.FuzzCalls(f, program(admin), program(w.as(f, "ned@corp.example")), w.nobody(f).conn)
}
