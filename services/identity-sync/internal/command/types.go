package command

import "gatehouse.dev/services/identity-sync/internal/store"

// What commands give, for who translates it.
type (
	// Organization is the tenant.
	Organization = store.Organization
	// Environment is one company of several that the organization governs.
	Environment = store.Environment
	// Quotas are how many of each an environment may have.
	Quotas = store.Quotas
	// Source is where users come from.
	Source = store.Source
	// IdentityProvider is where users sign in.
	IdentityProvider = store.IdentityProvider
)
