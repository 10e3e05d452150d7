// Package migrations holds the tables of the request service.
package migrations

import (
	"embed"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
)

// FS is what postgres.Migrate applies.
//
//go:embed *.sql
var FS embed.FS

// Copied are the copies that the service keeps.
const Copied = copies.Environments | copies.Users | copies.Groups | copies.Grants | copies.Flows

// Included are the tables of those copies, which come before FS.
func Included() []postgres.Set { return copies.Schema(Copied) }
