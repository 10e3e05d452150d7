// Package event knows what events are called and who does things.
//
// The name of an event stands in one place, the option event_type of its
// message in proto/gatehouse/event. All else follows from it:
//
//	message GrantActivated, option event_type "grant", "activated", version 1
//	[Type.String]   grant.activated                      in the audit log
//	[Type.Subject]  access.<organization>.grant.activated  where it is published
//	[Type.Filter]   access.*.grant.activated             what a consumer asks for
//
// Nobody else writes the name of an event down, except to show it. Every event
// says in its context who did it; the functions named after kinds of actors
// make that part.
package event
