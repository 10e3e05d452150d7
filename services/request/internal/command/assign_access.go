package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// Assignment is what an admin assigns: everything to everybody.
type Assignment struct {
	UserIDs, EntitlementIDs []uuid.UUID
	Justification           string
	Until                   *time.Time // nil: permanently
}

// maxAssigned bounds the items of one call.
const maxAssigned = 1000

// pair is one entitlement of one person in an assignment, as things stand.
type pair struct {
	user      store.User
	candidate store.Candidate
	// skip is why it is left out: the person has it, or is to get it.
	skip lifecycle.Refusal
	// refusal refuses all of the assignment; nil if nothing does.
	refusal *apierr.Error
}

// AssignAccess makes a request of origin assignment for each person who gets anything,
// all of them or none. Approval approves them without asking anybody, once it has looked
// whether the caller may do that.
func (c *Commands) AssignAccess(ctx context.Context, by authz.Caller, a Assignment) (out *requestv1.AssignAccessResponse, err error) {
	err = c.withAssigned(ctx, by, a, func() error {
		// One that loses to a concurrent request is tried again, and leaves that out.
		for range 3 {
			err := c.DB.InOrganization(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
				out, err = c.assignAccess(ctx, tx, by, a)
				return err
			})
			if !errors.Is(err, store.ErrAlreadyRequested) {
				return err
			}
		}
		return store.ErrAlreadyRequested
	})
	if err != nil {
		return nil, public(err)
	}
	return out, nil
}

func (c *Commands) assignAccess(ctx context.Context, tx *postgres.Tx, by authz.Caller, a Assignment) (*requestv1.AssignAccessResponse, error) {
	now := c.Clock.Now()
	pairs, err := c.pairs(ctx, tx, true, by, a, now)
	if err != nil {
		return nil, err
	}
	changes := store.NewChanges(by.OrganizationID)
	var requests []*store.Request
	var skipped []*requestv1.SkippedAssignment
	more := make(map[uuid.UUID]int) // requests of this transaction by environment
	for _, user := range a.UserIDs {
		r, left, err := a.request(by, now, pairs[user])
		if err != nil {
			return nil, err
		}
		if skipped = append(skipped, left...); r == nil {
			continue
		}
		more[r.EnvironmentID]++
		requests = append(requests, r)
		insertRequest(changes, event.CallerActor(by), store.New{Request: r})
	}
	if err := c.checkOpenRequests(ctx, tx, by.OrganizationID, len(requests), more); err != nil {
		return nil, err
	}
	if err := c.awaitEnds(tx, requests...); err != nil {
		return nil, err
	}
	if err := changes.Save(ctx, tx, c.Events, "insert assigned requests"); err != nil {
		return nil, err
	}
	out := convert.AssignedAccess(requests, skipped)
	return out, idempotency.Save(ctx, tx, out)
}

// checkOpenRequests holds an organization and its environments to how many open requests
// for access they may have, with so many more in all and in each environment. They are in one order,
// so that two who wait for each other's turn do not block each other.
func (c *Commands) checkOpenRequests(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, all int, more map[uuid.UUID]int) error {
	if err := quotaOpenRequests.CheckOrganization(ctx, tx, c.Quotas, organization, all); err != nil {
		return err
	}
	environments := slices.SortedFunc(maps.Keys(more), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, environment := range environments {
		quotas, err := quota.Of(ctx, tx, environment)
		if err != nil {
			return err
		}
		if err := quotaOpenRequests.Check(ctx, tx, environment, quotas, more[environment]); err != nil {
			return err
		}
	}
	return nil
}

// request makes the request of one person; nil if all of it is left out.
func (a Assignment) request(by authz.Caller, now time.Time, pairs []pair) (*store.Request, []*requestv1.SkippedAssignment, error) {
	u := pairs[0].user
	r := &store.Request{
		ID: id.New(), OrganizationID: by.OrganizationID, Kind: lifecycle.Grant, Origin: store.OriginAssignment,
		Requester: person(by), RequesterVersion: by.UserVersion,
		Beneficiary: store.Person{ID: u.ID, Name: u.Name, Email: u.Email}, JoinCount: u.JoinCount,
		Justification: a.Justification, Until: a.Until, State: lifecycle.Submitted, CreateTime: now, UpdateTime: now, Version: 1,
	}
	var candidates []store.Candidate
	var skipped []*requestv1.SkippedAssignment
	for _, p := range pairs {
		switch {
		case p.refusal != nil:
			return nil, nil, p.refusal
		case p.skip != "":
			skipped = append(skipped, &requestv1.SkippedAssignment{
				UserId: u.ID.String(), EntitlementId: p.candidate.EntitlementID.String(), Reason: string(p.skip), RequestId: p.first(),
			})
		default:
			candidates = append(candidates, p.candidate)
			r.Items = append(r.Items, newItem(p.candidate))
		}
	}
	if len(candidates) == 0 {
		return nil, skipped, nil
	}
	r.EnvironmentID, _ = environmentOf(u, candidates) // mixed ones were refused
	return r, skipped, nil
}

// first is the request by which somebody has what is left out, or is to get it.
func (p pair) first() string {
	switch p.skip {
	case lifecycle.AlreadyRequested:
		return p.candidate.OpenRequest
	case lifecycle.AlreadyHeld:
		return p.candidate.HeldBy
	}
	return ""
}

// PreviewAssignment says what would become of an assignment, for each app, and for each
// person and entitlement.
func (c *Commands) PreviewAssignment(ctx context.Context, by authz.Caller, a Assignment) (out *requestv1.PreviewAssignmentResponse, err error) {
	err = c.withAssigned(ctx, by, a, func() error {
		return c.DB.InOrganizationRead(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			pairs, err := c.pairs(ctx, tx, false, by, a, c.Clock.Now())
			if err != nil {
				return err
			}
			out = &requestv1.PreviewAssignmentResponse{}
			for _, p := range pairs[a.UserIDs[0]] {
				item := newItem(p.candidate)
				if slices.ContainsFunc(out.Apps, func(app *requestv1.AssignmentApp) bool { return app.GetAppId() == item.AppID.String() }) {
					continue
				}
				out.Apps = append(out.Apps, &requestv1.AssignmentApp{
					AppId: item.AppID.String(), AppName: item.AppName, Provisioning: convert.Item(item).GetProvisioning(),
				})
			}
			for _, user := range a.UserIDs {
				for _, p := range pairs[user] {
					item := newItem(p.candidate)
					item.ID = uuid.Nil
					preview := &requestv1.AssignmentItem{
						User: convert.Person(store.Person{ID: p.user.ID, Name: p.user.Name, Email: p.user.Email}),
						Item: convert.Item(item), Skipped: string(p.skip), RequestId: p.first(),
					}
					if p.refusal != nil {
						preview.Refusal = p.refusal.Reason
					}
					out.Items = append(out.Items, preview)
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// withAssigned checks what needs no database, and does something with an assignment;
// again, if it names somebody of whom this service had not heard (B-USR-21).
func (c *Commands) withAssigned(ctx context.Context, by authz.Caller, a Assignment, do func() error) error {
	switch {
	case len(a.UserIDs)*len(a.EntitlementIDs) > maxAssigned:
		return apierr.InvalidField("entitlement_ids", "ASSIGNMENT_TOO_LARGE", "people times entitlements is %d at most", maxAssigned)
	case a.Until != nil && !a.Until.After(c.Clock.Now()):
		return apierr.InvalidField("until", "NOT_IN_FUTURE", "must be in the future")
	}
	who := copies.IDs{copies.Users: append(slices.Clone(a.UserIDs), by.UserID)}
	return copies.WhenKnown(ctx, c.DB, c.Progress, by.OrganizationID, who, do, reasonUserUnknown)
}

// pairs are the entitlements of each person in an assignment, in the order asked. It fails
// if one of them does not exist for the caller, or if the caller assigns nothing.
func (c *Commands) pairs(ctx context.Context, tx *postgres.Tx, lock bool, by authz.Caller, a Assignment, now time.Time) (map[uuid.UUID][]pair, error) {
	assigner, err := store.UserByID(ctx, tx, by.UserID)
	if err != nil {
		return nil, err
	}
	switch {
	case assigner.ID == uuid.Nil:
		return nil, apierr.InvalidField("user_ids", reasonUserUnknown, "you are not known here yet")
	case !assigner.IsPerson:
		return nil, apierr.Denied("ONLY_PEOPLE_ASSIGN", "services and agents do not assign access")
	}
	submissions, lookups := make([]Submission, len(a.UserIDs)), make([]*store.Lookup, len(a.UserIDs))
	for n, user := range a.UserIDs {
		submissions[n] = Submission{Kind: lifecycle.Grant, BeneficiaryID: user, EntitlementIDs: a.EntitlementIDs, Justification: a.Justification, Until: a.Until, Assigned: true}
		lookups[n] = submissions[n].lookup(by)
	}
	read, take := c.flows.read(by.OrganizationID)
	if err := store.LoadCandidates(ctx, tx, lock, read, lookups...); err != nil {
		return nil, err
	}
	flows, err := take()
	if err != nil {
		return nil, err
	}
	out := make(map[uuid.UUID][]pair, len(lookups))
	for n, l := range lookups {
		if l.Beneficiary.ID == uuid.Nil || !by.Scope().Owns(l.Beneficiary.EnvironmentID) {
			return nil, apierr.InvalidField(fmt.Sprintf("user_ids[%d]", n), reasonUserUnknown, "there is no such user").With("user", a.UserIDs[n].String())
		}
		for e, entitlement := range a.EntitlementIDs {
			i := slices.IndexFunc(l.Candidates, func(c store.Candidate) bool { return c.EntitlementID == entitlement && c.Visible })
			if i < 0 {
				return nil, apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", e), "ENTITLEMENT_UNKNOWN", "there is no such entitlement for %s", l.Beneficiary.Name).
					With("entitlement", entitlement.String()).With("user", l.BeneficiaryID.String())
			}
			p := pair{user: l.Beneficiary, candidate: l.Candidates[i]}
			p.skip, p.refusal = flows.assign(by, n, &submissions[n], l, p.candidate, now)
			out[l.BeneficiaryID] = append(out[l.BeneficiaryID], p)
		}
		refuseMixed(out[l.BeneficiaryID], a.EntitlementIDs)
	}
	return out, nil
}

// assign says why one entitlement of a person is left out of an assignment, or refuses
// all of it. person is their place in it.
func (r rules) assign(by authz.Caller, person int, s *Submission, l *store.Lookup, c store.Candidate, now time.Time) (lifecycle.Refusal, *apierr.Error) {
	u := l.Beneficiary
	field := fmt.Sprintf("user_ids[%d]", person)
	decision := r.decide(s, l, c, now)
	with := func(e *apierr.Error) *apierr.Error {
		return e.With("user", u.ID.String()).With("entitlement", c.EntitlementID.String())
	}
	switch {
	case u.ID == by.UserID, u.AccountableID.UUID == by.UserID && u.AccountableID.Valid:
		return "", with(apierr.Denied("SELF_ASSIGNMENT", "nobody assigns access to themselves, or to what they answer for").
			WithField(field, "SELF_ASSIGNMENT", "nobody assigns access to themselves, or to what they answer for"))
	case u.State != "active":
		return "", with(apierr.Precondition("BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State).
			WithField(field, "BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State))
	case !by.Scope().Owns(c.AppEnvironmentID):
		return "", with(apierr.Denied("APP_OF_ORGANIZATION", "%s belongs to the organization, whose admins assign it", c.AppName))
	case !r.mayAsk(by, l, c, decision):
		return "", with(apierr.Denied("NOT_FOR_OTHERS", "a flow says who asks for %s: %s, and you do not", c.AppName, c.Name))
	}
	switch why := refuse(s, c, decision); why {
	case "":
		return "", nil
	case lifecycle.AlreadyRequested, lifecycle.AlreadyHeld:
		return why, nil
	default:
		e := refused(why, c, decision.Over)
		for i := range e.Fields {
			if e.Fields[i].Field == "beneficiary_id" {
				e.Fields[i].Field = field // as it is called here
			}
		}
		return "", with(e)
	}
}

// refuseMixed refuses the first entitlement of a person whose app is of another
// environment than those before it: one request is for apps of one environment.
func refuseMixed(pairs []pair, entitlements []uuid.UUID) {
	var candidates []store.Candidate
	var places []int
	for n, p := range pairs {
		if p.skip == "" && p.refusal == nil {
			candidates, places = append(candidates, p.candidate), append(places, n)
		}
	}
	if len(candidates) == 0 {
		return
	}
	if _, mixed := environmentOf(pairs[0].user, candidates); mixed >= 0 {
		n := places[mixed]
		pairs[n].refusal = apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", slices.Index(entitlements, candidates[mixed].EntitlementID)), "ENVIRONMENTS_MIXED",
			"one request is for apps of one environment; please assign them apart").With("user", pairs[n].user.ID.String())
	}
}
