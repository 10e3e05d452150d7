package grpcapi

import (
	"context"
	"strings"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/resource"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
)

type bundleService struct {
	requestv1.UnimplementedBundleServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s bundleService) CreateBundle(ctx context.Context, in *requestv1.CreateBundleRequest) (*requestv1.CreateBundleResponse, error) {
	f := fields{}
	b := command.Bundle{
		EnvironmentID: f.id("environment_id", in.GetEnvironmentId()), Name: strings.TrimSpace(in.GetName()), Description: strings.TrimSpace(in.GetDescription()),
		EntitlementIDs: f.ids("entitlement_ids", in.GetEntitlementIds()),
	}
	if f.err != nil {
		return nil, f.err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.CreateBundleResponse, error) {
		b, err := s.commands.CreateBundle(ctx, authz.Must(ctx), b)
		if err != nil {
			return nil, err
		}
		return convert.CreatedBundle(b), nil
	})
	return out, err
}

func (s bundleService) GetBundle(ctx context.Context, in *requestv1.GetBundleRequest) (*requestv1.GetBundleResponse, error) {
	bundle, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	b, err := s.commands.GetBundle(ctx, authz.Must(ctx), bundle)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetBundleResponse{Bundle: convert.Bundle(b)}, nil
}

func (s bundleService) ListBundles(ctx context.Context, in *requestv1.ListBundlesRequest) (*requestv1.ListBundlesResponse, error) {
	list, next, err := s.commands.ListBundles(ctx, authz.Must(ctx), in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListBundlesResponse{Bundles: each(list, convert.Bundle), NextPageToken: next}, nil
}

func (s bundleService) UpdateBundle(ctx context.Context, in *requestv1.UpdateBundleRequest) (*requestv1.UpdateBundleResponse, error) {
	bundle, err := id.Parse("bundle.id", in.GetBundle().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*requestv1.Bundle]{
		Field: "bundle", Resource: in.GetBundle(), Mask: in.GetUpdateMask(), Rules: &requestv1.CreateBundleRequest{},
		Fields: []string{"name", "description", "entitlement_ids"},
	}
	b, err := s.commands.UpdateBundle(ctx, authz.Must(ctx), bundle, func(before command.Bundle) (command.Bundle, []string, error) {
		m, err := u.Apply(convert.Bundle(before))
		if err != nil {
			return before, nil, err
		}
		after := before
		f := fields{in: "bundle."}
		after.Name, after.Description, after.EntitlementIDs = strings.TrimSpace(m.GetName()), strings.TrimSpace(m.GetDescription()), f.ids("entitlement_ids", m.GetEntitlementIds())
		changed := u.Changed(convert.Bundle(before), convert.Bundle(after))
		return after, changed, f.err
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &requestv1.UpdateBundleResponse{Bundle: convert.Bundle(b)}, nil
}

func (s bundleService) DeleteBundle(ctx context.Context, in *requestv1.DeleteBundleRequest) (*requestv1.DeleteBundleResponse, error) {
	bundle, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.commands.DeleteBundle(ctx, authz.Must(ctx), bundle, in.GetEtag()); err != nil {
		return nil, err
	}
	return &requestv1.DeleteBundleResponse{}, nil
}
