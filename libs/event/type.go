package event

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// Type is what one kind of event is called, as its message declares.
type Type struct {
	// Aggregate is what the event is about, such as "grant", and Name what
	// happened to it, such as "activated": lower-case letters, digits and _.
	Aggregate, Name string
	// Version of its meaning, from 1.
	Version int32
	// Service is who says it, by the name of the service; [EveryService] is each of
	// them.
	Service string
	// Signed says that it carries the service's signature, see package eventsig.
	Signed bool
	// Message is the full name of the message, the CloudEvents type.
	Message protoreflect.FullName
}

// EveryService in place of a service's name is each service: of itself, as every
// event says whom it comes from.
const EveryService = "*"

// SaidBy says whether the service says such events.
func (t Type) SaidBy(service string) bool {
	return t.Service == service || t.Service == EveryService && service != ""
}

// String is the name of the event: "grant.activated".
func (t Type) String() string { return t.Aggregate + "." + t.Name }

// Subject is where the event is published if it is an organization's. The nil
// id is refused.
func (t Type) Subject(organization uuid.UUID) (string, error) {
	if organization == uuid.Nil {
		return "", fmt.Errorf("event %s has no organization", t)
	}
	return "access." + organization.String() + "." + t.String(), nil
}

// Filter matches the event's subjects in all organizations.
func (t Type) Filter() string { return "access.*." + t.String() }

// types are those that were looked up, by full name of their message.
var types sync.Map

// TypeOf is the type of a message. A message that declares none, or one that
// cannot be a subject, is no event: that is an error.
func TypeOf(m proto.Message) (Type, error) {
	if m == nil {
		return Type{}, errors.New("there is no message")
	}
	return typeOf(m.ProtoReflect().Descriptor())
}

func typeOf(d protoreflect.MessageDescriptor) (Type, error) {
	if t, ok := types.Load(d.FullName()); ok {
		return t.(Type), nil
	}
	if !proto.HasExtension(d.Options(), eventv1.E_EventType) {
		return Type{}, fmt.Errorf("message %s is not an event: it has no option event_type", d.FullName())
	}
	o := proto.GetExtension(d.Options(), eventv1.E_EventType).(*eventv1.EventType)
	t := Type{Aggregate: o.GetAggregate(), Name: o.GetName(), Version: o.GetVersion(), Message: d.FullName(), Service: o.GetService(), Signed: o.GetSigned()}
	if !isToken(t.Aggregate) || !isToken(t.Name) || t.Version < 1 {
		return Type{}, fmt.Errorf("message %s cannot be called %s, version %d: lower-case letters, digits and _, and a version from 1",
			d.FullName(), t, t.Version)
	}
	if t.Service == "" {
		return Type{}, fmt.Errorf("message %s does not say which service says it", d.FullName())
	}
	if t.Service == EveryService && !t.Signed {
		return Type{}, fmt.Errorf("message %s is said by every service and is not signed, so nothing would say by which", d.FullName())
	}
	types.Store(d.FullName(), t)
	return t, nil
}

// Lookup is the type of the message with a full name. It is an error if no such
// event is linked into the program.
func Lookup(message string) (Type, error) {
	m, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(message))
	if err != nil {
		return Type{}, fmt.Errorf("message %s is not known here", message)
	}
	return typeOf(m.Descriptor())
}

// Types are all types that are linked into the program, by name.
func Types() []Type {
	var all []Type
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		if t, err := typeOf(m.Descriptor()); err == nil {
			all = append(all, t)
		}
		return true
	})
	slices.SortFunc(all, func(a, b Type) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// ContextOf is the context that an event carries; nil if it carries none.
func ContextOf(m proto.Message) *eventv1.Context {
	if m, ok := m.(interface{ GetContext() *eventv1.Context }); ok {
		return m.GetContext()
	}
	return nil
}

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}
