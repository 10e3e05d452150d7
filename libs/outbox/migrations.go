package outbox

import (
	"embed"
	"io/fs"

	"gatehouse.dev/libs/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables of this package and of libs/inbox: outbox, inbox,
// inbox_attempt, parked_event.
var Migrations fs.FS = files

// Schema is Migrations with the table that keeps their version, apart from the
// service's own. Give it to postgres.Migrate before the service's.
func Schema() postgres.Set {
	return postgres.Set{Table: "goose_events", FS: Migrations}
}
