package rpc

import (
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"gatehouse.dev/libs/apierr"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// No text with a character that does not show comes to a service, wherever it
// stands.
func TestHiddenCharactersAreRefused(t *testing.T) {
	t.Parallel()
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	nested, err := structpb.NewStruct(map[string]any{"a": map[string]any{"b": []any{"c", "d\x00"}}})
	if err != nil {
		t.Fatal(err)
	}
	for field, m := range map[string]proto.Message{
		"query":         &requestv1.ListAppsRequest{Query: "\x00"},
		"steps[1].name": &approvalv1.Flow{Steps: []*approvalv1.FlowStep{{Name: "a"}, {Name: "b\x00"}}},
		"fields":        nested,
	} {
		if got, character := hidden(m.ProtoReflect()); got != field || character != "U+0000" {
			t.Errorf("%s found in %q, want %q", character, got, field)
		}
	}
	e, ok := apierr.From(validate(v, &requestv1.ListAppsRequest{Query: "a\x00"}))
	if !ok || e.Reason != "INVALID_TEXT" || len(e.Fields) != 1 || e.Fields[0].Field != "query" {
		t.Errorf("query: %v", e)
	}
	e, ok = apierr.From(validate(v, &requestv1.AddCommentRequest{Id: "01890000-0000-7000-8000-000000000001", Text: "see \u202efdp.exe"}))
	if !ok || e.Reason != "INVALID_TEXT" || e.Message != "text must not contain U+202E" {
		t.Errorf("text: %v", e)
	}
	if err := validate(v, &requestv1.ListAppsRequest{Query: "ж, two\nlines"}); err != nil {
		t.Errorf("what shows: %v", err)
	}
}

// Whoever leaves an enum out, or makes a value up, is told those that there are.
func TestEnumsListTheirValues(t *testing.T) {
	t.Parallel()
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	const want = "must be one of REQUEST_KIND_GRANT, REQUEST_KIND_REVOKE"
	ids := []string{"01890000-0000-7000-8000-000000000001"}
	for name, kind := range map[string]requestv1.RequestKind{"missing": 0, "unknown": 7} {
		e, ok := apierr.From(validate(v, &requestv1.CreateRequestRequest{Kind: kind, EntitlementIds: ids, Justification: "x"}))
		if !ok || len(e.Fields) == 0 || e.Fields[0].Field != "kind" || e.Fields[0].Description != want || e.Message != "the request is not valid: kind: "+want {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if err := validate(v, &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: ids, Justification: "x"}); err != nil {
		t.Error(err)
	}
}

// A field that takes some values of its enum alone says those, and no others.
func TestEnumsListWhatAFieldTakes(t *testing.T) {
	t.Parallel()
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	const want = "must be one of USER_KIND_SERVICE, USER_KIND_AGENT"
	for name, kind := range map[string]identityv1.UserKind{"missing": 0, "a person": identityv1.UserKind_USER_KIND_EMPLOYEE, "unknown": 17} {
		e, ok := apierr.From(validate(v, &identityv1.CreateUserRequest{Kind: kind}))
		if !ok || len(e.Fields) == 0 || e.Fields[0].Field != "kind" || e.Fields[0].Description != want {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
