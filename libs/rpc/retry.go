package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// How a call answered with UNAVAILABLE is repeated.
const (
	maxAttempts       = 4
	initialBackoff    = 50 * time.Millisecond
	maxBackoff        = time.Second
	backoffMultiplier = 3
	// Calls are not repeated while most fail, so as not to make it worse: a
	// failure takes a token, a success gives a part of one back, and below half
	// of the tokens nothing is repeated.
	retryTokens = 100
	tokenRatio  = 0.1
)

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method,omitempty"`
}

// repeatableMethods are the methods that declare themselves without side
// effects or idempotent. Others are not repeated, since UNAVAILABLE may also
// mean that the answer was lost. (A call that never left this process is sent
// again by gRPC, whatever its method.)
func repeatableMethods(files *protoregistry.Files) []methodName {
	repeatable := []methodName{{Service: "grpc.health.v1.Health", Method: "Check"}}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			svc := f.Services().Get(i)
			for j := range svc.Methods().Len() {
				m := svc.Methods().Get(j)
				opts, _ := m.Options().(*descriptorpb.MethodOptions)
				if opts.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
					repeatable = append(repeatable, methodName{Service: string(svc.FullName()), Method: string(m.Name())})
				}
			}
		}
		return true
	})
	slices.SortFunc(repeatable, func(a, b methodName) int {
		return slices.Compare([]string{a.Service, a.Method}, []string{b.Service, b.Method})
	})
	return repeatable
}

// serviceConfig says, in gRPC's own format, how calls are spread and which are
// repeated.
func serviceConfig(repeatable []methodName) (string, error) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }
	b, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": struct{}{}}},
		"methodConfig": []any{map[string]any{
			"name": repeatable,
			"retryPolicy": map[string]any{
				"maxAttempts": maxAttempts, "initialBackoff": seconds(initialBackoff), "maxBackoff": seconds(maxBackoff),
				"backoffMultiplier": backoffMultiplier, "retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}},
		"retryThrottling": map[string]any{"maxTokens": retryTokens, "tokenRatio": tokenRatio},
	})
	if err != nil {
		return "", fmt.Errorf("make service config: %w", err)
	}
	return string(b), nil
}

// retries repeats calls that use no socket as gRPC, told by [serviceConfig],
// repeats those that do.
type retries struct {
	repeatable map[string]bool // by the method's full name

	mu     sync.Mutex
	tokens float64
}

func newRetries(repeatable []methodName) *retries {
	r := &retries{repeatable: make(map[string]bool, len(repeatable)), tokens: retryTokens}
	for _, m := range repeatable {
		r.repeatable["/"+m.Service+"/"+m.Method] = true
	}
	return r
}

// do makes a call until it succeeds, fails for good, or was tried often enough.
// attempt says whether it may be repeated if its error allows it.
func (r *retries) do(ctx context.Context, method string, attempt func() (repeat bool, err error)) error {
	for n, pause := 1, initialBackoff; ; n, pause = n+1, min(pause*backoffMultiplier, maxBackoff) {
		repeat, err := attempt()
		if err == nil {
			r.succeeded()
			return nil
		}
		if !repeat || !r.repeatable[method] || status.Code(err) != codes.Unavailable || r.exhausted() || n == maxAttempts {
			return err
		}
		select {
		case <-time.After(time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))): //nolint:gosec // no secret
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (r *retries) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = min(r.tokens+tokenRatio, retryTokens)
}

// exhausted counts a failure and tells whether there were too many.
func (r *retries) exhausted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = max(r.tokens-1, 0)
	return r.tokens <= retryTokens/2
}
