// Package migrations holds the schema of identity-sync's database, as goose
// migrations that only go forward.
package migrations

import (
	"embed"

	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/postgres"
)

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS

// Included are the tables of libraries, which come before FS.
func Included() []postgres.Set { return []postgres.Set{datakey.Schema()} }
