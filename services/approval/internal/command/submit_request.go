package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// SubmitRequests makes the approvals of submitted requests, grants at once the items that
// flows approve by themselves and what an admin has assigned, and asks the first reviewers
// of the others. A request that
// has an approval changes nothing; one that was cancelled before is answered as
// cancelled.
func (c *Commands) SubmitRequests(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	organizationID := events[0].OrganizationID
	requests := make([]*requestv1.Request, len(events))
	submissions := make([]*store.Submission, len(events))
	for i, ev := range events {
		requests[i] = ev.Message.(*eventv1.RequestSubmitted).GetRequest()
		submissions[i] = convert.Submission(requests[i])
		m := ev.Message.(*eventv1.RequestSubmitted)
		submissions[i].RequesterVersion, submissions[i].JoinCount, submissions[i].MatchCount = m.GetRequesterVersion(), m.GetJoinCount(), m.GetMatchCount()
		submissions[i].GivenRequestID = m.GetGivenRequestId()
	}
	people, err := c.Store.LoadSubmissions(ctx, tx, organizationID, submissions)
	if err != nil {
		return err
	}
	var approvals []loaded
	var refused []store.Match
	for i, in := range submissions {
		if in.Exists && !in.CancelledEarly {
			continue
		}
		if !in.CancelledEarly && !in.Known {
			return inbox.Failed(events[i], inbox.NotYet("requester, beneficiary, an app or one of its people of request %s is not known", in.RequestID))
		}
		a, err := c.plan(organizationID, in, requests[i], people)
		if err != nil {
			return inbox.Failed(events[i], err)
		}
		a.events.Traceparent = events[i].Traceparent
		approvals = append(approvals, a)
		if m := refusedMatch(in, a.Approval); len(m.Refused) > 0 {
			refused = append(refused, m)
		}
	}
	if err := c.saveRefused(ctx, tx, organizationID, refused); err != nil {
		return err
	}
	opened, err := c.openReady(ctx, tx, people, approvals...)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		for _, r := range a.Refused {
			a.events.Cancelled(convert.SystemActor(), r.Why, r.ItemID)
		}
		if len(a.Given) > 0 {
			a.events.Given(a.Given)
		}
	}
	for _, o := range opened {
		o.events.Requested(o.step, o.tasks)
	}
	for _, a := range approvals {
		switch {
		case a.State == lifecycle.Denied:
			a.events.Refused(a.Refusal)
		case a.State == lifecycle.Cancelled && a.New:
			a.events.Cancelled(convert.SystemActor(), a.Refusal)
		case a.State == lifecycle.Cancelled:
			a.events.Cancelled(convert.SystemActor(), "cancelled before it was reviewed")
		}
	}
	err = c.save(ctx, tx, approvals...)
	if errors.Is(err, store.ErrExists) {
		return inbox.NotYet("another replica works on one of %d requests", len(approvals))
	}
	return err
}

// refusedMatch is the match that made a request, with what it is refused because other
// flows give it to others only.
func refusedMatch(in *store.Submission, a *lifecycle.Approval) (m store.Match) {
	if in.JoinFlow == nil || in.MatchCount == 0 {
		return m
	}
	m.Flow.ID, m.ID, m.JoinCount, m.Count = in.JoinFlow.ID, in.BeneficiaryID, in.JoinCount, in.MatchCount
	for _, it := range a.ToOthers {
		m.Refused = append(m.Refused, store.RefusedItem{EntitlementID: it.EntitlementID, AppID: it.AppID, OfOrganization: it.OfOrganization})
	}
	return m
}

// saveRefused saves what matches were refused, and has the people looked at again: what
// makes it theirs may be said at this moment, by a transaction that does not see this one.
func (c *Commands) saveRefused(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []store.Match) error {
	if len(matches) == 0 {
		return nil
	}
	if err := c.Store.AddRefused(ctx, tx, matches); err != nil {
		return err
	}
	users := make([]uuid.UUID, 0, len(matches))
	for _, m := range matches {
		u, err := uuid.Parse(m.ID)
		if err != nil {
			return fmt.Errorf("match user %q: %w", m.ID, err)
		}
		users = append(users, u)
	}
	return c.matchLater(tx, organizationID, users)
}

// plan makes the approval of a submitted request.
func (c *Commands) plan(organizationID uuid.UUID, in *store.Submission, r *requestv1.Request, people *lifecycle.People) (loaded, error) {
	data, err := convert.EncodeRequest(r)
	if err != nil {
		return loaded{}, err
	}
	rec := &store.Record{OrganizationID: organizationID, Request: data, RequestUnsaved: true, New: !in.CancelledEarly, Version: in.Version}
	request, now := requestOf(in, r, people), c.Clock.Now()
	if in.CancelledEarly {
		// Only the request is added to what is known.
		rec.Approval = lifecycle.NewCancelled(r.GetId(), r.GetEnvironmentId(), now)
		rec.Parties, rec.Expired = request.Parties, request.Passed(now)
		return c.with(rec, r), nil
	}
	rec.Approval = lifecycle.New(request, in.Flows, now)
	if convert.Gives(r) {
		rec.WaitsFor = rec.Beneficiary.ID
	}
	return c.with(rec, r), nil
}

// requestOf is a request as the rules see it, with what is known of its people and apps.
func requestOf(in *store.Submission, r *requestv1.Request, people *lifecycle.People) lifecycle.Request {
	request := convert.Request(r)
	request.Member, request.Asker, request.AccountableIDs = in.Member, in.Asker, in.AccountableIDs
	for i := range request.Items {
		it := &request.Items[i]
		app := people.Apps[it.AppID]
		it.EnvironmentID, it.OfOrganization, it.OnlyByFlow = app.EnvironmentID, app.EnvironmentID == "", app.OnlyByFlow
		// Request may not have heard of it yet: what gives access comes in bulk.
		if it.NotInPlace && in.Given != nil && in.Given.Gave(it.GrantItemID) {
			it.NotInPlace = false
		}
	}
	if convert.ByJoinFlow(r) {
		// Without its flow it is reviewed like any other.
		request.JoinFlow = &lifecycle.Flow{}
		if len(in.JoinFlows) == 1 {
			request.JoinFlow = &in.JoinFlows[0]
		}
	}
	if in.Assigned {
		request.Assigner = &in.Assigner
	}
	return request
}
