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

// callKind is what a method counts as.
type callKind struct{ read, outgoing bool }

// limiter holds callers to limits.
type limiter struct {
	kinds                                                                        map[string]callKind // by the name gRPC calls a method by
	accountReads, accountWrites, organizationReads, organizationWrites, outgoing *ratelimit.Meter
}

func newLimiter(l ratelimit.Limits, c clock.Clock, files *protoregistry.Files) *limiter {
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
