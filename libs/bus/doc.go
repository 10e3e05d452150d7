// Package bus connects a service to NATS and to the one JetStream stream that
// carries every event, ACCESS. A second, ACCESS_JSON, may hold the same events in
// JSON for others; no service reads it.
//
// It knows the shape of the stream and of headers, and nothing of what is in an
// event: libs/event knows what events are called, libs/outbox publishes,
// libs/inbox consumes.
//
//	access.<organization>.<aggregate>.<event>      subject of an event
//	ce-id, ce-type, ce-source, ce-subject, ce-time  CloudEvents, NATS binding, binary mode;
//	                                                a source is urn:gatehouse:<service>
//	traceparent, tracestate                         W3C trace context
//	Nats-Msg-Id                                     the event id, so that the stream drops repeats
//
// [Connect] gives up with one clear error when no server answers in time: a
// service that cannot reach its bus at the start should say so and exit. Once
// connected, the connection comes back by itself, for ever.
package bus
