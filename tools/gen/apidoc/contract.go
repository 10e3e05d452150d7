package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The options that say who may call a method, what a service is about, and which fields
// take a user's id or user name.
const (
	accessOption = "gatehouse.authz.v1.access"
	areaOption   = "gatehouse.authz.v1.area"
	userIDOption = "gatehouse.identity.v1.user_id"
)

// contract is what the protos say.
type contract struct {
	files   *protoregistry.Files
	methods map[string]protoreflect.MethodDescriptor // by operation id
	types   protoregistry.Types                      // of our own options
	areas   protoreflect.EnumDescriptor              // values of areaOption
	// sent are the messages that callers send, whole or in part: an answer's fields
	// are not all required there.
	sent map[protoreflect.FullName]bool
}

func readContract(image string) (*contract, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil { // knows validate's options, which are linked
		return nil, err
	}
	c := &contract{methods: map[string]protoreflect.MethodDescriptor{}, sent: map[protoreflect.FullName]bool{}}
	if c.files, err = protodesc.NewFiles(&set); err != nil {
		return nil, err
	}
	for _, name := range []protoreflect.FullName{accessOption, areaOption, userIDOption} {
		option, err := c.files.FindDescriptorByName(name)
		if err != nil {
			return nil, err
		}
		if err := c.types.RegisterExtension(dynamicpb.NewExtensionType(option.(protoreflect.ExtensionDescriptor))); err != nil {
			return nil, err
		}
		if name == areaOption {
			c.areas = option.(protoreflect.ExtensionDescriptor).Enum()
		}
	}
	for file := range c.files.RangeFiles {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				c.methods[fmt.Sprintf("%s_%s", service.Name(), m.Name())] = m
				if !slices.Equal(c.access(m).allow, []string{"service"}) { // which is not REST
					c.send(m.Input())
				}
			}
		}
	}
	return c, nil
}

// send notes that callers send a message, with all that is in it.
func (c *contract) send(m protoreflect.MessageDescriptor) {
	if c.sent[m.FullName()] {
		return
	}
	c.sent[m.FullName()] = true
	for i := range m.Fields().Len() {
		if inner := m.Fields().Get(i).Message(); inner != nil {
			c.send(inner)
		}
	}
}

// method is that of an operation; further http bindings have _1, _2 … behind the id.
func (c *contract) method(operation string) (protoreflect.MethodDescriptor, bool) {
	m, ok := c.methods[operation]
	if !ok {
		m, ok = c.methods[strings.TrimRight(operation, "_0123456789")]
	}
	return m, ok
}

// message is a message by the name of its schema.
func (c *contract) message(schema string) (protoreflect.MessageDescriptor, bool) {
	d, err := c.files.FindDescriptorByName(protoreflect.FullName(schema))
	m, ok := d.(protoreflect.MessageDescriptor)
	return m, err == nil && ok && strings.HasPrefix(schema, "gatehouse.")
}

// access is who may call a method, in lower case.
type access struct {
	allow  []string
	stepUp bool
	// scope is what a token with scopes needs; empty: none.
	scope string
}

func (a access) public() bool { return slices.Contains(a.allow, "public") }

func (c *contract) access(m protoreflect.MethodDescriptor) (a access) {
	said, ok := c.option(m, accessOption)
	if !ok {
		return a
	}
	fields := said.Message().Descriptor().Fields()
	allow := fields.ByName("allow")
	for i := range said.Message().Get(allow).List().Len() {
		a.allow = append(a.allow, lower("CALLER_", allow.Enum(), said.Message().Get(allow).List().Get(i)))
	}
	a.stepUp = said.Message().Get(fields.ByName("step_up")).Bool()
	area, ok := c.option(m.Parent(), areaOption)
	if !ok || a.public() || said.Message().Get(fields.ByName("any_scope")).Bool() {
		return a
	}
	a.scope = lower("AREA_", c.areas, area)
	if readOnly(m) {
		a.scope += ":read"
	} else {
		a.scope += ":write"
	}
	return a
}

// readOnly says of a method whether it changes nothing.
func readOnly(m protoreflect.MethodDescriptor) bool {
	return m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// option is one of our own options, of a method, a service or a field.
func (c *contract) option(d protoreflect.Descriptor, name protoreflect.FullName) (value protoreflect.Value, ok bool) {
	options := d.Options().ProtoReflect().New()
	data, err := proto.Marshal(d.Options())
	if err == nil {
		err = (proto.UnmarshalOptions{Resolver: &c.types}).Unmarshal(data, options.Interface())
	}
	if err != nil {
		panic(err) // the image was read
	}
	options.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.FullName() == name {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

// lower is a value of an enum in lower case, without what all begin with.
func lower(prefix string, enum protoreflect.EnumDescriptor, v protoreflect.Value) string {
	return strings.ToLower(strings.TrimPrefix(string(enum.Values().ByNumber(v.Enum()).Name()), prefix))
}

// field is a field by the name that a parameter has: its own or JSON's, also of a
// message in the message.
func field(m protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := m.Fields().ByJSONName(name); f != nil {
		return f
	}
	return m.Fields().ByName(protoreflect.Name(name))
}

func rulesOf(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// schema writes a message's rules into its schema, and which fields are always there.
func (c *contract) schema(schema object, m protoreflect.MessageDescriptor) {
	properties, _ := schema["properties"].(object)
	var required []string
	for name, property := range properties {
		f := field(m, name)
		if f == nil {
			continue
		}
		c.constrain(property.(object), f)
		if c.sent[m.FullName()] && needed(f) || !c.sent[m.FullName()] && !f.HasPresence() {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		slices.Sort(required)
		schema["required"] = required
	}
}

// needed says of a field whether a message without it is refused.
func needed(f protoreflect.FieldDescriptor) bool {
	r := rulesOf(f)
	switch {
	case r == nil || r.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED:
		return false
	case r.GetRequired():
		return true
	case f.HasPresence(): // its rules are of a value that is there
		return false
	case f.IsList():
		return r.GetRepeated().GetMinItems() > 0
	}
	s := r.GetString()
	return s.GetMinLen() > 0 || s.GetUuid() || s.GetEmail() || len(s.GetIn()) > 0 && !slices.Contains(s.GetIn(), "") ||
		slices.Contains(r.GetEnum().GetNotIn(), 0) || len(r.GetEnum().GetIn()) > 0 && !slices.Contains(r.GetEnum().GetIn(), 0) ||
		r.GetInt32().GetGt() > 0 || r.GetInt32().GetGte() > 0
}

// constrain writes a field's rules into its schema.
func (c *contract) constrain(schema object, f protoreflect.FieldDescriptor) {
	r := rulesOf(f)
	if r == nil {
		return
	}
	named := c.takesUserName(f)
	if l := r.GetRepeated(); l != nil {
		set(schema, "minItems", l.GetMinItems())
		set(schema, "maxItems", l.GetMaxItems())
		if l.GetUnique() {
			schema["uniqueItems"] = true
		}
		if items, ok := schema["items"].(object); ok && l.GetItems() != nil {
			one(items, l.GetItems(), named)
		}
		return
	}
	one(schema, r, named)
}

// takesUserName says of a field whether a user name may stand for the id.
func (c *contract) takesUserName(f protoreflect.FieldDescriptor) bool {
	is, ok := c.option(f, userIDOption)
	return ok && is.Bool()
}

func set(schema object, name string, value uint64) {
	if value > 0 {
		schema[name] = value
	}
}

// one writes the rules of one value into its schema. Of a value that may be a user name
// they hold for the id that is put in its place.
func one(schema object, r *validate.FieldRules, named bool) {
	if s := r.GetString(); s != nil {
		set(schema, "minLength", s.GetMinLen())
		set(schema, "maxLength", s.GetMaxLen())
		if s.GetPattern() != "" {
			schema["pattern"] = s.GetPattern()
		}
		switch {
		case s.GetUuid() && named:
			if r.GetIgnore() == validate.Ignore_IGNORE_UNSPECIFIED {
				schema["minLength"] = 1
			}
		case s.GetUuid():
			schema["format"] = "uuid"
		case s.GetEmail():
			schema["format"] = "email"
		}
		if len(s.GetIn()) > 0 {
			schema["enum"] = s.GetIn()
		}
	}
	if n := r.GetInt32(); n != nil {
		if n.HasGte() {
			schema["minimum"] = n.GetGte()
		}
		if n.HasLte() {
			schema["maximum"] = n.GetLte()
		}
	}
}
