package servicetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// FuzzCalls sends messages of any content to every unary RPC that the service's
// reflection lists, as each of the callers: whatever comes, the service says what is
// wrong with it, and never that something went wrong inside.
func FuzzCalls(f *testing.F, callers ...grpc.ClientConnInterface) {
	f.Helper()
	methods := slices.DeleteFunc(reflected(f, callers[0]), func(m protoreflect.MethodDescriptor) bool {
		return m.IsStreamingClient() || m.IsStreamingServer()
	})
	if len(methods) == 0 {
		f.Fatal("reflection lists no RPC")
	}
	for i, m := range methods {
		full, err := proto.Marshal(plausible(m.Input(), 3))
		if err != nil {
			f.Fatal(err)
		}
		for c := range callers {
			f.Add(uint16(i), uint8(c), []byte{}) //nolint:gosec // few
			f.Add(uint16(i), uint8(c), full)     //nolint:gosec // few
		}
	}
	f.Fuzz(func(t *testing.T, method uint16, caller uint8, message []byte) {
		m := methods[int(method)%len(methods)]
		in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		if proto.Unmarshal(message, in) != nil {
			return // what gRPC itself refuses
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
		err := callers[int(caller)%len(callers)].Invoke(ctx, name, in, out)
		switch status.Code(err) {
		case codes.Internal, codes.Unknown, codes.DataLoss, codes.DeadlineExceeded, codes.Unavailable:
			if rpctest.Reason(err) == copies.ReasonNotKnownYet {
				return // the callers are nobody of whom the service has heard
			}
			t.Errorf("%s(%v): %v", name, in, err)
		}
	})
}

// reflected are the RPCs that a server's reflection lists, by name.
func reflected(t testing.TB, conn grpc.ClientConnInterface) (methods []protoreflect.MethodDescriptor) {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.CloseSend()
	for _, s := range answer.GetListServicesResponse().GetService() {
		if !strings.HasPrefix(s.GetName(), "gatehouse.") {
			continue
		}
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.GetName()))
		if err != nil {
			t.Fatal(err)
		}
		all := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range all.Len() {
			methods = append(methods, all.Get(i))
		}
	}
	slices.SortFunc(methods, func(a, b protoreflect.MethodDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	return methods
}

// plausible is a message with something in every field.
func plausible(d protoreflect.MessageDescriptor, depth int) proto.Message {
	if d.FullName() == "google.protobuf.Timestamp" {
		return timestamppb.New(time.Now().Add(time.Hour))
	}
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		value, ok := one(f, depth)
		switch {
		case !ok || f.IsMap():
		case f.IsList():
			m.Mutable(f).List().Append(value)
		default:
			m.Set(f, value)
		}
	}
	return m
}

func one(f protoreflect.FieldDescriptor, depth int) (protoreflect.Value, bool) {
	switch f.Kind() {
	case protoreflect.StringKind:
		if name := string(f.Name()); name == "id" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids") {
			return protoreflect.ValueOfString(uuid.NewString()), true
		}
		return protoreflect.ValueOfString("somebody@corp.example"), true
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true), true
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1), true
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1), true
	case protoreflect.MessageKind:
		if depth == 0 {
			return protoreflect.Value{}, false
		}
		return protoreflect.ValueOfMessage(plausible(f.Message(), depth-1).ProtoReflect()), true
	}
	return protoreflect.Value{}, false
}

// FuzzCalls is [FuzzCalls] with an admin and a member of the organization, another
// service, and nobody.
func (h *Harness) FuzzCalls(f *testing.F, organization uuid.UUID) {
	f.Helper()
	admin, member := rpctest.User(authzv1.Caller_CALLER_ADMIN), rpctest.User(authzv1.Caller_CALLER_MEMBER)
	admin.OrganizationID, member.OrganizationID = organization, organization
	FuzzCalls(f, h.Conn(f, admin), h.Conn(f, member), h.Conn(f, rpctest.Service("approval")), h.Conn(f, authz.Caller{}))
}
