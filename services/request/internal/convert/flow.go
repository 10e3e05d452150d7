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

// FlowRule is what a gatehouse.approval.v1.Flow says about which flow decides, and
// who may ask by it.
func FlowRule(data []byte) (flow.Rule, error) {
	f := &approvalv1.Flow{}
	if err := proto.Unmarshal(data, f); err != nil {
		return flow.Rule{}, fmt.Errorf("read flow: %w", err)
	}
	r := flow.Rule{
		ID: f.GetId(), EnvironmentID: f.GetEnvironmentId(), Trigger: flow.Trigger(enum.Word(f.GetTrigger())),
		Audience: flow.Audience{
			Everyone: f.GetAudience().GetEveryone(), GroupIDs: f.GetAudience().GetGroupIds(), UserIDs: f.GetAudience().GetUserIds(),
		},
		Scope: flow.Scope{
			Any: f.GetScope().GetAny(), AppIDs: f.GetScope().GetAppIds(), EntitlementIDs: f.GetScope().GetEntitlementIds(),
		},
		Priority: f.GetPriority(), Enabled: f.GetEnabled(), CreateTime: f.GetCreateTime().AsTime(),
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
	return r, nil
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
