package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/wire"

	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Submission is what is known when a request is submitted.
type Submission struct {
	Request *requestv1.Request
	// Heard says that the request was heard of before: it has an approval, or
	// was taken back.
	Heard bool
	// TakenBack says that it was taken back before it was heard of, and Version
	// is that of the row that says so.
	TakenBack bool
	Version   int64
	// Flows are those that decide requests, or the join-flow that asked.
	Flows []lifecycle.Flow
	// Known says whether the beneficiary and every app is known here.
	Known bool
	// Member is the beneficiary as audiences see them.
	Member lifecycle.Member
	// People has the apps, and nobody yet. Submissions that are read together
	// share it.
	People *lifecycle.People
}

// LoadSubmissions reads what the approvals of requests of an organization are
// planned from, in one round trip, or two if a flow was never read before.
func (s *Store) LoadSubmissions(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, requests []*requestv1.Request) ([]*Submission, error) {
	people := newPeople()
	out := make([]*Submission, len(requests))
	byRequest := make(map[string]*Submission, len(requests))
	var ids, beneficiaries, apps []string
	var joined []flowKey
	asked := false
	for i, r := range requests {
		out[i] = &Submission{Request: r, People: people}
		byRequest[r.GetId()] = out[i]
		ids = append(ids, r.GetId())
		beneficiaries = append(beneficiaries, r.GetBeneficiary().GetUserId())
		apps = append(apps, wire.AppIDs(r)...)
		switch {
		case r.GetOrigin() != requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN:
			asked = true
		case r.GetFlowId() != "":
			joined = append(joined, flowKey{r.GetFlowId(), r.GetFlowVersion()})
		}
	}

	b := &pgx.Batch{}
	b.Queue(`
select request_id, request is not null, version from approval where request_id = any ($1) order by request_id for update`, ids).Query(func(rows pgx.Rows) error {
		var request string
		var whole bool
		var version int64
		_, err := pgx.ForEachRow(rows, []any{&request, &whole, &version}, func() error {
			in := byRequest[request]
			in.Heard, in.TakenBack, in.Version = true, !whole, version
			return nil
		})
		return err
	})
	var current []flowKey
	if asked {
		b.Queue(`select id, version from flow where organization_id = $1 and trigger = 'request' and enabled`, organizationID).Query(func(rows pgx.Rows) (err error) {
			current, err = pgx.CollectRows(rows, scanFlowKey)
			return err
		})
	}
	members := make(map[string]lifecycle.Member, len(requests))
	b.Queue(`
select id, state = 'active' from user_copy where id = any ($1)`, beneficiaries).Query(func(rows pgx.Rows) error {
		var m lifecycle.Member
		_, err := pgx.ForEachRow(rows, []any{&m.ID, &m.Active}, func() error { members[m.ID] = m; return nil })
		return err
	})
	groups := make(map[string][]string)
	queueGroups(b, groups, beneficiaries...)
	queueApps(b, people, apps)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("load what requests need: %w", err)
	}

	flows, err := s.flowsOf(ctx, tx, organizationID, append(joined, current...))
	if err != nil {
		return nil, err
	}
	rules := func(keys ...flowKey) (list []lifecycle.Flow) {
		for _, k := range keys {
			if f, ok := flows[k]; ok {
				list = append(list, f.rules)
			}
		}
		return list
	}
	deciding := rules(current...)
	for _, in := range out {
		r := in.Request
		in.Member, in.Known = members[r.GetBeneficiary().GetUserId()]
		in.Member.GroupIDs = groups[in.Member.ID]
		for _, app := range wire.AppIDs(r) {
			if _, ok := people.Apps[app]; !ok {
				in.Known = false
			}
		}
		in.Flows = deciding
		if r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
			in.Flows = rules(flowKey{r.GetFlowId(), r.GetFlowVersion()})
		}
	}
	return out, nil
}
