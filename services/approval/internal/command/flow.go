package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// environmentField is the field of CreateFlow with the owner of the flow.
const environmentField = "environment_id"

// quotaFlows are what there are quotas of here.
var quotaFlows = quota.Kind{
	Name: "flows", Limit: (*identityv1.EnvironmentQuotas).GetFlows,
	Count:    `select count(*) from flow where environment_id = $1 and delete_time is null`,
	CountAll: `select count(*) from flow where organization_id = $1 and delete_time is null`,
}

// CreateFlow makes a flow, owned by an environment, or with an empty
// environmentID by the caller's scope. A join-flow is matched with everybody
// soon after.
func (c *Commands) CreateFlow(ctx context.Context, s scope.Scope, by *eventv1.Actor, environmentID string, f lifecycle.Flow) (*approvalv1.Flow, error) {
	owner := s
	if environmentID != "" {
		environment, err := uuid.Parse(environmentID)
		if err != nil || !s.Owns(environment) {
			return nil, invalidFlow([]lifecycle.Problem{environmentUnknown})
		}
		owner.EnvironmentID = environment
	}
	now := c.Clock.Now()
	f.ID, f.Version, f.CreateTime, f.UpdateTime = newID(), 1, now, now
	if !owner.Whole() {
		f.EnvironmentID = owner.EnvironmentID.String()
	}
	err := c.checkFlow(ctx, owner, f, lifecycle.Flow{})
	if err != nil {
		return nil, err
	}
	if f.EditorIDs, err = c.editors(ctx, s, by); err != nil {
		return nil, err
	}
	err = c.DB.In(ctx, owner, func(ctx context.Context, tx *postgres.Tx) error {
		tx.AfterCommit(c.Maintenance.Wake)
		if err := quotaFlows.CheckOrganization(ctx, tx, c.Quotas, s.OrganizationID, 1); err != nil {
			return err
		}
		quotas, err := quota.Of(ctx, tx, owner.EnvironmentID)
		if err != nil {
			return err
		}
		if err := quotaFlows.Check(ctx, tx, owner.EnvironmentID, quotas, 1); err != nil {
			return err
		}
		if err := c.Store.InsertFlow(ctx, tx, s.OrganizationID, f, convert.FlowChanged(s.OrganizationID, by, f)); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, &approvalv1.CreateFlowResponse{Flow: convert.Flow(s.OrganizationID, f)})
	})
	if err != nil {
		return nil, flowError(err, f.Name)
	}
	c.Log.Info("Flow created", "organization_id", s.OrganizationID, "flow_id", f.ID)
	return convert.Flow(s.OrganizationID, f), nil
}

// UpdateFlow makes a new version of a flow, unless that would be the same. change
// gives the flow as it is to be; it is called again if somebody else changes the
// flow at the same moment. Requests that are open stay on their version.
func (c *Commands) UpdateFlow(ctx context.Context, s scope.Scope, by *eventv1.Actor, id string, change func(*approvalv1.Flow) (lifecycle.Flow, error)) (f *approvalv1.Flow, err error) {
	for range 5 {
		if f, err = c.updateFlow(ctx, s, by, id, change); !errors.Is(err, errFlowChanged) {
			break
		}
	}
	return f, err
}

// ownedFlow gives a flow that the scope may change, with the scope of its owner.
func (c *Commands) ownedFlow(ctx context.Context, s scope.Scope, id string) (lifecycle.Flow, scope.Scope, error) {
	owner := scope.Scope{OrganizationID: s.OrganizationID}
	f, err := c.flow(ctx, s, id)
	if err != nil {
		return f, owner, flowError(err, "")
	}
	if f.EnvironmentID != "" {
		owner.EnvironmentID = uuid.MustParse(f.EnvironmentID)
	}
	if !s.Owns(owner.EnvironmentID) {
		return f, owner, flowError(store.ErrFlowReadOnly, f.Name)
	}
	return f, owner, nil
}

// changedFlow gives a flow as it is and as it is to be, of the same version if that is the
// same.
func (c *Commands) changedFlow(ctx context.Context, s scope.Scope, id string, change func(*approvalv1.Flow) (lifecycle.Flow, error)) (before, f lifecycle.Flow, err error) {
	// Whether there is such a flow comes before what is wrong with its content.
	before, owner, err := c.ownedFlow(ctx, s, id)
	if err != nil {
		return before, f, err
	}
	f, err = change(convert.Flow(s.OrganizationID, before))
	if err != nil {
		return before, f, err
	}
	f.ID, f.EnvironmentID, f.EditorIDs = id, before.EnvironmentID, before.EditorIDs
	f.Version, f.CreateTime, f.UpdateTime = before.Version, before.CreateTime, before.UpdateTime
	if proto.Equal(convert.Flow(s.OrganizationID, f), convert.Flow(s.OrganizationID, before)) {
		return before, f, nil
	}
	f.Version++
	return before, f, c.checkFlow(ctx, owner, f, before)
}

func (c *Commands) updateFlow(ctx context.Context, s scope.Scope, by *eventv1.Actor, id string, change func(*approvalv1.Flow) (lifecycle.Flow, error)) (*approvalv1.Flow, error) {
	before, f, err := c.changedFlow(ctx, s, id, change)
	if err != nil {
		return nil, err
	}
	if f.Version == before.Version {
		return c.GetFlow(ctx, s, id)
	}
	editors, err := c.editors(ctx, s, by)
	if err != nil {
		return nil, err
	}
	var shown []*approvalv1.Flow
	err = c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		current, err := c.Store.LockFlow(ctx, tx, id)
		if err != nil {
			return err
		}
		if current.Version != before.Version {
			return errFlowChanged
		}
		f.UpdateTime = c.Clock.Now()
		f.EditorIDs = slices.Clone(before.EditorIDs)
		for _, id := range editors {
			if !slices.Contains(f.EditorIDs, id) {
				f.EditorIDs = append(f.EditorIDs, id)
			}
		}
		tx.AfterCommit(c.Maintenance.Wake)
		if err := c.Store.UpdateFlow(ctx, tx, s.OrganizationID, f, convert.FlowChanged(s.OrganizationID, by, f)); err != nil {
			return err
		}
		// Not afterwards: whoever is told of an error tries again, with an etag that is old.
		shown, err = c.show(ctx, tx, s, f)
		return err
	})
	if err != nil {
		return nil, flowError(err, f.Name)
	}
	c.Log.Info("Flow updated", "organization_id", s.OrganizationID, "flow_id", id, "version", f.Version)
	return shown[0], nil
}

// show is flows as the scope sees them, with what they name that is there no more.
func (c *Commands) show(ctx context.Context, tx *postgres.Tx, s scope.Scope, flows ...lifecycle.Flow) ([]*approvalv1.Flow, error) {
	if err := c.hideOthers(ctx, tx, s, flows); err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range flows {
		ids = append(ids, allNamed(f)...)
	}
	gone, err := c.Store.Gone(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*approvalv1.Flow, 0, len(flows))
	for _, f := range flows {
		shown := convert.Flow(s.OrganizationID, f)
		for _, id := range allNamed(f) {
			if gone[id] && !slices.Contains(shown.GetGoneIds(), id) {
				shown.GoneIds = append(shown.GoneIds, id)
			}
		}
		out = append(out, shown)
	}
	return out, nil
}

// allNamed are all ids that a flow names, apart from its editors.
func allNamed(f lifecycle.Flow) []string {
	users, groups := named(f)
	return slices.Concat(f.Scope.AppIDs, f.Scope.EntitlementIDs, groups, users)
}

// editors are those whose flow it is that somebody writes: they and, if that is a
// service or an agent, who answers for it. A caller who has just come is waited for.
func (c *Commands) editors(ctx context.Context, s scope.Scope, by *eventv1.Actor) (ids []string, err error) {
	user, err := uuid.Parse(by.GetId())
	if err != nil {
		return nil, fmt.Errorf("read the caller's id: %w", err)
	}
	if err := copies.Await(ctx, c.DB, s.OrganizationID, copies.IDs{copies.Users: {user}}); err != nil {
		return nil, err
	}
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		accountable, err := c.Store.Accountable(ctx, tx, by.GetId())
		ids = append([]string{by.GetId()}, accountable...)
		return err
	})
	return ids, err
}

// GetFlow returns the current version of a flow.
func (c *Commands) GetFlow(ctx context.Context, s scope.Scope, id string) (*approvalv1.Flow, error) {
	var shown []*approvalv1.Flow
	err := c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		f, err := c.Store.Flow(ctx, tx, id)
		if err != nil {
			return err
		}
		shown, err = c.show(ctx, tx, s, f)
		return err
	})
	if err != nil {
		return nil, flowError(err, "")
	}
	return shown[0], nil
}

// hideOthers takes from the organization's flows, where an environment reads them, the
// ids of other environments.
func (c *Commands) hideOthers(ctx context.Context, tx *postgres.Tx, s scope.Scope, flows []lifecycle.Flow) error {
	if s.Whole() {
		return nil
	}
	var lists []*[]string
	for i := range flows {
		f := &flows[i]
		if f.EnvironmentID != "" {
			continue
		}
		lists = append(lists, &f.Audience.GroupIDs, &f.Audience.UserIDs, &f.Scope.AppIDs, &f.Scope.EntitlementIDs, &f.EditorIDs)
		if r := f.Requesters; r != nil {
			lists = append(lists, &r.GroupIDs, &r.UserIDs)
		}
		for j := range f.Steps {
			lists = append(lists, &f.Steps[j].GroupIDs, &f.Steps[j].UserIDs)
		}
	}
	var ids []string
	for _, l := range lists {
		ids = append(ids, *l...)
	}
	shown, err := c.Store.Shown(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, l := range lists {
		*l = slices.DeleteFunc(*l, func(id string) bool { return !shown[id] })
	}
	return nil
}

func (c *Commands) flow(ctx context.Context, s scope.Scope, id string) (f lifecycle.Flow, err error) {
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) (err error) {
		f, err = c.Store.Flow(ctx, tx, id)
		return err
	})
	return f, err
}

// ListFlows returns the flows that are asked for, and the token of the next page.
func (c *Commands) ListFlows(ctx context.Context, s scope.Scope, asked filter.Request) (out []*approvalv1.Flow, next string, err error) {
	page, err := store.FlowList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		flows, token, err := c.Store.Flows(ctx, tx, s.OrganizationID, page)
		if err != nil {
			return err
		}
		next = token
		out, err = c.show(ctx, tx, s, flows...)
		return err
	})
	return out, next, err
}

const (
	// knownWithin is how long an id may be on its way from the service that made
	// it: after an app is created its flow can be created at once.
	knownWithin = 2 * time.Second
	knownEvery  = 25 * time.Millisecond
)

// named are the ids in a flow.
func named(f lifecycle.Flow) (users, groups []string) {
	groups, users = append(groups, f.Audience.GroupIDs...), append(users, f.Audience.UserIDs...)
	if r := f.Requesters; r != nil {
		groups, users = append(groups, r.GroupIDs...), append(users, r.UserIDs...)
	}
	for _, s := range f.Steps {
		groups, users = append(groups, s.GroupIDs...), append(users, s.UserIDs...)
	}
	return users, groups
}

// checkFlow says what is wrong with a flow. Its owner's scope must have what it
// names, besides what it named before: what was deleted since does not keep anybody
// from changing the rest.
func (c *Commands) checkFlow(ctx context.Context, owner scope.Scope, f, before lifecycle.Flow) error {
	if problems := f.Check(); len(problems) > 0 {
		return invalidFlow(problems)
	}
	users, groups := named(f)
	usersBefore, groupsBefore := named(before)
	fresh := func(ids, before []string) []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(before, id) })
	}
	users, groups = fresh(users, usersBefore), fresh(groups, groupsBefore)
	apps, entitlements := fresh(f.Scope.AppIDs, before.Scope.AppIDs), fresh(f.Scope.EntitlementIDs, before.Scope.EntitlementIDs)
	until := time.NewTimer(knownWithin)
	defer until.Stop()
	tick := time.NewTicker(knownEvery)
	defer tick.Stop()
	var head uint64
	told, first := false, true
	for {
		var unknown map[string]bool
		err := c.DB.InRead(ctx, owner, func(ctx context.Context, tx *postgres.Tx) (err error) {
			unknown, err = c.Store.Unknown(ctx, tx, f.EnvironmentID, users, groups, apps, entitlements)
			return err
		})
		if err != nil || len(unknown) == 0 {
			return err
		}
		if first {
			first = false
			head, told = c.Progress.Head(ctx)
		}
		select {
		case <-tick.C:
		case <-until.C:
			if !told || !c.Progress.Passed(ctx, head) {
				return copies.NotKnownYet(nil)
			}
			return invalidFlow(unknownIDs(f, unknown))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var environmentUnknown = lifecycle.Problem{Field: environmentField, Reason: "ENVIRONMENT_UNKNOWN", Text: "there is no such environment"}

// unknownIDs names the fields with ids that are not known.
func unknownIDs(f lifecycle.Flow, unknown map[string]bool) []lifecycle.Problem {
	var out []lifecycle.Problem
	look := func(field, reason, what string, ids []string) {
		for i, id := range ids {
			if unknown[id] {
				out = append(out, lifecycle.Problem{Field: fmt.Sprintf("%s[%d]", field, i), Reason: reason, Text: "there is no such " + what})
			}
		}
	}
	if unknown[f.EnvironmentID] {
		out = append(out, environmentUnknown)
	}
	look("audience.group_ids", "GROUP_UNKNOWN", "group", f.Audience.GroupIDs)
	look("audience.user_ids", "USER_UNKNOWN", "user", f.Audience.UserIDs)
	if r := f.Requesters; r != nil {
		look("requesters.group_ids", "GROUP_UNKNOWN", "group", r.GroupIDs)
		look("requesters.user_ids", "USER_UNKNOWN", "user", r.UserIDs)
	}
	look("scope.app_ids", "APP_UNKNOWN", "app", f.Scope.AppIDs)
	look("scope.entitlement_ids", "ENTITLEMENT_UNKNOWN", "entitlement", f.Scope.EntitlementIDs)
	for i, s := range f.Steps {
		look(fmt.Sprintf("steps[%d].user_ids", i), "USER_UNKNOWN", "user", s.UserIDs)
		look(fmt.Sprintf("steps[%d].group_ids", i), "GROUP_UNKNOWN", "group", s.GroupIDs)
	}
	return out
}
