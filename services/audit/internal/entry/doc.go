// Package entry makes an entry of the log out of an event: who, about whom,
// which requests, what happened in plain words, and the event itself as JSON.
//
// It guarantees that every event can be written down: one without a context,
// with an id that is none, or of a type that has no words of its own, gives an
// entry all the same. It guarantees that no field that is there for a secret
// (see secretFields) gets into the log, whatever the event's owner put in it;
// what people type into other fields it cannot know.
//
// It is pure: no database, no clock.
package entry
