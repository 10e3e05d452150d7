package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/rpc"
)

// maxBody is the largest request body taken over REST, in bytes. identity-sync
// bounds SCIM itself.
const maxBody = 1 << 20

// asked is what a request over REST is about, for those who handle it after
// rejectEarly.
type asked struct {
	route route
	body  []byte
}

type askedKey struct{}

// rejectEarly answers what never needs a service: methods that a path does not
// take, callers who brought nothing where something is needed, bodies that are
// too large or not JSON, parameters that do not exist. A misspelt one must not
// be taken for a missing one: a list without its filter looks like an answer.
func rejectEarly(rs routes, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := rs.at(r.URL.EscapedPath())
		if len(at) == 0 {
			notFound(w, r)
			return
		}
		if !rs.meansOne(r) {
			send(w, r, apierr.NotFound("ROUTE_NOT_FOUND", "a part of the path has a / or a : in it that could be one of the path's own: name what it is about by its id"))
			return
		}
		method := r.Method
		switch method {
		case http.MethodOptions:
			w.Header().Set("Allow", allowed(at))
			w.WriteHeader(http.StatusNoContent)
			return
		case http.MethodHead: // net/http leaves the body out
			method = http.MethodGet
		}
		i := slices.IndexFunc(at, func(rt route) bool { return rt.method == method })
		if i < 0 {
			methodNotAllowed(w, r, allowed(at))
			return
		}
		a := asked{route: at[i]}
		if !a.route.public && !hasToken(r) {
			send(w, r, apierr.Unauthenticated("TOKEN_MISSING", "a bearer token is required"))
			return
		}
		body, err := readBody(r)
		switch {
		case err != nil:
		case !utf8.ValidString(r.URL.Path):
			err = apierr.NotFound("ROUTE_NOT_FOUND", "the path is not UTF-8")
		default:
			err = a.route.checkQuery(r.URL.RawQuery)
		}
		if err != nil {
			send(w, r, err)
			return
		}
		a.body = body
		r = r.WithContext(context.WithValue(r.Context(), askedKey{}, a))
		r.Method, r.Body = method, io.NopCloser(bytes.NewReader(body))
		// Not for the outside to decide: how long a service may take, and
		// whether its trailers are shown.
		r.Header.Del("Grpc-Timeout")
		r.Header.Del("Te")
		next.ServeHTTP(w, r)
	})
}

// readBody reads a body of bounded size that is one JSON value, or nothing.
func readBody(r *http.Request) ([]byte, error) {
	tooLarge := apierr.New(codes.InvalidArgument, reasonBodyTooLarge, "the body is larger than %d bytes", maxBody)
	if r.ContentLength > maxBody {
		drain(r)
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case len(body) > maxBody:
		drain(r)
		return nil, tooLarge
	case err != nil:
		return nil, apierr.New(codes.InvalidArgument, "BODY_INCOMPLETE", "the body ended too early").Wrap(err)
	case len(body) > 0 && !json.Valid(body):
		return nil, bodyInvalid()
	}
	return body, nil
}

// drain reads on for a while: a client that is still sending when the
// connection closes sees that, and not the answer. One that waits to be told to
// send is not told to.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 16*maxBody)
	}
}

func bodyInvalid() *apierr.Error {
	return apierr.New(codes.InvalidArgument, "BODY_INVALID", "the body is not JSON of the expected form")
}

// checkQuery names the first parameter that the route does not have or cannot
// read.
func (rt route) checkQuery(raw string) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return apierr.New(codes.InvalidArgument, "QUERY_INVALID", "the query cannot be read").Wrap(err)
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(rt.input.FullName())
	if err != nil {
		return err // linked, or the route would not be here
	}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	seen := map[string]bool{}
	for _, name := range names {
		field, fd := rt.parameter(name)
		if fd == nil {
			return apierr.InvalidField(name, reasonUnknown, "there is no parameter %q", name)
		}
		if seen[field] || len(query[name]) > 1 && !fd.IsList() {
			return apierr.InvalidField(field, reasonDuplicate, "%s is given more than once", name)
		}
		seen[field] = true
		for _, v := range query[name] {
			if !utf8.ValidString(v) {
				return apierr.InvalidField(field, "INVALID_TEXT", "%s must be UTF-8", name)
			}
			if err := runtime.PopulateFieldFromPath(mt.New().Interface(), field, v); err != nil {
				return invalidValue(field, fd, fd.IsList())
			}
		}
	}
	return nil
}

// parameter finds the field that a query parameter sets: its path in the proto
// and its descriptor, nil if there is none.
func (rt route) parameter(name string) (string, protoreflect.FieldDescriptor) {
	if rt.body == "*" {
		return "", nil
	}
	md := rt.input
	var path []string
	var fd protoreflect.FieldDescriptor
	for part := range strings.SplitSeq(name, ".") {
		if md == nil {
			return "", nil
		}
		if fd = fieldNamed(md, part); fd == nil {
			return "", nil
		}
		path = append(path, string(fd.Name()))
		if md = nil; !fd.IsList() && !fd.IsMap() {
			md = fd.Message()
		}
	}
	field := strings.Join(path, ".")
	if slices.Contains(rt.bound, field) || path[0] == rt.body {
		return "", nil
	}
	if md != nil && !wellKnown(md) {
		return "", nil // a message is not one value
	}
	return field, fd
}

// Reasons of what is wrong with a field before any service has seen it.
const (
	reasonUnknown   = "FIELD_UNKNOWN"
	reasonInvalid   = "FIELD_INVALID"
	reasonDuplicate = "FIELD_DUPLICATE"
)

// explainBody names the first field of the body that cannot be read. What the
// decoder says is of no use: it names internals, and is worded differently
// from build to build.
func (a asked) explainBody() error {
	md, path := a.route.input, ""
	if a.route.body == "" || len(a.body) == 0 {
		return apierr.New(codes.InvalidArgument, "REQUEST_INVALID", "the request cannot be read")
	}
	if a.route.body != "*" {
		path = a.route.body
		fd := md.Fields().ByName(protoreflect.Name(path))
		if fd == nil || fd.Message() == nil {
			return bodyInvalid()
		}
		md = fd.Message()
	}
	if e := faultIn(md, a.body, path, 0); e != nil {
		return e
	}
	return bodyInvalid()
}

// maxDepth bounds how deep a fault is looked for.
const maxDepth = 32

// faultIn finds the first fault in a JSON value that should be a message.
func faultIn(md protoreflect.MessageDescriptor, raw json.RawMessage, path string, depth int) *apierr.Error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		if path == "" {
			return apierr.New(codes.InvalidArgument, "BODY_INVALID", "the body must be a JSON object")
		}
		return apierr.InvalidField(path, reasonInvalid, "%s must be an object", path)
	}
	seen := map[protoreflect.Name]bool{}
	for dec.More() {
		var value json.RawMessage
		key, err := dec.Token()
		if err == nil {
			err = dec.Decode(&value)
		}
		name, ok := key.(string)
		if err != nil || !ok {
			return bodyInvalid()
		}
		fd := fieldNamed(md, name)
		if fd == nil {
			unknown := join(jsonPath(path), name) // which stays the caller's own word
			return apierr.InvalidField(unknown, reasonUnknown, "there is no field %q", unknown)
		}
		at := join(path, string(fd.Name()))
		if seen[fd.Name()] {
			return apierr.InvalidField(at, reasonDuplicate, "%s is given more than once", at)
		}
		seen[fd.Name()] = true
		if e := faultInField(fd, name, value, at, depth); e != nil {
			return e
		}
	}
	return nil
}

func faultInField(fd protoreflect.FieldDescriptor, name string, value json.RawMessage, at string, depth int) *apierr.Error {
	if readable(fd, name, value) {
		return nil
	}
	switch {
	case fd.IsList():
		var items []json.RawMessage
		if json.Unmarshal(value, &items) != nil {
			return invalidValue(at, fd, true)
		}
		for i, item := range items {
			one := at + "[" + itoa(i) + "]"
			if readable(fd, name, slices.Concat([]byte{'['}, item, []byte{']'})) {
				continue
			}
			if md := fd.Message(); md != nil && !wellKnown(md) && depth < maxDepth {
				if e := faultIn(md, item, one, depth+1); e != nil {
					return e
				}
			}
			return invalidValue(one, fd, false)
		}
	case fd.Message() != nil && !fd.IsMap() && !wellKnown(fd.Message()) && depth < maxDepth:
		if e := faultIn(fd.Message(), value, at, depth+1); e != nil {
			return e
		}
	}
	return invalidValue(at, fd, false)
}

// readable reports whether a value can be a field's.
func readable(fd protoreflect.FieldDescriptor, name string, value json.RawMessage) bool {
	key, err := json.Marshal(name)
	if err != nil {
		return false
	}
	one := slices.Concat([]byte{'{'}, key, []byte{':'}, value, []byte{'}'})
	return protojson.Unmarshal(one, dynamicpb.NewMessage(fd.ContainingMessage())) == nil
}

// invalidValue says what a field's value should have been.
func invalidValue(at string, fd protoreflect.FieldDescriptor, list bool) *apierr.Error {
	return apierr.InvalidField(at, reasonInvalid, "%s must be %s", at, wanted(fd, list))
}

func wanted(fd protoreflect.FieldDescriptor, list bool) string {
	if list {
		return "a list"
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.StringKind:
		return "a text"
	case protoreflect.BytesKind:
		return "base64"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.EnumKind:
		return "one of " + strings.Join(rpc.EnumNames(fd), ", ")
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch fd.Message().FullName() {
		case "google.protobuf.Timestamp":
			return "a time such as 2026-01-31T09:00:00Z"
		case "google.protobuf.Duration":
			return "a length of time such as 3600s"
		case "google.protobuf.FieldMask":
			return "names of fields with commas between"
		}
		return "an object"
	}
	return "a whole number in range"
}

// fieldNamed finds a field by either of the names it has in JSON.
func fieldNamed(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(name)
}

// wellKnown tells the messages that JSON has a form of its own for.
func wellKnown(md protoreflect.MessageDescriptor) bool {
	return md.ParentFile().Package() == "google.protobuf"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
