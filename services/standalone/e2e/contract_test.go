package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	validation "github.com/pb33f/libopenapi-validator/errors"

	"gatehouse.dev/proto"
)

// declared are the statuses that openapi.json says an operation answers, and the
// reasons that it says a status has, by method and path.
type declared map[string]map[string][]string

// statusesOf reads what openapi.json declares.
func statusesOf(t testing.TB) declared {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Reasons []string `json:"x-reasons"`
			}
		}
	}
	if err := json.Unmarshal(proto.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	all := declared{}
	for path, item := range doc.Paths {
		for method, o := range item {
			of := map[string][]string{}
			for status, r := range o.Responses {
				of[status] = r.Reasons
			}
			all[strings.ToUpper(method)+" "+path] = of
		}
	}
	return all
}

// operation finds the operation that a request is for. What has a name of its own, such
// as /v1/users/me, goes before what has any.
func (d declared) operation(method, path string) (map[string][]string, bool) {
	parts := strings.Split(path, "/")
	best, found, fewest := map[string][]string(nil), false, len(parts)+1
	for o, of := range d {
		m, p, _ := strings.Cut(o, " ")
		pattern := strings.Split(p, "/")
		if m != method || len(pattern) != len(parts) {
			continue
		}
		open := 0
		for i, part := range pattern {
			_, rest, ok := strings.Cut(part, "}")
			switch {
			case !ok && part != parts[i], ok && (rest == "" && strings.Contains(parts[i], ":") || !strings.HasSuffix(parts[i], rest)):
				open = len(parts) + 1
			case ok:
				open++
			}
		}
		if open < fewest {
			best, found, fewest = of, true, open
		}
	}
	return best, found
}

// undeclared says what is not declared of an answer: its status, or the reason of its
// error. Empty if all is.
func (d declared) undeclared(method, path string, code int, body []byte) string {
	of, ok := d.operation(method, path)
	if !ok {
		return "no operation"
	}
	reasons, ok := of[strconv.Itoa(code)]
	if !ok {
		return "the status is not declared"
	}
	var e struct {
		Details []struct{ Reason string }
	}
	if code < 400 || !strings.HasPrefix(path, "/v1/") || json.Unmarshal(body, &e) != nil {
		return "" // errors of SCIM and OAuth have no reason of ours
	}
	for _, detail := range e.Details {
		if detail.Reason != "" && !slices.Contains(reasons, detail.Reason) {
			return "the reason " + detail.Reason + " is not declared"
		}
	}
	return ""
}

// contractProxy stands before a gateway and holds every request that was taken, and
// every answer, against openapi.json.
type contractProxy struct {
	*httptest.Server
	validator validator.Validator
	declared  declared

	mu         sync.Mutex
	violations []string
	operations map[string]int // calls by method and path of the document
}

func newContractProxy(t testing.TB, base string) *contractProxy {
	t.Helper()
	// The validator takes /v1/requests/{id}:cancel for /v1/requests/{id}, so it is shown
	// the verb as a part of its own.
	document, err := libopenapi.NewDocument(bytes.ReplaceAll(proto.OpenAPI, []byte("}:"), []byte("}/:")))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	p := &contractProxy{validator: v, declared: statusesOf(t), operations: map[string]int{}}
	to := httputil.NewSingleHostReverseProxy(target)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the caller has gone
		}
		asked := r.Clone(r.Context())
		asked.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		r.Header.Del("Accept-Encoding") // then the transport asks for gzip, and reads it
		to.ServeHTTP(answer, r)
		p.check(asked, body, answer)
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(p.Close)
	return p
}

// verbOfOne is a path to what is done to one resource.
var verbOfOne = regexp.MustCompile(`^(/v1/[^/]+/[^/:]+):(\w+)$`)

// check holds one exchange against the document. What the gateway has refused need not
// have been right.
func (p *contractProxy) check(r *http.Request, body []byte, answer *httptest.ResponseRecorder) {
	if said := answer.Body.String(); strings.Contains(said, `"ROUTE_NOT_FOUND"`) || strings.Contains(said, `"METHOD_NOT_ALLOWED"`) {
		return // no such thing in the document either
	}
	undeclared := p.declared.undeclared(r.Method, r.URL.EscapedPath(), answer.Code, answer.Body.Bytes())
	if undeclared != "" {
		undeclared = fmt.Sprintf("%s %s: %d: %s", r.Method, r.URL, answer.Code, undeclared)
	}
	r.URL.Path, r.URL.RawPath = verbOfOne.ReplaceAllString(r.URL.Path, "$1/:$2"), ""
	r.RequestURI = ""
	var found []string
	note := func(what string, errs []*validation.ValidationError) {
		for _, e := range errs {
			text := e.Message + ": " + e.Reason
			for _, s := range e.SchemaValidationErrors {
				text += fmt.Sprintf(" [%s at %s]", s.Reason, s.FieldPath)
			}
			found = append(found, fmt.Sprintf("%s %s: %d: %s: %s", r.Method, r.URL, answer.Code, what, text))
		}
	}
	if answer.Code < 400 {
		r.Body = io.NopCloser(bytes.NewReader(body))
		_, errs := p.validator.ValidateHttpRequest(r)
		note("request", errs)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp := answer.Result()
	resp.Body = io.NopCloser(bytes.NewReader(answer.Body.Bytes()))
	_, errs := p.validator.ValidateHttpResponse(r, resp)
	note("answer", errs)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.violations = append(p.violations, found...)
	if undeclared != "" {
		p.violations = append(p.violations, undeclared)
	}
	p.operations[r.Method+" "+strings.SplitN(r.URL.Path, "/", 4)[2]]++
}

// clean fails t for each violation, and unless so many calls were held against the
// document.
func (p *contractProxy) clean(t testing.TB, atLeast int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := 0
	for _, n := range p.operations {
		calls += n
	}
	if calls < atLeast {
		t.Errorf("only %d calls went through: %v", calls, p.operations)
	}
	slices.Sort(p.violations)
	for _, v := range slices.Compact(p.violations) {
		t.Error(v)
	}
}
