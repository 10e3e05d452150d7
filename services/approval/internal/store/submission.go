package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Submission is a request that was submitted: what names what must be known of
// it, and what is.
type Submission struct {
	RequestID     string // empty if it is not submitted, but looked at
	EnvironmentID string // empty if the organization's own
	RequesterID   string // empty if a join-flow requested
	BeneficiaryID string
	AppIDs        []string
	// JoinFlow is the version of the join-flow that requested, if one did.
	JoinFlow *FlowVersion
	// JoinCount and MatchCount say which match of it requested; 0 if that is not known.
	JoinCount, MatchCount int32
	// GivenRequestID is the request that gave what is to be taken away; empty if that is
	// not known.
	GivenRequestID string

	// Assigned says that the requester assigned it, RequesterVersion the version of the
	// requester then.
	Assigned         bool
	RequesterVersion int64

	// Exists says that the request has an approval already, and
	// CancelledEarly that this only says that it was cancelled before it was
	// submitted here. Version is that of the approval.
	Exists, CancelledEarly bool
	Version                int64
	// Flows are those that decide requests.
	Flows []lifecycle.Flow
	// JoinFlows has the join-flow that requested, if that is known.
	JoinFlows []lifecycle.Flow
	// Given is the approval of what is to be taken away, if there is one.
	Given *lifecycle.Approval
	// Known says that requester, beneficiary and every app are known here, and the
	// requester in RequesterVersion or a later one.
	Known bool
	// AccountableIDs are who answers for requester and beneficiary, if they are
	// services or agents.
	AccountableIDs []string
	// Member is the beneficiary, and Asker the requester, as audiences and conditions see
	// them.
	Member, Asker lifecycle.Member
	// Assigner is the requester of what was assigned.
	Assigner lifecycle.User
}

// parties are beneficiary and requester, who may be the same.
func (s *Submission) parties() []string {
	if s.RequesterID == "" {
		return []string{s.BeneficiaryID}
	}
	return unique([]string{s.BeneficiaryID, s.RequesterID})
}

const (
	lockSubmitted = `
select request_id, organization_id, environment_id, request, state, data from approval where request_id = any ($1) order by request_id for update`
	selectGiven = `
select request_id, organization_id, environment_id, request, state, data from approval where request_id = any ($1)`
	selectParties = `
select u.id, coalesce(u.accountable_user_id::text, ''), u.state = 'active', u.email, ` + factFields + ` from user_copy u where u.id = any ($1)`
	selectAnswering = `
select u.accountable_user_id from user_copy u where u.id = $1 and u.accountable_user_id is not null`
	// Whether they still are what they were is read when it counts.
	selectAssigners = `
select u.version, ` + userFields + ` from user_copy u where u.id = any ($1)`
	selectRequestFlows = `
select id, version from flow where organization_id = $1 and trigger = 'request' and enabled`
)

// LoadSubmissions reads what the approvals of requests of an organization are
// planned from, in one round trip, or two if a flow was never read before. It
// returns the apps with their people, and the beneficiaries with their managers.
func (s *Store) LoadSubmissions(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, list []*Submission) (*lifecycle.People, error) {
	people := NewPeople()
	byRequest := make(map[string]*Submission, len(list))
	var ids, parties, beneficiaries, apps, environments []string
	var joined []FlowVersion
	var assigners, given []string
	for _, in := range list {
		byRequest[in.RequestID] = in
		beneficiaries, apps = append(beneficiaries, in.BeneficiaryID), append(apps, in.AppIDs...)
		if in.RequestID != "" {
			ids = append(ids, in.RequestID)
		}
		parties, environments = append(parties, in.parties()...), append(environments, in.EnvironmentID)
		if in.JoinFlow != nil {
			joined = append(joined, *in.JoinFlow)
		}
		if in.Assigned {
			assigners = append(assigners, in.RequesterID)
		}
		if in.GivenRequestID != "" {
			given = append(given, in.GivenRequestID)
		}
	}
	beneficiaries = unique(beneficiaries)

	b := &pgx.Batch{}
	if len(ids) > 0 { // else it is only imagined, and nothing may be locked
		b.Queue(lockSubmitted, ids).Query(func(rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, scanApproval)
			for _, r := range found {
				in := byRequest[r.RequestID]
				in.Exists, in.CancelledEarly, in.Version = true, r.Request == nil, r.Version
			}
			return err
		})
	}
	gave := make(map[string]*lifecycle.Approval, len(given))
	if len(given) > 0 {
		b.Queue(selectGiven, unique(given)).Query(func(rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, scanApproval)
			for _, r := range found {
				gave[r.RequestID] = r.Approval
			}
			return err
		})
	}
	var current []FlowVersion
	b.Queue(selectRequestFlows, organizationID).Query(func(rows pgx.Rows) (err error) {
		current, err = pgx.CollectRows(rows, pgx.RowToStructByPos[FlowVersion])
		return err
	})
	accountable := make(map[string]string, len(parties))
	members := make(map[string]lifecycle.Member, len(parties))
	b.Queue(selectParties, unique(parties)).Query(func(rows pgx.Rows) error {
		var m lifecycle.Member
		var person string
		var home uuid.UUID
		_, err := pgx.ForEachRow(rows, append([]any{&m.ID, &person, &m.Active, &m.Email}, factTargets(&m, &home)...), func() error {
			m.EnvironmentID = environmentID(home)
			accountable[m.ID], members[m.ID] = person, m
			return nil
		})
		return err
	})
	assigning := make(map[string]lifecycle.User, len(assigners))
	versions := make(map[string]int64, len(assigners))
	if len(assigners) > 0 {
		b.Queue(selectAssigners, unique(assigners)).Query(func(rows pgx.Rows) error {
			var version int64
			var u lifecycle.User
			var environment uuid.UUID
			_, err := pgx.ForEachRow(rows, append([]any{&version}, userTargets(&u, &environment)...), func() error {
				u.EnvironmentID = environmentID(environment)
				assigning[u.ID], versions[u.ID] = u, version
				return nil
			})
			return err
		})
	}
	queueManagers(b, people, beneficiaries)
	groups := make(map[string][]string)
	b.Queue(selectGroups, unique(parties)).Query(collectGroups(groups))
	queueApps(b, people, unique(apps))
	queueWorkingTime(b, people, organizationID, environments)
	s.queueAbsences(b, people, organizationID)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("load submitted requests: %w", err)
	}

	flows, err := s.flowVersions(ctx, tx, organizationID, append(joined, current...))
	if err != nil {
		return nil, err
	}
	named := func(versions ...FlowVersion) (out []lifecycle.Flow) {
		for _, v := range versions {
			if f, ok := flows[v]; ok {
				out = append(out, f)
			}
		}
		return out
	}
	deciding := named(current...)
	for _, in := range list {
		in.Member, in.Known = members[in.BeneficiaryID]
		in.Member.GroupIDs = groups[in.BeneficiaryID]
		in.Asker = members[in.RequesterID]
		in.Asker.GroupIDs = groups[in.RequesterID]
		for _, id := range in.parties() {
			person, known := accountable[id]
			in.Known = in.Known && known
			if person != "" {
				in.AccountableIDs = append(in.AccountableIDs, person)
			}
		}
		for _, app := range in.AppIDs {
			if _, ok := people.Apps[app]; !ok {
				in.Known = false
			}
		}
		if in.Assigned {
			in.Assigner = assigning[in.RequesterID]
			in.Known = in.Known && versions[in.RequesterID] >= in.RequesterVersion
		}
		for _, app := range in.AppIDs {
			in.Known = in.Known && people.KnowsAll(people.Apps[app].People())
		}
		in.Flows, in.Given = deciding, gave[in.GivenRequestID]
		if in.JoinFlow != nil {
			in.JoinFlows = named(*in.JoinFlow)
		}
	}
	return people, nil
}
