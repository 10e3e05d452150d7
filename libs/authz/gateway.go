package authz

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// What the gateway says of a call. Nobody else is believed.
const (
	addressHeader  = "gatehouse-client-address"
	followUpHeader = "gatehouse-follows-up"
)

// InProcess is the network of a peer that calls from the same process, see package
// rpc.
const InProcess = "in-process"

// gateway is the name in the gateway's certificate.
const gateway = "gateway"

// WithForwarded has an outgoing call of the gateway say which address its client has.
func WithForwarded(ctx context.Context, client netip.Addr) context.Context {
	if !client.IsValid() {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, addressHeader, client.String())
}

// SetFollowUp has an outgoing call of the gateway, by its metadata, say for which
// reasons of a refusal the gateway will call again with another token, or show the
// credential again: such a refusal is not the end of the call.
func SetFollowUp(md metadata.MD, reasons ...string) {
	md[followUpHeader] = reasons
}

// followedUp says whether the gateway does something about a refusal for the reason.
func followedUp(ctx context.Context, reason string) bool {
	return fromGateway(ctx) && slices.Contains(metadata.ValueFromIncomingContext(ctx, followUpHeader), reason)
}

// httpCall is a call that does not come by gRPC.
type httpCall struct {
	method string
	client netip.Addr
}

type httpCallKey struct{}

// WithCall is the context of a call that does not come by gRPC: of a path, from an
// address.
func WithCall(ctx context.Context, path string, client netip.Addr) context.Context {
	return context.WithValue(ctx, httpCallKey{}, httpCall{path, client})
}

// CalledMethod is what was called: the full name of the RPC, or the path.
func CalledMethod(ctx context.Context) string {
	if c, ok := ctx.Value(httpCallKey{}).(httpCall); ok {
		return c.method
	}
	method, _ := grpc.Method(ctx)
	return strings.TrimPrefix(method, "/")
}

// ClientAddress is the address of whom a call comes from: what the gateway says if it
// comes from there, and else that of the connection. It is not valid where nobody
// knows. Of the gateway is known who it is by its certificate, or because it is in
// the same process; on a connection in plain text it is like anybody.
func ClientAddress(ctx context.Context) netip.Addr {
	if c, ok := ctx.Value(httpCallKey{}).(httpCall); ok {
		return c.client
	}
	if fromGateway(ctx) {
		if said := metadata.ValueFromIncomingContext(ctx, addressHeader); len(said) == 1 {
			return address(said[0])
		}
		return netip.Addr{}
	}
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return address(host)
}

// AddressText is an address as events have it; empty if it is not valid.
func AddressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// ParseAddress reads an address as the gateway forwards it; not valid if it is none.
func ParseAddress(text string) netip.Addr { return address(strings.TrimSpace(text)) }

func address(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// fromGateway says whether a call is known to come from the gateway.
func fromGateway(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		return slices.Contains(CertificateNames(info.State), gateway)
	}
	return p.Addr != nil && p.Addr.Network() == InProcess
}
