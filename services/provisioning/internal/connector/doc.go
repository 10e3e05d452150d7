// Package connector says what an integration can do in an app, and how it says that it could not.
//
// A Connector creates and removes accounts in one app and puts entitlements on them. It is called by the
// provisioning engine, which looks at what should be, and calls until it is so:
//
//   - Calls for one person in one app come one after the other. Calls for different people come at once,
//     and so a Connector is safe for concurrent use.
//   - Any call may come again: Gatehouse stopped before it could write down the answer, the answer was lost on the
//     way, or the message that asked for it was delivered twice. Every method is therefore idempotent, and a call
//     whose work is done already succeeds.
//   - No sequence of calls, repeats and faults makes a second account for a person.
//   - An account that was there before is used only when the caller has named it (known).
//   - A removal that returns nil is done. In doubt a Connector returns an error: what should be gone and is not
//     must stay visible.
//
// Everything a Connector returns as an error is an *Error: its Kind says what the engine does next, its Message is for
// an operator's eyes and holds no secret. package connectortest holds every implementation to all of this.
//
// A Connector keeps nothing that another replica would need; what it caches can be lost at any time.
package connector
