package store

import "gatehouse.dev/libs/filter"

// What lists are filtered and sorted by. Requests are many and written often: they are
// sorted by when they were made alone, which is the order of their ids and has an index.
var (
	// AppList is of [ListApps].
	AppList = filter.New("gatehouse.request.v1.ListApps", "name", filter.ID("id", "a.id"),
		filter.Text("name", "a.name").SortText("lower(a.name)"),
		filter.Text("description", "a.description"),
		filter.ID("ownerId", shownOwner).Null(),
		filter.IDs("adminIds", shownAdmins),
		filter.IDs("approverIds", shownApprovers),
		filter.Enum("provisioning", "a.provisioning"),
		filter.ID("integrationId", "a.integration_id").Null(),
		filter.Enum("deprovisioningAction", "a.deprovisioning_action"),
		filter.Enum("accountAdoption", "a.account_adoption"),
		filter.Time("createTime", "a.create_time").Sort(),
		filter.Time("updateTime", "a.update_time").Sort(),
		filter.Int("version", "a.version"),
		filter.Environment("environmentId", "a.environment_id"),
		filter.Bool("offeredToAllEnvironments", "a.offered_to_all_environments"),
		filter.IDs("offeredEnvironmentIds", shownOffered),
		filter.Bool("onlyByFlow", "a.only_by_flow"),
		filter.IDs("goneUserIds", goneUsers),
		filter.Text("icon", "a.icon"),
		filter.Text("category", "a.category"),
		filter.Texts("tags", "a.tags"),
		filter.ID("ssoAppId", "a.sso_app_id").Null(),
		filter.Text("instructions", "a.instructions"),
		filter.Enum("catalogState", "a.catalog_state"),
	)
	// EntitlementList is of [ListEntitlements].
	EntitlementList = filter.New("gatehouse.request.v1.ListEntitlements", "name", filter.ID("id", "e.id"),
		filter.ID("appId", "e.app_id"),
		filter.Text("name", "e.name").SortText("lower(e.name)"),
		filter.Text("description", "e.description"),
		filter.Enum("kind", "e.kind"),
		filter.Text("ref", "e.ref"),
		filter.Time("createTime", "e.create_time").Sort(),
		filter.Int("version", "e.version"),
		filter.Environment("environmentId", "e.environment_id"),
		filter.Enum("risk", "e.risk"),
	)
	// BundleList is of [ListBundles].
	BundleList = filter.New("gatehouse.request.v1.ListBundles", "name", filter.ID("id", "b.id"),
		filter.Text("name", "b.name").SortText("lower(b.name)"),
		filter.Text("description", "b.description"),
		filter.Time("createTime", "b.create_time").Sort(),
		filter.Time("updateTime", "b.update_time").Sort(),
		filter.Int("version", "b.version"),
		filter.Environment("environmentId", "b.environment_id"),
	)
	// CatalogList is of [SearchCatalog].
	CatalogList = filter.New("gatehouse.request.v1.SearchCatalog", "rank, name", filter.ID("app.id", "a.id"),
		filter.Int("rank", "f.rank").Internal().Sort(),
		filter.Text("name", "a.name").Internal().SortText("lower(a.name)"),
		filter.Text("app.name", "a.name"),
		filter.Text("app.category", "a.category"),
		filter.Texts("app.tags", "a.tags"),
		filter.ID("app.ownerId", shownOwner).Null(),
		filter.Enum("app.provisioning", "a.provisioning"),
		filter.Environment("app.environmentId", "a.environment_id"),
		filter.Enum("app.catalogState", "a.catalog_state"),
		filter.Bool("held", `(a.id in `+heldApps+`)`),
		filter.Bool("requested", `(a.id in `+requestedApps+`)`),
		filter.Enums("risks", risksOf),
	)
	// RequestList is of [List].
	RequestList = filter.New("gatehouse.request.v1.ListRequests", "createTime desc", filter.ID("id", "r.id"),
		filter.Enum("kind", "r.kind"),
		filter.Enum("origin", "r.origin"),
		filter.ID("requester.userId", "r.requester_id").Null(),
		filter.Text("requester.displayName", "r.requester_name"),
		filter.Text("requester.email", "r.requester_email"),
		filter.ID("beneficiary.userId", "r.beneficiary_id"),
		filter.Text("beneficiary.displayName", "r.beneficiary_name"),
		filter.Text("beneficiary.email", "r.beneficiary_email"),
		filter.IDs("items.entitlementId", itemsOf+`i.entitlement_id`+ofRequest),
		filter.Texts("items.entitlementName", itemsOf+`i.entitlement_name`+ofRequest),
		filter.IDs("items.appId", itemsOf+`i.app_id`+ofRequest),
		filter.Texts("items.appName", itemsOf+`i.app_name`+ofRequest),
		filter.Enums("items.state", itemsOf+`i.state::text`+ofRequest),
		filter.Text("justification", "r.justification"),
		filter.Time("until", "r.until").Null(),
		filter.Enum("state", "r.state"),
		filter.Text("closingReason", "r.closing_reason"),
		filter.ID("closedBy.userId", "r.closed_by_id").Null(),
		filter.ID("flowId", "r.flow_id").Null(),
		filter.Time("createTime", "r.create_time").SortID("r.id"),
		filter.Time("updateTime", "r.update_time"),
		filter.Time("closeTime", "r.close_time").Null(),
		filter.Int("version", "r.version"),
		filter.Environment("environmentId", "r.environment_id"),
		filter.Bool("expired", "r.expired"),
		filter.Bool("waitsForReviewer", `exists (select from request_item i where i.request_id = r.id and i.vacancy is not null and i.state = 'pending' and `+seenOf+`)`),
	)
	// CommentList is of [Comments].
	CommentList = filter.New("gatehouse.request.v1.ListComments", "createTime", filter.ID("id", "c.id"),
		filter.ID("author.userId", "c.author_id"),
		filter.Text("author.displayName", "c.author_name"),
		filter.Text("author.email", "c.author_email"),
		filter.Text("text", "c.body"),
		filter.Time("createTime", "c.create_time").SortID("c.id"),
	)
	// ConversationList is of [Conversations].
	ConversationList = filter.New("gatehouse.request.v1.ListConversations", "createTime desc", filter.ID("id", "v.id"),
		filter.ID("appId", "v.app_id"),
		filter.Text("appName", "a.name"),
		filter.ID("asker.userId", "v.asker_id"),
		filter.Text("asker.displayName", "v.asker_name"),
		filter.Text("asker.email", "v.asker_email"),
		filter.Enum("state", "v.state"),
		filter.Text("opening", "v.opening"),
		filter.Int("messageCount", "v.message_count"),
		filter.Time("createTime", "v.create_time").SortID("v.id"),
		filter.Time("updateTime", "v.update_time"),
		filter.Int("version", "v.version"),
		filter.Environment("environmentId", "v.environment_id"),
		filter.Text("closingReason", "v.closing_reason"),
	)
	// MessageList is of [Messages].
	MessageList = filter.New("gatehouse.request.v1.ListMessages", "createTime", filter.ID("id", "m.id"),
		filter.ID("author.userId", "m.author_id"),
		filter.Text("author.displayName", "m.author_name"),
		filter.Text("author.email", "m.author_email"),
		filter.Text("text", "m.body"),
		filter.Time("createTime", "m.create_time").SortID("m.id"),
	)
	// TimelineList is of [Timeline]. Texts are none of its fields: they are written anew for
	// who sees a part of the request.
	TimelineList = filter.New("gatehouse.request.v1.ListTimeline", "time", filter.ID("eventId", "t.event_id"),
		filter.Time("time", "t.event_time").Sort(),
		filter.Text("event", "t.event"),
		filter.Text("actor.userId", "t.actor_id"),
		filter.Text("actor.displayName", "t.actor_name"),
	)
)

// What those of a request's items have that the viewer $1 sees, all if $3: an item that is
// not seen is not found by either.
const (
	itemsOf   = `array(select `
	ofRequest = ` from request_item i where i.request_id = r.id and ` + seenOf + `)`
	seenOf    = `($3 or ` + party + ` or ` + seenItem + `)`
)
