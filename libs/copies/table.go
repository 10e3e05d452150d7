package copies

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// table is how a kind is kept.
type table struct {
	kind Kinds
	word string // its name in copy_state and in errors
	name string
	// shape goes up with every column that rows from before do not have filled.
	shape int
	// final says that what is removed never comes back.
	final bool
	// vanishes says that the owner forgets what is removed, so that it is absent
	// from snapshots.
	vanishes bool
	columns  []column

	fromEvents, fromSnapshot, plain string // see write
}

// column is a column besides those that every table has. Values go to the
// database as text; nil is null.
type column struct {
	name, cast string
	value      func(proto.Message) *string
}

// tables are in the order in which they are written.
var tables = withStatements([]*table{
	{
		kind: Environments, word: "environment", name: "environment_copy", shape: 1,
		columns: []column{
			text("environment_id", "uuid", (*identityv1.Environment).GetId),
			text("name", "text", (*identityv1.Environment).GetName),
		},
	},
	{
		kind: Users, word: "user", name: "user_copy", shape: 1,
		columns: []column{
			environment("environment_id", (*identityv1.User).GetEnvironmentId),
			reference("source_id", (*identityv1.User).GetSourceId),
			text("user_name", "text", (*identityv1.User).GetUserName),
			text("display_name", "text", (*identityv1.User).GetDisplayName),
			text("given_name", "text", (*identityv1.User).GetGivenName),
			text("family_name", "text", (*identityv1.User).GetFamilyName),
			text("email", "text", (*identityv1.User).GetEmail),
			text("title", "text", (*identityv1.User).GetTitle),
			text("department", "text", (*identityv1.User).GetDepartment),
			reference("manager_id", (*identityv1.User).GetManagerId),
			enum("state", (*identityv1.User).GetState),
			enum("kind", (*identityv1.User).GetKind),
			enum("role", (*identityv1.User).GetRole),
			environment("role_environment_id", (*identityv1.User).GetRoleEnvironmentId),
			reference("accountable_user_id", (*identityv1.User).GetAccountableUserId),
			moment("end_time", (*identityv1.User).GetEndTime),
			text("join_count", "integer", func(u *identityv1.User) string { return strconv.Itoa(int(u.GetJoinCount())) }),
		},
	},
	{
		kind: Groups, word: "group", name: "group_copy", shape: 1, final: true, vanishes: true,
		columns: []column{
			environment("environment_id", (*identityv1.Group).GetEnvironmentId),
			reference("source_id", (*identityv1.Group).GetSourceId),
			text("display_name", "text", (*identityv1.Group).GetDisplayName),
		},
	},
	{
		kind: Apps, word: "app", name: "app_copy", shape: 3,
		columns: []column{
			environment("environment_id", (*requestv1.App).GetEnvironmentId),
			text("name", "text", (*requestv1.App).GetName),
			reference("owner_id", (*requestv1.App).GetOwnerId),
			ids("admin_ids", (*requestv1.App).GetAdminIds),
			ids("approver_ids", (*requestv1.App).GetApproverIds),
			enum("provisioning", (*requestv1.App).GetProvisioning),
			reference("integration_id", (*requestv1.App).GetIntegrationId),
			enum("deprovisioning_action", (*requestv1.App).GetDeprovisioningAction),
			enum("account_adoption", (*requestv1.App).GetAccountAdoption),
			text("offered_to_all_environments", "boolean", func(a *requestv1.App) string { return strconv.FormatBool(a.GetOfferedToAllEnvironments()) }),
			ids("offered_environment_ids", (*requestv1.App).GetOfferedEnvironmentIds),
			text("only_by_flow", "boolean", func(a *requestv1.App) string { return strconv.FormatBool(a.GetOnlyByFlow()) }),
			text("category", "text", (*requestv1.App).GetCategory),
		},
	},
	{
		kind: Entitlements, word: "entitlement", name: "entitlement_copy", shape: 2,
		columns: []column{
			environment("environment_id", (*requestv1.Entitlement).GetEnvironmentId),
			text("app_id", "uuid", (*requestv1.Entitlement).GetAppId),
			text("name", "text", (*requestv1.Entitlement).GetName),
			enum("kind", (*requestv1.Entitlement).GetKind),
			text("ref", "text", (*requestv1.Entitlement).GetRef),
			enum("risk", (*requestv1.Entitlement).GetRisk),
		},
	},
	{
		kind: Grants, word: "grant", name: "grant_copy", shape: 1,
		columns: []column{
			environment("environment_id", (*provisioningv1.Grant).GetEnvironmentId),
			text("user_id", "uuid", func(g *provisioningv1.Grant) string { return g.GetUser().GetUserId() }),
			reference("app_id", (*provisioningv1.Grant).GetAppId),
			text("entitlement_id", "uuid", (*provisioningv1.Grant).GetEntitlementId),
			reference("request_id", (*provisioningv1.Grant).GetRequestId),
			reference("item_id", (*provisioningv1.Grant).GetItemId),
			enum("state", (*provisioningv1.Grant).GetState),
			moment("until", (*provisioningv1.Grant).GetUntil),
			moment("activate_time", (*provisioningv1.Grant).GetActivateTime),
			enum("end_reason", (*provisioningv1.Grant).GetEndReason),
		},
	},
	{
		kind: Flows, word: "flow", name: "flow_copy", shape: 1,
		columns: []column{
			environment("environment_id", (*approvalv1.Flow).GetEnvironmentId),
			enum("trigger", (*approvalv1.Flow).GetTrigger),
			text("enabled", "boolean", func(f *approvalv1.Flow) string { return strconv.FormatBool(f.GetEnabled()) }),
		},
	},
})

func withStatements(tables []*table) []*table {
	for _, t := range tables {
		t.fromEvents, t.plain = t.write(false)
		t.fromSnapshot, _ = t.write(true)
	}
	return tables
}

// write is the statement that writes rows of which the version is higher than
// that of the row that is there, and gives those with what was there before. A
// snapshot also fills rows of the same version. plain only writes. The
// parameters are ids, organizations, versions, removed, data, and the columns in
// their order.
func (t *table) write(snapshot bool) (statement, plain string) {
	names := []string{"organization_id", "version", "removed", "data"}
	selected := []string{"n.organization_id", "n.version", "n.removed", "n.data"}
	given := []string{"$1::uuid[]", "$2::uuid[]", "$3::bigint[]", "$4::boolean[]", "$5::bytea[]"}
	for i, c := range t.columns {
		names = append(names, c.name)
		selected = append(selected, "n."+c.name+"::"+c.cast)
		given = append(given, fmt.Sprintf("$%d::text[]", i+6))
	}
	list := strings.Join(names, ", ")
	var sets, have, get []string
	for _, n := range names {
		from := "excluded." + n
		if n == "removed" && t.final {
			from = "(c.removed or excluded.removed)"
		}
		have, get = append(have, "c."+n), append(get, from)
		if n != "organization_id" {
			sets = append(sets, n+" = "+from)
		}
	}
	newer := "c.version < excluded.version"
	if t.final {
		newer += " or (c.version = excluded.version and excluded.removed and not c.removed)"
	}
	if snapshot {
		newer += " or (c.version = excluded.version and (" + strings.Join(have, ", ") + ") is distinct from (" + strings.Join(get, ", ") + "))"
	}
	insert, values := "id, "+list, "n.id, "+strings.Join(selected, ", ")
	if t.vanishes {
		insert += ", rebuild"
		values += ", coalesce((select s.begun from copy_state s where s.kind = '" + t.word + "'), 0)"
	}
	plain = `
    insert into ` + t.name + ` as c (` + insert + `)
    select ` + values + `
    from unnest(` + strings.Join(given, ", ") + `) n (id, ` + list + `)
    order by n.id
    on conflict (id) do update set ` + strings.Join(sets, ", ") + `
    where c.organization_id = excluded.organization_id and (` + newer + `)`
	return `
with old as (select o.id, o.version, o.removed, o.data from ` + t.name + ` o where o.id = any ($1)),
written as (` + plain + `
    returning c.id, c.version, c.removed)
select w.id, w.removed, o.removed, o.data from written w left join old o on o.id = w.id
where o.id is null or o.version < w.version or o.removed <> w.removed
order by w.id`, plain
}

// arguments are the parameters of the statement for rows.
func (t *table) arguments(rows []*row) ([]any, error) {
	data := make([][]byte, len(rows))
	for i, r := range rows {
		var err error
		if data[i], err = (proto.MarshalOptions{Deterministic: true}).Marshal(r.message); err != nil {
			return nil, fmt.Errorf("write %s %s: %w", t.word, r.id, err)
		}
	}
	args := []any{
		postgres.Column(rows, func(r *row) uuid.UUID { return r.id }),
		postgres.Column(rows, func(r *row) uuid.UUID { return r.organization }),
		postgres.Column(rows, func(r *row) int64 { return r.version }),
		postgres.Column(rows, func(r *row) bool { return r.removed }),
		data,
	}
	for _, c := range t.columns {
		args = append(args, postgres.Column(rows, func(r *row) *string { return c.value(r.message) }))
	}
	return args, nil
}

func value[M proto.Message](name, cast string, get func(M) *string) column {
	return column{name: name, cast: cast, value: func(m proto.Message) *string { return get(m.(M)) }}
}

func text[M proto.Message](name, cast string, get func(M) string) column {
	return value(name, cast, func(m M) *string {
		s := get(m)
		return &s
	})
}

// reference is an id that may be missing.
func reference[M proto.Message](name string, get func(M) string) column {
	return value(name, "uuid", func(m M) *string {
		if s := get(m); s != "" {
			return &s
		}
		return nil
	})
}

// environment is the id of an environment, or the nil uuid for the whole
// organization.
func environment[M proto.Message](name string, get func(M) string) column {
	return text(name, "uuid", func(m M) string {
		if s := get(m); s != "" {
			return s
		}
		return uuid.Nil.String()
	})
}

func ids[M proto.Message](name string, get func(M) []string) column {
	return text(name, "uuid[]", func(m M) string { return postgres.IDs(get(m)) })
}

func moment[M proto.Message](name string, get func(M) *timestamppb.Timestamp) column {
	return value(name, "timestamptz", func(m M) *string {
		t := get(m)
		if t == nil {
			return nil
		}
		s := t.AsTime().Format(time.RFC3339Nano)
		return &s
	})
}

// enum is the name of a value in lower case, without what all of its type begin
// with: "active" for USER_STATE_ACTIVE.
func enum[M proto.Message, E protoreflect.Enum](name string, get func(M) E) column {
	return text(name, "text", func(m M) string {
		e := get(m)
		values := e.Descriptor().Values()
		v := values.ByNumber(e.Number())
		if v == nil {
			v = values.ByNumber(0) // from a newer owner
		}
		prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
		return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
	})
}
