// Package migrations holds the schema of approval's database.
package migrations

import (
	"embed"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
)

// FS holds the migrations, forward-only.
//
//go:embed *.sql
var FS embed.FS

// Copied are the copies that the service keeps.
const Copied = copies.Environments | copies.Users | copies.Groups | copies.Apps | copies.Entitlements

// Included are the tables of those copies, which come before FS.
func Included() []postgres.Set { return copies.Schema(Copied) }
