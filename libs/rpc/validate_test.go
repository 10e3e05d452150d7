package rpc

import (
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"gatehouse.dev/libs/apierr"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// No text with U+0000 comes to a service, wherever it stands.
func TestNULIsRefused(t *testing.T) {
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
		if got := withNUL(m.ProtoReflect()); got != field {
			t.Errorf("found in %q, want %q", got, field)
		}
	}
	e, ok := apierr.From(validate(v, &requestv1.ListAppsRequest{Query: "a\x00"}))
	if !ok || e.Reason != "INVALID_TEXT" || len(e.Fields) != 1 || e.Fields[0].Field != "query" {
		t.Errorf("query: %v", e)
	}
	if err := validate(v, &requestv1.ListAppsRequest{Query: "ж\u0001"}); err != nil {
		t.Errorf("another control character: %v", err)
	}
}
