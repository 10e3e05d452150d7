// Package demoapp is a small app that people can be given access to: a SCIM 2.0 service and a page that shows who is in.
// The demo organization provisions into it, and measurements run against it.
//
// It serves Users and Groups under /scim/v2 with one bearer token: create, read, list, filter ("eq" with "and" and "or"),
// replace, PATCH, delete; user names are unique whatever their case, externalIds are not. ServiceProviderConfig and
// ResourceTypes say what it can do. Look-ups by id, externalId, userName and displayName do not depend on how much it holds.
//
// With a file, every change is appended to it before it is answered, so that accounts outlive the process; what the
// machine had not yet written down is lost with the machine.
//
// It is no identity store: nobody signs in here, its page asks for no password, and so it belongs on loopback.
// It misbehaves in no way of its own: faults are made on the way to it.
package demoapp
