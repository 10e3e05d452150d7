// Package jsonform says every event a second time, in JSON, for subscribers who
// have no protos: the stream ACCESS_JSON beside ACCESS.
//
//	access.<organization>.<aggregate>.<event>       one event, protobuf
//	access-json.<organization>.<aggregate>.<event>  the same, a CloudEvent in JSON
//
// A message is a whole CloudEvent 1.0.2 in structured mode. Its data is the event's
// message in protobuf's JSON mapping (proto3 JSON names, int64 as strings, unset
// fields left out); id, source, type, subject, time and extension attributes are
// those of the event. Its message id is the event's, so that the stream drops
// repeats within two minutes.
//
// It guarantees at least once, in the order of ACCESS, and that an event is made
// only of what services believe too: type, subject, source and signature agree. The
// signature is not passed on, since it is of other bytes. An event that cannot be
// told in JSON is logged, counted and left out; those behind it go on.
//
// One replica works at a time, which holds an advisory lock of the database. It
// takes events from the durable consumer audit-json, publishes them together, has
// them synced and acknowledges them then. Whoever takes over begins behind what was
// acknowledged last.
package jsonform
