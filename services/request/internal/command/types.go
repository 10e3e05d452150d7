package command

import "gatehouse.dev/services/request/internal/store"

type (
	// App is an app of the catalog.
	App = store.App
	// Entitlement is what can be held in an app.
	Entitlement = store.Entitlement
	// Bundle is what is requested as one.
	Bundle = store.Bundle
	// Request is a request with its items.
	Request = store.Request
	// Comment is a comment on a request.
	Comment = store.Comment
	// TimelineEntry is what happened to a request, one entry for each event.
	TimelineEntry = store.TimelineEntry
	// Filter selects requests.
	Filter = store.Filter
	// ConversationFilter selects conversations.
	ConversationFilter = store.ConversationFilter
)

// Words are those of a search.
func Words(search string) []string { return store.NameWords(search) }
