// Package migrations holds the schema of approval's database.
package migrations

import "embed"

// FS holds the migrations, forward-only.
//
//go:embed *.sql
var FS embed.FS
