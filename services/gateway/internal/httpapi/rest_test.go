package httpapi

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	"gatehouse.dev/libs/apierr"
)

// Fields are called as in JSON wherever an error names them.
func TestErrorsNameFieldsAsJSONDoes(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]*apierr.Error{
		"BadRequest": apierr.InvalidField("scim.base_url", "URL_INVALID", "scim.base_url is not an address").WithField("scim.bearer_token", "MISSING", "is missing"),
		"PreconditionFailure": apierr.Precondition("REQUEST_ID_REUSED", "this request_id was used before, for something else").
			WithField("request_id", "REQUEST_ID_REUSED", "was used before, for something else"),
		"mask": apierr.InvalidField("update_mask", reasonNotChangeable, "the field %q cannot be changed", "gone_user_ids"),
		"validation": {
			Code: codes.InvalidArgument, Reason: "INVALID_ARGUMENT", Message: "the request is not valid: steps[1].user_ids[0]: must be a UUID",
			Fields: []apierr.Field{{Field: "steps[1].user_ids[0]", Reason: "STRING_UUID", Description: "must be a UUID"}},
		},
	} {
		st := inJSON(apierr.Status(err))
		if b, marshalErr := protojson.Marshal(st.Proto()); marshalErr != nil || strings.Contains(string(b), "base_url") || strings.Contains(string(b), "bearer_token") ||
			strings.Contains(string(b), "request_id") || strings.Contains(string(b), "user_ids") || name == "mask" && !strings.Contains(string(b), "goneUserIds") {
			t.Errorf("%s: says %s, %v", name, b, marshalErr)
		}
		var paths []string
		for _, d := range st.Details() {
			if bad, ok := d.(*errdetails.BadRequest); ok {
				for _, v := range bad.GetFieldViolations() {
					paths = append(paths, v.GetField())
				}
			}
		}
		want := map[string]string{"BadRequest": "scim.baseUrl scim.bearerToken", "PreconditionFailure": "requestId", "mask": "updateMask", "validation": "steps[1].userIds[0]"}[name]
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("%s: fields %q, want %q", name, got, want)
		}
	}
	// What the caller wrote stays as it was written.
	if b, err := protojson.Marshal(inJSON(apierr.Status(apierr.InvalidField("kin_d", reasonUnknown, "there is no field %q", "kin_d"))).Proto()); err != nil || !strings.Contains(string(b), "kin_d") {
		t.Errorf("says %s, %v", b, err)
	}
}
