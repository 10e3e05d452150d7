// Package consume gives other services' events their effect on requests: they
// move requests and items, fill the timeline, and keep the copies of people and
// grants.
//
// Every effect is guarded by the lifecycle or by the aggregate's version, so
// that an event that comes twice or late changes nothing.
package consume
