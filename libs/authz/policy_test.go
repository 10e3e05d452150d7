package authz_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// method describes an RPC; a nil allow means no option at all.
type method struct {
	name     string
	allow    []authzv1.Caller
	clients  []string
	sideFree bool
	stepUp   bool
	anyScope bool
}

// declare makes a file with a service of these methods, which is about apps.
func declare(t testing.TB, pkg string, methods ...method) *protoregistry.Files {
	t.Helper()
	return declareAbout(t, authzv1.Area_AREA_APPS, pkg, methods...)
}

func declareAbout(t testing.TB, area authzv1.Area, pkg string, methods ...method) *protoregistry.Files {
	t.Helper()
	svc := &descriptorpb.ServiceDescriptorProto{Name: proto.String("TestService"), Options: &descriptorpb.ServiceOptions{}}
	proto.SetExtension(svc.Options, authzv1.E_Area, area)
	for _, m := range methods {
		opts := &descriptorpb.MethodOptions{}
		if m.allow != nil {
			proto.SetExtension(opts, authzv1.E_Access, &authzv1.Access{Allow: m.allow, Clients: m.clients, StepUp: m.stepUp, AnyScope: m.anyScope})
		}
		if m.sideFree {
			opts.IdempotencyLevel = descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()
		}
		svc.Method = append(svc.Method, &descriptorpb.MethodDescriptorProto{
			Name: proto.String(m.name), Options: opts,
			InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"),
		})
	}
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String(pkg + ".proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/empty.proto"}, Service: []*descriptorpb.ServiceDescriptorProto{svc},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	if err := files.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
	return files
}

var admin = []authzv1.Caller{authzv1.Caller_CALLER_ADMIN}

func TestCheckDeclaredFinds(t *testing.T) {
	t.Parallel()
	methods := []method{
		{name: "Good", allow: admin},
		{name: "Public", allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}},
		{name: "Missing"},
		{name: "Empty", allow: []authzv1.Caller{}},
		{name: "Unspecified", allow: []authzv1.Caller{authzv1.Caller_CALLER_UNSPECIFIED}},
		{name: "AlsoUnspecified", allow: []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_UNSPECIFIED}},
		{name: "Unknown", allow: []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, 63}},
		{name: "Negative", allow: []authzv1.Caller{-1}},
		{name: "Service", allow: []authzv1.Caller{authzv1.Caller_CALLER_SERVICE}, clients: []string{"request"}},
		{name: "NoClient", allow: []authzv1.Caller{authzv1.Caller_CALLER_SERVICE}},
		{name: "OnlyClient", allow: admin, clients: []string{"request"}},
	}
	const svc = "gatehouse.test.v1.TestService."
	want := []string{svc + "AlsoUnspecified", svc + "Empty", svc + "Missing", svc + "Negative", svc + "NoClient", svc + "OnlyClient", svc + "Unknown", svc + "Unspecified"}
	if d := cmp.Diff(want, authz.CheckDeclared(declare(t, "gatehouse.test.v1", methods...))); d != "" {
		t.Error(d)
	}
	if got := authz.CheckDeclared(declare(t, "other.v1", methods...)); len(got) != 0 {
		t.Errorf("methods that are not Gatehouse's: %q", got)
	}
	// Users call no method of a service that does not say what it is about.
	methods = []method{
		{name: "Public", allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}},
		{name: "Service", allow: []authzv1.Caller{authzv1.Caller_CALLER_SERVICE}, clients: []string{"request"}},
		{name: "User", allow: []authzv1.Caller{authzv1.Caller_CALLER_EXTERNAL}, sideFree: true},
		{name: "Anyway", allow: admin, anyScope: true},
	}
	if d := cmp.Diff([]string{svc + "User"}, authz.CheckDeclared(declareAbout(t, authzv1.Area_AREA_UNSPECIFIED, "gatehouse.test.v1", methods...))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{svc + "User"}, authz.CheckDeclared(declareAbout(t, 63, "gatehouse.test.v1", methods...))); d != "" {
		t.Error(d)
	}
}

// Every RPC of Gatehouse says who may call it, and its service what it is about if users
// may. This test fails for one that
// does not, and for a service whose generated code it does not link.
func TestEveryMethodIsDeclared(t *testing.T) {
	t.Parallel()
	if missing := authz.CheckDeclared(nil); len(missing) > 0 {
		t.Errorf("RPCs without the option gatehouse.authz.v1.access, or in services without area, which nobody could call:\n\t%s", strings.Join(missing, "\n\t"))
	}
	root := filepath.Join("..", "..", "proto")
	if _, err := os.Stat(filepath.Join(root, "gatehouse")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the protos are not beside this module")
	}
	services := 0
	err := filepath.WalkDir(filepath.Join(root, "gatehouse"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".proto") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !strings.Contains(string(src), "\nservice ") {
			return nil
		}
		services++
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if _, err := protoregistry.GlobalFiles.FindFileByPath(filepath.ToSlash(name)); err != nil {
			t.Errorf("%s has a service; import its generated package in links_test.go: %v", name, err)
		}
		return nil
	})
	if err != nil || services == 0 {
		t.Errorf("found %d files with services, %v", services, err)
	}
}

// call is the context of a call with the headers.
func call(ctx context.Context, authorization ...string) context.Context {
	md := metadata.MD{}
	for _, a := range authorization {
		md.Append("authorization", a)
	}
	return metadata.NewIncomingContext(ctx, md)
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	files := declare(t, "gatehouse.test.v1",
		method{name: "Read", allow: []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_MEMBER}, sideFree: true},
		method{name: "Write", allow: admin},
		method{name: "Public", allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}},
		method{name: "Service", allow: []authzv1.Caller{authzv1.Caller_CALLER_SERVICE}, clients: []string{"approval", "request"}},
		method{name: "AnyService", allow: []authzv1.Caller{authzv1.Caller_CALLER_SERVICE}},
		method{name: "StepUp", allow: []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_SERVICE}, clients: []string{"request"}, stepUp: true},
		method{name: "Missing"},
		method{name: "Unspecified", allow: []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_UNSPECIFIED}},
	)
	const svc = "/gatehouse.test.v1.TestService/"
	readOnly := user(authzv1.Caller_CALLER_ADMIN)
	readOnly.ReadOnly = true
	recent, long, program := user(authzv1.Caller_CALLER_ADMIN), user(authzv1.Caller_CALLER_ADMIN), user(authzv1.Caller_CALLER_ADMIN)
	recent.AuthTime, long.AuthTime = i.clock.Now().Add(-15*time.Minute), i.clock.Now().Add(-15*time.Minute-2*time.Second)
	program.APIToken = true
	token := map[string]string{
		"recent":    "Bearer " + i.mint(recent),
		"long ago":  "Bearer " + i.mint(long),
		"program":   "Bearer " + i.mint(program),
		"admin":     "Bearer " + i.mint(user(authzv1.Caller_CALLER_ADMIN)),
		"lower":     "bearer " + i.mint(user(authzv1.Caller_CALLER_ADMIN)),
		"read-only": "Bearer " + i.mint(readOnly),
		"member":    "Bearer " + i.mint(user(authzv1.Caller_CALLER_MEMBER)),
		"risk":      "Bearer " + i.mint(user(authzv1.Caller_CALLER_RISK_MANAGER)),
		"service":   "Bearer " + i.mint(authz.Caller{Subject: "client:request", Role: authzv1.Caller_CALLER_SERVICE}),
		"another":   "Bearer " + i.mint(authz.Caller{Subject: "client:audit", Role: authzv1.Caller_CALLER_SERVICE}),
		"bad":       "Bearer nonsense",
		"basic":     "Basic dXNlcjpwYXNz",
		"bare":      i.mint(user(authzv1.Caller_CALLER_ADMIN)),
		"none":      "",
	}
	old := newIssuer(t)
	old.keys = i.keys
	old.clock.Advance(-time.Hour)
	token["ended"] = "Bearer " + old.mint(user(authzv1.Caller_CALLER_ADMIN))

	tests := []struct {
		method, who string
		want        codes.Code
		reason      string
	}{
		{svc + "Read", "admin", codes.OK, ""},
		{svc + "Read", "lower", codes.OK, ""},
		{svc + "Read", "member", codes.OK, ""},
		{svc + "Read", "read-only", codes.OK, ""},
		{svc + "Read", "risk", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "Read", "service", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "Read", "none", codes.Unauthenticated, "TOKEN_MISSING"},
		{svc + "Read", "bad", codes.Unauthenticated, "TOKEN_INVALID"},
		{svc + "Read", "basic", codes.Unauthenticated, "TOKEN_INVALID"},
		{svc + "Read", "bare", codes.Unauthenticated, "TOKEN_INVALID"},
		{svc + "Read", "ended", codes.Unauthenticated, "TOKEN_EXPIRED"},
		{svc + "Write", "admin", codes.OK, ""},
		{svc + "Write", "member", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "Write", "read-only", codes.PermissionDenied, "TOKEN_READ_ONLY"},
		{svc + "StepUp", "recent", codes.OK, ""},
		{svc + "StepUp", "long ago", codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION"},
		{svc + "StepUp", "admin", codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION"},
		{svc + "StepUp", "member", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "StepUp", "program", codes.OK, ""},
		{svc + "StepUp", "service", codes.OK, ""},
		{svc + "Service", "service", codes.OK, ""},
		{svc + "Service", "another", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "AnyService", "service", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{svc + "Service", "admin", codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		{svc + "Public", "none", codes.OK, ""},
		{svc + "Public", "bad", codes.OK, ""},
		{svc + "Public", "ended", codes.OK, ""},
		{svc + "Public", "admin", codes.OK, ""},
		{svc + "Missing", "admin", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{svc + "Missing", "service", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{svc + "Unspecified", "admin", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{svc + "NoSuchMethod", "admin", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{"", "admin", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
		{"/grpc.health.v1.Health/Check", "none", codes.OK, ""},
		{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "none", codes.OK, ""},
		{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "none", codes.OK, ""},
		{"/grpc.health.v1.HealthX/Check", "none", codes.PermissionDenied, "METHOD_NOT_DECLARED"},
	}
	for _, tt := range tests {
		t.Run(tt.method+"/"+tt.who, func(t *testing.T) {
			t.Parallel()
			ctx := call(t.Context())
			if token[tt.who] != "" {
				ctx = call(t.Context(), token[tt.who])
			}
			var streamed context.Context
			unary, err := authz.Admit(ctx, v, files, tt.method)
			streamErr := authz.StreamInterceptor(v, files, nil)(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: tt.method}, func(_ any, s grpc.ServerStream) error {
				streamed = s.Context()
				return nil
			})
			for kind, err := range map[string]error{"unary": err, "stream": streamErr} {
				if got := apierr.Status(err).Code(); got != tt.want || err != nil && reason(err) != tt.reason {
					t.Errorf("%s: %v, want %v %s", kind, err, tt.want, tt.reason)
				}
			}
			if err != nil || streamErr != nil {
				return
			}
			_, wantCaller := map[string]bool{"admin": true, "lower": true, "member": true, "read-only": true, "service": true, "recent": true, "program": true}[tt.who]
			for kind, ctx := range map[string]context.Context{"unary": unary, "stream": streamed} {
				c, ok := authz.From(ctx)
				if ok != wantCaller || ok && c.Subject == "" {
					t.Errorf("%s: caller = %v, %v", kind, c, ok)
				}
			}
		})
	}

	ctx := call(t.Context(), token["member"], token["admin"])
	if _, err := authz.Admit(ctx, v, files, svc+"Read"); reason(err) != "TOKEN_INVALID" {
		t.Errorf("two authorization headers: %v", err)
	}
}

// A token with scopes does what they name of what its role may do, and nothing else.
func TestScopes(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	users := []authzv1.Caller{authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_MEMBER}
	files := declare(t, "gatehouse.test.v1",
		method{name: "Read", allow: users, sideFree: true},
		method{name: "Write", allow: users},
		method{name: "Admins", allow: admin},
		method{name: "Me", allow: users, sideFree: true, anyScope: true},
		method{name: "Public", allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}},
		method{name: "Both", allow: []authzv1.Caller{authzv1.Caller_CALLER_MEMBER, authzv1.Caller_CALLER_SERVICE}, clients: []string{"request"}},
	)
	member := func(scopes string) authz.Caller {
		c := user(authzv1.Caller_CALLER_MEMBER)
		c.Scopes, c.APIToken = scopes, true
		return c
	}
	readOnly := member("apps:write")
	readOnly.ReadOnly = true
	tests := []struct {
		name    string
		caller  authz.Caller
		refused map[string]string // by method; the others are let through
	}{
		{"none: all that the role may", member(""), map[string]string{"Admins": "ROLE_NOT_ALLOWED"}},
		{"reading", member("apps:read"), map[string]string{"Write": "apps:write", "Both": "apps:write", "Admins": "ROLE_NOT_ALLOWED"}},
		{"writing includes reading", member("apps:write"), map[string]string{"Admins": "ROLE_NOT_ALLOWED"}},
		{"one of several", member("audit:read apps:read flows:write"), map[string]string{"Write": "apps:write", "Both": "apps:write", "Admins": "ROLE_NOT_ALLOWED"}},
		{"another area", member("requests:write"), map[string]string{"Read": "apps:read", "Write": "apps:write", "Both": "apps:write", "Admins": "ROLE_NOT_ALLOWED"}},
		{"unknown", member("apps apps:* apps:admin *:write app:write :write"), map[string]string{"Read": "apps:read", "Write": "apps:write", "Both": "apps:write", "Admins": "ROLE_NOT_ALLOWED"}},
		{"blank", member(" "), map[string]string{"Read": "apps:read", "Write": "apps:write", "Both": "apps:write", "Admins": "ROLE_NOT_ALLOWED"}},
		{"read-only", readOnly, map[string]string{"Write": "TOKEN_READ_ONLY", "Both": "TOKEN_READ_ONLY", "Admins": "ROLE_NOT_ALLOWED"}},
		{"service", authz.Caller{Subject: "client:request", Role: authzv1.Caller_CALLER_SERVICE}, map[string]string{
			"Read": "ROLE_NOT_ALLOWED", "Write": "ROLE_NOT_ALLOWED", "Me": "ROLE_NOT_ALLOWED", "Admins": "ROLE_NOT_ALLOWED",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := call(t.Context(), "Bearer "+i.mint(tt.caller))
			for _, method := range []string{"Read", "Write", "Admins", "Me", "Public", "Both"} {
				_, err := authz.Admit(ctx, i.verifier(), files, "/gatehouse.test.v1.TestService/"+method)
				want := tt.refused[method]
				e, _ := apierr.From(err)
				switch {
				case want == "" && err != nil:
					t.Errorf("%s: %v", method, err)
				case want == "":
				case e == nil || e.Code != codes.PermissionDenied:
					t.Errorf("%s: %v, want %s", method, err, want)
				case !strings.Contains(want, ":") && e.Reason != want:
					t.Errorf("%s: %v, want %s", method, err, want)
				case strings.Contains(want, ":") && (e.Reason != authz.ReasonScopeMissing || e.Metadata["scope"] != want):
					t.Errorf("%s: %v %v, want SCOPE_MISSING of %s", method, err, e.Metadata, want)
				}
			}
		})
	}
}

// There are two scopes of every area.
func TestScopesThatThereAre(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`access:read access:write approvals:read approvals:write apps:read apps:write audit:read audit:write
		credentials:read credentials:write flows:read flows:write identity_providers:read identity_providers:write integrations:read integrations:write
		operations:read operations:write organization:read organization:write people:read people:write requests:read requests:write
		sources:read sources:write work:read work:write`)
	if d := cmp.Diff(want, authz.Scopes()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"apps:read", "flows:read"}, authz.ReadingScopes([]string{"flows:write", "apps:read", "flows:read"})); d != "" {
		t.Error(d)
	}
}

type fakeStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (f fakeStream) Context() context.Context { return f.ctx }

// Whoever a service works for, it shows its own token to others.
func TestWithToken(t *testing.T) {
	t.Parallel()
	c := user(authzv1.Caller_CALLER_MEMBER)
	own := func(context.Context) (string, error) { return "ours", nil }
	theirs := metadata.NewIncomingContext(authz.WithCaller(t.Context(), c), metadata.Pairs("authorization", "Bearer theirs"))
	set := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer set")
	tests := []struct {
		name string
		ctx  context.Context
		own  authz.TokenSource
		want []string
	}{
		{"for a caller", theirs, own, []string{"Bearer ours"}},
		{"for a caller, without a token of its own", theirs, nil, nil},
		{"for nobody", t.Context(), own, []string{"Bearer ours"}},
		{"set by hand", set, own, []string{"Bearer set"}},
	}
	for _, tt := range tests {
		var unary, stream []string
		err := authz.WithToken(tt.own)(tt.ctx, "/m", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			md, _ := metadata.FromOutgoingContext(ctx)
			unary = md.Get("authorization")
			return nil
		})
		_, streamErr := authz.WithTokenStream(tt.own)(tt.ctx, nil, nil, "/m", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			md, _ := metadata.FromOutgoingContext(ctx)
			stream = md.Get("authorization")
			return nil, nil
		})
		if err != nil || streamErr != nil {
			t.Errorf("%s: %v, %v", tt.name, err, streamErr)
		}
		if d := cmp.Diff(tt.want, unary) + cmp.Diff(tt.want, stream); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	fails := func(context.Context) (string, error) { return "", errors.New("no") }
	if err := authz.WithToken(fails)(t.Context(), "/m", nil, nil, nil, nil); reason(err) != "TOKEN_UNAVAILABLE" {
		t.Errorf("own token cannot be had: %v", err)
	}
}

func BenchmarkAdmit(b *testing.B) {
	key, err := authz.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := authz.Minter{Key: key, Lifetime: time.Hour}.Mint(user(authzv1.Caller_CALLER_ADMIN), "request")
	if err != nil {
		b.Fatal(err)
	}
	v := &authz.Verifier{Audience: "request", Keys: func(context.Context) (jwk.Set, error) { return authz.PublicKeys(key) }}
	intercept := authz.UnaryInterceptor(v, declare(b, "gatehouse.test.v1", method{name: "Write", allow: admin}), nil)
	info := &grpc.UnaryServerInfo{FullMethod: "/gatehouse.test.v1.TestService/Write"}
	ctx := call(b.Context(), "Bearer "+token)
	handler := func(context.Context, any) (any, error) { return nil, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := intercept(ctx, nil, info, handler); err != nil {
			b.Fatal(err)
		}
	}
}
