package store

import (
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// UserVersion is a version of a user that an event has told of.
type UserVersion struct {
	ID, OrganizationID uuid.UUID
	Version            int64
}

const raiseUserVersions = `
insert into user_version as v (id, organization_id, version)
select n.id, n.organization_id, n.version from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as n (id, organization_id, version)
order by n.id
on conflict (id) do update set version = excluded.version
where v.organization_id = excluded.organization_id and v.version < excluded.version`

// RaiseUserVersions notes versions that are higher than those known, in one
// statement that goes with the commit.
func RaiseUserVersions(tx *postgres.Tx, versions []UserVersion) {
	highest := make(map[uuid.UUID]UserVersion, len(versions))
	for _, v := range versions {
		if v.Version > highest[v.ID].Version {
			highest[v.ID] = v
		}
	}
	if len(highest) == 0 {
		return
	}
	rows := slices.Collect(maps.Values(highest))
	var b pgx.Batch
	b.Queue(raiseUserVersions,
		postgres.Column(rows, func(v UserVersion) uuid.UUID { return v.ID }),
		postgres.Column(rows, func(v UserVersion) uuid.UUID { return v.OrganizationID }),
		postgres.Column(rows, func(v UserVersion) int64 { return v.Version }))
	tx.Later(&b)
}
