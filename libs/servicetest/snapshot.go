package servicetest

import (
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/bus"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Owners serves the snapshots of all services that own what the service under
// test has copies of: [Harness.RebuildCopies] takes them in. The zero Owners own
// nothing.
type Owners struct {
	opsv1.UnimplementedSnapshotServiceServer
	bus   *bus.Bus
	mu    sync.Mutex
	parts []*opsv1.StreamSnapshotResponse
}

// registerAfter registers what a test serves, and then Owners, unless the test
// serves snapshots itself.
func (o *Owners) registerAfter(s grpc.ServiceRegistrar, register []func(grpc.ServiceRegistrar)) {
	noted := registrar{ServiceRegistrar: s, names: map[string]bool{}}
	for _, f := range register {
		f(noted)
	}
	if !noted.names[opsv1.SnapshotService_ServiceDesc.ServiceName] {
		opsv1.RegisterSnapshotServiceServer(s, o)
	}
}

// registrar notes what is registered.
type registrar struct {
	grpc.ServiceRegistrar
	names map[string]bool
}

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	r.names[desc.ServiceName] = true
	r.ServiceRegistrar.RegisterService(desc, impl)
}

// Set says what is owned: environments, users, groups with their members, apps,
// entitlements and grants.
func (o *Owners) Set(things ...proto.Message) {
	var parts []*opsv1.StreamSnapshotResponse
	for _, thing := range things {
		part := &opsv1.StreamSnapshotResponse{}
		switch m := thing.(type) {
		case *identityv1.Environment:
			part.Part = &opsv1.StreamSnapshotResponse_Environment{Environment: m}
		case *identityv1.User:
			part.Part = &opsv1.StreamSnapshotResponse_User{User: m}
		case *opsv1.SnapshotGroup:
			part.Part = &opsv1.StreamSnapshotResponse_Group{Group: m}
		case *requestv1.App:
			part.Part = &opsv1.StreamSnapshotResponse_App{App: m}
		case *requestv1.Entitlement:
			part.Part = &opsv1.StreamSnapshotResponse_Entitlement{Entitlement: m}
		case *provisioningv1.Grant:
			part.Part = &opsv1.StreamSnapshotResponse_Grant{Grant: m}
		default:
			panic(fmt.Sprintf("%T is in no snapshot", thing))
		}
		parts = append(parts, proto.CloneOf(part))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = parts
}

// StreamSnapshot streams all that is owned.
func (o *Owners) StreamSnapshot(_ *opsv1.StreamSnapshotRequest, to grpc.ServerStreamingServer[opsv1.StreamSnapshotResponse]) error {
	stream, err := o.bus.JetStream().Stream(to.Context(), bus.Stream)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	at := &opsv1.SnapshotPosition{StreamCreateTime: timestamppb.New(info.Created), StreamSequence: info.State.LastSeq}
	if err := to.Send(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Position{Position: at}}); err != nil {
		return err
	}
	o.mu.Lock()
	parts := slices.Clone(o.parts)
	o.mu.Unlock()
	for _, part := range parts {
		if err := to.Send(part); err != nil {
			return err
		}
	}
	return nil
}
