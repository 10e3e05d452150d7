package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	validation "github.com/pb33f/libopenapi-validator/errors"

	"gatehouse.dev/proto"
)

// contractProxy stands before a gateway and holds every request that was taken, and
// every answer, against openapi.json.
type contractProxy struct {
	*httptest.Server
	validator validator.Validator

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
	p := &contractProxy{validator: v, operations: map[string]int{}}
	to := httputil.NewSingleHostReverseProxy(target)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the caller has gone
		}
		asked := r.Clone(r.Context())
		asked.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
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
