package convert

import (
	"time"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// Delegation is a delegation to show.
func Delegation(d store.Delegation, now time.Time) *approvalv1.Delegation {
	out := &approvalv1.Delegation{
		Id: d.ID, OrganizationId: d.OrganizationID.String(), EnvironmentId: d.EnvironmentID, Delegator: Person(d.Delegator), Delegate: Person(d.Delegate),
		From: Time(d.From), Until: Time(d.Until), Reason: d.Reason, Creator: Person(d.Creator), CreateTime: Time(d.CreateTime),
		EndTime: Time(d.EndTime), EndedBy: Person(d.EndedBy), State: approvalv1.DelegationState_DELEGATION_STATE_PENDING,
	}
	switch {
	case d.Ended(now):
		out.State = approvalv1.DelegationState_DELEGATION_STATE_ENDED
	case d.Active(now):
		out.State = approvalv1.DelegationState_DELEGATION_STATE_ACTIVE
	}
	return out
}

// DelegationCreated is the event of a delegation that was made.
func DelegationCreated(d store.Delegation) outbox.Event {
	return outbox.Event{OrganizationID: d.OrganizationID, AggregateID: parse(d.ID), Time: d.CreateTime, Message: &eventv1.DelegationCreated{
		Context: delegationContext(d, UserActor(d.Creator), 1), Delegation: Delegation(d, d.CreateTime),
	}}
}

// DelegationEnded is the event of a delegation that has ended.
func DelegationEnded(d store.Delegation) outbox.Event {
	actor := SystemActor()
	if d.EndedBy != (lifecycle.Person{}) {
		actor = UserActor(d.EndedBy)
	}
	return outbox.Event{OrganizationID: d.OrganizationID, AggregateID: parse(d.ID), Time: d.EndTime, Message: &eventv1.DelegationEnded{
		Context: delegationContext(d, actor, 2), Delegation: Delegation(d, d.EndTime),
	}}
}

func delegationContext(d store.Delegation, actor *eventv1.Actor, version int64) *eventv1.Context {
	return &eventv1.Context{Actor: actor, UserId: d.Delegator.ID, EnvironmentId: d.EnvironmentID, Version: version}
}
