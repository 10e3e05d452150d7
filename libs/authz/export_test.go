package authz

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Remembered is how many verified tokens v remembers.
func (v *Verifier) Remembered() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.cache)
}

// Admit is what the interceptors decide, for tests of the decision alone.
func Admit(ctx context.Context, v *Verifier, files *protoregistry.Files, method string) (context.Context, error) {
	out := ctx
	_, err := UnaryInterceptor(v, files, nil)(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
		out = ctx
		return nil, nil
	})
	return out, err
}

// NeededScope is the scope that a token with scopes needs for a method.
func NeededScope(m protoreflect.MethodDescriptor) string {
	r := ruleOf(m)
	if r.anyScope {
		return "any"
	}
	return r.scope
}
