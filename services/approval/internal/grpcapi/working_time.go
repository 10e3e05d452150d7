package grpcapi

import (
	"context"
	"slices"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/convert"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

type workingTimeService struct {
	approvalv1.UnimplementedWorkingTimeServiceServer
	commands *command.Commands
}

func (s workingTimeService) GetWorkingTime(ctx context.Context, r *approvalv1.GetWorkingTimeRequest) (*approvalv1.GetWorkingTimeResponse, error) {
	w, err := s.commands.GetWorkingTime(ctx, authz.Must(ctx).Scope(), r.GetEnvironmentId())
	if err != nil {
		return nil, err
	}
	return &approvalv1.GetWorkingTimeResponse{WorkingTime: convert.WorkingTime(w)}, nil
}

func (s workingTimeService) UpdateWorkingTime(ctx context.Context, r *approvalv1.UpdateWorkingTimeRequest) (*approvalv1.UpdateWorkingTimeResponse, error) {
	c := authz.Must(ctx)
	u := resource.Update[*approvalv1.WorkingTime]{
		Field: "working_time", Resource: r.GetWorkingTime(), Mask: r.GetUpdateMask(), Fields: []string{"time_zone", "days", "holidays", "inherited"},
	}
	w, err := s.commands.UpdateWorkingTime(ctx, c.Scope(), convert.UserActor(person(c)), r.GetEnvironmentId(), func(before command.WorkingTime) (command.WorkingTime, error) {
		after, err := u.Apply(convert.WorkingTime(before))
		if err != nil {
			return before, err
		}
		w := before
		// What is set of its own is so from then on.
		w.Inherited = after.GetInherited() && slices.Contains(r.GetUpdateMask().GetPaths(), "inherited")
		if !w.Inherited {
			w.Spec, err = convert.Calendar(after)
		}
		return w, err
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &approvalv1.UpdateWorkingTimeResponse{WorkingTime: convert.WorkingTime(w)}, nil
}
