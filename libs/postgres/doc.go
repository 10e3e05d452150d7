// Package postgres is how a service talks to its database.
//
// All work is done in transactions that know for whom they are: [DB.In] sees
// and changes the rows of one scope only, an organization or one environment of
// it, by row-level security in the database, whatever the SQL says;
// [DB.AsSystem] sees all, for workers, event consumers and look-ups before the
// organization is known. A query outside of such a transaction sees no rows.
// Beginning and scoping go with the first statement, and [Tx.Later] has the last
// ones go with the commit.
//
// Every table with an organization_id is bound to the scope in its migration:
//
//	call protect('t', 'environment');
//
// The second argument says who sees the rows of an environment:
//
//	environment   that environment and the organization; the table has an
//	              environment_id, the nil uuid where the organization is the owner
//	shared        the same, and each environment also reads what the organization
//	              itself owns
//	organization  the table has no environment_id and is reached only through
//	              rows that do
//
// and pgtest.CheckRowSecurity finds one that does not. [Open] refuses a role
// that row-level security does not bind.
//
// What a transaction guarantees:
//
//   - The function given is run again, up to three times in all, when the
//     database could not serialize it with others or broke a deadlock. It must
//     therefore do nothing but database work and set what it returns anew each
//     time.
//   - Hooks of [Tx.AfterCommit] run once, after the commit is known to have
//     happened, and not otherwise.
//   - A database that is away, starting, full or lost on the way, or whose disk
//     is full or broken, is an apierr
//     with Unavailable, reason DATABASE_UNAVAILABLE, and a time to try again.
//     If the connection is lost during the commit nobody can tell whether it
//     happened; that is the same error, so what is tried again must be
//     idempotent by a key of its own.
//
// [Migrate] brings the schema up to date; replicas may all call it at once.
//
// The package does not build SQL, map rows or know any table.
package postgres
