// Package pgserver runs a private PostgreSQL out of the binaries found on the
// machine, for the standalone process and for tests.
//
// What it guarantees:
//
//   - Nobody else gets in. The server listens on a socket only, in a folder
//     that its own user alone may enter, and asks the kernel who connects: the
//     user of this process, nobody else, and no password exists.
//   - It is never run as root: as root the server gets the user postgres, or
//     nobody, or whoever owns the data already.
//   - The data survive: a restart, a kill of either process at any moment, and,
//     with Fsync, a power cut. A set-up that was interrupted is done again. If
//     the server dies it is started again, for as long as it takes, and
//     [Server.Check] tells meanwhile; if an older server still runs on
//     the folder it is stopped first. Two processes cannot use one folder.
//   - The server ends with this process, however this ends. (On systems other
//     than Linux a killed process leaves the server behind until the next
//     start, except for an Ephemeral one.)
//
// Services get the role "gatehouse", which owns the databases made with
// [Server.CreateDatabase] and is bound by row-level security.
//
// What it does not do: install PostgreSQL ([Find] only looks), backups, upgrades between major versions (a folder is
// always served by the version that made it), connections from other machines.
// Use a real PostgreSQL for these; Gatehouse only needs its URL.
package pgserver
