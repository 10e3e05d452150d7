package grpcapi

import (
	"context"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/resource"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/command"
	"gatehouse.dev/services/identity-sync/internal/convert"
)

// CreateEnvironment makes an environment.
func (s *Server) CreateEnvironment(ctx context.Context, req *identityv1.CreateEnvironmentRequest) (*identityv1.CreateEnvironmentResponse, error) {
	called, err := name("name", req.GetName())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.cfg.Answers, req, func(ctx context.Context) (*identityv1.CreateEnvironmentResponse, error) {
		e, err := s.cfg.Commands.CreateEnvironment(ctx, authz.Must(ctx), called, convert.Quotas(req.GetQuotas()))
		if err != nil {
			return nil, err
		}
		return &identityv1.CreateEnvironmentResponse{Environment: convert.Environment(e)}, nil
	})
	return out, err
}

// GetEnvironment shows an environment.
func (s *Server) GetEnvironment(ctx context.Context, req *identityv1.GetEnvironmentRequest) (*identityv1.GetEnvironmentResponse, error) {
	eid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	e, err := s.cfg.Commands.Environment(ctx, authz.Must(ctx).Scope(), eid)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetEnvironmentResponse{Environment: convert.Environment(e)}, nil
}

// ListEnvironments lists environments.
func (s *Server) ListEnvironments(ctx context.Context, req *identityv1.ListEnvironmentsRequest) (*identityv1.ListEnvironmentsResponse, error) {
	list, next, err := s.cfg.Commands.Environments(ctx, authz.Must(ctx).Scope(), req)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListEnvironmentsResponse{NextPageToken: next}
	for _, e := range list {
		out.Environments = append(out.Environments, convert.Environment(e))
	}
	return out, nil
}

// UpdateEnvironment changes an environment.
func (s *Server) UpdateEnvironment(ctx context.Context, req *identityv1.UpdateEnvironmentRequest) (*identityv1.UpdateEnvironmentResponse, error) {
	eid, err := id.Parse("environment.id", req.GetEnvironment().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*identityv1.Environment]{
		Field: "environment", Resource: req.GetEnvironment(), Mask: req.GetUpdateMask(), Fields: []string{"name", "quotas"},
		Rules: &identityv1.CreateEnvironmentRequest{},
	}
	e, err := s.cfg.Commands.UpdateEnvironment(ctx, authz.Must(ctx), eid, func(before command.Environment) (called string, quotas command.Quotas, err error) {
		m, err := u.Apply(convert.Environment(before))
		if err != nil {
			return "", quotas, err
		}
		called, err = name("environment.name", m.GetName())
		return called, convert.Quotas(m.GetQuotas()), err
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &identityv1.UpdateEnvironmentResponse{Environment: convert.Environment(e)}, nil
}
