// Package migrations holds provisioning's tables.
package migrations

import (
	"embed"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/postgres"
)

// FS is what postgres.Migrate applies.
//
//go:embed *.sql
var FS embed.FS

// Copied are the copies that the service keeps.
const Copied = copies.Environments | copies.Users | copies.Apps | copies.Entitlements

// Included are the tables of libraries, which come before FS.
func Included() []postgres.Set { return append(copies.Schema(Copied), datakey.Schema()) }
