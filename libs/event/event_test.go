package event_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// The contract itself: what is an event has a name, which its message's name
// tells, and no two have the same.
func TestEveryEventIsNamedAfterItsMessage(t *testing.T) {
	t.Parallel()
	seen := make(map[string]protoreflect.FullName)
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		if d.ParentFile().Package() != "gatehouse.event.v1" {
			return true
		}
		isEvent := d.Fields().ByName("context") != nil
		typ, err := event.TypeOf(mt.Zero().Interface())
		switch {
		case isEvent != (err == nil):
			t.Errorf("%s: has a context %t, is an event: %v", d.FullName(), isEvent, err)
		case !isEvent:
		case pascal(typ.Aggregate)+pascal(typ.Name) != string(d.Name()):
			t.Errorf("%s is called %s", d.FullName(), typ)
		case seen[typ.String()] != "":
			t.Errorf("%s and %s are both called %s", d.FullName(), seen[typ.String()], typ)
		default:
			seen[typ.String()] = d.FullName()
		}
		return true
	})
	types := event.Types()
	if len(seen) < 40 || len(types) != len(seen) {
		t.Errorf("%d events in the contract, %d types", len(seen), len(types))
	}
	for _, typ := range types {
		if got, err := event.Lookup(string(typ.Message)); err != nil || got != typ || seen[typ.String()] != typ.Message {
			t.Errorf("%s: looked up %+v (%v)", typ, got, err)
		}
	}
}

func pascal(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func TestTypeOf(t *testing.T) {
	t.Parallel()
	got, err := event.TypeOf(&eventv1.WorkItemOpened{})
	want := event.Type{Aggregate: "work_item", Name: "opened", Version: 1, Message: "gatehouse.event.v1.WorkItemOpened", Service: "provisioning"}
	if err != nil || got != want || got.String() != "work_item.opened" {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	for name, m := range map[string]proto.Message{
		"nothing":        nil,
		"no option":      &emptypb.Empty{},
		"no name":        declare(t, &eventv1.EventType{Aggregate: "a", Version: 1}),
		"dot":            declare(t, &eventv1.EventType{Aggregate: "a.b", Name: "c", Version: 1}),
		"wildcard":       declare(t, &eventv1.EventType{Aggregate: "a", Name: "*", Version: 1}),
		"rest":           declare(t, &eventv1.EventType{Aggregate: ">", Name: "b", Version: 1}),
		"upper case":     declare(t, &eventv1.EventType{Aggregate: "a", Name: "Opened", Version: 1}),
		"space":          declare(t, &eventv1.EventType{Aggregate: "a b", Name: "c", Version: 1}),
		"everybody's":    declare(t, &eventv1.EventType{Aggregate: "a", Name: "b", Version: 1, Service: "*"}),
		"without number": declare(t, &eventv1.EventType{Aggregate: "a", Name: "b"}),
	} {
		if got, err := event.TypeOf(m); err == nil {
			t.Errorf("%s: is the event %s", name, got)
		}
	}
	if got, err := event.Lookup("gatehouse.event.v1.Nonsense"); err == nil {
		t.Errorf("nonsense is the event %s", got)
	}
}

// declare makes a message that declares itself an event.
func declare(t *testing.T, typ *eventv1.EventType) proto.Message {
	t.Helper()
	options := &descriptorpb.MessageOptions{}
	proto.SetExtension(options, eventv1.E_EventType, typ)
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("test.proto"), Syntax: proto.String("proto3"), Package: proto.String("test"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Thing"), Options: options}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(f.Messages().Get(0))
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	org := id.New()
	typ, err := event.TypeOf(&eventv1.WorkItemOpened{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := typ.Subject(org)
	if err != nil || s != "access."+org.String()+".work_item.opened" {
		t.Errorf("subject %q (%v)", s, err)
	}
	if f := typ.Filter(); f != "access.*.work_item.opened" {
		t.Errorf("filter %q", f)
	}
	if s, err := typ.Subject(uuid.Nil); err == nil {
		t.Errorf("subject %q of no organization", s)
	}
	if o, name, ok := event.ParseSubject(s); !ok || o != org || name != typ.String() {
		t.Errorf("parsed %s %s %t", o, name, ok)
	}
	for _, s := range []string{
		"", "access", "access.x.a.b", "other." + org.String() + ".a.b", "access." + uuid.Nil.String() + ".a.b",
		s + ".more", "access." + org.String() + ".a", "access." + org.String() + ".a.", "access." + org.String() + ".a.*",
	} {
		if _, _, ok := event.ParseSubject(s); ok {
			t.Errorf("%q is a subject", s)
		}
	}
}

func TestActors(t *testing.T) {
	t.Parallel()
	user, source := id.New(), id.New()
	for name, tc := range map[string]struct{ got, want *eventv1.Actor }{
		"user": {
			event.CallerActor(authz.Caller{Subject: user.String(), UserID: user, Role: authzv1.Caller_CALLER_MEMBER, Name: "Ann"}),
			&eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: user.String(), DisplayName: "Ann"},
		},
		"service": {
			event.CallerActor(authz.Caller{Subject: "client:billing", Role: authzv1.Caller_CALLER_SERVICE}),
			&eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SERVICE, Id: "client:billing", DisplayName: "client:billing"},
		},
		"source": {
			event.SourceActor(source, "Okta"),
			&eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SOURCE, Id: source.String(), DisplayName: "Okta"},
		},
		"system": {
			event.SystemActor("request"),
			&eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: "request", DisplayName: "Gatehouse"},
		},
	} {
		if !proto.Equal(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
}
