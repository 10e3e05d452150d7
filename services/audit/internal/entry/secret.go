package entry

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// secretFields are the names of fields that are there for a secret. Events
// leave them empty; the log makes sure of it.
var secretFields = []protoreflect.Name{"token", "secret", "password", "private_key"}

// secrets are the message types that can hold a secret, somewhere inside. Those
// are few, so that all others are written as they are.
type secrets map[protoreflect.FullName]bool

func findSecrets() secrets {
	s := secrets{}
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		if d := t.Descriptor(); holdsSecret(d, map[protoreflect.FullName]bool{}) {
			s[d.FullName()] = true
		}
		return true
	})
	return s
}

// holdsSecret does not look at types that are being looked at.
func holdsSecret(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[d.FullName()] {
		return false
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if isSecret(f) || f.Message() != nil && holdsSecret(f.Message(), seen) {
			return true
		}
	}
	return false
}

func isSecret(f protoreflect.FieldDescriptor) bool {
	return (f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind) && slices.Contains(secretFields, f.Name())
}

// without gives m as it may be written: itself, or a copy without its secrets.
func (s secrets) without(m proto.Message) proto.Message {
	if !s[m.ProtoReflect().Descriptor().FullName()] {
		return m
	}
	m = proto.Clone(m)
	s.clear(m.ProtoReflect())
	return m
}

func (s secrets) clear(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(f):
			m.Clear(f)
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					s.clear(v.Message())
					return true
				})
			}
		case f.IsList():
			if f.Message() != nil {
				for i := range v.List().Len() {
					s.clear(v.List().Get(i).Message())
				}
			}
		case f.Message() != nil:
			s.clear(v.Message())
		}
		return true
	})
}
