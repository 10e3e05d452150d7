package store

import "gatehouse.dev/libs/filter"

// What lists are filtered and sorted by. Grants and work items are many and written
// often: they are sorted by when they were made alone, which is the order of their ids
// and has an index. Names are looked up in the copies, under the row-level security that
// the rows themselves are under.
var (
	// IntegrationList is of [ListIntegrations].
	IntegrationList = filter.New("gatehouse.provisioning.v1.ListIntegrations", "name", filter.ID("id", "i.id"),
		filter.Text("name", "i.name").Sort(),
		filter.Enum("kind", "i.kind"),
		filter.Text("scim.baseUrl", "i.base_url"),
		filter.Enum("access", "i.access"),
		filter.Enum("state", "i.state"),
		filter.Text("stateDetail", "i.state_detail"),
		filter.Time("testTime", "i.test_time").Null().Sort(),
		filter.Time("createTime", "i.create_time").Sort(),
		filter.Int("version", "i.version"),
		filter.Environment("environmentId", "i.environment_id"),
	)
	// GrantList is of [ListGrants].
	GrantList = filter.New("gatehouse.provisioning.v1.ListGrants", "createTime desc", filter.ID("id", "g.id"),
		filter.ID("user.userId", "g.user_id"),
		filter.Text("user.displayName", `coalesce((select u.display_name from user_copy u where u.id = g.user_id), '')`),
		filter.Text("user.email", `coalesce((select u.email from user_copy u where u.id = g.user_id), '')`),
		filter.ID("appId", "g.app_id"),
		filter.Text("appName", `coalesce((select p.name from app_copy p where p.id = g.app_id), '')`),
		filter.ID("entitlementId", "g.entitlement_id"),
		filter.Text("entitlementName", `coalesce((select e.name from entitlement_copy e where e.id = g.entitlement_id), '')`),
		filter.ID("requestId", "g.request_id"),
		filter.ID("itemId", "g.item_id"),
		filter.Enum("state", "g.state"),
		filter.Time("until", "g.until").Null(),
		filter.Time("createTime", "g.create_time").SortID("g.id"),
		filter.Time("activateTime", "g.activate_time").Null(),
		filter.Time("revokeTime", "g.revoke_time").Null(),
		filter.Enum("endReason", "coalesce(g.end_reason::text, 'unspecified')"),
		filter.ID("revokeRequestId", "g.revoke_request_id").Null(),
		filter.Text("error", "g.error"),
		filter.Int("version", "g.version"),
		filter.Environment("environmentId", "g.environment_id"),
	)
	// AccountList is of [ListAccounts]. In the default order stand the rows as they came;
	// create_time is when the account itself did.
	AccountList = filter.New("gatehouse.provisioning.v1.ListAccounts", "insertTime desc", filter.ID("id", "a.id"),
		filter.Time("insertTime", "a.insert_time").Sort().Internal(),
		filter.ID("user.userId", "a.user_id"),
		filter.Text("user.displayName", `coalesce((select u.display_name from user_copy u where u.id = a.user_id), '')`),
		filter.Text("user.email", `coalesce((select u.email from user_copy u where u.id = a.user_id), '')`),
		filter.ID("appId", "a.app_id"),
		filter.Text("appName", `coalesce((select p.name from app_copy p where p.id = a.app_id), '')`),
		filter.Text("externalId", "a.external_id"),
		filter.Text("userName", "a.user_name"),
		filter.Enum("state", "a.state"),
		filter.Time("createTime", "a.create_time").Sort(),
		filter.Time("updateTime", "a.update_time"),
		filter.Environment("environmentId", "a.environment_id"),
	)
	// ItemList is of [ListItems].
	ItemList = filter.New("gatehouse.provisioning.v1.ListWorkItems", "createTime", filter.ID("id", "w.id"),
		filter.Enum("kind", "w.kind"),
		filter.Enum("state", "w.state"),
		filter.ID("user.userId", "w.user_id"),
		filter.Text("user.displayName", `coalesce((select u.display_name from user_copy u where u.id = w.user_id), '')`),
		filter.Text("user.email", `coalesce((select u.email from user_copy u where u.id = w.user_id), '')`),
		filter.ID("appId", "w.app_id"),
		filter.Text("appName", `coalesce((select p.name from app_copy p where p.id = w.app_id), '')`),
		filter.Texts("entitlementNames", `array(select e.name from unnest(w.entitlement_ids) as i (id) join entitlement_copy e on e.id = i.id)`),
		filter.IDs("requestIds", "w.request_ids"),
		filter.ID("checklistId", "w.checklist_id").Null(),
		filter.Text("error", "w.error"),
		filter.ID("resolver.userId", "w.resolver_id").Null(),
		filter.Text("note", "w.note"),
		filter.Time("createTime", "w.create_time").SortID("w.id"),
		filter.Time("resolveTime", "w.resolve_time").Null(),
		filter.ID("reopenedItemId", "w.reopens").Null(),
		filter.Text("reopenReason", "w.reopen_reason"),
		filter.Int("version", "w.version"),
		filter.Environment("environmentId", "w.environment_id"),
	)
	// ChecklistList is of [ListChecklists]. What is overdue is due before what is not, and so
	// stands first.
	ChecklistList = filter.New("gatehouse.provisioning.v1.ListChecklists", "dueTime", filter.ID("id", "c.id"),
		filter.Enum("kind", "c.kind"),
		filter.ID("user.userId", "c.user_id"),
		filter.Text("user.displayName", `coalesce((select u.display_name from user_copy u where u.id = c.user_id), '')`),
		filter.Text("user.email", `coalesce((select u.email from user_copy u where u.id = c.user_id), '')`),
		filter.Int("openCount", "c.open_count"),
		filter.Int("itemCount", "c.item_count"),
		filter.Time("createTime", "c.create_time").Sort(),
		filter.Time("closeTime", "c.close_time").Null(),
		filter.Time("dueTime", "c.due_time").Null().Sort(),
		filter.Bool("overdue", "c.overdue"),
		filter.Environment("environmentId", "c.environment_id"),
	)
)
