package entry

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// secretFields are the names of fields that exist for a secret. Events leave them
// empty; the log makes sure of it.
var secretFields = []protoreflect.Name{"token", "secret", "client_secret", "password", "private_key"}

// Redactor takes secrets out of events. Make it with [NewRedactor]; it is safe
// for concurrent use.
type Redactor struct {
	// types are the message types that can hold a secret, somewhere inside.
	// They are few, so that the bytes of all others are kept as they are.
	types map[protoreflect.FullName]bool
}

// NewRedactor makes a redactor of all message types that are linked in.
func NewRedactor() *Redactor {
	r := &Redactor{types: map[protoreflect.FullName]bool{}}
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		if d := t.Descriptor(); holdsSecret(d, map[protoreflect.FullName]bool{}) {
			r.types[d.FullName()] = true
		}
		return true
	})
	return r
}

// Redact gives the bytes of an event as the log may keep them: data itself, or
// those of the event without its secrets. m, which data decodes to, is not
// changed.
func (r *Redactor) Redact(m proto.Message, data []byte) ([]byte, error) {
	if !r.types[m.ProtoReflect().Descriptor().FullName()] {
		return data, nil
	}
	m = proto.Clone(m)
	clearSecrets(m.ProtoReflect())
	redacted, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("redact %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return redacted, nil
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

func clearSecrets(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(f):
			m.Clear(f)
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					clearSecrets(v.Message())
					return true
				})
			}
		case f.IsList():
			if f.Message() != nil {
				for i := range v.List().Len() {
					clearSecrets(v.List().Get(i).Message())
				}
			}
		case f.Message() != nil:
			clearSecrets(v.Message())
		}
		return true
	})
}
