package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/gateway/internal/httpapi"
)

// silent is a service that answers every call that can be sent with nothing in it.
type silent struct{}

func (silent) Invoke(_ context.Context, _ string, in, _ any, _ ...grpc.CallOption) error {
	m, ok := in.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", in)
	}
	_, err := proto.Marshal(m)
	return err
}

func (silent) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "none here")
}

// Whatever somebody sends over REST, the answer is JSON, and never that something went
// wrong inside.
func FuzzREST(f *testing.F) {
	tel, err := telemetry.New(f.Context(), "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	b := httpapi.Backends{Identity: silent{}, Request: silent{}, Approval: silent{}, Provisioning: silent{}, Audit: silent{}, IdentityHTTP: "127.0.0.1:1"}
	handler, err := httpapi.New(f.Context(), b, httpapi.Options{Telemetry: tel})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(handler.Close)
	const id = "01890000-0000-7000-8000-000000000001"
	for _, seed := range [][3]string{
		{"POST", "/v1/requests", `{"kind": "REQUEST_KIND_GRANT", "entitlementIds": ["` + id + `"], "until": "2030-01-01T00:00:00Z"}`},
		{"PATCH", "/v1/apps/" + id, `{"name": "x", "approverIds": []}`},
		{"GET", "/v1/users?pageSize=3&state=USER_STATE_ACTIVE&query=%00", ""},
		{"POST", "/v1/requests/" + id + ":cancel", `{"reason": "\u202e"}`},
		{"POST", "/v1/flows", `{"steps": [{"reviewers": [{"userId": null}]}]}`},
		{"GET", "/v1/requests/" + id + "/report?format=REPORT_FORMAT_PDF", ""},
		{"POST", "/v1/requests", `[[[[[[[[[[[[{`},
		{"DELETE", "/v1/identityProviders/%2e%2e", ""},
		{"DELETE", "/v1/apps/" + id + "?etag=%00&endAccess=maybe", ""},
		{"PATCH", "/v1/flows/" + id, `{"audience": {"groupIds": null}, "etag": "\ud800"}`},
		{"GET", "/v1/catalog:search?query=%ff%fe", ""},
		{"GET", "/v1/flows/%ff", ""},
		{"POST", "/v1/delegations/%ff:end", `{}`},
		{"GET", "/sign-in?organization=%ff&return_to=//x", ""},
		{"POST", "/sign-in/" + id, "purpose=step-up"},
		{"GET", "/sign-in/" + id + "/callback?state=%zz&code=x", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], "Bearer a.b.c")
		f.Add(seed[0], seed[1], seed[2], "")
	}
	f.Fuzz(func(t *testing.T, method, target, body, authorization string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \t\r\n\x00\x7f#") || strings.HasPrefix(target, "/scim/") || strings.HasPrefix(target, "/oauth2/") || strings.HasPrefix(target, "/.well-known/") {
			return // no line of HTTP, or another service's
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RequestURI, r.RemoteAddr = target, "192.0.2.1:1234"
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if method == http.MethodPost && strings.HasPrefix(target, "/sign-in") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
			t.Errorf("%s %q %q: %d %s", method, target, body, w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: no JSON: %s", method, target, w.Body)
		}
	})
}
