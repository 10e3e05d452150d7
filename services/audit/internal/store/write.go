package store

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/audit/internal/entry"
)

// Entry is one event to be written down.
type Entry struct {
	EventID, OrganizationID uuid.UUID
	// Aggregate and Name make "<aggregate>.<name>".
	Aggregate, Name string
	// Time is when it happened.
	Time time.Time
	entry.Facts
}

// An entry that is there already is left as it is, with its requests. Positions
// are given out in the order of the entries.
const write = `
with written as (
	insert into audit_entry (event_id, organization_id, aggregate, name, event_time, record_time,
		actor_kind, actor_id, actor_name, user_id, app_id, request_ids, summary, data, environment_id)
	select e.event_id, e.organization_id, e.aggregate, e.name, e.event_time, $1,
		e.actor_kind, e.actor_id, e.actor_name, e.user_id, e.app_id, e.request_ids::uuid[], e.summary, e.data::json, e.environment_id
	from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[],
		$10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $18::uuid[]) with ordinality
		as e (event_id, organization_id, aggregate, name, event_time, actor_kind, actor_id, actor_name,
		user_id, app_id, request_ids, summary, data, environment_id, place)
	order by e.place
	on conflict (event_id) do nothing
	returning position, organization_id, request_ids
), party as (
	insert into request_party (request_id, user_id, organization_id)
	select p.request_id, p.user_id, p.organization_id from unnest($15::uuid[], $16::uuid[], $17::uuid[]) as p (request_id, user_id, organization_id)
	order by p.request_id, p.user_id
	on conflict (request_id, user_id) do nothing
)
insert into audit_entry_request (request_id, position, organization_id)
select r.request_id, w.position, w.organization_id from written w cross join lateral unnest(w.request_ids) as r (request_id)`

// Write writes entries down in their order, in one statement that goes with the
// commit. now is the time of writing. What is there already stays as it is.
func Write(tx *postgres.Tx, now time.Time, entries []Entry) {
	n := len(entries)
	var (
		events, organizations, users, apps     = ids(n), ids(n), ids(n), ids(n)
		aggregates, names                      = make([]string, n), make([]string, n)
		environments                           = make([]uuid.UUID, n)
		times                                  = make([]time.Time, n)
		actorKinds, actorIDs, actorNames       = make([]string, n), make([]string, n), make([]string, n)
		requests, summaries, data              = make([]string, n), make([]string, n), make([]string, n)
		partyOf, parties, partiesOrganizations = ids(0), ids(0), ids(0)
	)
	for i, e := range entries {
		events[i], organizations[i], users[i], apps[i] = id(e.EventID), id(e.OrganizationID), id(e.UserID), id(e.AppID)
		environments[i] = e.EnvironmentID
		aggregates[i], names[i], times[i] = e.Aggregate, e.Name, e.Time
		actorKinds[i], actorIDs[i], actorNames[i] = e.ActorKind, e.ActorID, e.ActorName
		requests[i], summaries[i], data[i] = postgres.IDs(e.RequestIDs), e.Summary, string(e.Data)
		for _, p := range e.Parties {
			partyOf, parties, partiesOrganizations = append(partyOf, id(e.PartyOf)), append(parties, id(p)), append(partiesOrganizations, id(e.OrganizationID))
		}
	}
	var b pgx.Batch
	b.Queue(write, now, events, organizations, aggregates, names, times, actorKinds, actorIDs, actorNames,
		users, apps, requests, summaries, data, partyOf, parties, partiesOrganizations, environments)
	tx.Later(&b)
}

// ids are UUIDs as the driver sends them without going by way of their text.
func ids(n int) pgtype.FlatArray[pgtype.UUID] { return make(pgtype.FlatArray[pgtype.UUID], n) }

// id is an id, or null for the nil id.
func id(u uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: u, Valid: u != uuid.Nil} }
