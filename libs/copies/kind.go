package copies

import (
	"embed"
	"io/fs"
	"strings"

	"gatehouse.dev/libs/postgres"
)

// Kinds is a set of kinds of copies.
type Kinds uint

// The kinds, each with what its owner says of it.
const (
	// Environments are identity-sync's: environment_copy.
	Environments Kinds = 1 << iota
	// Users are identity-sync's: user_copy.
	Users
	// Groups and who is in them are identity-sync's: group_copy and
	// group_member_copy.
	Groups
	// Apps are request's: app_copy.
	Apps
	// Entitlements are request's: entitlement_copy.
	Entitlements
	// Grants are provisioning's: grant_copy.
	Grants
	// Flows are approval's: flow_copy.
	Flows
)

// owners are who owns what, and so whose snapshots have it.
var owners = []struct {
	name  string
	kinds Kinds
}{
	{"identity-sync", Environments | Users | Groups},
	{"request", Apps | Entitlements},
	{"provisioning", Grants},
	{"approval", Flows},
}

// has says whether the set has one of others.
func (k Kinds) has(others Kinds) bool { return k&others != 0 }

// tables are those of the kinds in the set.
func (k Kinds) tables() []*table {
	var out []*table
	for _, t := range tables {
		if k.has(t.kind) {
			out = append(out, t)
		}
	}
	return out
}

// names are the names of the kinds in the set, as copy_state has them.
func (k Kinds) names() []string {
	var out []string
	for _, t := range k.tables() {
		out = append(out, t.word)
	}
	return out
}

// String lists the kinds.
func (k Kinds) String() string { return strings.Join(k.names(), ", ") }

//go:embed migrations
var files embed.FS

// Schema is the migrations of the kinds, with a table for each that keeps its
// version. Give it to postgres.Migrate before the service's own, which may add
// indexes.
func Schema(kinds Kinds) []postgres.Set {
	sets := []postgres.Set{set("state")}
	for _, name := range kinds.names() {
		sets = append(sets, set(name))
	}
	return sets
}

func set(name string) postgres.Set {
	sub, err := fs.Sub(files, "migrations/"+name)
	if err != nil { // only for names that are no paths
		panic(err)
	}
	return postgres.Set{Table: "goose_copies_" + name, FS: sub}
}
