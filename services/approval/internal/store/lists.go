package store

import "gatehouse.dev/libs/filter"

// What lists are filtered and sorted by. Flows are few; of tasks, which are many, the
// table knows what finds them, and each list of a reviewer's has its index.
var (
	// FlowList is of [Store.Flows].
	FlowList = filter.New("gatehouse.approval.v1.ListFlows", "name", filter.ID("id", "f.id"),
		filter.Text("name", "f.name").Sort(),
		filter.Enum("trigger", "f.trigger"),
		filter.IDs("audience.groupIds", `array(select jsonb_array_elements_text(coalesce(v.spec #> '{audience,group_ids}', '[]'))::uuid)`),
		filter.IDs("audience.userIds", `array(select jsonb_array_elements_text(coalesce(v.spec #> '{audience,user_ids}', '[]'))::uuid)`),
		filter.IDs("scope.appIds", `array(select jsonb_array_elements_text(coalesce(v.spec #> '{scope,app_ids}', '[]'))::uuid)`),
		filter.IDs("scope.entitlementIds", `array(select jsonb_array_elements_text(coalesce(v.spec #> '{scope,entitlement_ids}', '[]'))::uuid)`),
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
)
