// Package copies keeps a service's copies of what other services own:
// environments, users, groups with their members, apps, entitlements, grants and
// flows.
// Every service that wants some of them takes the kinds it wants:
//
//	b, err := backend.Open(ctx, name, cfg, migrations.FS, log, copies.Schema(kinds)...)
//	c, err := copies.New(copies.Config{Service: name, Kinds: kinds, DB: b.DB, Bus: b.Bus, IdentitySync: conn, Changed: commands.CopiesChanged})
//	c.Register(handlers)
//	return b.Run(ctx, lis, backend.Spec{Handlers: handlers, Copies: c, …})
//
// (backend.Backend.Copies does the middle of it) and reads the tables user_copy, group_copy, group_member_copy, app_copy,
// entitlement_copy, grant_copy, flow_copy and environment_copy in its own statements. They
// have columns for what is filtered and joined by, with the names of the protos
// and enum values as words in lower case, and the whole message in data.
//
//	events ──────────────┐
//	                     ├─▶ rows of a higher version ──▶ Changed, in the same transaction
//	owner's snapshot ────┘
//
// One rule for all: the row of the highest version stands. What is removed stays
// as a tombstone (removed), and no older event brings it back. A user may come
// back by a newer one; a group never does. A membership has the version of its
// group that says so. So the order of events, repeats, batches and snapshots
// make no difference.
//
// Events of a batch are written with one statement for each table, whatever the
// mix. Whoever writes about the same things waits, in one order, so that
// [Change] says exactly what was there before.
//
// [Copies.Run] rebuilds a copy from its owner's snapshot (B-RUN-06) when it has
// never been complete, when the code has columns that it does not have filled,
// when [Copies.RequestRebuild] has asked for it, and when the stream has dropped
// events that were not applied: a stream that keeps events for some time only is
// enough. Events go on being applied meanwhile. A snapshot also fills rows of the
// same version; members that a group no longer has, and groups that are gone, are
// ended. One replica does it. One that breaks off begins again; until a rebuild
// is done nothing but what was true has been written. copy_state has how far each
// kind is.
//
// An owner serves [NewSnapshotServer].
//
// [Arrived] and [Await] are for what another service does not know yet: an event
// is tried again, and a command waits for a moment and then says so as something
// to be tried again, never as something that does not exist (B-USR-21). So does
// [Progress.Await] for what is not named by an id.
//
// The package does not decide what follows from a change, and has no queries for
// services.
package copies
