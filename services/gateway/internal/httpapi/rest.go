package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/ratelimit"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// newREST makes the REST side, without routes yet. It stands behind rejectEarly.
func newREST(log *slog.Logger) *runtime.ServeMux {
	nothing := func(string) (string, bool) { return "", false }
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{
			// What is not set is left out, as openapi.json says; never null.
			MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true},
			// A misspelt field must not be taken for a missing one.
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}}),
		runtime.WithErrorHandler(errorHandler{log}.write),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
			notFound(w, r)
		}),
		runtime.WithForwardResponseOption(nameDownload),
		runtime.WithForwardResponseOption(completeSources),
		// The bearer token and the trace travel by themselves; no other header
		// is the services' business, and none of theirs the caller's.
		runtime.WithIncomingHeaderMatcher(nothing),
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			if hasToken(r) {
				return nil
			}
			return userAgent(r) // of whoever signs in
		}),
		runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
	)
}

// maxUserAgent bounds what services are told of a user agent, in bytes.
const maxUserAgent = 200

// userAgent tells a service what somebody signs in with.
func userAgent(r *http.Request) metadata.MD {
	agent := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' { // not what metadata may hold
			return -1
		}
		return c
	}, r.UserAgent())
	return metadata.Pairs("gatehouse-user-agent", agent[:min(len(agent), maxUserAgent)])
}

type errorHandler struct{ log *slog.Logger }

// write answers with the error of a call, or of reading the request. What
// services say in Gatehouse's own words is passed on as it is; of anything
// else nothing is shown.
func (h errorHandler) write(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	var routing *runtime.HTTPStatusError
	if errors.As(err, &routing) {
		send(w, r, apierr.New(codes.InvalidArgument, "PATH_INVALID", "the path cannot be read"))
		return
	}
	st := status.Convert(err)
	if _, ok := reasonOf(st); ok {
		sendStatus(w, st)
		return
	}
	if a, ok := ctx.Value(askedKey{}).(asked); ok && st.Code() == codes.InvalidArgument {
		send(w, r, a.explainBody())
		return
	}
	out := apierr.FromStatus(st)
	if out.Code != codes.Canceled {
		method, _ := runtime.RPCMethod(ctx)
		h.log.WarnContext(ctx, "Service gave no proper answer", "method", method, "code", st.Code().String(), "error", err, "trace_id", traceID(ctx))
	}
	send(w, r, out)
}

// reasonOf is the reason in a status that a Gatehouse service sent.
func reasonOf(st *status.Status) (string, bool) {
	for _, d := range st.Details() {
		if d, ok := d.(*errdetails.ErrorInfo); ok && d.GetDomain() == apierr.Domain {
			return d.GetReason(), true
		}
	}
	return "", false
}

// Reasons that have an HTTP status of their own, which gRPC has no code for.
const (
	reasonBodyTooLarge     = "BODY_TOO_LARGE"
	reasonMethodNotAllowed = "METHOD_NOT_ALLOWED"
)

// send answers with an error of the gateway's own.
func send(w http.ResponseWriter, r *http.Request, err error) {
	countRefused(w, r, err)
	sendStatus(w, apierr.StatusWithTrace(err, traceID(r.Context())))
}

// sendStatus answers with a status, in the one form that errors have here.
func sendStatus(w http.ResponseWriter, st *status.Status) {
	code := runtime.HTTPStatusFromCode(st.Code())
	reason, _ := reasonOf(st)
	switch reason {
	case reasonBodyTooLarge:
		code = http.StatusRequestEntityTooLarge
	case reasonMethodNotAllowed:
		code = http.StatusMethodNotAllowed
	}
	h := w.Header()
	if code == http.StatusUnauthorized || reason == authz.ReasonScopeMissing {
		h.Set("WWW-Authenticate", challenge(st))
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			h.Set("Retry-After", itoa(int(math.Ceil(d.GetRetryDelay().AsDuration().Seconds()))))
		case *errdetails.ErrorInfo:
			if d.GetReason() == ratelimit.Reason { // the limit that was reached, and no other
				ratelimit.SetHeaderOf(d.GetMetadata(), h)
			}
		}
	}
	b, err := protojson.Marshal(inJSON(st).Proto())
	if err != nil {
		code, b = http.StatusInternalServerError, []byte(`{"code":13,"message":"internal error"}`)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(b)
}

// inJSON is a status that names fields as JSON does, in its texts too.
func inJSON(st *status.Status) *status.Status {
	message := st.Message()
	details := make([]protoadapt.MessageV1, 0, len(st.Details()))
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				if v.GetReason() == reasonUnknown { // that is the caller's own word
					continue
				}
				said := v.GetField()
				v.Field = jsonPath(said)
				if v.GetReason() == reasonNotChangeable { // which field that is, the text says alone
					message, v.Description = quoted.ReplaceAllStringFunc(message, jsonPath), quoted.ReplaceAllStringFunc(v.GetDescription(), jsonPath)
				}
				if v.GetField() != said {
					message = strings.ReplaceAll(message, said, v.GetField())
					v.Description = strings.ReplaceAll(v.GetDescription(), said, v.GetField())
				}
			}
		case *errdetails.PreconditionFailure: // comes behind BadRequest
			for _, v := range d.GetViolations() {
				if v.GetDescription() == st.Message() {
					v.Description = message
				}
			}
		}
		m, ok := d.(protoadapt.MessageV1)
		if !ok {
			return st // of a kind that nobody here knows
		}
		details = append(details, m)
	}
	out, err := status.New(st.Code(), message).WithDetails(details...)
	if err != nil {
		return st
	}
	return out
}

// reasonNotChangeable is the reason of a mask with a field that nobody may change.
const reasonNotChangeable = "FIELD_NOT_CHANGEABLE"

// quoted is a path in a text.
var quoted = regexp.MustCompile(`"[a-z][a-z0-9_.]*"`)

// jsonPath is the path of a field, such as steps[1].user_ids, as JSON names it:
// steps[1].userIds. What stands in brackets is an index or a key, and stays.
func jsonPath(path string) string {
	var b strings.Builder
	inside, upper := false, false
	for _, c := range path {
		switch {
		case c == '[', c == ']':
			inside = c == '['
		case c == '_' && !inside:
			upper = true
			continue
		case upper:
			c = unicode.ToUpper(c)
		}
		upper = false
		b.WriteRune(c)
	}
	return b.String()
}

// challenge says what kind of credential is asked for: if it is a more recent proof of
// who calls, how recent (RFC 9470), and if it is a scope, which (RFC 6750).
func challenge(st *status.Status) string {
	const bearer = `Bearer realm="gatehouse"`
	for _, d := range st.Details() {
		d, ok := d.(*errdetails.ErrorInfo)
		if !ok || d.GetDomain() != apierr.Domain {
			continue
		}
		switch d.GetReason() {
		case authz.ReasonStepUp:
			return bearer + `, error="insufficient_user_authentication", error_description="sign in again", max_age="` + d.GetMetadata()["max_age"] + `"`
		case authz.ReasonScopeMissing:
			return bearer + `, error="insufficient_scope", scope="` + d.GetMetadata()["scope"] + `"`
		}
	}
	return bearer
}

func notFound(w http.ResponseWriter, r *http.Request) {
	send(w, r, apierr.NotFound("ROUTE_NOT_FOUND", "there is nothing at %s", r.URL.Path))
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	send(w, r, apierr.New(codes.Unimplemented, reasonMethodNotAllowed, "%s is not possible here, only %s", r.Method, allow))
}

func traceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// nameDownload gives a file answered as HttpBody a name, so that it is saved.
func nameDownload(ctx context.Context, w http.ResponseWriter, msg proto.Message) error {
	body, ok := msg.(*httpbody.HttpBody)
	if !ok {
		return nil
	}
	ext := map[string]string{
		"text/csv": "csv", "application/pdf": "pdf", "application/json": "json",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	}
	kind, _, err := mime.ParseMediaType(body.GetContentType())
	if err != nil || ext[kind] == "" {
		return nil //nolint:nilerr // shown rather than saved
	}
	name := "export"
	if m, ok := runtime.RPCMethod(ctx); ok {
		switch path.Base(m) {
		case "ExportChecklists":
			name = "checklists"
		case "GetRequestReport":
			name = "request-report"
		}
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+"."+ext[kind]+`"`)
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// completeSources makes the addresses that SCIM clients push to whole: services know
// their paths alone.
func completeSources(ctx context.Context, _ http.ResponseWriter, msg proto.Message) error {
	var sources []*identityv1.Source
	switch m := msg.(type) {
	case *identityv1.CreateSourceResponse:
		sources = append(sources, m.GetSource())
	case *identityv1.UpdateSourceResponse:
		sources = append(sources, m.GetSource())
	case *identityv1.ListSourcesResponse:
		sources = m.GetSources()
	default:
		return nil
	}
	o, ok := ctx.Value(outsideKey{}).(outside)
	for _, s := range sources {
		if path := s.GetScimBaseUrl(); ok && strings.HasPrefix(path, "/") {
			s.ScimBaseUrl = o.url(path)
		}
	}
	return nil
}
