// Package scim is the connector for apps that serve SCIM 2.0 (RFC 7643, RFC 7644).
//
// What it asks of the app: Users with a filter on userName, create, PATCH and DELETE; Groups with PATCH where groups are
// given out. A filter on externalId is used where the app has it, and missed only after a person's user name changed.
//
// What it costs: a new account is one look-up and one POST; an account that exists is one look-up; giving or taking a
// group, a role or a licence is one PATCH, and one look-up more when a group is met for the first time.
//
// Accounts. Gatehouse's id of the person is the account's externalId. An account that is found by its user name alone is
// not touched before its caller has said that it is the person's; then it gets the externalId if it has none. An externalId
// that another system set is left alone. An account whose externalId is another Gatehouse user's is refused as Conflict: user
// names are given to new people, and what the one before them left behind must not be theirs. What the app answers to a
// filter is checked again here, because there are apps that ignore filters and answer with everybody.
//
// Entitlements. A group is found by its display name, or by its id; a role is a value of "roles", a licence a value of
// "entitlements". Ids of groups are kept for some minutes. Taking somebody out of a group that cannot be found by its name
// is an error, because the group may have been renamed, unless this connector knew its id and the app says that it is gone.
//
// A 404 for an account counts as gone only when the app still answers to a look-up, so that a wrong address does not look
// like a finished removal.
//
// Groups are listed by startIndex and count, and searched with a filter "co"; where the app refuses that, or answers with
// others, page by page. That the app has no group of a name is said only if it finds by its name one that it lists, or shows
// all that it has: otherwise it is not known. What a list shows is named by its id, which stays when the group gets another name. Neither what the
// app says of its totals nor a startIndex that it does not know makes a list endless.
//
// Profiles. An account is given a changed profile by one look and one PATCH of what differs, none if nothing does. Of the
// e-mails only the one of type work, or else the primary one, is replaced. If the app refuses a path, what is to be replaced
// is sent without paths.
//
// Managers. The manager is a part of the enterprise extension: whether the app has it is read from /Schemas and believed for
// an hour. An account is told of another manager by one PATCH, and of none by one look and one PATCH, if it names one that
// was written by Gatehouse. An app that does not say whether it keeps managers, and refuses one, is taken to keep none.
//
// It follows a redirect only to the same host, by the same method. It does not read whole directories at once, or use bulk
// requests.
package scim
