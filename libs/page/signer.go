package page

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse.dev/libs/authz"
)

// Signer has page tokens be good for the list that they are of: for who asked, and
// for what was asked for but the size of the page. Any other is an invalid
// page_token.
type Signer struct{ key []byte }

// NewSigner makes a signer of a key that all replicas of a service have.
func NewSigner(key []byte) (Signer, error) {
	if len(key) < sha256.Size {
		return Signer{}, errors.New("the key of page tokens is too short")
	}
	return Signer{key}, nil
}

// sumSize is the length of a sum in a token: of the first half of it.
var sumSize = base64.RawURLEncoding.EncodedLen(sha256.Size / 2)

// Sign makes a token that is good for one list, which list names in full: what is
// listed, in which order, and for whom.
func (s Signer) Sign(list, token string) string { return s.textSum(list+"\x00"+token) + token }

// Verify gives the token that was signed for a list. It is false for any other.
func (s Signer) Verify(list, signed string) (token string, ok bool) {
	if len(signed) <= sumSize || !hmac.Equal([]byte(signed[:sumSize]), []byte(s.textSum(list+"\x00"+signed[sumSize:]))) {
		return "", false
	}
	return signed[sumSize:], true
}

// textSum is the sum of a text.
func (s Signer) textSum(text string) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("text\x00" + text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:sha256.Size/2])
}

// Intercept takes the sums off the page tokens of requests, and puts them onto those
// of answers. It stands behind authentication.
func (s Signer) Intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	in, ok := req.(proto.Message)
	if !ok {
		return handler(ctx, req)
	}
	asked := in.ProtoReflect()
	field := text(asked, "page_token")
	if field == nil {
		return handler(ctx, req)
	}
	sum, err := s.sum(ctx, info.FullMethod, in)
	if err != nil {
		return nil, err
	}
	if token := asked.Get(field).String(); token != "" {
		if len(token) <= sumSize || !hmac.Equal([]byte(token[:sumSize]), []byte(sum)) {
			return nil, invalid()
		}
		in = proto.Clone(in)
		in.ProtoReflect().Set(field, protoreflect.ValueOfString(token[sumSize:]))
	}
	res, err := handler(ctx, in)
	if out, ok := res.(proto.Message); ok && err == nil {
		if next := text(out.ProtoReflect(), "next_page_token"); next != nil {
			if token := out.ProtoReflect().Get(next).String(); token != "" {
				out.ProtoReflect().Set(next, protoreflect.ValueOfString(sum+token))
			}
		}
	}
	return res, err
}

// sum is that of a list: of the method, who asks, and what for.
func (s Signer) sum(ctx context.Context, method string, in proto.Message) (string, error) {
	list := proto.Clone(in)
	m := list.ProtoReflect()
	for _, name := range []protoreflect.Name{"page_token", "page_size"} {
		if f := m.Descriptor().Fields().ByName(name); f != nil {
			m.Clear(f)
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(list)
	if err != nil {
		return "", err //nolint:wrapcheck // was unmarshalled
	}
	caller, _ := authz.From(ctx)
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(strings.Join([]string{method, caller.Subject, ""}, "\x00")))
	h.Write(b)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:sha256.Size/2]), nil
}

// text is a field of a message that is one text; nil if there is none of that name.
func text(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	f := m.Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return nil
	}
	return f
}
