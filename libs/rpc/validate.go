package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/plaintext"
)

// PrepareFunc completes a request of a method. Its error is the call's.
type PrepareFunc func(ctx context.Context, method string, req proto.Message) error

// prepare does nothing without a function.
func (f PrepareFunc) prepare(ctx context.Context, method string, req any) error {
	msg, ok := req.(proto.Message)
	if f == nil || !ok {
		return nil
	}
	return f(ctx, method, msg)
}

func validateUnary(v protovalidate.Validator, prepare PrepareFunc) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := prepare.prepare(ctx, info.FullMethod, req); err != nil {
			return nil, err
		}
		if err := validate(v, req); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

func validateStream(v protovalidate.Validator, prepare PrepareFunc) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return handler(srv, &validStream{ServerStream: stream, validator: v, prepare: prepare, method: info.FullMethod})
	}
}

// validStream hands out only messages that satisfy their rules.
type validStream struct {
	grpc.ServerStream
	validator protovalidate.Validator
	prepare   PrepareFunc
	method    string
}

func (s *validStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := s.prepare.prepare(s.Context(), s.method, m); err != nil {
		return err
	}
	return validate(s.validator, m)
}

// Validate holds a message to its rules, as the server does with requests: for one
// that is not a request.
func Validate(m proto.Message) error { return validate(protovalidate.GlobalValidator, m) }

// maxViolations bounds how many wrong fields an answer names: details travel
// in a header.
const maxViolations = 50

// validate returns InvalidArgument, reason INVALID_ARGUMENT, naming each field
// that breaks a rule by its path in the proto. A text with a character that does
// not show (see package plaintext) breaks one everywhere, with the reason
// INVALID_TEXT.
func validate(v protovalidate.Validator, req any) error {
	msg, ok := req.(proto.Message)
	if !ok {
		return fmt.Errorf("validate request: %T is not a message", req)
	}
	err := v.Validate(msg)
	if err == nil {
		if field, character := hidden(msg.ProtoReflect()); field != "" {
			return apierr.InvalidField(field, "INVALID_TEXT", "%s must not contain %s", field, character)
		}
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("validate %s: %w", msg.ProtoReflect().Descriptor().FullName(), err)
	}
	out := apierr.New(codes.InvalidArgument, "INVALID_ARGUMENT", "the request is not valid")
	for i, violation := range invalid.Violations {
		if i == maxViolations {
			break
		}
		p := violation.Proto
		field := protovalidate.FieldPathString(p.GetField())
		text := words(violation)
		if i == 0 {
			out.Message += ": "
			if field != "" {
				out.Message += field + ": "
			}
			out.Message += text
		}
		out.Fields = append(out.Fields, apierr.Field{Field: field, Reason: upperSnake(p.GetRuleId()), Description: text})
	}
	return out
}

// words say what is wrong with a field. Of an enum they are the values it may have:
// that a value is "not in [0]" helps nobody.
func words(v *protovalidate.Violation) string {
	f, rule := v.FieldDescriptor, v.Proto.GetRuleId()
	if f != nil && f.Kind() == protoreflect.EnumKind && (strings.HasPrefix(rule, "enum.") || rule == "required" && !f.IsList()) {
		return "must be one of " + strings.Join(EnumNames(f), ", ")
	}
	if text := v.Proto.GetMessage(); text != "" {
		return text
	}
	return "breaks the rule " + rule
}

// EnumNames are the names of the values that a field, or an item of it, may have by its
// rules. Unspecified is none of them.
func EnumNames(f protoreflect.FieldDescriptor) []string {
	rules, err := protovalidate.ResolveFieldRules(f)
	if err != nil {
		rules = nil // then there are none
	}
	of := rules.GetEnum()
	if f.IsList() {
		of = rules.GetRepeated().GetItems().GetEnum()
	}
	values := f.Enum().Values()
	var names []string
	for i := range values.Len() {
		n := int32(values.Get(i).Number())
		if n != 0 && !slices.Contains(of.GetNotIn(), n) && (len(of.GetIn()) == 0 || slices.Contains(of.GetIn(), n)) {
			names = append(names, string(values.Get(i).Name()))
		}
	}
	return names
}

// hidden is the path of a text with a character that does not show, and which;
// empty if there is none.
func hidden(m protoreflect.Message) (path, character string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		switch {
		case f.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				if _, character = hiddenIn(f.MapKey(), key.Value()); character == "" {
					_, character = hiddenIn(f.MapValue(), value)
				}
				path = name
				return character == ""
			})
		case f.IsList():
			for i := range v.List().Len() {
				var inner string
				if inner, character = hiddenIn(f, v.List().Get(i)); character != "" {
					path = fmt.Sprintf("%s[%d]%s", name, i, inner)
					break
				}
			}
		default:
			var inner string
			inner, character = hiddenIn(f, v)
			path = name + inner
		}
		return character == ""
	})
	if character == "" {
		return "", ""
	}
	return path, character
}

// hiddenIn is the rest of the path, from the field on, and the character; empty if
// all of the field shows.
func hiddenIn(f protoreflect.FieldDescriptor, v protoreflect.Value) (path, character string) {
	switch f.Kind() {
	case protoreflect.StringKind:
		return "", plaintext.Hidden(v.String())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if inner, character := hidden(v.Message()); character != "" {
			return "." + inner, character
		}
	default:
	}
	return "", ""
}

// upperSnake makes a reason of a rule's id: STRING_UUID of string.uuid.
func upperSnake(ruleID string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, ruleID)
}
