// Package scim is the SCIM 2.0 service provider: the protocol of RFC 7643 and
// RFC 7644 as an [http.Handler], over a [Directory] that keeps the people.
//
// # What it is for
//
// An identity provider (Okta, Microsoft Entra ID, or anything else that speaks
// SCIM) pushes its users and groups here. A bearer token stands for one
// [Source] of one organization; every call to the Directory carries that
// source, and nothing of another source can be named through this handler.
//
// # What it guarantees
//
//   - A write is one atomic read-modify-write in the Directory. If-Match is
//     checked inside it, so that two writers never both win.
//   - A write that changes nothing is not a change: version and lastModified
//     stay, nobody is told.
//   - What the identity provider sent is what it reads back, also attributes
//     and extensions of its own that Gatehouse has no use for. The exceptions
//     are passwords, which are dropped before anything is stored, and attributes
//     that the schema calls read-only, which are ignored as the RFC says.
//   - Names that no schema has are refused, so that a misspelt one is not taken
//     for done. docs/scim.md shows what is taken, request by request.
//   - Memberships are changed by their difference. Adding one member to a
//     group of thousands touches one row and reads none of the others.
//   - Errors are SCIM errors with a fixed text of our own. No text of an
//     unknown error leaves; such errors are logged once and answered with 500.
//   - The members of groups in an answer are read a page at a time while it is
//     written, in the order of their ids, and not at all where they are not
//     asked for: a list of large groups is never in memory. They are as they are
//     when their page is read. An answer that cannot be finished breaks off.
//   - A cursor says where a page ended, and is signed for the source and the query.
//     Pages by cursor are the list, once and in order, while others come and go.
//   - Every request ends: bodies, filters, nesting, operations and values have
//     limits. The handler starts no goroutines and is safe for concurrent use.
//
// # What is supported
//
// Users and Groups with create, get, list, replace, patch and delete; the
// enterprise user extension, and any other extension kept as it came; the whole
// filter language, also inside value paths; attributes and excludedAttributes;
// paging by startIndex and count, and by cursor (RFC 9865); POST /.search on each type
// and on the root; sortBy for a few attributes (see [SortKey]); ETag, If-Match, If-None-Match;
// /ServiceProviderConfig, /ResourceTypes, /Schemas.
//
// # What identity providers do and the RFC does not say
//
//   - Booleans may be the strings "True" and "False".
//   - Names of PATCH operations may have any case.
//   - PATCH without a path takes keys such as "name.givenName",
//     `emails[type eq "work"].value`, an extension's URN, or a URN with an
//     attribute. Read-only attributes in such a value are ignored, so that
//     Okta may repeat the id of a group; an id that is another's is refused.
//   - `emails[type eq "work"].value` creates the value if there is none:
//     always for "add"; for "replace" when the type is one that the schema
//     names, because Entra expects it. Otherwise no match is noTarget, as the
//     RFC says.
//   - "remove" of members takes an array of members as value, and a member
//     who is not in the group is no error. An empty array is.
//   - The display of a role may be called displayName.
//   - A manager may be given as a plain string, the id, and need not exist yet.
//   - The bodies of PATCH and of searches may lack schemas.
//   - An attribute of one value may come as an array of one.
//   - A filter may go on after a value path, `emails[type eq "work"].value eq
//     "…"`, and may name an attribute of the enterprise extension without its
//     URN, `manager eq "…"`.
//
// # Decisions where the RFC leaves a choice
//
//   - userName is unique in a source; a second POST is 409. An externalId is the
//     client's: several may have the same one, and a filter finds them all.
//   - (type, value) pairs that come twice are folded into one.
//   - PUT clears what it does not mention, with one exception: active stays as
//     it is, so that a sloppy client does not let a suspended person back in.
//     A user without active is active at creation. PATCH cannot leave a user
//     without: null and "remove" are invalidValue.
//   - PATCH of a user answers 200 with the user. PATCH of a group answers 200
//     with the group while it is small, else 204, unless attributes were asked
//     for.
//   - "ne" holds for an attribute without a value, and for an attribute of
//     several values if any of them differs.
//   - A filter on a name that no schema has is invalidFilter; a path to one is
//     invalidPath, and in a body invalidSyntax. Names under a URN of the client's
//     own are taken as they come; no such URN is in urn:ietf or urn:scim, but for
//     urn:ietf:params:scim:schemas:extension and another name than enterprise.
//   - "remove" with a filter that matches nothing is noTarget, but for members.
//   - schemas in an answer lists the core schema and the extensions that have
//     data, whatever the client listed.
//   - Every endpoint, discovery too, wants the bearer token.
//
// # What is not supported
//
// /Bulk and /Me (501), passwords, cursors to the page before, sorting by arbitrary attributes
// (so /ServiceProviderConfig says that sorting is not supported), changing what
// is said of a member other than by removing and adding it, and If-Modified-Since.
// A user's version does not count their groups, which the answer shows too.
package scim
