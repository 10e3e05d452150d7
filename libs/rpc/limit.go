package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// Limits are how often users may call a server, whatever they call with and
// wherever they come from: an account all its sessions and tokens together, an
// organization all its accounts. The services themselves are not limited. A limit
// of zero limits nothing.
type Limits struct {
	AccountReads, AccountWrites           ratelimit.Limit
	OrganizationReads, OrganizationWrites ratelimit.Limit
	// Outgoing are calls that call a system outside, of an organization.
	Outgoing ratelimit.Limit
	// OrganizationSCIM are calls over SCIM by all sources of an organization, and
	// OrganizationTokens exchanges of its API tokens and sessions for signed tokens,
	// whichever way: identity-sync holds callers to these.
	OrganizationSCIM, OrganizationTokens ratelimit.Limit
}

// DefaultLimits are far above what people and well-behaved programs do, and what
// the gateway lets one credential do.
func DefaultLimits() *Limits {
	return &Limits{
		AccountReads: ratelimit.Limit{PerSecond: 400, Burst: 1000}, AccountWrites: ratelimit.Limit{PerSecond: 100, Burst: 400},
		OrganizationReads: ratelimit.Limit{PerSecond: 4000, Burst: 8000}, OrganizationWrites: ratelimit.Limit{PerSecond: 1000, Burst: 4000},
		Outgoing:         ratelimit.Limit{PerSecond: 1, Burst: 20},
		OrganizationSCIM: ratelimit.Limit{PerSecond: 4000, Burst: 8000}, OrganizationTokens: ratelimit.Limit{PerSecond: 2000, Burst: 10_000},
	}
}

// callKind is what a method counts as.
type callKind struct{ read, outgoing bool }

// limiter holds callers to limits.
type limiter struct {
	kinds                                                                        map[string]callKind // by the name gRPC calls a method by
	accountReads, accountWrites, organizationReads, organizationWrites, outgoing *ratelimit.Meter
}

func newLimiter(l Limits, c clock.Clock, files *protoregistry.Files) *limiter {
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	out := &limiter{
		kinds:              make(map[string]callKind),
		accountReads:       ratelimit.NewMeter("reads of an account", l.AccountReads, c),
		accountWrites:      ratelimit.NewMeter("writes of an account", l.AccountWrites, c),
		organizationReads:  ratelimit.NewMeter("reads of an organization", l.OrganizationReads, c),
		organizationWrites: ratelimit.NewMeter("writes of an organization", l.OrganizationWrites, c),
		outgoing:           ratelimit.NewMeter("calls to systems outside", l.Outgoing, c),
	}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				opts, _ := m.Options().(*descriptorpb.MethodOptions)
				access, _ := proto.GetExtension(opts, authzv1.E_Access).(*authzv1.Access)
				out.kinds["/"+string(m.Parent().FullName())+"/"+string(m.Name())] = callKind{
					read:     opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
					outgoing: access.GetOutgoing(),
				}
			}
		}
		return true
	})
	return out
}

// unary refuses a call of a user that is one too many. It comes after the caller
// is known, so nobody uses up what is another's.
func (l *limiter) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if c, ok := authz.From(ctx); ok && !c.IsService() {
		account, organization := l.accountWrites, l.organizationWrites
		kind := l.kinds[info.FullMethod]
		if kind.read {
			account, organization = l.accountReads, l.organizationReads
		}
		if state, ok := account.Take(c.Subject); !ok {
			return nil, state.Exceeded()
		}
		if state, ok := organization.Take(c.OrganizationID.String()); !ok {
			return nil, state.Exceeded()
		}
		if kind.outgoing {
			if state, ok := l.outgoing.Take(c.OrganizationID.String()); !ok {
				return nil, state.Exceeded()
			}
		}
	}
	return handler(ctx, req)
}
