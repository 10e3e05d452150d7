// Package connectortest is the conformance kit for connectors: what the provisioning engine relies on, as tests.
//
// Whoever writes a connector calls Run with a Factory that opens an app, the faults on the way to it, and a look at what
// is really in it:
//
//	func TestConformance(t *testing.T) {
//		connectortest.Run(t, func(t *testing.T) connectortest.App { … })
//	}
//
// The kit loses answers, delivers requests twice, throttles, lets calls take too long, breaks the app and takes it away,
// makes and removes accounts behind the connector's back, and after each of it looks at what is in the app: one account
// for a person, neither fewer nor more access than was asked for, and no secret in an error.
//
// Faults are made on the way and not in the app, so that the app can be the real one. For apps that speak HTTP the kit
// brings them (NewHTTPFaults); for others the connector's author implements Faults.
//
// Every case works with people of its own. A Factory may therefore hand out the same app again, with Faults of its own
// for each call, and the cases run in parallel.
package connectortest
