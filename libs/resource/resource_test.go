package resource_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/resource"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

func TestApply(t *testing.T) {
	t.Parallel()
	step := func(name string) *approvalv1.FlowStep {
		return &approvalv1.FlowStep{
			Name: name, Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER, Need: approvalv1.StepNeed_STEP_NEED_ANY,
		}
	}
	current := &approvalv1.Flow{
		Id: "1", Etag: "now", Name: "old", Priority: 3, Version: 4, Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
		Audience: &approvalv1.FlowAudience{Everyone: true, UserIds: []string{"01890000-0000-7000-8000-000000000001"}},
		Scope:    &approvalv1.FlowScope{Any: true}, Steps: []*approvalv1.FlowStep{step("a")}, MaxDuration: durationpb.New(60e9),
	}
	for _, tc := range []struct {
		name    string
		in      *approvalv1.Flow
		paths   []string
		want    func(*approvalv1.Flow)
		changed []string

		code          codes.Code
		reason, field string
	}{
		{
			name: "what is named", in: &approvalv1.Flow{Name: "new", Priority: 9, Version: 99}, paths: []string{"name"},
			want: func(f *approvalv1.Flow) { f.Name = "new" }, changed: []string{"name"},
		},
		{
			name: "a field of a part", in: &approvalv1.Flow{Audience: &approvalv1.FlowAudience{}}, paths: []string{"audience.everyone"},
			want: func(f *approvalv1.Flow) { f.Audience.Everyone = false }, changed: []string{"audience"},
		},
		{
			name: "a field of a part that is not sent", in: &approvalv1.Flow{}, paths: []string{"audience.user_ids"},
			want: func(f *approvalv1.Flow) { f.Audience.UserIds = nil }, changed: []string{"audience"},
		},
		{
			name: "a list as a whole, and what is cleared", in: &approvalv1.Flow{Steps: []*approvalv1.FlowStep{step("b"), step("c")}}, paths: []string{"steps", "max_duration"},
			want:    func(f *approvalv1.Flow) { f.Steps, f.MaxDuration = []*approvalv1.FlowStep{step("b"), step("c")}, nil },
			changed: []string{"steps", "max_duration"},
		},
		{name: "the same again, with its id and etag", in: &approvalv1.Flow{Id: "1", Etag: "now", Name: "old"}, paths: []string{"id", "etag", "name"}, want: func(*approvalv1.Flow) {}},
		{name: "the etag of another version", in: &approvalv1.Flow{Etag: "then", Name: "new"}, paths: []string{"name"}, code: codes.Aborted, reason: "ETAG_MISMATCH"},
		{name: "nothing", in: &approvalv1.Flow{}, code: codes.InvalidArgument, reason: "UPDATE_MASK_EMPTY", field: "update_mask"},
		{name: "not changeable", in: &approvalv1.Flow{}, paths: []string{"name", "version"}, code: codes.InvalidArgument, reason: "FIELD_NOT_CHANGEABLE", field: "update_mask"},
		{name: "no such field", in: &approvalv1.Flow{}, paths: []string{"colour"}, code: codes.InvalidArgument, reason: "FIELD_NOT_CHANGEABLE", field: "update_mask"},
		{name: "no such field of a part", in: &approvalv1.Flow{}, paths: []string{"audience.colour"}, code: codes.InvalidArgument, reason: "FIELD_NOT_CHANGEABLE", field: "update_mask"},
		{name: "into a list", in: &approvalv1.Flow{}, paths: []string{"steps.name"}, code: codes.InvalidArgument, reason: "FIELD_NOT_CHANGEABLE", field: "update_mask"},
		{name: "empty path", in: &approvalv1.Flow{}, paths: []string{""}, code: codes.InvalidArgument, reason: "FIELD_NOT_CHANGEABLE", field: "update_mask"},
		{name: "breaks a rule", in: &approvalv1.Flow{}, paths: []string{"name"}, code: codes.InvalidArgument, reason: "INVALID_ARGUMENT", field: "flow.name"},
		{
			name: "breaks a rule inside", in: &approvalv1.Flow{Steps: []*approvalv1.FlowStep{step("b"), step("")}}, paths: []string{"steps"},
			code: codes.InvalidArgument, reason: "INVALID_ARGUMENT", field: "flow.steps[1].name",
		},
		{
			name: "breaks a rule of a part", in: &approvalv1.Flow{Audience: &approvalv1.FlowAudience{UserIds: []string{"x"}}}, paths: []string{"audience.user_ids"},
			code: codes.InvalidArgument, reason: "INVALID_ARGUMENT", field: "flow.audience.user_ids[0]",
		},
	} {
		u := resource.Update[*approvalv1.Flow]{
			Field: "flow", Resource: tc.in, Mask: &fieldmaskpb.FieldMask{Paths: tc.paths}, Rules: &approvalv1.FlowInput{},
			Fields: []string{"name", "audience", "steps", "max_duration", "priority"},
		}
		before := proto.CloneOf(current)
		got, err := u.Apply(before)
		if tc.reason != "" {
			e, _ := apierr.From(err)
			if e == nil || e.Code != tc.code || e.Reason != tc.reason || (tc.field != "") != (len(e.Fields) == 1) || tc.field != "" && e.Fields[0].Field != tc.field {
				t.Errorf("%s: %+v", tc.name, err)
			}
			continue
		}
		want := proto.CloneOf(current)
		tc.want(want)
		if err != nil || !proto.Equal(got, want) || !proto.Equal(before, current) {
			t.Errorf("%s: got %v, %v\nwant %v", tc.name, got, err, want)
		}
		if changed := u.Changed(before, got); !slices.Equal(changed, tc.changed) {
			t.Errorf("%s: changed %q, want %q", tc.name, changed, tc.changed)
		}
	}
	// What was saved under other rules does not keep anybody from changing the rest.
	u := resource.Update[*approvalv1.Flow]{
		Field: "flow", Resource: &approvalv1.Flow{Priority: 1}, Mask: &fieldmaskpb.FieldMask{Paths: []string{"priority"}},
		Rules: &approvalv1.FlowInput{}, Fields: []string{"priority"},
	}
	if _, err := u.Apply(&approvalv1.Flow{}); err != nil {
		t.Error(err)
	}
}

func TestFieldsOfErrorsAreThoseOfTheRequest(t *testing.T) {
	t.Parallel()
	u := resource.Update[*approvalv1.Flow]{Field: "flow", Resource: &approvalv1.Flow{}}
	was := apierr.Exists("TAKEN", "taken").WithField("name", "TAKEN", "taken").WithField("steps[1].user_ids", "X", "x").
		WithField("flow.audience", "X", "x").WithField("update_mask", "X", "x")
	e, _ := apierr.From(u.Within(fmt.Errorf("save: %w", was)))
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field)
	}
	if want := []string{"flow.name", "flow.steps[1].user_ids", "flow.audience", "update_mask"}; !slices.Equal(got, want) || e.Reason != "TAKEN" {
		t.Errorf("got %q of %v, want %q", got, e, want)
	}
	if was.Fields[0].Field != "name" {
		t.Error("the error itself was changed")
	}
	if err := errors.New("another"); u.Within(err) != err || u.Within(nil) != nil { //nolint:errorlint // itself
		t.Error("what has no fields is left")
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, id := range []string{"", "a", "b", "ab"} {
		for _, version := range []int64{0, 1, 2, 256, -1} {
			tag := resource.ETag(id, version)
			if tag != resource.ETag(id, version) || len(tag) != 16 || seen[tag] {
				t.Errorf("%q, %d: %s", id, version, tag)
			}
			seen[tag] = true
		}
	}
	if resource.CheckETag("", "now") != nil || resource.CheckETag("now", "now") != nil || !apierr.HasReason(resource.CheckETag("then", "now"), "ETAG_MISMATCH") {
		t.Error("an etag is for its version alone, and none is for any")
	}
}
