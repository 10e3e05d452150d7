// Package migrations holds the tables of the audit service.
package migrations

import "embed"

// FS is what postgres.Migrate applies.
//
//go:embed *.sql
var FS embed.FS
