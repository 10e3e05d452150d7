package servicetest

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// TokenFunc is a token for a service, the audience, of somebody with a role, or of
// a client with the role CALLER_SERVICE.
type TokenFunc func(role authzv1.Caller, client, audience string) string

// CheckRights calls every RPC that the reflection of a service lists, with an empty
// message, as everybody: somebody with each role, each client, and nobody. Who may
// call it is what its access option says, and the test fails for an RPC without one.
// Everybody else is refused, and so is a token for another service, for the reason
// that it is. Those who may get in: that is tried with the RPCs that have no HTTP
// path, and for the others where the paths are tried.
func CheckRights(t *testing.T, conn grpc.ClientConnInterface, service string, token TokenFunc) {
	t.Helper()
	other := authz.Audiences()[0]
	if other == service {
		other = authz.Audiences()[1]
	}
	type kind struct {
		role   authzv1.Caller
		client string
		own    string // token for the service
		other  string // token for another
	}
	kinds := []kind{{role: authzv1.Caller_CALLER_PUBLIC}}
	for _, role := range slices.Sorted(maps.Keys(authzv1.Caller_name)) {
		role := authzv1.Caller(role)
		if role <= authzv1.Caller_CALLER_SERVICE {
			continue
		}
		kinds = append(kinds, kind{role: role, own: token(role, "", service), other: token(role, "", other)})
	}
	for _, client := range Clients() {
		role := authzv1.Caller_CALLER_SERVICE
		kinds = append(kinds, kind{role: role, client: client, own: token(role, client, service), other: token(role, client, other)})
	}
	methods := reflected(t, conn)
	if len(methods) == 0 {
		t.Fatal("reflection lists no RPC")
	}
	for _, m := range methods {
		opts, _ := m.Options().(*descriptorpb.MethodOptions)
		access, _ := proto.GetExtension(opts, authzv1.E_Access).(*authzv1.Access)
		if len(access.GetAllow()) == 0 {
			t.Errorf("%s does not say who may call it", m.FullName())
			continue
		}
		public := slices.Contains(access.GetAllow(), authzv1.Caller_CALLER_PUBLIC)
		hasPath := proto.HasExtension(opts, annotations.E_Http)
		check := func(who string, token string, want codes.Code, reason string) {
			t.Helper()
			if want == codes.OK && hasPath {
				return
			}
			err := call(t, conn, m, token)
			switch code := status.Code(err); {
			case want == codes.OK && (code == codes.PermissionDenied || code == codes.Unauthenticated || code == codes.Unimplemented):
				t.Errorf("%s: %s may call it, and gets %v", m.FullName(), who, err)
			case want != codes.OK && (code != want || rpctest.Reason(err) != reason):
				t.Errorf("%s: %s may not call it, and gets %v, want %v %s", m.FullName(), who, err, want, reason)
			}
		}
		for _, k := range kinds {
			who := authz.RoleName(k.role) + " " + k.client
			switch {
			case public:
				check(who, k.own, codes.OK, "")
				check(who+", of another audience,", k.other, codes.OK, "")
			case k.role == authzv1.Caller_CALLER_PUBLIC:
				check(who, "", codes.Unauthenticated, "TOKEN_MISSING")
			default:
				check(who+", of another audience,", k.other, codes.Unauthenticated, "TOKEN_INVALID")
				if slices.Contains(access.GetAllow(), k.role) && (k.client == "" || slices.Contains(access.GetClients(), k.client)) {
					check(who, k.own, codes.OK, "")
				} else {
					check(who, k.own, codes.PermissionDenied, authz.ReasonRoleNotAllowed)
				}
			}
		}
	}
}

// CheckRights is [CheckRights] with people of the organization.
func (h *Harness) CheckRights(t *testing.T, service string, organization uuid.UUID) {
	t.Helper()
	CheckRights(t, h.Conn(t, authz.Caller{}), service, func(role authzv1.Caller, client, audience string) string {
		if role == authzv1.Caller_CALLER_SERVICE {
			return h.Tokens.MintFor(rpctest.Service(client), audience)
		}
		c := rpctest.User(role)
		c.OrganizationID = organization
		return h.Tokens.MintFor(c, audience)
	})
}

// call calls a method with an empty message and a token, if there is one, and reads
// the first answer.
func call(t *testing.T, conn grpc.ClientConnInterface, m protoreflect.MethodDescriptor, token string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: m.IsStreamingClient()}, name)
	if err != nil {
		return err
	}
	// An error of sending is told by the answer.
	_ = stream.SendMsg(dynamicpb.NewMessage(m.Input()))
	_ = stream.CloseSend()
	if err := stream.RecvMsg(dynamicpb.NewMessage(m.Output())); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Clients are those that [CheckRights] calls as: the services, whoever an access
// option names, and one that none does.
func Clients() []string {
	all := append(authz.Audiences(), "stranger")
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				access, _ := proto.GetExtension(methods.Get(j).Options(), authzv1.E_Access).(*authzv1.Access)
				all = append(all, access.GetClients()...)
			}
		}
		return true
	})
	slices.Sort(all)
	return slices.Compact(all)
}
