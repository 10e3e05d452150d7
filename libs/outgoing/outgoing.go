// Package outgoing connects to addresses that somebody outside has chosen, such as
// those of integrations, and keeps such calls out of networks that are not theirs
// to reach: those of the machine, of the installation and of its cloud.
//
// A connection is checked when it is made, by the address that a name has become,
// so neither a redirect nor a name that has changed meanwhile leads elsewhere.
// What an installation wants to reach nevertheless it allows ([Allowed]).
package outgoing

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrRefused is the error of a connection into a network that is not allowed.
var ErrRefused = errors.New("the address is in a network that is not called from here")

// Allowed are networks that are called although they are not public.
type Allowed []entry

type entry struct {
	network netip.Prefix
	port    uint16 // 0 for any
}

// Loopback is this machine.
func Loopback() Allowed {
	return Allowed{{network: netip.MustParsePrefix("127.0.0.0/8")}, {network: netip.MustParsePrefix("::1/128")}}
}

// Parse reads networks, addresses, and addresses with a port, separated by commas:
// 10.0.0.0/8, 192.0.2.7, 127.0.0.1:8443.
func Parse(text string) (Allowed, error) {
	var allowed Allowed
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if p, err := netip.ParsePrefix(one); err == nil {
			allowed = append(allowed, entry{network: p.Masked()})
		} else if a, err := netip.ParseAddr(one); err == nil {
			allowed = append(allowed, only(a, 0))
		} else if ap, err := netip.ParseAddrPort(one); err == nil {
			allowed = append(allowed, only(ap.Addr(), ap.Port()))
		} else {
			return nil, fmt.Errorf("%q is neither a network nor an address, such as 10.0.0.0/8 or 192.0.2.7:8443", one)
		}
	}
	return allowed, nil
}

func only(a netip.Addr, port uint16) entry {
	a = a.Unmap()
	return entry{network: netip.PrefixFrom(a, a.BitLen()), port: port}
}

// Dialer makes connections that are checked.
func (a Allowed) Dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 5 * time.Second, KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error { return a.check(address) },
	}
}

// Proxy says which proxy a request goes by, as from does, such as
// [http.ProxyFromEnvironment]. The connection to the proxy is checked like any other;
// a name is found by the proxy, which then decides what may be called. An address that
// somebody has chosen is checked here as well.
func (a Allowed) Proxy(from func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		proxy, err := from(r)
		if err != nil || proxy == nil {
			return proxy, err
		}
		host := r.URL.Hostname()
		if _, err := netip.ParseAddr(host); err != nil && endsInNumber(host) {
			return nil, fmt.Errorf("%w: %s", ErrRefused, host) // a proxy may take it for the address that it hides
		} else if err == nil {
			port := cmp.Or(r.URL.Port(), map[string]string{"http": "80", "https": "443"}[r.URL.Scheme])
			if err := a.check(net.JoinHostPort(r.URL.Hostname(), port)); err != nil {
				return nil, err
			}
		}
		return proxy, nil
	}
}

// endsInNumber reports whether the last part of a host is a number, as in 0xA9FEA9FE or
// 169.254.43518: such a host is no name, but another way to write an IPv4 address (WHATWG
// URL, 3.5).
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, isHex := strings.CutPrefix(strings.ToLower(last), "0x"); isHex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// check refuses an address and port that is neither public nor allowed.
func (a Allowed) check(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrRefused, address)
	}
	ip, err := netip.ParseAddr(host)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil {
		return fmt.Errorf("%w: %s", ErrRefused, address)
	}
	ip = ip.WithZone("").Unmap()
	if public(ip) || slices.ContainsFunc(a, func(e entry) bool { return e.network.Contains(ip) && (e.port == 0 || uint64(e.port) == n) }) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRefused, address)
}

// special are the networks of the IANA special-purpose registries that are not
// globally reachable, and those in which another address is hidden.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, one := range list {
		out = append(out, netip.MustParsePrefix(one))
	}
	return out
}

func public(ip netip.Addr) bool {
	return ip.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}
