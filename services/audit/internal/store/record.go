package store

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/audit/internal/entry"
)

// An entry that is there already is left as it is, with its requests. Positions
// are given out in the order of the entries.
const record = `
with recorded as (
	insert into audit_entry (event_id, organization_id, environment_id, type, aggregate, name, event_time, record_time,
		actor_id, user_id, app_id, request_ids, data)
	select e.event_id, e.organization_id, e.environment_id, e.type, e.aggregate, e.name, e.event_time, $1,
		e.actor_id, e.user_id, e.app_id, e.request_ids::uuid[], e.data
	from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[],
		$10::uuid[], $11::uuid[], $12::text[], $13::bytea[]) with ordinality
		as e (event_id, organization_id, environment_id, type, aggregate, name, event_time, actor_id,
		user_id, app_id, request_ids, data, place)
	order by e.place
	on conflict (event_id) do nothing
	returning position, organization_id, request_ids
), party as (
	insert into request_party (request_id, user_id, organization_id)
	select p.request_id, p.user_id, p.organization_id from unnest($14::uuid[], $15::uuid[], $16::uuid[]) as p (request_id, user_id, organization_id)
	order by p.request_id, p.user_id
	on conflict (request_id, user_id) do nothing
)
insert into audit_entry_request (request_id, position, organization_id)
select r.request_id, w.position, w.organization_id from recorded w cross join lateral unnest(w.request_ids) as r (request_id)`

// Record records entries in their order, in one statement that goes with the
// commit. now is the time of recording. What is there already stays as it is.
func Record(tx *postgres.Tx, now time.Time, entries []entry.Entry) {
	n := len(entries)
	var (
		events, organizations, environments     = ids(n), ids(n), make([]uuid.UUID, n)
		types, aggregates, names                = make([]string, n), make([]string, n), make([]string, n)
		times                                   = make([]time.Time, n)
		actors                                  = make([]string, n)
		users, apps                             = ids(n), ids(n)
		requests                                = make([]string, n)
		data                                    = make([][]byte, n)
		partiesOf, parties, partiesOrganization = ids(0), ids(0), ids(0)
	)
	for i, e := range entries {
		events[i], organizations[i], environments[i] = id(e.EventID), id(e.OrganizationID), e.EnvironmentID
		types[i], aggregates[i], names[i], times[i] = e.Type, e.Aggregate, e.Name, e.Time
		actors[i], users[i], apps[i] = e.ActorID, id(e.UserID), id(e.AppID)
		requests[i], data[i] = postgres.IDs(e.RequestIDs), e.Data
		if data[i] == nil {
			data[i] = []byte{} // nil is null
		}
		for _, p := range e.Parties {
			partiesOf, parties, partiesOrganization = append(partiesOf, id(e.PartiesOf)), append(parties, id(p)), append(partiesOrganization, id(e.OrganizationID))
		}
	}
	var b pgx.Batch
	b.Queue(record, now, events, organizations, environments, types, aggregates, names, times, actors,
		users, apps, requests, data, partiesOf, parties, partiesOrganization)
	tx.Later(&b)
}

// ids are UUIDs as the driver sends them without going by way of their text.
func ids(n int) pgtype.FlatArray[pgtype.UUID] { return make(pgtype.FlatArray[pgtype.UUID], n) }

// id is an id, or null for the nil id.
func id(u uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: u, Valid: u != uuid.Nil} }
