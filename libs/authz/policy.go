package authz

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// own begins the names of the packages whose methods must be declared.
const own = "gatehouse."

// open are the services that anyone may call and that cannot carry the option,
// since they are not ours.
var open = []string{
	"/grpc.health.v1.Health/",
	"/grpc.reflection.v1.ServerReflection/",
	"/grpc.reflection.v1alpha.ServerReflection/",
}

// rule says who may call one method.
type rule struct {
	allow     uint64   // one bit per Caller
	clients   []string // ids of those that CALLER_SERVICE is
	sideFree  bool     // idempotency_level is NO_SIDE_EFFECTS
	stepUp    bool     // wants a recent proof of who calls
	scope     string   // what a token with scopes needs; empty: none
	anyScope  bool     // none is needed on purpose
	undefined bool     // an option holds values that the enumeration does not
}

func (r rule) has(c authzv1.Caller) bool {
	return c > authzv1.Caller_CALLER_UNSPECIFIED && c < 64 && r.allow&(1<<c) != 0
}

func (r rule) allows(c Caller) bool {
	return r.has(c.Role) && (!c.IsService() || slices.Contains(r.clients, strings.TrimPrefix(c.Subject, clientPrefix)))
}

// declared reports whether somebody may call the method, and nothing of it is a
// mistake.
func (r rule) declared() bool {
	return r.allow != 0 && !r.undefined && r.allow&(1<<authzv1.Caller_CALLER_UNSPECIFIED) == 0 &&
		r.has(authzv1.Caller_CALLER_SERVICE) == (len(r.clients) > 0) &&
		(r.scope != "" || r.anyScope || !r.users())
}

// users reports whether users may call the method, in any role.
func (r rule) users() bool {
	return r.allow>>authzv1.Caller_CALLER_ADMIN != 0
}

func ruleOf(m protoreflect.MethodDescriptor) rule {
	var r rule
	opts, ok := m.Options().(*descriptorpb.MethodOptions)
	if !ok || opts == nil {
		return r
	}
	r.sideFree = opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	access, _ := proto.GetExtension(opts, authzv1.E_Access).(*authzv1.Access)
	r.clients, r.stepUp = access.GetClients(), access.GetStepUp()
	for _, c := range access.GetAllow() {
		if _, ok := authzv1.Caller_name[int32(c)]; !ok || c < 0 || c >= 64 {
			r.undefined = true
			continue
		}
		r.allow |= 1 << c
	}
	r.anyScope = access.GetAnyScope()
	of, _ := m.Parent().Options().(*descriptorpb.ServiceOptions)
	if area, _ := proto.GetExtension(of, authzv1.E_Area).(authzv1.Area); area != authzv1.Area_AREA_UNSPECIFIED && r.users() && !r.anyScope {
		r.scope = scopeOf(area, r.sideFree)
		r.undefined = r.undefined || authzv1.Area_name[int32(area)] == ""
	}
	return r
}

// policy is the rules of all methods, by the name gRPC calls them by.
type policy map[string]rule

func newPolicy(files *protoregistry.Files) policy {
	p := policy{}
	for m := range methods(files) {
		p["/"+string(m.Parent().FullName())+"/"+string(m.Name())] = ruleOf(m)
	}
	return p
}

// CheckDeclared returns the full names of those methods of gatehouse.* services
// in files (all linked ones if nil) that do not say who may call them: without
// the access option, with an empty list, with a list that holds
// CALLER_UNSPECIFIED or a value the enumeration does not have, with only one
// of CALLER_SERVICE and clients, or for users in a service without the area option. A
// service's tests fail if there is any.
func CheckDeclared(files *protoregistry.Files) []string {
	var missing []string
	for m := range methods(files) {
		if strings.HasPrefix(string(m.FullName()), own) && !ruleOf(m).declared() {
			missing = append(missing, string(m.FullName()))
		}
	}
	slices.Sort(missing)
	return missing
}

// methods yields every method of every service in files.
func methods(files *protoregistry.Files) func(yield func(protoreflect.MethodDescriptor) bool) {
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				methods := f.Services().Get(i).Methods()
				for j := range methods.Len() {
					if !yield(methods.Get(j)) {
						return false
					}
				}
			}
			return true
		})
	}
}
