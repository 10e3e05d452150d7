package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// route is a route of the REST API as its proto declares it.
type route struct {
	method string // such as GET
	path   string // such as /v1/apps/{app_id}/entitlements
	input  protoreflect.MessageDescriptor
	body   string   // field that the body is, "*" for the whole message, "" for none
	bound  []string // fields that are in the path
	public bool     // callers need not be signed in

	segments []string // of path
}

// routes are the routes by their collection and number of segments, so that
// one is found by looking at very few.
type routes map[routeKey][]route

type routeKey struct {
	collection string
	segments   int
}

func keyOf(segments []string) routeKey {
	k := routeKey{segments: len(segments)}
	if len(segments) > 1 {
		k.collection, _, _ = strings.Cut(segments[1], ":")
	}
	return k
}

// public reports whether callers of what a request is for need not be signed in.
func (rs routes) public(r *http.Request) bool {
	return slices.ContainsFunc(rs.at(r.URL.EscapedPath()), func(rt route) bool { return rt.method == r.Method && rt.public })
}

// newRoutes reads the routes of all linked services of Gatehouse.
func newRoutes() routes {
	out := routes{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "gatehouse.") {
			return true
		}
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				out.add(methods.Get(j))
			}
		}
		return true
	})
	return out
}

// add adds the routes of an RPC, if it has any.
func (rs routes) add(m protoreflect.MethodDescriptor) {
	opts, _ := m.Options().(*descriptorpb.MethodOptions)
	rule, _ := proto.GetExtension(opts, annotations.E_Http).(*annotations.HttpRule)
	access, _ := proto.GetExtension(opts, authzv1.E_Access).(*authzv1.Access)
	if rule == nil {
		return
	}
	for _, h := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		rt := route{
			input: m.Input(), body: h.GetBody(),
			public: slices.Contains(access.GetAllow(), authzv1.Caller_CALLER_PUBLIC),
		}
		switch p := h.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			rt.method, rt.path = http.MethodGet, p.Get
		case *annotations.HttpRule_Post:
			rt.method, rt.path = http.MethodPost, p.Post
		case *annotations.HttpRule_Put:
			rt.method, rt.path = http.MethodPut, p.Put
		case *annotations.HttpRule_Patch:
			rt.method, rt.path = http.MethodPatch, p.Patch
		case *annotations.HttpRule_Delete:
			rt.method, rt.path = http.MethodDelete, p.Delete
		default:
			continue
		}
		rt.segments = strings.Split(strings.TrimPrefix(rt.path, "/"), "/")
		for _, s := range rt.segments {
			if name, _, ok := strings.Cut(strings.TrimPrefix(s, "{"), "}"); ok {
				rt.bound = append(rt.bound, name)
			}
		}
		k := keyOf(rt.segments)
		rs[k] = append(rs[k], rt)
	}
}

// at returns the routes at a path, one for each method it takes. Where one
// names the end of the path (":cancel") and another takes anything, the one
// that names it is meant.
func (rs routes) at(escapedPath string) []route {
	segments := strings.Split(strings.TrimPrefix(escapedPath, "/"), "/")
	var out []route
	for _, rt := range rs[keyOf(segments)] {
		if !rt.matches(segments) {
			continue
		}
		if i := slices.IndexFunc(out, func(o route) bool { return o.method == rt.method }); i < 0 {
			out = append(out, rt)
		} else if len(rt.path) > len(out[i].path) {
			out[i] = rt
		}
	}
	return out
}

// meansOne reports whether the path means the same before and after %2F and %3A are taken
// for / and :. What is looked at here is the path as it was sent, and what calls the
// service reads it decoded.
func (rs routes) meansOne(r *http.Request) bool {
	return slices.EqualFunc(rs.at(r.URL.EscapedPath()), rs.at(r.URL.Path), func(a, b route) bool { return a.method == b.method && a.path == b.path })
}

func (rt route) matches(segments []string) bool {
	for i, want := range rt.segments {
		got := segments[i]
		_, verb, parameter := strings.Cut(want, "}")
		if !parameter && got != want || parameter && (len(got) <= len(verb) || !strings.HasSuffix(got, verb)) {
			return false
		}
	}
	return true
}

// allowed lists the methods of the routes, as the header Allow has them.
func allowed(at []route) string {
	methods := []string{http.MethodOptions}
	for _, rt := range at {
		methods = append(methods, rt.method)
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
