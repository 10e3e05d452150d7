// Package entry makes an entry of the log out of an event, and shows it again:
// who did it, to whom, for which requests, what happened in one sentence, and
// the event itself as JSON.
//
// The log keeps the event's own bytes, and beside them only what lists are
// filtered by ([Index]). Everything else is rendered when somebody reads
// ([Renderer]), so that writing costs little and the evidence is what the owner
// emitted, not a reading of it.
//
// Every event can be recorded: one without a context, with malformed ids, or of
// a type without a summary gives an entry all the same. No field that exists for
// a secret (see secretFields) gets into the log, whatever the event's owner put
// into it; what people type into other fields it cannot know.
//
// The package is pure: no database, no clock.
package entry
