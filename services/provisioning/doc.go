// Package provisioning gets people into apps and out of them: it opens grants
// for approved requests, has integrations or people make the changes, ends
// what has come to its end, and emits what has become of each grant.
//
// [Run] is the whole service. What it owns and promises is in its README; the
// rules are in internal/lifecycle, the engine in internal/command.
package provisioning
