package convert

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/flow"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
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
	r := flow.Rule{
		ID: f.GetId(), EnvironmentID: f.GetEnvironmentId(), Trigger: flow.Trigger(enum.Word(f.GetTrigger())),
		Audience: flow.Audience{
			Everyone: f.GetAudience().GetEveryone(), GroupIDs: f.GetAudience().GetGroupIds(), UserIDs: f.GetAudience().GetUserIds(),
		},
		Scope: flow.Scope{
			Any: f.GetScope().GetAny(), AppIDs: f.GetScope().GetAppIds(), EntitlementIDs: f.GetScope().GetEntitlementIds(),
		},
		Priority: f.GetPriority(), Enabled: f.GetEnabled(), OnlyAudience: f.GetOnlyAudience(), CreateTime: f.GetCreateTime().AsTime(),
	}
	if d := f.GetMaxDuration(); d != nil {
		r.MaxDuration = max(d.AsDuration(), time.Nanosecond) // one that is there limits
	}
	for _, k := range f.GetKinds() {
		r.Kinds = append(r.Kinds, flow.Kind(enum.Word(k)))
	}
	if q := f.GetRequesters(); q != nil {
		r.Requesters = &flow.Requesters{
			Beneficiary: q.GetBeneficiary(), Managers: q.GetManagers(), AppAdmins: q.GetAppAdmins(), Admins: q.GetAdmins(),
			Everyone: q.GetEveryone(), GroupIDs: q.GetGroupIds(), UserIDs: q.GetUserIds(),
		}
	}
	out := Flow{Rule: r, AutoApprove: f.GetAutoApprove(), EditorIDs: f.GetEditorIds()}
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
