package apierr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"gatehouse.dev/libs/apierr"
)

// secret stands for what must never leave the service.
const secret = `ERROR: duplicate key "alice@example.com" (SQLSTATE 23505)`

func TestStatusNeverTellsTheCause(t *testing.T) {
	t.Parallel()
	cause := errors.New(secret)
	tests := []struct {
		name        string
		err         error
		wantCode    codes.Code
		wantReason  string
		wantMessage string
	}{
		{"unknown error", cause, codes.Internal, "INTERNAL", "internal error"},
		{"wrapped unknown error", fmt.Errorf("load %s: %w", secret, cause), codes.Internal, "INTERNAL", "internal error"},
		{"apierr with a cause", apierr.NotFound("USER_NOT_FOUND", "no such user").Wrap(cause), codes.NotFound, "USER_NOT_FOUND", "no such user"},
		{"wrapped apierr", fmt.Errorf("handle %s: %w", secret, apierr.Denied("NOT_YOURS", "not yours").Wrap(cause)), codes.PermissionDenied, "NOT_YOURS", "not yours"},
		{"joined", errors.Join(cause, apierr.Exists("EMAIL_TAKEN", "taken")), codes.AlreadyExists, "EMAIL_TAKEN", "taken"},
		{"unavailable", apierr.Unavailable("DATABASE_UNAVAILABLE", cause), codes.Unavailable, "DATABASE_UNAVAILABLE", "temporarily unavailable, please try again"},
		{"canceled", fmt.Errorf("query %s: %w", secret, context.Canceled), codes.Canceled, "CANCELED", "the request was canceled"},
		{"deadline", fmt.Errorf("query %s: %w", secret, context.DeadlineExceeded), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request took too long"},
		{"status of another service", fmt.Errorf("ask: %w", status.Error(codes.NotFound, secret)), codes.Internal, "INTERNAL", "internal error"},
		{"status without a service", status.Error(codes.Unavailable, secret), codes.Unavailable, "SERVICE_UNAVAILABLE", "temporarily unavailable, please try again"},
		{"status of a late service", status.Error(codes.DeadlineExceeded, secret), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request took too long"},
		{"status of a canceled call", status.Error(codes.Canceled, secret), codes.Canceled, "CANCELED", "the request was canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := apierr.StatusWithTrace(tt.err, "4bf92f3577b34da6")
			if st.Code() != tt.wantCode || st.Message() != tt.wantMessage {
				t.Errorf("got %s %q, want %s %q", st.Code(), st.Message(), tt.wantCode, tt.wantMessage)
			}
			info := detail[*errdetails.ErrorInfo](t, st)
			if info.GetReason() != tt.wantReason || info.GetDomain() != "gatehouse.dev" {
				t.Errorf("got reason %s of %s, want %s", info.GetReason(), info.GetDomain(), tt.wantReason)
			}
			b, err := proto.Marshal(st.Proto())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "SQLSTATE") || strings.Contains(string(b), "alice") {
				t.Errorf("the status tells the cause: %s", st)
			}
			wantTrace := ""
			switch tt.wantCode {
			case codes.Internal, codes.Unavailable, codes.DeadlineExceeded:
				wantTrace = "4bf92f3577b34da6"
			}
			if got := info.GetMetadata()["trace_id"]; got != wantTrace {
				t.Errorf("trace id %q, want %q", got, wantTrace)
			}
			if !strings.Contains(tt.err.Error(), "SQLSTATE") && tt.wantCode == codes.Internal && tt.name != "joined" {
				t.Errorf("the log has lost the cause: %v", tt.err)
			}
		})
	}
	if st := apierr.Status(nil); st.Code() != codes.OK {
		t.Errorf("no error gives %s", st)
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	err := apierr.InvalidField("items[0].app_id", "APP_UNKNOWN", "there is no app %s", "x").
		WithField("until", "IN_THE_PAST", "must be in the future").
		With("limit", "3").WithRetry(90 * time.Second)
	st := apierr.Status(fmt.Errorf("submit: %w", err))

	want := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "items[0].app_id", Reason: "APP_UNKNOWN", Description: "there is no app x"},
		{Field: "until", Reason: "IN_THE_PAST", Description: "must be in the future"},
	}}
	if diff := cmp.Diff(want, detail[*errdetails.BadRequest](t, st), protocmp.Transform()); diff != "" {
		t.Errorf("fields: %s", diff)
	}
	if got := detail[*errdetails.ErrorInfo](t, st).GetMetadata()["limit"]; got != "3" {
		t.Errorf("metadata limit %q", got)
	}
	if got := detail[*errdetails.RetryInfo](t, st).GetRetryDelay().AsDuration(); got != 90*time.Second {
		t.Errorf("retry after %s", got)
	}

	st = apierr.Status(apierr.Precondition("REQUEST_CLOSED", "the request is closed").With("subject", "requests/7"))
	wantFailure := &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
		{Type: "REQUEST_CLOSED", Subject: "requests/7", Description: "the request is closed"},
	}}
	if diff := cmp.Diff(wantFailure, detail[*errdetails.PreconditionFailure](t, st), protocmp.Transform()); diff != "" {
		t.Errorf("precondition: %s", diff)
	}
}

// A byte that is no UTF-8 comes in with a request and goes out in a message.
func TestStatusCanAlwaysBeSent(t *testing.T) {
	t.Parallel()
	st := apierr.Status(apierr.InvalidField("name\xff", "BAD", "no %s", "\xfe").With("k\xfd", "v\xfc"))
	if _, err := proto.Marshal(st.Proto()); err != nil {
		t.Fatal(err)
	}
	if len(st.Details()) != 2 {
		t.Errorf("details were dropped: %v", st.Details())
	}
}

func TestFromStatusRoundTrip(t *testing.T) {
	t.Parallel()
	tests := []*apierr.Error{
		apierr.NotFound("USER_NOT_FOUND", "no such user").With("id", "7"),
		apierr.InvalidField("email", "EMAIL_INVALID", "not an address").WithField("name", "EMPTY", "is empty"),
		apierr.Precondition("CLOSED", "closed"),
		apierr.Denied("NOT_YOURS", "not yours"),
		apierr.Exists("TAKEN", "taken"),
		apierr.New(codes.ResourceExhausted, "TOO_MANY", "slow down").WithRetry(2 * time.Second),
		apierr.Unavailable("DATABASE_UNAVAILABLE", errors.New(secret)),
	}
	for _, want := range tests {
		t.Run(want.Reason, func(t *testing.T) {
			t.Parallel()
			sent := apierr.Status(want)
			got := apierr.FromStatus(sent)
			if diff := cmp.Diff(sent.Proto(), apierr.Status(got).Proto(), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if !errors.Is(got, want) {
				t.Errorf("%v is not %v", got, want)
			}
		})
	}
}

func TestFromStatusOfStrangers(t *testing.T) {
	t.Parallel()
	foreign, err := status.New(codes.NotFound, secret).WithDetails(&errdetails.ErrorInfo{Reason: "X", Domain: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		st       *status.Status
		wantCode codes.Code
	}{
		{"transport", status.New(codes.Unavailable, secret), codes.Unavailable},
		{"late", status.New(codes.DeadlineExceeded, secret), codes.DeadlineExceeded},
		{"canceled", status.New(codes.Canceled, secret), codes.Canceled},
		{"plain", status.New(codes.InvalidArgument, secret), codes.Internal},
		{"other domain", foreign, codes.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := apierr.FromStatus(tt.st)
			if e.Code != tt.wantCode || strings.Contains(e.Message, "SQLSTATE") {
				t.Errorf("got %s %q", e.Code, e.Message)
			}
			if !strings.Contains(e.Error(), "SQLSTATE") {
				t.Errorf("the log has lost what was said: %v", e)
			}
		})
	}
	if e := apierr.FromStatus(status.New(codes.OK, "")); e != nil {
		t.Errorf("OK gives %v", e)
	}
	if err := apierr.FromCall(nil); err != nil {
		t.Errorf("no error gives %v", err)
	}
	plain := errors.New("x")
	if err := apierr.FromCall(plain); err != plain { //nolint:errorlint // the same one
		t.Errorf("an error without a status became %v", err)
	}
	var e *apierr.Error
	if err := apierr.FromCall(fmt.Errorf("ask: %w", apierr.NotFound("A", "b").GRPCStatus().Err())); !errors.As(err, &e) || e.Reason != "A" {
		t.Errorf("got %v", err)
	}
}

func TestErrorsAreNotChanged(t *testing.T) {
	t.Parallel()
	base := apierr.InvalidField("a", "A", "a").With("k", "v")
	_ = base.With("k", "w").WithField("b", "B", "b").Wrap(errors.New("x")).WithRetry(time.Second)
	want := apierr.InvalidField("a", "A", "a").With("k", "v")
	if diff := cmp.Diff(apierr.Status(want).Proto(), apierr.Status(base).Proto(), protocmp.Transform()); diff != "" || base.Unwrap() != nil {
		t.Errorf("the declared error changed: %s", diff)
	}
}

func TestLookingAtErrors(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("x: %w", apierr.Unavailable("DATABASE_UNAVAILABLE", nil))
	if !apierr.HasReason(err, "DATABASE_UNAVAILABLE") || apierr.HasReason(err, "OTHER") || apierr.HasReason(nil, "") {
		t.Error("HasReason is wrong")
	}
	if d, ok := apierr.Retry(err); !ok || d != time.Second {
		t.Errorf("retry after %s, %v", d, ok)
	}
	if _, ok := apierr.Retry(errors.New("x")); ok {
		t.Error("retry of an unknown error")
	}
	if status.Code(apierr.NotFound("A", "a")) != codes.NotFound {
		t.Error("grpc does not see the code")
	}
}

func detail[D any](t *testing.T, st *status.Status) D {
	t.Helper()
	for _, d := range st.Details() {
		if found, ok := d.(D); ok {
			return found
		}
	}
	var none D
	t.Fatalf("no %T in %v", none, st.Details())
	return none
}
