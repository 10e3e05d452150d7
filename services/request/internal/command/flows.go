package command

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// flowCache remembers flows, so that each version is read and decoded once.
// Which of them are current is not remembered.
type flowCache struct {
	mu             sync.Mutex
	byOrganization map[uuid.UUID]map[uuid.UUID]cachedFlow // the inner ones never change
}

type cachedFlow struct {
	version int64
	rule    convert.Flow
}

// maxCachedOrganizations bounds the cache: it begins again.
const maxCachedOrganizations = 4096

// read is what to read of an organization's flows; take, called afterwards, gives
// the rules.
func (c *flowCache) read(organization uuid.UUID) (what *store.Rules, take func() (rules, error)) {
	c.mu.Lock()
	had := c.byOrganization[organization]
	c.mu.Unlock()
	what = &store.Rules{OrganizationID: organization, Known: make(map[uuid.UUID]int64, len(had))}
	for id, f := range had {
		what.Known[id] = f.version
	}
	return what, func() (rules, error) {
		now := make(map[uuid.UUID]cachedFlow, len(what.Flows))
		out := rules{groups: what.Groups}
		changed := len(had) != len(what.Flows)
		for _, f := range what.Flows {
			kept := had[f.ID]
			if f.Data != nil {
				rule, err := convert.FlowRule(f.Data)
				if err != nil {
					return rules{}, err
				}
				kept, changed = cachedFlow{f.Version, rule}, true
			}
			now[f.ID] = kept
			out.flows = append(out.flows, kept.rule)
		}
		if changed {
			c.put(organization, now)
		}
		return out, nil
	}
}

func (c *flowCache) put(organization uuid.UUID, flows map[uuid.UUID]cachedFlow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byOrganization == nil || len(c.byOrganization) >= maxCachedOrganizations {
		c.byOrganization = make(map[uuid.UUID]map[uuid.UUID]cachedFlow)
	}
	c.byOrganization[organization] = maps.Clone(flows)
}

// rules are the flows that say who may request what, and who is in which groups.
type rules struct {
	flows  []convert.Flow
	groups map[uuid.UUID][]string
}

func ruleOf(f *convert.Flow) *flow.Rule { return &f.Rule }

// member is a user as flows see them.
func (r rules) member(u store.User) flow.Member {
	return flow.Member{
		ID: convert.ID(u.ID), EnvironmentID: convert.ID(u.EnvironmentID), Active: u.State == "active", GroupIDs: r.groups[u.ID],
		UserName: u.UserName, Email: u.Email, Department: u.Department, Title: u.Title, Kind: u.Kind,
	}
}

// item is an entitlement as flows see it.
func item(c store.Candidate) flow.Item {
	it := flow.Item{
		AppID: c.AppID.String(), EntitlementID: c.EntitlementID.String(), OfOrganization: c.AppEnvironmentID == uuid.Nil, OnlyByFlow: c.OnlyByFlow,
		AppName: c.AppName, Category: c.Category, Tags: c.Tags, EntitlementName: c.Name, EntitlementKind: c.EntitlementKind,
	}
	if c.Risk != "unspecified" {
		it.Risk = c.Risk
	}
	return it
}

// asked is a submission as flows see it.
func (r rules) asked(s *Submission, l *store.Lookup, now time.Time) flow.Request {
	q := flow.Request{
		Kind: flow.Kind(s.Kind), Beneficiary: r.member(l.Beneficiary), Requester: r.member(l.Requester), CreateTime: now,
		Justification: s.Justification, Fields: s.Fields, Unasked: s.Assigned,
	}
	if s.Until != nil {
		q.Until = *s.Until
	}
	return q
}

// decide says which flow decides an item of a submission, or why it is refused.
func (r rules) decide(s *Submission, l *store.Lookup, c store.Candidate, now time.Time) flow.Decision[convert.Flow] {
	return flow.Decide(r.flows, ruleOf, r.asked(s, l, now), item(c))
}

// refuse says why an item of a submission cannot be requested as things stand, or by
// what the flows say; empty if it can.
func refuse(s *Submission, c store.Candidate, d flow.Decision[convert.Flow]) lifecycle.Refusal {
	if why := c.Standing().Refuse(s.Kind, s.Until); why != "" {
		return why
	}
	switch requested := s.Kind == lifecycle.Grant && !s.Assigned; {
	case requested && c.Unlisted:
		return lifecycle.Unlisted
	case requested && !c.Described:
		return lifecycle.NotDescribed
	}
	return lifecycle.Refusal(d.Refusal)
}

// mayAsk reports whether the caller may request an item of a submission, by the
// flow that decides it or, where that says nothing and where there is none, by
// what holds in general.
func (r rules) mayAsk(by authz.Caller, l *store.Lookup, c store.Candidate, d flow.Decision[convert.Flow]) bool {
	var who *flow.Requesters
	if d.Flow != nil {
		who = d.Flow.Requesters
	}
	return who.Allow(flow.Requester{
		Member:        flow.Member{ID: by.UserID.String(), GroupIDs: r.groups[by.UserID]},
		IsBeneficiary: by.UserID == l.BeneficiaryID, Manages: l.Manages, RunsApp: c.Administered, Administers: by.Administers(),
	})
}

// lets reports whether a flow names a person, and does not only mean everyone.
func lets(f *convert.Flow, m flow.Member) bool {
	return f.Trigger == flow.OnRequest && f.Enabled && (f.EnvironmentID == "" || f.EnvironmentID == m.EnvironmentID) && f.Audience.Names(m)
}

// letIn reports whether the caller sees an entitlement: external users what they
// hold, what they run, and what a flow names them for. What is not listed exists for a
// request for access only for who sees the app.
func (r rules) letIn(by authz.Caller, kind lifecycle.Kind, u store.User, c store.Candidate) bool {
	if c.Unlisted && kind == lifecycle.Grant && !c.HasPlace && !by.SeesAll() {
		return false
	}
	if by.Role != authzv1.Caller_CALLER_EXTERNAL || c.Held || c.Administered {
		return true
	}
	m, it := r.member(u), item(c)
	for i := range r.flows {
		if f := &r.flows[i]; lets(f, m) && f.Scope.Covers(it) {
			return true
		}
	}
	return false
}

// hidden reports whether an entitlement is of an app that the caller does not see, as it is
// not listed, and is not held: what is held can be taken away by who may ask for that.
func hidden(by authz.Caller, c store.Candidate) bool {
	return c.Unlisted && !c.HasPlace && !c.Held && !by.SeesAll()
}

// catalogReader is what the caller sees of the catalog; nil for who sees all of it.
func (c *Commands) catalogReader(ctx context.Context, tx *postgres.Tx, by authz.Caller) (*store.Reader, error) {
	switch {
	case by.SeesAll():
		return nil, nil
	case by.Role != authzv1.Caller_CALLER_EXTERNAL:
		return &store.Reader{UserID: by.UserID}, nil
	}
	read, take := c.flows.read(by.OrganizationID)
	read.UserIDs = []uuid.UUID{by.UserID}
	u, err := store.LoadRules(ctx, tx, read, by.UserID)
	if err != nil {
		return nil, err
	}
	found, err := take()
	if err != nil {
		return nil, err
	}
	g, m := &store.Reader{UserID: by.UserID, Guest: true}, found.member(u)
	for i := range found.flows {
		f := &found.flows[i]
		if !lets(f, m) {
			continue
		}
		if len(f.Scope.Categories)+len(f.Scope.Risks) > 0 {
			if err := store.AddScope(ctx, tx, by.OrganizationID, f.Scope, g); err != nil {
				return nil, err
			}
			continue
		}
		g.Any = g.Any || f.Scope.Any
		g.AppIDs = append(g.AppIDs, convert.ParseIDs(f.Scope.AppIDs)...)
		g.EntitlementIDs = append(g.EntitlementIDs, convert.ParseIDs(f.Scope.EntitlementIDs)...)
	}
	return g, nil
}
