package command

import (
	"context"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/store"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// WorkingTime is when people work. grpcapi imports no store.
type WorkingTime = store.WorkingTime

// GetWorkingTime returns the working time of an environment of the scope; with an empty id
// that of the scope itself. INVALID_ARGUMENT: ENVIRONMENT_UNKNOWN.
func (c *Commands) GetWorkingTime(ctx context.Context, s scope.Scope, environmentID string) (w WorkingTime, err error) {
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		environmentID, _, err := c.environment(ctx, tx, s, environmentID)
		if err != nil {
			return err
		}
		w, err = c.Store.GetWorkingTime(ctx, tx, s.OrganizationID, environmentID)
		return err
	})
	return w, err
}

// UpdateWorkingTime changes the working time of an environment of the scope, or of the
// scope itself; change gives what it is to be. It counts for steps that open from now on.
func (c *Commands) UpdateWorkingTime(ctx context.Context, s scope.Scope, by *eventv1.Actor, environmentID string, change func(WorkingTime) (WorkingTime, error)) (w WorkingTime, err error) {
	err = c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		environmentID, name, err := c.environment(ctx, tx, s, environmentID)
		if err != nil {
			return err
		}
		now := c.Clock.Now()
		before, err := c.Store.LockWorkingTime(ctx, tx, s.OrganizationID, environmentID, now)
		if err != nil {
			return err
		}
		if w, err = change(before); err != nil {
			return err
		}
		if w.Inherited && environmentID == "" {
			return apierr.InvalidField("inherited", "NOTHING_TO_INHERIT", "the working time of the organization is its own")
		}
		if w.Inherited {
			whole, err := c.Store.GetWorkingTime(ctx, tx, s.OrganizationID, "")
			if err != nil {
				return err
			}
			w.Spec = whole.Spec
		}
		slices.Sort(w.Holidays)
		w.Holidays = slices.Compact(w.Holidays)
		if reflect.DeepEqual(w, before) {
			return nil
		}
		w.Version, w.UpdateTime = before.Version+1, now
		return c.Store.UpdateWorkingTime(ctx, tx, w, outbox.Event{
			OrganizationID: s.OrganizationID, AggregateID: uuid.MustParse(convert.WorkingTimeID(w)), Time: now,
			Message: &eventv1.WorkingTimeUpdated{
				Context:     &eventv1.Context{Actor: by, Version: w.Version, EnvironmentId: environmentID},
				WorkingTime: convert.WorkingTime(w), EnvironmentName: name,
			},
		})
	})
	return w, err
}

// environment gives the id and name of an environment that a caller names, or else that of
// the scope: empty ones for the organization.
func (c *Commands) environment(ctx context.Context, tx *postgres.Tx, s scope.Scope, named string) (id, name string, err error) {
	if id = named; id == "" && !s.Whole() {
		id = s.EnvironmentID.String()
	}
	if id == "" {
		return "", "", nil
	}
	environment, err := uuid.Parse(id)
	if err == nil && s.Owns(environment) {
		if name, err = c.Store.EnvironmentName(ctx, tx, environment.String()); err != nil {
			return "", "", err
		}
	}
	if name == "" {
		return "", "", apierr.InvalidField(environmentField, environmentUnknown.Reason, "%s", environmentUnknown.Text)
	}
	return environment.String(), name, nil
}
