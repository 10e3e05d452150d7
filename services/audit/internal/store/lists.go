package store

import "gatehouse.dev/libs/filter"

// EntryList is what [List] filters and sorts by: by time alone, whose index it has. The
// log is only ever added to and never small, so nothing else is an index's worth.
var EntryList = filter.New("gatehouse.audit.v1.ListAuditEntries", "time desc", filter.Int("position", "e.position"),
	filter.ID("eventId", "e.event_id"),
	filter.Text("event", "(e.aggregate || '.' || e.name)"),
	filter.Time("time", "e.event_time").Sort(),
	filter.Time("recordTime", "e.record_time"),
	filter.Text("actor.id", "e.actor_id"),
	filter.ID("userId", "e.user_id").Null(),
	filter.ID("appId", "e.app_id").Null(),
	filter.IDs("requestIds", "e.request_ids"),
	filter.Environment("environmentId", "e.environment_id"),
)
