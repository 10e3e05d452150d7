// Package authz says who calls and whether they may.
//
// Who calls travels as a short-lived signed token (a JWT, EdDSA), minted by
// identity-sync with a [Minter] and verified by every service with a
// [Verifier]. Its claims are written down once, here:
//
//	sub    id of the user (a UUID), or "client:<name>" for a service
//	org    id of the organization (a UUID); a service's token may lack it
//	env    id of the environment in which the role is held (a UUID); lacks if it
//	       is held in the whole organization
//	role   admin, it_admin, risk_manager, member, external, or service
//	name   full name, for histories; email: e-mail address; both may lack
//	ro     true if the token may only read
//	scope  what it is narrowed to, such as "apps:read requests:write" (RFC 8693);
//	       lacks if that is all that the role may do
//	cid    id of the session or API token it was exchanged for (a UUID); may lack
//	ver    version of the user that it was made by; lacks for a service
//	aud    the service that it is for; no other takes it
//	iss    "gatehouse";  exp, iat, jti
//
// Whether they may is declared in the protos: each method carries the option
// gatehouse.authz.v1.access with the callers it lets in, and the interceptors
// enforce it before anything of the request is looked at.
//
// It guarantees that everything not declared is refused: a method without the
// option or with an empty list, a role that is not listed, a token that cannot
// be verified. A read-only token reaches only methods whose idempotency_level
// is NO_SIDE_EFFECTS, and one with scopes only methods of services whose option area a
// scope names: "<area>:read" those with NO_SIDE_EFFECTS, "<area>:write" all. A scope that
// is not known is good for nothing, and none gives what the role may not do. Services are
// callers like any other and must be listed, each by the id of its client.
// [CheckDeclared] finds what was forgotten, for the test that keeps the wall.
// A withdrawn key is honoured for five minutes at most while identity-sync
// answers, and for an hour while it does not.
//
// A token only finds the caller. It is not accepted any more, TOKEN_STALE, where
// the user is known to have a higher version: a changed role or state, a session
// or API token that has ended, all raise it. Whoever has a good credential gets
// another token for it. Services look in each transaction that is begun for a
// caller, see package admission.
//
// Whoever is refused can be told of ([DeniedFunc], package denied): a call that was
// answered with PermissionDenied or Unauthenticated, here or by its handler. The
// address of a caller is what the gateway says, who is known by its certificate or by
// being in the same process ([ClientAddress]).
//
// It does not decide which rows a caller sees (the service and row-level
// security do), and keeps no sessions.
package authz
