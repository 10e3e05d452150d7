// Package pgtest gives each test a PostgreSQL database of its own. For tests
// only.
//
// The first test of a process starts a private server (see pgserver) that ends
// with the process, however that ends, and leaves nothing behind. Migrations
// are applied once to a template; each test gets a clone, dropped when the
// test ends. So tests may run in parallel, find no rows but their own, and
// connect as the role services use, which row-level security binds.
//
// On a machine without PostgreSQL tests are skipped, saying so; where CI is
// set in the environment they fail instead.
package pgtest
