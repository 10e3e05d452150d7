package convert

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/flow"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// Flow is what is needed here of a flow: its rule, and who is asked first.
type Flow struct {
	flow.Rule
	FirstStep
	AutoApprove bool
	EditorIDs   []string
}

// FirstStep names who is asked first.
type FirstStep struct {
	Name string
	// Reviewers is how they are found, a ReviewerKind as a word.
	Reviewers         string
	UserIDs, GroupIDs []string
}

// FlowRule is what a gatehouse.approval.v1.Flow says about which flow decides, who may
// ask by it, and who is asked first.
func FlowRule(data []byte) (Flow, error) {
	f := &approvalv1.Flow{}
	if err := proto.Unmarshal(data, f); err != nil {
		return Flow{}, fmt.Errorf("read flow: %w", err)
	}
	out := Flow{Rule: flow.FromProto(f), AutoApprove: f.GetAutoApprove(), EditorIDs: f.GetEditorIds()}
	if len(f.GetSteps()) > 0 {
		s := f.GetSteps()[0]
		out.FirstStep = FirstStep{Name: s.GetName(), Reviewers: enum.Word(s.GetReviewers()), UserIDs: s.GetUserIds(), GroupIDs: s.GetGroupIds()}
	}
	return out, nil
}

// ParseIDs are the ids among strings.
func ParseIDs(list []string) []uuid.UUID {
	out := make([]uuid.UUID, 0, len(list))
	for _, s := range list {
		if id, err := uuid.Parse(s); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// Limits are the limits of the flow that decides what is to be given, to show; nil for
// none.
func Limits(kind lifecycle.Kind, d flow.Decision[Flow]) *requestv1.ItemLimits {
	if d.Flow == nil || kind != lifecycle.Grant {
		return nil
	}
	l := d.Flow.Limits
	out := &requestv1.ItemLimits{MinJustificationLength: l.MinJustification}
	if l.MaxDuration > 0 {
		out.MaxDuration = durationpb.New(l.MaxDuration)
	}
	for _, f := range l.Fields {
		out.Fields = append(out.Fields, &requestv1.ItemField{
			Key: f.Key, Label: f.Label, Help: f.Help, Kind: string(f.Kind), Options: f.Options, Required: f.Required,
		})
	}
	for _, o := range d.Over {
		if o.Refusal == flow.OutsideWeeklyHours && !o.Next.IsZero() {
			out.NextTime = timestamppb.New(o.Next)
		}
	}
	if proto.Equal(out, &requestv1.ItemLimits{}) {
		return nil
	}
	return out
}
