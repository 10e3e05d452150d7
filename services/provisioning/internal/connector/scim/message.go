package scim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const (
	mediaType = "application/scim+json"
	maxAnswer = 4 << 20 // bytes of an answer that is read
	maxDrain  = 64 << 10

	coreUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchOp        = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// user is what is read of an account.
type user struct {
	ID           string  `json:"id"`
	ExternalID   string  `json:"externalId"`
	UserName     string  `json:"userName"`
	Active       *truth  `json:"active"`
	Roles        []value `json:"roles"`
	Entitlements []value `json:"entitlements"`
}

// disabled says that the app shows the account as not active. An app that says nothing about it has it active.
func (u user) disabled() bool { return u.Active != nil && !bool(*u.Active) }

type group struct {
	ID          string  `json:"id"`
	DisplayName string  `json:"displayName"`
	Members     []value `json:"members"`
}

type value struct {
	Value string `json:"value"`
}

func has(values []value, want string) bool {
	for _, v := range values {
		if v.Value == want {
			return true
		}
	}
	return false
}

// list is a ListResponse.
type list[T any] struct {
	TotalResults *int `json:"totalResults"`
	Resources    []T  `json:"Resources"`
}

// valid tells a ListResponse from any other JSON.
func (l list[T]) valid() bool { return l.TotalResults != nil || l.Resources != nil }

func (l list[T]) total() int {
	if l.TotalResults != nil {
		return *l.TotalResults
	}
	return len(l.Resources)
}

// truth is a boolean that some apps write as a string.
type truth bool

func (t *truth) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		*t = true
	case "false":
		*t = false
	case "null":
	default:
		return fmt.Errorf("not a boolean: %.20q", b)
	}
	return nil
}

type newUser struct {
	Schemas     []string        `json:"schemas"`
	ExternalID  string          `json:"externalId"`
	UserName    string          `json:"userName"`
	Name        *name           `json:"name,omitempty"`
	DisplayName string          `json:"displayName,omitempty"`
	Title       string          `json:"title,omitempty"`
	Active      bool            `json:"active"`
	Emails      []email         `json:"emails,omitempty"`
	Enterprise  *enterpriseData `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitempty"`
}

type name struct {
	GivenName  string `json:"givenName,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
}

type email struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

type enterpriseData struct {
	Department string `json:"department"`
}

func userOf(p connector.Person) newUser {
	u := newUser{
		Schemas: []string{coreUser}, ExternalID: p.UserID, UserName: p.UserName,
		DisplayName: p.DisplayName, Title: p.Title, Active: true,
	}
	if p.GivenName != "" || p.FamilyName != "" {
		u.Name = &name{GivenName: p.GivenName, FamilyName: p.FamilyName}
	}
	if p.Email != "" {
		u.Emails = []email{{Value: p.Email, Type: "work", Primary: true}}
	}
	if p.Department != "" {
		u.Schemas = append(u.Schemas, enterpriseUser)
		u.Enterprise = &enterpriseData{Department: p.Department}
	}
	return u
}

type patch struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

func patchOf(ops ...operation) patch { return patch{Schemas: []string{patchOp}, Operations: ops} }

// eq is a filter "attribute is value".
func eq(attribute, value string) string { return attribute + " eq " + quote(value) }

// quote makes a JSON string, as filters hold them, and escapes only what must be: there are apps that do not understand \u0026 in a filter.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// query escapes a value of a URL's query. A space is %20: there are apps that take + literally.
func query(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// reply is what the app answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) ok() bool { return r.status >= 200 && r.status < 300 }

// errorSchema is what a SCIM error says that it is (RFC 7644, section 3.12).
const errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

// problem is the SCIM error in an answer, if there is one. scimType is also that of an
// app which does not say that its errors are of SCIM; detail, which people are shown,
// is not: something else at the address may have written it.
func (r reply) problem() (scimType, detail string) {
	var e struct {
		Schemas  []string `json:"schemas"`
		ScimType string   `json:"scimType"`
		Detail   string   `json:"detail"`
	}
	if json.Unmarshal(r.body, &e) != nil {
		return "", ""
	}
	if !slices.ContainsFunc(e.Schemas, func(s string) bool { return strings.EqualFold(s, errorSchema) }) {
		return e.ScimType, ""
	}
	return e.ScimType, e.Detail
}

// scimTypes are all that there are (RFC 7644, table 9).
var scimTypes = []string{
	"invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue", "invalidVers", "sensitive",
}

func (r reply) noTarget() bool {
	scimType, _ := r.problem()
	return r.status == http.StatusBadRequest && strings.EqualFold(scimType, "noTarget")
}

// send makes one request. doing says what for, in an operator's words. The error is about an answer that did not come, or not whole;
// an answer that says no is a reply. The body of an answer is kept when it says no or want is set.
func (c *Connector) send(ctx context.Context, doing, method, path string, in any, want bool) (reply, error) {
	ctx, span := c.tracer.Start(ctx, "scim "+method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("gatehouse.connector.call", doing)))
	defer span.End()
	r, err := c.exchange(ctx, doing, method, path, in, want)
	switch {
	case err != nil:
		span.SetStatus(codes.Error, err.Error())
	default:
		span.SetAttributes(attribute.Int("http.response.status_code", r.status))
		if !r.ok() {
			span.SetStatus(codes.Error, "")
		}
	}
	return r, err
}

func (c *Connector) exchange(ctx context.Context, doing, method, path string, in any, want bool) (reply, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return reply{}, connector.NewError(connector.Permanent, err, "%s: the request cannot be written as JSON", doing)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return reply{}, connector.NewError(connector.Permanent, err, "%s: the address of the integration is not a URL", doing)
	}
	req.Header["Authorization"] = []string{c.authorization}
	req.Header["Accept"] = []string{mediaType + ", application/json;q=0.9"}
	req.Header["User-Agent"] = []string{"Gatehouse"}
	if in != nil {
		req.Header["Content-Type"] = []string{mediaType}
	}
	c.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))

	resp, err := c.client.Do(req)
	if err != nil {
		return reply{}, connector.Unreachable(doing, err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	answer := bufio.NewReader(resp.Body)
	if r.ok() && method != http.MethodGet && isPage(answer) {
		// A page for signing in, or of maintenance, stands before the app: nothing has come to it.
		return reply{}, connector.NewError(connector.Retryable, nil, "%s: a web page answers at this address, and not the app; check the address of the integration", doing)
	}
	if r.ok() && !want {
		// Read so that the connection can be used again; what is cut off here was not needed.
		_, _ = io.CopyN(io.Discard, answer, maxDrain)
		return r, nil
	}
	r.body, err = io.ReadAll(http.MaxBytesReader(nil, io.NopCloser(answer), maxAnswer))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return reply{}, connector.NewError(connector.Permanent, err, "%s: the app answered with more than %d MiB", doing, maxAnswer>>20)
	}
	if err != nil {
		return reply{}, connector.Unreachable(doing, err)
	}
	return r, nil
}

// isPage reports whether an answer is markup, which SCIM never is.
func isPage(answer *bufio.Reader) bool {
	head, _ := answer.Peek(512) // fewer if there are no more
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n"), []byte("<"))
}

// read gets a resource; an answer that says no, or is not JSON, is an error.
func (c *Connector) read(ctx context.Context, doing, path string, out any) error {
	r, err := c.send(ctx, doing, http.MethodGet, path, nil, true)
	if err != nil {
		return err
	}
	if !r.ok() {
		return c.refused(doing, r)
	}
	if err := json.Unmarshal(r.body, out); err != nil {
		return notSCIM(doing)
	}
	return nil
}

func notSCIM(doing string) *connector.Error {
	return connector.NewError(connector.Permanent, nil,
		"%s: something answers at this address, but not as SCIM does; check the address of the integration", doing)
}

// refused is the error for an answer that says no. Of what was answered it shows the
// status and the SCIM error, and nothing else: people who may set an address may not
// read what is there.
func (c *Connector) refused(doing string, r reply) *connector.Error {
	var what string
	switch {
	case r.status >= 300 && r.status < 400:
		what = "the app sends us to another address, which the token must not follow; check the address of the integration"
	case r.status == http.StatusUnauthorized:
		what = "the app does not accept the token; it may have expired or been revoked"
	case r.status == http.StatusForbidden:
		what = "the token does not have the right to do this in the app"
	case r.status == http.StatusNotFound:
		what = "the app has nothing at this address; check the address of the integration"
	case r.status == http.StatusMethodNotAllowed, r.status == http.StatusNotImplemented:
		what = "the app does not support this"
	case r.status == http.StatusConflict:
		what = "the app says that this conflicts with what it has"
	case r.status == http.StatusTooManyRequests:
		what = "the app asks us to slow down"
	case r.status == http.StatusServiceUnavailable:
		what = "the app is not available at the moment"
	case connector.HTTPKind(r.status) == connector.Retryable:
		what = "the app has a problem of its own"
	default:
		what = "the app does not accept the request"
	}
	scimType, detail := r.problem()
	said := fmt.Sprint(r.status)
	if slices.Contains(scimTypes, scimType) {
		said += " " + scimType
	}
	if detail != "" {
		said += ": " + detail
	}
	said = strings.ReplaceAll(said, c.secret, "[token]")
	e := connector.NewError(connector.HTTPKind(r.status), nil, "%s: %s (%s)", doing, what, said)
	if e.Kind == connector.Retryable {
		e.RetryAfter = connector.HTTPRetryAfter(r.header, time.Now())
		if r.status == http.StatusTooManyRequests {
			e.RetryAfter = max(e.RetryAfter, time.Second) // it waits for its turn, however long that is
		}
	}
	return e
}
