package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Draft is a flow that is not saved.
type Draft struct {
	// ID is that of the flow that it would replace; empty for a new one, which
	// EnvironmentID would own, or with an empty one the caller's scope.
	ID, EnvironmentID string
	Flow              lifecycle.Flow
}

// Bounds of what is looked at to try a flow.
const (
	maxTried     = 20_000 // people, and entitlements
	maxReplayed  = 1000   // requests
	maxReplies   = 100    // items that are shown
	replayAtOnce = 200
	shownOfStep  = 20
)

// draft is a draft as it would be saved by somebody, and the scope of its owner. It is
// checked as if it were saved.
func (c *Commands) draft(ctx context.Context, s scope.Scope, by *eventv1.Actor, d Draft) (lifecycle.Flow, scope.Scope, error) {
	f, owner, err := c.asSaved(ctx, s, by, d)
	if e, ok := apierr.From(err); ok {
		in := *e
		in.Fields = slices.Clone(e.Fields)
		for i := range in.Fields {
			in.Fields[i].Field = "draft." + in.Fields[i].Field
		}
		err = &in
	}
	return f, owner, err
}

func (c *Commands) asSaved(ctx context.Context, s scope.Scope, by *eventv1.Actor, d Draft) (f lifecycle.Flow, owner scope.Scope, err error) {
	f, owner = d.Flow, s
	var before lifecycle.Flow
	switch {
	case d.ID != "":
		if before, owner, err = c.ownedFlow(ctx, s, d.ID); err != nil {
			return f, owner, err
		}
		f.ID, f.EnvironmentID, f.CreateTime, f.Version = before.ID, before.EnvironmentID, before.CreateTime, before.Version+1
		f.EditorIDs = slices.Clone(before.EditorIDs)
	case d.EnvironmentID != "":
		environment, err := uuid.Parse(d.EnvironmentID)
		if err != nil || !s.Owns(environment) {
			return f, owner, invalidFlow([]lifecycle.Problem{environmentUnknown})
		}
		owner.EnvironmentID = environment
		fallthrough
	default:
		f.ID, f.CreateTime, f.Version = newID(), c.Clock.Now(), 1
		if !owner.Whole() {
			f.EnvironmentID = owner.EnvironmentID.String()
		}
	}
	if !slices.Contains(f.EditorIDs, by.GetId()) {
		f.EditorIDs = append(f.EditorIDs, by.GetId())
	}
	return f, owner, c.checkFlow(ctx, owner, f, before)
}

// PreviewFlow says what saving a draft would mean.
func (c *Commands) PreviewFlow(ctx context.Context, s scope.Scope, by *eventv1.Actor, d Draft) (*approvalv1.PreviewFlowResponse, error) {
	f, owner, err := c.draft(ctx, s, by, d)
	if err != nil {
		return nil, err
	}
	out := &approvalv1.PreviewFlowResponse{}
	err = c.DB.InRead(ctx, owner, func(ctx context.Context, tx *postgres.Tx) error {
		audience, err := c.Store.Audience(ctx, tx, s.OrganizationID, f, maxTried+1)
		if err != nil {
			return err
		}
		all, err := c.Store.Catalog(ctx, tx, s.OrganizationID, f.EnvironmentID, maxTried+1)
		if err != nil {
			return err
		}
		out.Truncated = len(audience) > maxTried || len(all) > maxTried
		audience, all = audience[:min(len(audience), maxTried)], all[:min(len(all), maxTried)]
		catalog := slices.DeleteFunc(all, func(it store.CatalogItem) bool { return !f.Scope.Covers(it.Item) })
		out.AudienceCount, out.EntitlementCount = int32(len(audience)), int32(len(catalog)) //nolint:gosec // at most maxTried
		others, err := c.Store.RequestFlows(ctx, tx, s.OrganizationID)
		if err != nil {
			return err
		}
		people := postgres.Column(audience, func(m store.AudienceMember) lifecycle.Member { return m.Member })
		items := postgres.Column(catalog, func(it store.CatalogItem) flow.Item { return it.Item })
		if err := c.hideOthers(ctx, tx, owner, others); err != nil { // no names of others in what is compared
			return err
		}
		for _, t := range lifecycle.Ties(f, others, people, items) {
			name := audience[slices.IndexFunc(audience, func(m store.AudienceMember) bool { return m.ID == t.Member.ID })].Name
			out.Ties = append(out.Ties, &approvalv1.FlowTie{
				FlowId: t.ID, FlowName: t.Name, OtherDecides: t.OtherDecides, ExampleEntitlement: nameOf(t.Item),
				ExampleUser: convert.Person(lifecycle.Person{ID: t.Member.ID, Name: name, Email: t.Member.Email}),
			})
		}
		return c.reach(ctx, tx, s.OrganizationID, f, audience, catalog, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// nameOf is an item as it is shown.
func nameOf(it flow.Item) string { return it.AppName + ": " + it.EntitlementName }

// reach adds to a preview whom each step would ask.
func (c *Commands) reach(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, audience []store.AudienceMember, catalog []store.CatalogItem, out *approvalv1.PreviewFlowResponse) error {
	var apps, managed []lifecycle.Subject
	for _, it := range catalog {
		if n := len(apps); n == 0 || apps[n-1].Item.AppID != it.AppID {
			apps = append(apps, lifecycle.Subject{
				Name: it.AppName, Item: lifecycle.Item{Item: flow.Item{AppID: it.AppID}}, Request: lifecycle.Request{EnvironmentID: it.EnvironmentID},
			})
		}
	}
	for _, m := range audience {
		managed = append(managed, lifecycle.Subject{Name: m.Name, Request: lifecycle.Request{
			EnvironmentID: m.EnvironmentID, Parties: lifecycle.Parties{Beneficiary: lifecycle.Person{ID: m.ID, Name: m.Name}},
		}})
	}
	all := make(map[string]bool)
	for _, spec := range f.Steps {
		var q store.PeopleQuery
		subjects := []lifecycle.Subject{{Request: lifecycle.Request{EnvironmentID: f.EnvironmentID}}}
		switch spec.Reviewers {
		case lifecycle.Manager, lifecycle.ManagersManager:
			q.ManagersOf, subjects = postgres.Column(audience, func(m store.AudienceMember) string { return m.ID }), managed
		case lifecycle.NamedUsers:
			q.UserIDs = spec.UserIDs
		case lifecycle.NamedGroups:
			q.GroupIDs = spec.GroupIDs
		default:
			q.AppIDs, subjects = postgres.Column(apps, func(s lifecycle.Subject) string { return s.Item.AppID }), apps
		}
		people := store.NewPeople()
		if err := c.Store.LoadPeople(ctx, tx, organizationID, people, q); err != nil {
			return err
		}
		r := lifecycle.ReachOf(spec, subjects, *people)
		for _, p := range r.Reviewers {
			all[p.ID] = true
		}
		out.Steps = append(out.Steps, &approvalv1.FlowStepPreview{
			Name: spec.Name, ReviewerCount: int32(len(r.Reviewers)), Reviewers: convert.People(r.Reviewers[:min(len(r.Reviewers), shownOfStep)]), //nolint:gosec // people of one organization
			NobodyFor: withoutEmpty(r.Nobody[:min(len(r.Nobody), shownOfStep)]), NobodyCount: int32(len(r.Nobody)), //nolint:gosec // as many as were looked at
			SingleFor: withoutEmpty(r.Single[:min(len(r.Single), shownOfStep)]), SingleCount: int32(len(r.Single)), //nolint:gosec // as many as were looked at
		})
	}
	out.NotifiedCount = int32(len(all)) //nolint:gosec // people of one organization
	return nil
}

func withoutEmpty(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
}

// Simulation is an imagined request.
type Simulation struct {
	Draft                      *Draft
	RequesterID, BeneficiaryID string
	Kind                       lifecycle.Kind
	EntitlementIDs             []string
	CreateTime, Until          time.Time // zero: now, and permanent
	Justification              string
	Fields                     map[string]string
}

// SimulateFlows decides an imagined request.
func (c *Commands) SimulateFlows(ctx context.Context, s scope.Scope, by *eventv1.Actor, m Simulation) ([]*approvalv1.SimulatedItem, error) {
	if m.CreateTime.IsZero() {
		m.CreateTime = c.Clock.Now()
	}
	if m.RequesterID == "" {
		m.RequesterID = m.BeneficiaryID
	}
	if !m.Until.IsZero() && !m.Until.After(m.CreateTime) {
		return nil, apierr.InvalidField("until", "END_BEFORE_START", "the access ends after it was asked for")
	}
	var draft *lifecycle.Flow
	if m.Draft != nil {
		f, _, err := c.draft(ctx, s, by, *m.Draft)
		if err != nil {
			return nil, err
		}
		draft = &f
	}
	r, err := c.imagine(ctx, s, m)
	if err != nil {
		return nil, err
	}
	var out []*approvalv1.SimulatedItem
	err = c.DB.InOrganizationRead(ctx, s.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		in := convert.Submission(r)
		in.RequestID = "" // it is not submitted
		people, err := c.Store.LoadSubmissions(ctx, tx, s.OrganizationID, []*store.Submission{in})
		if err != nil {
			return err
		}
		if !in.Known {
			return apierr.Unavailable(copies.ReasonNotKnownYet, fmt.Errorf("an app or one of its people is not known"))
		}
		flows := in.Flows
		if !s.Whole() { // those of other environments are about nobody here, and are not told of
			flows = slices.DeleteFunc(slices.Clone(flows), func(f lifecycle.Flow) bool {
				return f.EnvironmentID != "" && f.EnvironmentID != s.EnvironmentID.String()
			})
		}
		if draft != nil {
			flows = lifecycle.WithDraft(flows, *draft)
		}
		// Who asks is looked at as what they are to the beneficiary and the apps.
		if err := c.Store.LoadPeople(ctx, tx, s.OrganizationID, people, store.PeopleQuery{UserIDs: []string{m.RequesterID}}); err != nil {
			return err
		}
		request := requestOf(in, r, people)
		routes, err := c.routes(ctx, tx, s.OrganizationID, people, withoutLimits(request), flows, m.CreateTime)
		if err != nil {
			return err
		}
		out = nil
		for n, it := range request.Items {
			d := request.Decide(flows, it)
			item := &approvalv1.SimulatedItem{EntitlementId: it.EntitlementID, Name: nameOf(it.Item), Refusal: string(d.Refusal), RefusalText: refusalText(d)}
			if d.Flow != nil {
				item.FlowId, item.FlowName, item.ByDraft = savedID(*d.Flow, m.Draft, draft), d.Flow.Name, draft != nil && d.Flow.ID == draft.ID
			}
			if !request.MayAsk(d.Flow, it, *people) {
				item.Refusal, item.RefusalText = "NOT_FOR_OTHERS", "who asks does not ask for others by this flow"
				if m.RequesterID == m.BeneficiaryID {
					item.Refusal, item.RefusalText = "NOT_FOR_ONESELF", "by this flow others ask for somebody"
				}
			}
			if item.GetRefusal() == "" {
				item.Route = routes[n]
			}
			for _, f := range lifecycle.Consider(flows, request, it) {
				item.Considered = append(item.Considered, &approvalv1.ConsideredFlow{
					FlowId: savedID(f.Flow, m.Draft, draft), FlowName: f.Name, Draft: draft != nil && f.ID == draft.ID, Priority: f.Priority, Mismatch: f.Mismatch,
				})
			}
			out = append(out, item)
		}
		return nil
	})
	return out, err
}

// savedID is the id of a flow, or none for a draft of a new one.
func savedID(f lifecycle.Flow, d *Draft, draft *lifecycle.Flow) string {
	if draft != nil && f.ID == draft.ID && d.ID == "" {
		return ""
	}
	return f.ID
}

func refusalText(d flow.Decision[lifecycle.Flow]) string {
	switch {
	case d.Refusal == "":
		return ""
	case len(d.Over) > 0:
		return "it can be requested " + d.Over[0].Text
	case d.Refusal == flow.ConditionFailed:
		return "the condition of the flow whose turn it is cannot be evaluated"
	case d.Refusal == flow.NotCovered:
		return "the app is closed to what no flow covers"
	}
	return "flows give it to others only"
}

func withoutLimits(r lifecycle.Request) lifecycle.Request {
	r.Imagined = true
	return r
}

// imagine makes the request of a simulation, of what the scope sees.
func (c *Commands) imagine(ctx context.Context, s scope.Scope, m Simulation) (r *requestv1.Request, err error) {
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		people, err := c.Store.Members(ctx, tx, []string{m.RequesterID, m.BeneficiaryID})
		if err != nil {
			return err
		}
		requester, known := people[m.RequesterID]
		if !known {
			return apierr.InvalidField("requester_id", "USER_UNKNOWN", "there is no such user")
		}
		beneficiary, known := people[m.BeneficiaryID]
		if !known {
			return apierr.InvalidField("beneficiary_id", "USER_UNKNOWN", "there is no such user")
		}
		environment := beneficiary.EnvironmentID
		items, err := c.Store.CatalogItems(ctx, tx, s.OrganizationID, environment, m.EntitlementIDs)
		if err != nil {
			return err
		}
		r = &requestv1.Request{
			OrganizationId: s.OrganizationID.String(), Kind: convert.RequestKind(m.Kind), CreateTime: timestamppb.New(m.CreateTime), Justification: m.Justification,
			Requester:   convert.Person(lifecycle.Person{ID: requester.ID, Name: requester.Name, Email: requester.Email}),
			Beneficiary: convert.Person(lifecycle.Person{ID: beneficiary.ID, Name: beneficiary.Name, Email: beneficiary.Email}),
		}
		if !m.Until.IsZero() {
			r.Until = timestamppb.New(m.Until)
		}
		for k, v := range m.Fields {
			r.Fields = append(r.Fields, &requestv1.RequestField{Key: k, Value: v})
		}
		for n, id := range m.EntitlementIDs {
			it, known := items[id]
			if !known {
				return apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", n), "ENTITLEMENT_UNKNOWN", "there is no such entitlement for %s", beneficiary.Name)
			}
			item, err := convert.ImaginedItem(it)
			if err != nil {
				return err
			}
			r.Items = append(r.Items, item)
			if environment == "" { // as request has it: the beneficiary's, or that of the apps
				environment = it.EnvironmentID
			}
		}
		r.EnvironmentId = environment
		return nil
	})
	return r, err
}

// ReplayFlow decides real requests once more, as flows are and as they would be with a
// draft.
func (c *Commands) ReplayFlow(ctx context.Context, s scope.Scope, by *eventv1.Actor, d Draft, days int) (*approvalv1.ReplayFlowResponse, error) {
	f, _, err := c.draft(ctx, s, by, d)
	if err != nil {
		return nil, err
	}
	if f.Trigger == lifecycle.OnJoin {
		return nil, apierr.InvalidField("draft.flow.trigger", "NOT_FOR_JOIN", "nobody asks by a join-flow; a preview of its change says whom it would match")
	}
	var records []*store.Record
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) (err error) {
		records, err = c.Store.Since(ctx, tx, s.OrganizationID, firstID(c.Clock.Now().AddDate(0, 0, -days)), maxReplayed+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &approvalv1.ReplayFlowResponse{Truncated: len(records) > maxReplayed}
	records = records[:min(len(records), maxReplayed)]
	for chunk := range slices.Chunk(records, replayAtOnce) {
		err := c.DB.InOrganizationRead(ctx, s.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			return c.replay(ctx, tx, s.OrganizationID, f, chunk, out)
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// firstID is the first id that can be made at a time, as ids begin with it.
func firstID(t time.Time) (id uuid.UUID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(t.UnixMilli(), 0))) //nolint:gosec // not negative
	copy(id[:6], ms[2:])
	return id
}

// replay adds what of some requests would be decided otherwise.
func (c *Commands) replay(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, draft lifecycle.Flow, records []*store.Record, out *approvalv1.ReplayFlowResponse) error {
	var requests []*requestv1.Request
	var submissions []*store.Submission
	var approvals []*lifecycle.Approval
	for _, rec := range records {
		r, err := convert.DecodeRequest(rec.Request)
		if err != nil {
			return err
		}
		if convert.ByJoinFlow(r) || convert.ByAssignment(r) {
			continue // no flow was asked
		}
		in := convert.Submission(r)
		in.RequestID, in.GivenRequestID = "", ""
		requests, submissions, approvals = append(requests, r), append(submissions, in), append(approvals, rec.Approval)
	}
	if len(submissions) == 0 {
		return nil
	}
	people, err := c.Store.LoadSubmissions(ctx, tx, organizationID, submissions)
	if err != nil {
		return err
	}
	for n, r := range requests {
		in := submissions[n]
		if !in.Known {
			continue
		}
		out.RequestCount++
		out.ItemCount += int32(len(r.GetItems())) //nolint:gosec // at most 50
		request := requestOf(in, r, people)
		changed := make([]bool, len(request.Items))
		flows := lifecycle.WithDraft(in.Flows, draft)
		for i, it := range request.Items {
			before, after := request.Decide(in.Flows, it), request.Decide(flows, it)
			changed[i] = idOf(before.Flow) != idOf(after.Flow) || before.Refusal != after.Refusal || idOf(after.Flow) == draft.ID
		}
		if !slices.Contains(changed, true) {
			continue
		}
		before, err := c.replayed(ctx, tx, organizationID, people, request, in.Flows)
		if err != nil {
			return err
		}
		after, err := c.replayed(ctx, tx, organizationID, people, request, flows)
		if err != nil {
			return err
		}
		for i, it := range request.Items {
			if !changed[i] || convert.SameDecision(before[i], after[i]) {
				continue
			}
			out.ChangedCount++
			if len(out.Items) < maxReplies {
				outcome, decided := approvals[n].Outcome(r.GetItems()[i].GetId())
				out.Items = append(out.Items, &approvalv1.ReplayedItem{
					RequestId: r.GetId(), Kind: r.GetKind(), Beneficiary: r.GetBeneficiary(), Name: nameOf(it.Item), CreateTime: r.GetCreateTime(),
					Outcome: string(outcome), DecidedBy: convert.People(decided[:min(len(decided), shownOfStep)]), Before: before[i], After: after[i],
				})
			}
		}
	}
	return nil
}

func idOf(f *lifecycle.Flow) string {
	if f == nil {
		return ""
	}
	return f.ID
}

// replayed is how flows decide the items of a request.
func (c *Commands) replayed(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, people *lifecycle.People, request lifecycle.Request, flows []lifecycle.Flow) ([]*approvalv1.ReplayedDecision, error) {
	routes, err := c.routes(ctx, tx, organizationID, people, withoutLimits(request), flows, request.CreateTime)
	if err != nil {
		return nil, err
	}
	out := make([]*approvalv1.ReplayedDecision, len(request.Items))
	for i, it := range request.Items {
		d := request.Decide(flows, it)
		out[i] = &approvalv1.ReplayedDecision{Refusal: string(d.Refusal)}
		if d.Flow != nil {
			out[i].FlowName = d.Flow.Name
		}
		if d.Refusal == "" {
			out[i].Route = routes[i]
		}
	}
	return out, nil
}
