// Package consume translates events into commands: of approval and provisioning
// into what becomes of requests, and of join-flows into new requests.
package consume
