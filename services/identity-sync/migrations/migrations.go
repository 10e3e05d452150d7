// Package migrations holds the schema of identity-sync's database, as goose
// migrations that only go forward.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
