// Package eventsig signs events and verifies who has said them.
//
// An event that gives or takes access, or that decides who may, is signed by the
// service that owns its kind (the options service and signed of
// gatehouse.event.v1.EventType). Whoever can write to the bus, or runs it, can
// then neither make up such an event nor change or repeat one under another id:
// the signature covers the subject, with the organization in it, every CloudEvents
// header and the data.
//
// Signatures are Ed25519 (RFC 8032), in the header gatehouse-signature. Events that
// are published together are signed together: the signature is of the digests of
// all, which each of them carries, and is verified once. Each
// service has a key of its own and is told the public keys of all. A service may
// have several public keys: a new one is told to all before it signs, and the old
// one stays as long as the stream keeps events.
package eventsig
