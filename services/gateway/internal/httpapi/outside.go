package httpapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
)

// outside is how a caller sees the gateway.
type outside struct {
	// scheme is http or https, host what the caller has asked for, with the port.
	scheme, host string
	// address is the caller's, as far as those who say so are trusted.
	address netip.Addr
}

// url is the address of a path here, as the caller reaches it.
func (o outside) url(path string) string { return o.scheme + "://" + o.host + path }

type outsideKey struct{}

// outsideOf is how the caller of a request sees the gateway.
func outsideOf(r *http.Request) outside {
	o, _ := r.Context().Value(outsideKey{}).(outside)
	return o
}

// forwarded are the headers by which proxies say what the caller sees.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip"}

// front takes requests for the names that the installation has, and for loopback
// names, and no others: a page of another site whose name was made to point here
// gets nothing (DNS rebinding). What proxies say counts only from those that are
// trusted; it is taken off every request.
type front struct {
	hosts   []string
	proxies []netip.Prefix
	next    http.Handler
}

func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o := f.look(r)
	for _, h := range forwarded {
		r.Header.Del(h)
	}
	r = r.WithContext(context.WithValue(r.Context(), outsideKey{}, o))
	r.Host = o.host // by which the origin of a request is compared
	if o.scheme == "https" {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	if !f.known(o.host) {
		send(w, r, apierr.New(codes.InvalidArgument, "HOST_UNKNOWN",
			"this installation is not called that; its operator names it in GATEHOUSE_HOSTS"))
		return
	}
	f.next.ServeHTTP(w, r)
}

// look finds out how the caller sees the gateway.
func (f front) look(r *http.Request) outside {
	o := outside{scheme: "http", host: r.Host, address: peer(r)}
	if r.TLS != nil {
		o.scheme = "https"
	}
	if !f.trusted(o.address) {
		return o
	}
	if p := r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
		o.scheme = p
	}
	if h := r.Header.Get("X-Forwarded-Host"); h != "" {
		o.host = h
	}
	// Each proxy has added whom it has seen; the last one who is no trusted proxy
	// is the caller.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		o.address = a.Unmap()
		if !f.trusted(o.address) {
			break
		}
	}
	return o
}

func (f front) trusted(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(f.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// known reports whether the installation is called so, or the name is of the
// machine's loopback.
func (f front) known(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if a, err := netip.ParseAddr(name); err == nil && a.IsLoopback() {
		return true
	}
	return name == "localhost" || slices.Contains(f.hosts, name)
}

func peer(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// ParseHosts reads host names, without a port, separated by commas.
func ParseHosts(text string) ([]string, error) {
	var hosts []string
	for _, one := range strings.Split(text, ",") {
		one = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(one), "."))
		switch {
		case one == "":
		case strings.ContainsAny(one, "/:@* "):
			return nil, fmt.Errorf("%q is no host name: give names alone, such as access.example.com", one)
		default:
			hosts = append(hosts, one)
		}
	}
	return hosts, nil
}

// ParseProxies reads addresses and networks, separated by commas.
func ParseProxies(text string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if a, err := netip.ParseAddr(one); err == nil {
			proxies = append(proxies, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(one)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network, such as 10.0.0.0/8", one)
		}
		proxies = append(proxies, p.Masked())
	}
	return proxies, nil
}
