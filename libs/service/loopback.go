package service

import (
	"fmt"
	"net"
	"net/netip"
)

// LoopbackOnly is an error if a listener can be reached from other machines; why
// says what that would mean. A nil listener cannot.
func LoopbackOnly(why string, listeners ...net.Listener) error {
	for _, l := range listeners {
		if l == nil {
			continue
		}
		a, err := netip.ParseAddrPort(l.Addr().String())
		if err == nil && !a.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("%s: it is for loopback addresses only, and this listens on %s", why, l.Addr())
		}
	}
	return nil
}
