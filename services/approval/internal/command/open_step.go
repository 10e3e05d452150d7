package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// stepOf is a step with its approval, and the reviewers that were found for it.
type stepOf struct {
	loaded
	step       *lifecycle.Step
	resolution lifecycle.Resolution
	// tasks are those of the step, once it is open.
	tasks []*lifecycle.Task
}

// openReady opens the steps of approvals that are ready, and returns them.
// people are those who were read already. tx sees the whole organization.
func (c *Commands) openReady(ctx context.Context, tx *postgres.Tx, people *lifecycle.People, approvals ...loaded) ([]*stepOf, error) {
	var steps []*stepOf
	for _, a := range approvals {
		for _, s := range a.Ready() {
			steps = append(steps, &stepOf{loaded: a, step: s})
		}
	}
	if err := c.resolve(ctx, tx, people, steps); err != nil {
		return nil, err
	}
	for _, s := range steps {
		var err error
		if s.tasks, err = s.Open(s.step, s.resolution, newID, s.events.Time); err != nil {
			return nil, err
		}
		s.Schedule(s.step, s.tasks, *people, s.events.Time)
		if len(s.tasks) == 0 {
			tx.AfterCommit(func() {
				c.Log.Warn("Nobody can decide a step, it waits", "request_id", s.RequestID, "step", s.step.Position)
			})
		}
	}
	return steps, nil
}

// resolve finds the reviewers of steps of one organization: those whom the
// steps name are read at once, and substitutes only if they are needed.
func (c *Commands) resolve(ctx context.Context, tx *postgres.Tx, people *lifecycle.People, steps []*stepOf) error {
	if len(steps) == 0 {
		return nil
	}
	organizationID := steps[0].OrganizationID
	var named, substitutes store.PeopleQuery
	for _, s := range steps {
		if people.WorkingTime == nil {
			named.WorkingTimeOf = append(named.WorkingTimeOf, s.EnvironmentID)
		}
		named.Absences = people.Absences == nil
		switch spec := s.step.Spec; spec.Reviewers {
		case lifecycle.Manager, lifecycle.ManagersManager:
			// One who was read was read with all managers.
			if _, known := people.Users[s.Beneficiary.ID]; !known {
				named.ManagersOf = append(named.ManagersOf, s.Beneficiary.ID)
			}
		case lifecycle.NamedUsers:
			named.UserIDs = append(named.UserIDs, spec.UserIDs...)
		case lifecycle.NamedGroups:
			named.GroupIDs = append(named.GroupIDs, spec.GroupIDs...)
		default:
			named.AppIDs = append(named.AppIDs, s.step.AppID)
		}
	}
	if err := c.Store.LoadPeople(ctx, tx, organizationID, people, named); err != nil {
		return err
	}
	var short []*stepOf
	for _, s := range steps {
		if s.resolution = s.Resolve(s.step, *people); s.resolution.TooFew {
			short = append(short, s)
			substitutes.AppIDs, substitutes.Admins = append(substitutes.AppIDs, s.step.AppID), true
			substitutes.EnvironmentIDs = append(substitutes.EnvironmentIDs, s.EnvironmentID)
		}
	}
	if len(short) == 0 {
		return nil
	}
	if err := c.Store.LoadPeople(ctx, tx, organizationID, people, substitutes); err != nil {
		return err
	}
	for _, s := range short {
		s.resolution = s.Resolve(s.step, *people)
	}
	return nil
}
