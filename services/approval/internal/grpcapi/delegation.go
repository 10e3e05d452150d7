package grpcapi

import (
	"context"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/services/approval/internal/command"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

type delegationService struct {
	approvalv1.UnimplementedDelegationServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s delegationService) CreateDelegation(ctx context.Context, r *approvalv1.CreateDelegationRequest) (*approvalv1.CreateDelegationResponse, error) {
	c := authz.Must(ctx)
	in := command.Delegating{By: person(c), ForOthers: c.Administers(), Until: r.GetUntil().AsTime(), Reason: r.GetReason()}
	if r.GetFrom() != nil {
		in.From = r.GetFrom().AsTime()
	}
	to, err := id.Parse("delegate_id", r.GetDelegateId())
	if err != nil {
		return nil, err
	}
	in.DelegateID = to.String()
	if r.GetDelegatorId() != "" {
		from, err := id.Parse("delegator_id", r.GetDelegatorId())
		if err != nil {
			return nil, err
		}
		in.DelegatorID = from.String()
	}
	out, _, err := idempotency.Do(ctx, s.answers, r, func(ctx context.Context) (*approvalv1.CreateDelegationResponse, error) {
		d, err := s.commands.CreateDelegation(ctx, c.Scope(), in)
		if err != nil {
			return nil, err
		}
		return &approvalv1.CreateDelegationResponse{Delegation: d}, nil
	})
	return out, err
}

func (s delegationService) ListDelegations(ctx context.Context, r *approvalv1.ListDelegationsRequest) (*approvalv1.ListDelegationsResponse, error) {
	c := authz.Must(ctx)
	of := c.UserID.String()
	if c.SeesAll() {
		of = ""
	}
	list, next, err := s.commands.ListDelegations(ctx, c.Scope(), of, r.GetIncludeEnded(), r)
	if err != nil {
		return nil, err
	}
	return &approvalv1.ListDelegationsResponse{Delegations: list, NextPageToken: next}, nil
}

func (s delegationService) EndDelegation(ctx context.Context, r *approvalv1.EndDelegationRequest) (*approvalv1.EndDelegationResponse, error) {
	c := authz.Must(ctx)
	delegation, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	d, err := s.commands.EndDelegation(ctx, c.Scope(), person(c), c.Administers(), delegation.String())
	if err != nil {
		return nil, err
	}
	return &approvalv1.EndDelegationResponse{Delegation: d}, nil
}
