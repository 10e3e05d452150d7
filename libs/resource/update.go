package resource

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/rpc"
)

// Message is a resource.
type Message interface {
	proto.Message
	GetId() string
	GetEtag() string
}

// Update is a change that somebody asks for. M is the type of the resource.
type Update[M Message] struct {
	// Field is the field of the request that has the resource, such as "app".
	Field string
	// Resource has the new values, and the etag or none.
	Resource M
	// Mask names the fields to change, or fields of them. The gateway makes it of
	// the body where it is left out.
	Mask *fieldmaskpb.FieldMask
	// Fields are those that can be changed.
	Fields []string
	// Rules is a message, such as that of the Create RPC, whose fields of the same
	// names and types have the rules that the resource is held to. Nil: none.
	Rules proto.Message
}

// Apply gives a copy of the current resource with the change made. A field of
// the mask that is not set is cleared. Errors: INVALID_ARGUMENT on update_mask
// (UPDATE_MASK_EMPTY; FIELD_NOT_CHANGEABLE, also for a field that there is not)
// or on the fields that break their rules, of those that the mask names; ABORTED,
// ETAG_MISMATCH.
func (u Update[M]) Apply(current M) (after M, err error) {
	if len(u.Mask.GetPaths()) == 0 {
		return after, apierr.InvalidField("update_mask", "UPDATE_MASK_EMPTY", "name at least one field to change")
	}
	for _, path := range u.Mask.GetPaths() {
		if !u.changeable(path) {
			return after, apierr.InvalidField("update_mask", "FIELD_NOT_CHANGEABLE", "the field %q cannot be changed", path)
		}
	}
	if err := CheckETag(u.Resource.GetEtag(), current.GetEtag()); err != nil {
		return after, err
	}
	after = proto.CloneOf(current)
	from := proto.CloneOf(u.Resource).ProtoReflect()
	for _, path := range u.Mask.GetPaths() {
		if !isKey(path) {
			set(after.ProtoReflect(), from, strings.Split(path, "."))
		}
	}
	return after, u.check(after)
}

// Names says whether the mask names a field, by its name in the resource, or one
// of its fields.
func (u Update[M]) Names(field string) bool {
	return slices.ContainsFunc(u.Mask.GetPaths(), func(path string) bool { return first(path) == field })
}

// Changed are the names of the fields that can be changed and in which two
// resources differ, in the order of the proto.
func (u Update[M]) Changed(before, after M) (names []string) {
	a, b := before.ProtoReflect(), after.ProtoReflect()
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if slices.Contains(u.Fields, string(fd.Name())) && (a.Has(fd) != b.Has(fd) || !a.Get(fd).Equal(b.Get(fd))) {
			names = append(names, string(fd.Name()))
		}
	}
	return names
}

// Within gives err with the fields of the resource as they are called in the
// request: "name" is "app.name".
func (u Update[M]) Within(err error) error {
	e, ok := apierr.From(err)
	if !ok {
		return err
	}
	c := *e
	c.Fields = slices.Clone(e.Fields)
	for i, f := range c.Fields {
		name, _, _ := strings.Cut(first(f.Field), "[")
		if u.Resource.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)) != nil {
			c.Fields[i].Field = u.Field + "." + f.Field
		}
	}
	return &c
}

func (u Update[M]) changeable(path string) bool {
	if isKey(path) {
		return true
	}
	return slices.Contains(u.Fields, first(path)) && (&fieldmaskpb.FieldMask{Paths: []string{path}}).IsValid(u.Resource)
}

// isKey tells what says which resource is meant, and which version of it: over
// REST it is in the body beside the fields.
func isKey(path string) bool { return path == "id" || path == "etag" }

func first(path string) string {
	name, _, _ := strings.Cut(path, ".")
	return name
}

// set makes a field of a message, or one inside of it, the same as that of another.
func set(to, from protoreflect.Message, path []string) {
	fd := to.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) > 1 && (to.Has(fd) || from.Has(fd)):
		set(to.Mutable(fd).Message(), from.Get(fd).Message(), path[1:])
	case len(path) > 1: // neither has it
	case from.Has(fd):
		to.Set(fd, from.Get(fd))
	default:
		to.Clear(fd)
	}
}

// check holds the fields that the mask names to their rules. What was saved under
// other rules does not keep anybody from changing the rest.
func (u Update[M]) check(after M) error {
	if u.Rules == nil {
		return nil
	}
	err := rpc.Validate(Copy(after, u.Rules))
	broken, ok := apierr.From(err)
	if !ok {
		return err
	}
	var out *apierr.Error
	for _, f := range broken.Fields {
		name, _, _ := strings.Cut(first(f.Field), "[")
		if !u.Names(name) {
			continue
		}
		field := u.Field + "." + f.Field
		if out == nil {
			out = apierr.InvalidField(field, broken.Reason, "the request is not valid: %s: %s", field, f.Description)
			out.Fields[0].Reason, out.Fields[0].Description = f.Reason, f.Description
		} else {
			out = out.WithField(field, f.Reason, "%s", f.Description)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

// Copy gives a new message of the type of like that has the fields of m of the
// same names and types. They share what they are made of.
func Copy[L proto.Message](m proto.Message, like L) L {
	from, to := m.ProtoReflect(), like.ProtoReflect().New()
	from.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if other := to.Descriptor().Fields().ByName(fd.Name()); other != nil && same(fd, other) {
			to.Set(other, v)
		}
		return true
	})
	return to.Interface().(L) //nolint:errcheck,forcetypeassert // made of it
}

func same(a, b protoreflect.FieldDescriptor) bool {
	name := func(fd protoreflect.FieldDescriptor) protoreflect.FullName {
		switch {
		case fd.Message() != nil:
			return fd.Message().FullName()
		case fd.Enum() != nil:
			return fd.Enum().FullName()
		}
		return ""
	}
	// Neither message has maps.
	return a.Kind() == b.Kind() && a.Cardinality() == b.Cardinality() && name(a) == name(b) && !a.IsMap()
}
