// Package migrations holds the schema of provisioning's database, forward
// only.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
