package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/internal/wire"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// CreateFlow makes a flow of in. A join-flow is matched with everybody soon
// after.
func (d *Desk) CreateFlow(ctx context.Context, organizationID uuid.UUID, by *eventv1.Actor, in *approvalv1.FlowInput) (*approvalv1.Flow, error) {
	now := timestamppb.New(d.Clock.Now())
	f := &approvalv1.Flow{Id: newID(), OrganizationId: organizationID.String(), Version: 1, CreateTime: now, UpdateTime: now}
	fill(f, in)
	if err := d.check(ctx, organizationID, f); err != nil {
		return nil, err
	}
	err := d.DB.InOrganization(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) error {
		tx.AfterCommit(d.Tidier.Wake)
		return d.Store.InsertFlow(ctx, tx, organizationID, f, wire.FlowChanged(organizationID, by, f))
	})
	if err != nil {
		return nil, err
	}
	d.Log.Info("Flow created", "organization_id", organizationID, "flow_id", f.GetId())
	return f, nil
}

// UpdateFlow makes a new version of a flow, based on the version given.
// Requests that run stay on theirs.
func (d *Desk) UpdateFlow(ctx context.Context, organizationID uuid.UUID, by *eventv1.Actor, id string, version int32, in *approvalv1.FlowInput) (*approvalv1.Flow, error) {
	// Whether there is such a flow comes before what is wrong with its content.
	if _, err := d.Flow(ctx, organizationID, id); err != nil {
		return nil, err
	}
	f := &approvalv1.Flow{Id: id, OrganizationId: organizationID.String(), Version: version + 1}
	fill(f, in)
	if err := d.check(ctx, organizationID, f); err != nil {
		return nil, err
	}
	err := d.DB.InOrganization(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) error {
		old, err := d.Store.LockFlow(ctx, tx, id)
		if err != nil {
			return err
		}
		if old.GetVersion() != version {
			return apierr.New(codes.Aborted, "FLOW_CHANGED", "the flow was changed in the meantime, to version %d", old.GetVersion()).
				With("version", fmt.Sprint(old.GetVersion()))
		}
		f.CreateTime, f.UpdateTime = old.GetCreateTime(), timestamppb.New(d.Clock.Now())
		tx.AfterCommit(d.Tidier.Wake)
		return d.Store.UpdateFlow(ctx, tx, organizationID, f, wire.FlowChanged(organizationID, by, f))
	})
	if err != nil {
		return nil, err
	}
	d.Log.Info("Flow updated", "organization_id", organizationID, "flow_id", id, "version", f.GetVersion())
	return f, nil
}

// Flow returns the current version of a flow.
func (d *Desk) Flow(ctx context.Context, organizationID uuid.UUID, id string) (*approvalv1.Flow, error) {
	var f *approvalv1.Flow
	err := d.DB.InOrganizationRead(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		f, err = d.Store.Flow(ctx, tx, id)
		return err
	})
	return f, err
}

// Flows returns up to limit flows by name, after the name given.
func (d *Desk) Flows(ctx context.Context, organizationID uuid.UUID, after string, limit int) ([]*approvalv1.Flow, error) {
	var flows []*approvalv1.Flow
	err := d.DB.InOrganizationRead(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		flows, err = d.Store.Flows(ctx, tx, organizationID, after, limit)
		return err
	})
	return flows, err
}

// fill sets what can be set on a flow. Ids are written in their plain form.
func fill(f *approvalv1.Flow, in *approvalv1.FlowInput) {
	f.Name, f.Trigger, f.Kinds = in.GetName(), in.GetTrigger(), in.GetKinds()
	f.Audience = &approvalv1.FlowAudience{
		Everyone: in.GetAudience().GetEveryone(), GroupIds: plain(in.GetAudience().GetGroupIds()), UserIds: plain(in.GetAudience().GetUserIds()),
	}
	f.Scope = &approvalv1.FlowScope{
		Any: in.GetScope().GetAny(), AppIds: plain(in.GetScope().GetAppIds()), EntitlementIds: plain(in.GetScope().GetEntitlementIds()),
	}
	f.AutoApprove, f.Priority, f.MaxDuration, f.Enabled = in.GetAutoApprove(), in.GetPriority(), in.GetMaxDuration(), !in.GetDisabled()
	for _, s := range in.GetSteps() {
		f.Steps = append(f.Steps, &approvalv1.FlowStep{
			Name: s.GetName(), Reviewers: s.GetReviewers(), UserIds: plain(s.GetUserIds()), GroupIds: plain(s.GetGroupIds()),
			Need: s.GetNeed(), NeedCount: s.GetNeedCount(),
		})
	}
}

func plain(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id
		if u, err := uuid.Parse(id); err == nil {
			out[i] = u.String()
		}
	}
	return out
}

const (
	// knownWithin is how long an id may be on its way from the service that
	// made it: somebody who creates an app and then its flow must not be told
	// that there is no such app.
	knownWithin = 2 * time.Second
	knownEvery  = 25 * time.Millisecond
)

// check says what is wrong with a flow.
func (d *Desk) check(ctx context.Context, organizationID uuid.UUID, f *approvalv1.Flow) error {
	if problems := wire.Flow(f).Check(); len(problems) > 0 {
		return invalid(problems)
	}
	var groups, users []string
	groups, users = append(groups, f.GetAudience().GetGroupIds()...), append(users, f.GetAudience().GetUserIds()...)
	for _, s := range f.GetSteps() {
		groups, users = append(groups, s.GetGroupIds()...), append(users, s.GetUserIds()...)
	}
	until := time.NewTimer(knownWithin)
	defer until.Stop()
	tick := time.NewTicker(knownEvery)
	defer tick.Stop()
	for {
		var unknown map[string]bool
		err := d.DB.InOrganizationRead(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
			unknown, err = d.Store.Unknown(ctx, tx, users, groups, f.GetScope().GetAppIds(), f.GetScope().GetEntitlementIds())
			return err
		})
		if err != nil || len(unknown) == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-until.C:
			return invalid(unknownIDs(f, unknown))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unknownIDs names the fields with ids that are not known.
func unknownIDs(f *approvalv1.Flow, unknown map[string]bool) []lifecycle.Problem {
	var out []lifecycle.Problem
	look := func(field, reason, what string, ids []string) {
		for i, id := range ids {
			if unknown[id] {
				out = append(out, lifecycle.Problem{Field: fmt.Sprintf("%s[%d]", field, i), Reason: reason, Text: "there is no such " + what})
			}
		}
	}
	look("audience.group_ids", "GROUP_UNKNOWN", "group", f.GetAudience().GetGroupIds())
	look("audience.user_ids", "USER_UNKNOWN", "user", f.GetAudience().GetUserIds())
	look("scope.app_ids", "APP_UNKNOWN", "app", f.GetScope().GetAppIds())
	look("scope.entitlement_ids", "ENTITLEMENT_UNKNOWN", "entitlement", f.GetScope().GetEntitlementIds())
	for i, s := range f.GetSteps() {
		look(fmt.Sprintf("steps[%d].user_ids", i), "USER_UNKNOWN", "user", s.GetUserIds())
		look(fmt.Sprintf("steps[%d].group_ids", i), "GROUP_UNKNOWN", "group", s.GetGroupIds())
	}
	return out
}

func invalid(problems []lifecycle.Problem) error {
	first := problems[0]
	e := apierr.InvalidField("flow."+first.Field, first.Reason, "%s", first.Text)
	for _, p := range problems[1:] {
		e = e.WithField("flow."+p.Field, p.Reason, "%s", p.Text)
	}
	return e
}

// join writes the matches that are new, and says them.
func (d *Desk) join(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []store.Match) error {
	now := d.Clock.Now()
	added, err := d.Store.AddMatches(ctx, tx, organizationID, matches, now)
	if err != nil || len(added) == 0 {
		return err
	}
	slices.SortFunc(added, func(a, b store.Match) int { return compare(a.Flow, b.Flow) })
	events := make([]event, 0, len(added))
	for _, m := range added {
		events = append(events, wire.FlowMatched(organizationID, m.Flow, m.UserID, m.JoinCount, now))
	}
	return d.Store.Say(ctx, tx, events...)
}
