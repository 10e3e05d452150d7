package store

import "gatehouse.dev/libs/filter"

// What lists are filtered and sorted by. Flows are few; of tasks, which are many, the
// table knows what finds them, and each list of a reviewer's has its index.
var (
	// FlowList is of [Store.Flows].
	FlowList = filter.New("gatehouse.approval.v1.ListFlows", "name", filter.ID("id", "f.id"),
		filter.Text("name", "f.name").Sort(),
		filter.Enum("trigger", "f.trigger"),
		filter.IDs("audience.groupIds", shownIDs("audience,group_ids", "group_copy")),
		filter.IDs("audience.userIds", shownIDs("audience,user_ids", "user_copy")),
		filter.IDs("scope.appIds", shownIDs("scope,app_ids", "app_copy")),
		filter.IDs("scope.entitlementIds", shownIDs("scope,entitlement_ids", "entitlement_copy")),
		filter.Bool("autoApprove", `coalesce((v.spec ->> 'auto_approve')::boolean, false)`),
		filter.Int("priority", `coalesce((v.spec ->> 'priority')::int, 0)`).Sort(),
		filter.Bool("enabled", "f.enabled"),
		filter.Int("version", "f.version"),
		filter.Time("createTime", `(v.spec ->> 'create_time')::timestamptz`).Sort(),
		filter.Time("updateTime", `(v.spec ->> 'update_time')::timestamptz`).Sort(),
		filter.Environment("environmentId", "f.environment_id"),
	)
	// TaskList is of [Store.ListTasks].
	TaskList = filter.New("gatehouse.approval.v1.ListTasks", "createTime", filter.ID("id", "t.id"),
		filter.ID("requestId", "t.request_id"),
		filter.ID("itemId", "t.item_id"),
		filter.Int("step", "t.position"),
		filter.ID("reviewer.userId", "t.reviewer_id"),
		filter.Enum("state", "t.state"),
		filter.Time("createTime", "t.create_time").Sort(),
		filter.ID("request.requester.userId", "t.requester_id").Null(),
		filter.ID("request.beneficiary.userId", "t.beneficiary_id"),
	)
	// DelegationList is of [Store.Delegations].
	DelegationList = filter.New("gatehouse.approval.v1.ListDelegations", "createTime desc", filter.ID("id", "d.id"),
		filter.ID("delegator.userId", "d.delegator_id"),
		filter.ID("delegate.userId", "d.delegate_id"),
		filter.Time("from", "d.from_time").Sort(),
		filter.Time("until", "d.until_time").Sort(),
		filter.Time("createTime", "d.create_time").Sort(),
	)
)

// shownIDs are the ids at a path of a flow's content that row-level security shows of a
// copy, as [Store.Shown] has it: nobody finds a flow by what it does not show them.
func shownIDs(path, of string) string {
	return `array(select i.id::uuid from jsonb_array_elements_text(coalesce(v.spec #> '{` + path + `}', '[]')) i (id)
		where exists (select from ` + of + ` c where c.id = i.id::uuid))`
}
