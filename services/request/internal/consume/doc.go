// Package consume gives other services' events their effect on requests: they
// move requests and items, fill the timeline, and keep the copies of people and
// grants.
//
// Every effect is guarded by the lifecycle or by the aggregate's version, so
// that an event that comes twice or late changes nothing.
//
// Under load events come many at a time, and most of what they cost is
// statements, so those about requests are handled together: what an event does
// is read from it alone (effect.go), and applied in memory to requests that were
// loaded once and are written once (together.go).
package consume
