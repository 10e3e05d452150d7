package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// FlowDeletion says of a flow that is to be deleted which version is meant, any if ETag is
// empty, and what of what hangs on it is to be ended: that must be what was seen.
type FlowDeletion struct {
	ETag string
	// CancelRequests cancels the open requests that run on it, for Reason.
	CancelRequests bool
	Reason         string
	// TakeBack takes back what a join-flow gave.
	TakeBack bool
}

func (d FlowDeletion) ends() bool { return d.CancelRequests || d.TakeBack }

// check says what is wrong with a deletion, apart from its etag.
func (d FlowDeletion) check(f lifecycle.Flow) error {
	switch {
	case d.ends() && d.ETag == "":
		return apierr.InvalidField("etag", "ETAG_MISSING", "what hangs on the flow is ended as it was seen: send the etag of its preview")
	case d.CancelRequests && d.Reason == "":
		return apierr.InvalidField("reason", "REASON_MISSING", "say why requests are cancelled")
	case d.TakeBack && f.Trigger != lifecycle.OnJoin:
		return apierr.InvalidField("matches", "NOT_A_JOIN_FLOW", "only a join-flow has given something")
	case d.TakeBack && f.Unmatch == lifecycle.Keep:
		return apierr.InvalidField("matches", "FLOW_KEEPS", "the flow keeps what it gave: change its unmatch_action first")
	}
	return nil
}

// DeleteFlow ends a flow for new requests. Those that are open stay on their version, and
// what a join-flow gave stays, unless that is to be ended: then maintenance ends it, each
// request and each person by itself.
func (c *Commands) DeleteFlow(ctx context.Context, s scope.Scope, by lifecycle.Person, id string, d FlowDeletion) error {
	err := c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		// Nobody is matched by it from here on: a match refers to it.
		f, err := c.Store.LockFlow(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := d.check(f); err != nil {
			return err
		}
		var used store.FlowUse
		etag := convert.Flow(s.OrganizationID, f).GetEtag()
		if d.ends() || d.ETag != "" && d.ETag != etag {
			if used, err = c.useOf(ctx, tx, s.OrganizationID, id); err != nil {
				return err
			}
			etag = useETag(f, used)
		}
		if err := resource.CheckETag(d.ETag, etag); err != nil {
			return err
		}
		var ending *store.FlowEnding
		if d.ends() {
			ending = &store.FlowEnding{Cancel: d.CancelRequests, Reason: d.Reason, TakeBack: d.TakeBack, By: by}
			tx.AfterCommit(c.Maintenance.Wake)
		}
		now := c.Clock.Now()
		return c.Store.DeleteFlow(ctx, tx, id, now, ending, convert.FlowDeleted(s.OrganizationID, convert.UserActor(by), f, now, ending, used))
	})
	if err != nil {
		return flowError(err, "")
	}
	c.Log.Info("Flow deleted", "organization_id", s.OrganizationID, "flow_id", id, "cancel_requests", d.CancelRequests, "take_back", d.TakeBack)
	return nil
}

// useOf is what hangs on a flow, or the answer to try again while that is not known of
// what was written before it was kept.
func (c *Commands) useOf(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, id string) (store.FlowUse, error) {
	u, err := c.Store.UseOf(ctx, tx, organizationID, id)
	if err == nil && u.Older > 0 {
		c.Maintenance.older.Store(true)
		c.Maintenance.Wake()
		err = copies.NotKnownYet(nil)
	}
	return u, err
}

// useETag is the etag of a flow with what hangs on it.
func useETag(f lifecycle.Flow, u store.FlowUse) string {
	hash := func(n int64) string { return strconv.FormatInt(n, 36) }
	return resource.ETag(fmt.Sprintf("%s/%d/%s/%d/%s", f.ID, u.Requests, hash(u.RequestDigest), u.Matches, hash(u.MatchDigest)), int64(f.Version))
}

// shownOfFlow is how much of what hangs on a flow is shown.
const shownOfFlow = 20

// PreviewDeleteFlow shows what hangs on a flow.
func (c *Commands) PreviewDeleteFlow(ctx context.Context, s scope.Scope, id string) (*approvalv1.PreviewDeleteFlowResponse, error) {
	if _, _, err := c.ownedFlow(ctx, s, id); err != nil {
		return nil, err
	}
	out := &approvalv1.PreviewDeleteFlowResponse{}
	err := c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		f, err := c.Store.Flow(ctx, tx, id)
		if err != nil {
			return err
		}
		used, err := c.useOf(ctx, tx, s.OrganizationID, id)
		if err != nil {
			return err
		}
		requests, people, err := c.Store.FirstOf(ctx, tx, s.OrganizationID, id, shownOfFlow)
		if err != nil {
			return err
		}
		shown, err := c.show(ctx, tx, s, f)
		if err != nil {
			return err
		}
		out.Flow, out.Etag = shown[0], useETag(f, used)
		out.OpenRequestCount, out.MatchedCount, out.MatchedUsers = used.Requests, used.Matches, convert.People(people)
		for _, r := range requests {
			request, err := convert.DecodeRequest(r.Request)
			if err != nil {
				return err
			}
			out.OpenRequests = append(out.OpenRequests, convert.FlowRequest(request, r.OpenItems(id)))
		}
		return nil
	})
	return out, flowError(err, "")
}

// PreviewUpdateFlow says whom a change of a join-flow would come to match, and whom it
// would let go, as things are now.
func (c *Commands) PreviewUpdateFlow(ctx context.Context, s scope.Scope, id string, change func(*approvalv1.Flow) (lifecycle.Flow, error)) (*approvalv1.PreviewUpdateFlowResponse, error) {
	_, f, err := c.changedFlow(ctx, s, id, change)
	if err != nil {
		return nil, err
	}
	if f.Trigger != lifecycle.OnJoin {
		return nil, apierr.Precondition("NOT_A_JOIN_FLOW", "only a join-flow matches people")
	}
	out := &approvalv1.PreviewUpdateFlowResponse{}
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		shown, err := c.show(ctx, tx, s, f)
		if err != nil {
			return err
		}
		out.Flow = shown[0]
		if !f.Enabled { // it neither gives nor takes
			return nil
		}
		begun, ended, err := c.Store.WouldMatch(ctx, tx, s.OrganizationID, f, shownOfFlow)
		out.MatchedCount, out.MatchedUsers = begun.Count, convert.People(begun.First)
		out.UnmatchedCount, out.UnmatchedUsers = ended.Count, convert.People(ended.First)
		return err
	})
	return out, err
}

// endFlows ends what was to be ended of what hung on deleted flows.
func (c *Commands) endFlows(ctx context.Context, s *scan) error {
	var after string
	for {
		var flows []store.EndingFlow
		err := c.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			flows, err = c.Store.EndingFlows(ctx, tx, after, flowsAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		for _, f := range flows {
			after = f.ID
			s.do(ctx, f.OrganizationID, f.ID, func() error { return c.endFlow(ctx, s, f) })
		}
		if len(flows) < flowsAtOnce || ctx.Err() != nil {
			return nil
		}
	}
}

// endFlow ends what is left of one deleted flow. What fails is tried again by itself, and
// the flow stays until nothing is left.
func (c *Commands) endFlow(ctx context.Context, s *scan, e store.EndingFlow) error {
	// Somebody who was being matched when the flow was deleted did not see it.
	var f lifecycle.Flow
	err := c.DB.InOrganization(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := c.Store.AwaitMatching(ctx, tx, e.OrganizationID); err != nil {
			return err
		}
		f, err = c.Store.DeletedFlow(ctx, tx, e.ID)
		return err
	})
	if err != nil {
		return err
	}
	left := false
	if e.TakeBack {
		if left, err = c.takeBack(ctx, s, e, f); err != nil {
			return err
		}
	}
	if e.Cancel {
		more, err := c.cancelOfFlow(ctx, s, e)
		if err != nil {
			return err
		}
		left = left || more
	}
	if left || ctx.Err() != nil {
		return nil
	}
	return c.DB.InOrganization(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		return c.Store.SetEnded(ctx, tx, e.ID)
	})
}

// takeBack lets everybody go whom a deleted flow has matched, and reports whether
// somebody is left.
func (c *Commands) takeBack(ctx context.Context, s *scan, e store.EndingFlow, f lifecycle.Flow) (left bool, err error) {
	let := func(users ...uuid.UUID) error {
		return c.DB.InOrganization(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			now := c.Clock.Now()
			matches, err := c.Store.EndMatchesOf(ctx, tx, f, users, now)
			if err != nil {
				return err
			}
			return c.emitUnmatched(ctx, tx, e.OrganizationID, matches, now)
		})
	}
	var after uuid.UUID
	for ctx.Err() == nil {
		var users []uuid.UUID
		err := c.DB.InOrganizationRead(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
			users, err = c.Store.StillMatched(ctx, tx, e.ID, after, usersAtOnce)
			return err
		})
		if err != nil || len(users) == 0 {
			return left, err
		}
		after = users[len(users)-1]
		if let(users...) == nil {
			continue
		}
		for _, u := range users {
			if !s.do(ctx, e.OrganizationID, e.ID+"/"+u.String(), func() error { return let(u) }) {
				left = true
			}
		}
	}
	return left, ctx.Err()
}

// cancelOfFlow cancels what a deleted flow has not decided yet, and reports whether
// something is left.
func (c *Commands) cancelOfFlow(ctx context.Context, s *scan, e store.EndingFlow) (left bool, err error) {
	var after string
	for ctx.Err() == nil {
		var open []store.ApprovalID
		err := c.DB.InOrganizationRead(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
			open, err = c.Store.OpenOfFlow(ctx, tx, e.OrganizationID, e.ID, after, approvalsAtOnce)
			return err
		})
		if err != nil || len(open) == 0 {
			return left, err
		}
		for _, a := range open {
			after = a.RequestID
			if !s.do(ctx, e.OrganizationID, a.RequestID, func() error {
				return c.DB.InOrganization(ctx, e.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
					return c.cancelItemsOfFlow(ctx, tx, e, a.RequestID)
				})
			}) {
				left = true
			}
		}
	}
	return left, ctx.Err()
}

func (c *Commands) cancelItemsOfFlow(ctx context.Context, tx *postgres.Tx, e store.EndingFlow, requestID string) error {
	rec, err := c.Store.Load(ctx, tx, requestID)
	if err != nil || rec == nil {
		return err
	}
	a, err := c.prepare(rec)
	if err != nil {
		return err
	}
	items := rec.OpenItems(e.ID)
	if len(items) == 0 {
		return nil
	}
	rec.Cancel(e.By, a.events.Time, items...)
	a.events.Cancelled(convert.UserActor(e.By), e.Reason, items...)
	return c.save(ctx, tx, a)
}

// emitUnmatched emits that flows are not for people any more.
func (c *Commands) emitUnmatched(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []store.Match, now time.Time) error {
	events := make([]outbox.Event, 0, len(matches))
	for _, m := range matches {
		if m.Kept {
			m.Flow.Unmatch = lifecycle.Keep
		}
		first := m.Count
		if m.First > 0 {
			first = m.First // and all those that it went on with
		}
		for count := first; count <= m.Count; count++ {
			events = append(events, convert.FlowUnmatched(organizationID, m.Flow, m.Member, m.JoinCount, count, now))
		}
	}
	return c.Store.Emit(ctx, tx, events...)
}
