package naming

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// plan says where a request has the ids of users.
type plan struct {
	node *node
	// subject is the field that the path of the call names; empty if that is no
	// user's id. Who is not there is not found, and no field is wrong.
	subject string
}

// node is a message with ids of users, or with messages that have some.
type node struct{ members []member }

// member is a field of a node: with ids if inner is nil.
type member struct {
	field protoreflect.FieldDescriptor
	inner *node
}

// plansOf are the plans of all methods in files, all linked ones if nil, whose requests
// have ids of users, by the names that gRPC calls them by.
func plansOf(files *protoregistry.Files) map[string]*plan {
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	plans := make(map[string]*plan)
	nodes := make(map[protoreflect.FullName]*node)
	for f := range files.RangeFiles {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				if n := nodeOf(m.Input(), nodes); n != nil {
					plans["/"+string(m.Parent().FullName())+"/"+string(m.Name())] = &plan{node: n, subject: n.subject(m)}
				}
			}
		}
	}
	return plans
}

// nodeOf is the node of a message; nil if it has no ids of users. A message within
// itself is looked at once.
func nodeOf(m protoreflect.MessageDescriptor, nodes map[protoreflect.FullName]*node) *node {
	if n, seen := nodes[m.FullName()]; seen {
		return n
	}
	nodes[m.FullName()] = nil
	var n node
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		switch {
		case f.IsMap():
		case marked(f):
			n.members = append(n.members, member{field: f})
		case f.Message() != nil:
			if inner := nodeOf(f.Message(), nodes); inner != nil {
				n.members = append(n.members, member{field: f, inner: inner})
			}
		}
	}
	if len(n.members) == 0 {
		return nil
	}
	nodes[m.FullName()] = &n
	return &n
}

func marked(f protoreflect.FieldDescriptor) bool {
	is, _ := proto.GetExtension(f.Options(), identityv1.E_UserId).(bool)
	return is && f.Kind() == protoreflect.StringKind
}

// subject is the id of a user that the HTTP path of a method has.
func (n *node) subject(m protoreflect.MethodDescriptor) string {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	path := rule.GetGet() + rule.GetPost() + rule.GetPut() + rule.GetPatch() + rule.GetDelete()
	for _, f := range n.members {
		if name := string(f.field.Name()); f.inner == nil && strings.Contains(path, "{"+name+"}") {
			return name
		}
	}
	return ""
}

// hasName says whether a message has a name in the place of an id.
func (n *node) hasName(m protoreflect.Message) bool {
	for _, f := range n.members {
		if !m.Has(f.field) {
			continue
		}
		value := m.Get(f.field)
		switch {
		case f.field.IsList():
			for i := range value.List().Len() {
				if f.names(value.List().Get(i)) {
					return true
				}
			}
		case f.names(value):
			return true
		}
	}
	return false
}

func (f member) names(v protoreflect.Value) bool {
	if f.inner != nil {
		return f.inner.hasName(v.Message())
	}
	return isName(v.String())
}

// isName tells a name from an id, and from nothing.
func isName(s string) bool {
	return s != "" && uuid.Validate(s) != nil
}

// use is a name in a request.
type use struct {
	path, name string
	set        func(id string)
}

// collect finds the names in a message at a path.
func (n *node) collect(m protoreflect.Message, path string, to *[]use) {
	for _, f := range n.members {
		if !m.Has(f.field) {
			continue
		}
		value, at := m.Get(f.field), path+string(f.field.Name())
		if !f.field.IsList() {
			f.collect(value, at, to, func(id string) { m.Set(f.field, protoreflect.ValueOfString(id)) })
			continue
		}
		for i := range value.List().Len() {
			f.collect(value.List().Get(i), fmt.Sprintf("%s[%d]", at, i), to, func(id string) { value.List().Set(i, protoreflect.ValueOfString(id)) })
		}
	}
}

func (f member) collect(v protoreflect.Value, path string, to *[]use, set func(id string)) {
	switch {
	case f.inner != nil:
		f.inner.collect(v.Message(), path+".", to)
	case isName(v.String()):
		*to = append(*to, use{path: path, name: v.String(), set: set})
	}
}
