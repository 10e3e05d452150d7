package flow

import (
	"strings"
	"time"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/worktime"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// FromProto is the rule that a flow says, with ids as they stand there.
func FromProto(f *approvalv1.Flow) Rule {
	r := Rule{
		ID: f.GetId(), EnvironmentID: f.GetEnvironmentId(), Trigger: Trigger(enum.Word(f.GetTrigger())),
		Audience: Audience{
			Everyone: f.GetAudience().GetEveryone(), GroupIDs: f.GetAudience().GetGroupIds(), UserIDs: f.GetAudience().GetUserIds(),
		},
		Scope: Scope{
			Any: f.GetScope().GetAny(), AppIDs: f.GetScope().GetAppIds(), EntitlementIDs: f.GetScope().GetEntitlementIds(),
			Categories: f.GetScope().GetCategories(),
		},
		Condition: strings.TrimSpace(f.GetCondition()), Priority: f.GetPriority(), Enabled: f.GetEnabled(), OnlyAudience: f.GetOnlyAudience(),
		Limits: Limits{MinJustification: f.GetMinJustificationLength(), WeeklyHours: weeklyHours(f.GetWeeklyHours())},
	}
	if t := f.GetCreateTime(); t != nil {
		r.CreateTime = t.AsTime()
	}
	for _, risk := range f.GetScope().GetRisks() {
		r.Scope.Risks = append(r.Scope.Risks, enum.Word(risk))
	}
	if d := f.GetMaxDuration(); d != nil {
		r.MaxDuration = max(d.AsDuration(), time.Nanosecond) // one that is there limits
	}
	for _, x := range f.GetFields() {
		r.Fields = append(r.Fields, Field{
			Key: x.GetKey(), Label: x.GetLabel(), Help: x.GetHelp(), Kind: FieldKind(enum.Word(x.GetKind())), Options: x.GetOptions(), Required: x.GetRequired(),
		})
	}
	for _, k := range f.GetKinds() {
		r.Kinds = append(r.Kinds, Kind(enum.Word(k)))
	}
	if q := f.GetRequesters(); q != nil {
		r.Requesters = &Requesters{
			Beneficiary: q.GetBeneficiary(), Managers: q.GetManagers(), AppAdmins: q.GetAppAdmins(), Admins: q.GetAdmins(),
			Everyone: q.GetEveryone(), GroupIDs: q.GetGroupIds(), UserIDs: q.GetUserIds(),
		}
	}
	return r
}

func weeklyHours(h *approvalv1.WeeklyHours) *worktime.Spec {
	if h == nil {
		return nil
	}
	out := &worktime.Spec{Zone: h.GetTimeZone()}
	for _, w := range h.GetWindows() {
		day := w.GetDay() % 7 // Sunday comes first there, and last here
		out.Week[day] = append(out.Week[day], worktime.SpecWindow{From: w.GetFrom(), To: w.GetTo()})
	}
	return out
}

// Proto is the scope to show.
func (s Scope) Proto() *approvalv1.FlowScope {
	out := &approvalv1.FlowScope{Any: s.Any, AppIds: s.AppIDs, EntitlementIds: s.EntitlementIDs, Categories: s.Categories}
	for _, r := range s.Risks {
		out.Risks = append(out.Risks, enum.Value[requestv1.EntitlementRisk](r))
	}
	return out
}

// FieldsProto are the fields to show.
func (l Limits) FieldsProto() []*approvalv1.FlowField {
	out := make([]*approvalv1.FlowField, 0, len(l.Fields))
	for _, f := range l.Fields {
		out = append(out, &approvalv1.FlowField{
			Key: f.Key, Label: f.Label, Help: f.Help, Kind: enum.Value[approvalv1.FlowFieldKind](string(f.Kind)), Options: f.Options, Required: f.Required,
		})
	}
	return out
}

// WeeklyHoursProto are the weekly hours to show; nil for always.
func (l Limits) WeeklyHoursProto() *approvalv1.WeeklyHours {
	if l.WeeklyHours == nil {
		return nil
	}
	out := &approvalv1.WeeklyHours{TimeZone: l.WeeklyHours.Zone}
	for n := range 7 {
		day := approvalv1.Weekday(n + 1) //nolint:gosec // seven days, Monday first
		for _, w := range l.WeeklyHours.Week[(n+1)%7] {
			out.Windows = append(out.Windows, &approvalv1.WeeklyWindow{Day: day, From: w.From, To: w.To})
		}
	}
	return out
}

// ItemFromProto is an item of a request as the catalog was when it was asked for, without
// the owner of its app.
func ItemFromProto(it *requestv1.RequestItem) Item {
	out := Item{
		AppID: it.GetAppId(), EntitlementID: it.GetEntitlementId(), AppName: it.GetAppName(), Category: it.GetAppCategory(), Tags: it.GetAppTags(),
		EntitlementName: it.GetEntitlementName(),
	}
	if k := it.GetEntitlementKind(); k != requestv1.EntitlementKind_ENTITLEMENT_KIND_UNSPECIFIED {
		out.EntitlementKind = enum.Word(k)
	}
	if r := it.GetEntitlementRisk(); r != requestv1.EntitlementRisk_ENTITLEMENT_RISK_UNSPECIFIED {
		out.Risk = enum.Word(r)
	}
	return out
}
