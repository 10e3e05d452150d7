package rpc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Hosts are the hosts of the address of a service, as [Dial] takes it. An error says
// what is wrong with the address.
func Hosts(addr string) ([]string, error) {
	scheme, rest, ok := strings.Cut(addr, ":")
	switch {
	case ok && (scheme == "ipv4" || scheme == "ipv6"):
		var hosts []string
		for one := range strings.SplitSeq(rest, ",") {
			a, err := netip.ParseAddrPort(one)
			if err != nil || a.Addr().Is4() != (scheme == "ipv4") || a.Port() == 0 {
				return nil, fmt.Errorf("%q is no %s address with a port, such as %s; several are separated by commas", one, scheme,
					map[string]string{"ipv4": "ipv4:10.0.0.7:9090,10.0.0.8:9090", "ipv6": "ipv6:[fd00::7]:9090,[fd00::8]:9090"}[scheme])
			}
			hosts = append(hosts, a.Addr().String())
		}
		return hosts, nil
	case ok && (scheme == "dns" || scheme == "passthrough"):
		// Behind the authority, which is mostly empty: dns:///host:port, dns:host:port.
		rest = rest[strings.LastIndexByte(rest, '/')+1:]
		if scheme == "passthrough" {
			return []string{rest}, nil // of a dialer of the caller's own
		}
		addr = rest
	case ok && (scheme == "unix" || scheme == "unix-abstract"):
		return []string{"localhost"}, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		var n uint64
		if n, err = strconv.ParseUint(port, 10, 16); err == nil && (n == 0 || strings.ContainsAny(host, ",/ ")) {
			err = errors.New("no host, or no port")
		}
	}
	if err != nil {
		return nil, errors.New("the address is not of the form host:port, or ipv4:address:port,address:port")
	}
	return []string{host}, nil
}

// resolverOf finds the addresses of a list, which gRPC for Go does not by itself; nil
// for an address of another form.
func resolverOf(addr string) (resolver.Builder, error) {
	if _, err := Hosts(addr); err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(addr, ":")
	if scheme != "ipv4" && scheme != "ipv6" {
		return nil, nil //nolint:nilnil // as documented
	}
	var state resolver.State
	for one := range strings.SplitSeq(rest, ",") {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: one}}})
	}
	b := manual.NewBuilderWithScheme(scheme)
	b.InitialState(state)
	return b, nil
}
