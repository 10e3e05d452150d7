package bustest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddrs gives n loopback addresses that nobody listens on, for servers that
// are to be taken away and brought back: their ports are below those that
// systems give to outgoing connections (from 32768 up), one of which could
// otherwise take a port meanwhile, even a client's that seeks the server.
func FreeAddrs(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	for range 100 * n {
		if len(addrs) == n {
			break
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close() // not before all are chosen, so that none is twice
		addrs = append(addrs, l.Addr().String())
	}
	if len(addrs) < n {
		t.Fatalf("only %d free ports, not %d", len(addrs), n)
	}
	return addrs
}
