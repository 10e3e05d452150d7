package grpcapi

import (
	"context"
	"time"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/resource"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// UpdateChecklist changes until when a checklist should be done.
func (a *API) UpdateChecklist(ctx context.Context, r *provisioningv1.UpdateChecklistRequest) (*provisioningv1.UpdateChecklistResponse, error) {
	which, err := id.Parse("checklist.id", r.GetChecklist().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*provisioningv1.Checklist]{
		Field: "checklist", Resource: r.GetChecklist(), Mask: r.GetUpdateMask(), Fields: []string{"due_time"},
	}
	c, err := a.engine.UpdateChecklist(ctx, authz.Must(ctx), which, func(before *command.Checklist) (*time.Time, error) {
		m, err := u.Apply(convert.Checklist(before))
		if err != nil || m.GetDueTime() == nil {
			return nil, err
		}
		at := m.GetDueTime().AsTime()
		return &at, nil
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &provisioningv1.UpdateChecklistResponse{Checklist: convert.Checklist(&c)}, nil
}

// GetChecklistSettings shows how long people have for checklists.
func (a *API) GetChecklistSettings(ctx context.Context, _ *provisioningv1.GetChecklistSettingsRequest) (*provisioningv1.GetChecklistSettingsResponse, error) {
	s, err := a.engine.GetChecklistSettings(ctx, authz.Must(ctx))
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetChecklistSettingsResponse{ChecklistSettings: convert.ChecklistSettings(&s)}, nil
}

// UpdateChecklistSettings changes how long people have for checklists.
func (a *API) UpdateChecklistSettings(ctx context.Context, r *provisioningv1.UpdateChecklistSettingsRequest) (*provisioningv1.UpdateChecklistSettingsResponse, error) {
	u := resource.Update[*provisioningv1.ChecklistSettings]{
		Field: "checklist_settings", Resource: r.GetChecklistSettings(), Mask: r.GetUpdateMask(), Fields: []string{"onboarding_period", "offboarding_period"},
	}
	s, err := a.engine.UpdateChecklistSettings(ctx, authz.Must(ctx), func(before command.ChecklistSettings) (command.ChecklistSettings, error) {
		m, err := u.Apply(convert.ChecklistSettings(&before))
		if err != nil {
			return before, err
		}
		after := command.DefaultChecklistSettings(before.OrganizationID) // what is cleared
		after.Version = before.Version
		if d := m.GetOnboardingPeriod(); d != nil {
			after.Onboarding = d.AsDuration()
		}
		if d := m.GetOffboardingPeriod(); d != nil {
			after.Offboarding = d.AsDuration()
		}
		return after, nil
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &provisioningv1.UpdateChecklistSettingsResponse{ChecklistSettings: convert.ChecklistSettings(&s)}, nil
}
