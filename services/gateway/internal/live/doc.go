// Package live knows which open browsers an event concerns, and tells them which
// collections of the API to ask for again. What it tells are hints: names of collections,
// no ids and nothing of what happened. It keeps nothing that lasts and may miss events;
// whoever missed some is told that anything may have changed.
//
//	event on the bus ── hub ──▶ viewers whom it concerns     told within half a second
//	                        └─▶ others who might see of it   told within a minute, together
//
// An event concerns a viewer if it is in the scope of a role that sees everything, or names
// the viewer, an app that the viewer runs, or a request that concerned the viewer before.
package live
