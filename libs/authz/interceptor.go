package authz

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/apierr"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// header carries the token, as "Bearer <token>".
const header = "authorization"

// UnaryInterceptor lets a call through if its method's access option names the
// caller, and puts the caller into the context. Options are taken from files,
// all linked ones if nil. Errors are apierr: Unauthenticated TOKEN_MISSING,
// TOKEN_INVALID or TOKEN_EXPIRED; PermissionDenied ROLE_NOT_ALLOWED,
// TOKEN_READ_ONLY, SCOPE_MISSING or METHOD_NOT_DECLARED; Unavailable KEYS_UNAVAILABLE.
//
// In a public method the token is optional: without a valid one there is no
// caller.
//
// denied, if not nil, is told of every call that was refused, here or behind.
func UnaryInterceptor(v *Verifier, files *protoregistry.Files, denied DeniedFunc) grpc.UnaryServerInterceptor {
	p := newPolicy(files)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		inner, c, err := admit(ctx, v, p, info.FullMethod)
		if err != nil {
			denied.tell(ctx, info.FullMethod, c, err)
			return nil, err
		}
		res, err := handler(inner, req)
		if err != nil {
			c, _ = From(inner)
			denied.tell(ctx, info.FullMethod, c, err)
		}
		return res, err
	}
}

// StreamInterceptor is [UnaryInterceptor] for streams. A stream that has begun
// goes on when its token ends.
func StreamInterceptor(v *Verifier, files *protoregistry.Files, denied DeniedFunc) grpc.StreamServerInterceptor {
	p := newPolicy(files)
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, c, err := admit(stream.Context(), v, p, info.FullMethod)
		if err != nil {
			denied.tell(stream.Context(), info.FullMethod, c, err)
			return err
		}
		if err = handler(srv, &callerStream{ServerStream: stream, ctx: ctx}); err != nil {
			c, _ = From(ctx)
			denied.tell(stream.Context(), info.FullMethod, c, err)
		}
		return err
	}
}

type callerStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *callerStream) Context() context.Context { return s.ctx }

// admit is the context in which a call goes on, or the error with which it does not,
// and who calls, as far as that is known.
func admit(ctx context.Context, v *Verifier, p policy, method string) (context.Context, Caller, error) {
	for _, prefix := range open {
		if strings.HasPrefix(method, prefix) {
			return ctx, Caller{}, nil
		}
	}
	r := p[method]
	if !r.declared() {
		return nil, Caller{}, apierr.Denied("METHOD_NOT_DECLARED", "nobody may call this method")
	}
	token, err := bearer(ctx)
	var c Caller
	if err == nil {
		c, err = v.identify(ctx, token)
	}
	if err == nil {
		if err := checkCertificate(ctx, r, c); err != nil {
			return nil, c, err
		}
	}
	if r.has(authzv1.Caller_CALLER_PUBLIC) {
		if err == nil {
			ctx = WithCaller(ctx, c)
		}
		return WithCallers(ctx), c, nil // it is done for nobody
	}
	switch {
	case err != nil:
		return nil, c, err
	case !r.allows(c):
		return nil, c, apierr.Denied(ReasonRoleNotAllowed, "the role %s may not call this method", RoleName(c.Role)).With("role", RoleName(c.Role))
	case c.ReadOnly && !r.sideFree:
		return nil, c, apierr.Denied("TOKEN_READ_ONLY", "a read-only token may not call this method")
	case !c.hasScope(r.scope):
		return nil, c, apierr.Denied(ReasonScopeMissing, "the token lacks the scope %s", r.scope).With("scope", r.scope)
	case r.stepUp && !c.IsService() && !c.APIToken && timeOf(v.Clock).Sub(c.AuthTime) > StepUpAge:
		return nil, c, errStepUp
	}
	return WithCaller(ctx, c), c, nil
}

func bearer(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, header)
	switch len(values) {
	case 0:
		return "", errTokenMissing
	case 1:
		scheme, token, ok := strings.Cut(values[0], " ")
		if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
			return "", errTokenInvalid.Wrap(errors.New("not a bearer token"))
		}
		return token, nil
	}
	return "", errTokenInvalid.Wrap(errors.New("several authorization headers"))
}

// TokenSource returns a service's own token for the service that it calls.
type TokenSource func(context.Context) (string, error)

// WithToken shows own with an outgoing call, if it is not nil: whoever a service
// works for, it calls others as itself. A call that has an authorization header
// already is left alone.
func WithToken(own TokenSource) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, err := withToken(ctx, own)
		if err != nil {
			return err
		}
		return invoker(ctx, method, req, reply, cc, opts...)
	}
}

// WithTokenStream is [WithToken] for streams.
func WithTokenStream(own TokenSource) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		ctx, err := withToken(ctx, own)
		if err != nil {
			return nil, err
		}
		return streamer(ctx, desc, cc, method, opts...)
	}
}

func withToken(ctx context.Context, own TokenSource) (context.Context, error) {
	if md, ok := metadata.FromOutgoingContext(ctx); own == nil || ok && len(md.Get(header)) > 0 {
		return ctx, nil
	}
	token, err := own(ctx)
	if err != nil {
		return nil, apierr.Unavailable("TOKEN_UNAVAILABLE", err)
	}
	return metadata.AppendToOutgoingContext(ctx, header, "Bearer "+token), nil
}
