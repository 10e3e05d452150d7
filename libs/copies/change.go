package copies

import (
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/inbox"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Change is a row that has changed.
type Change[M proto.Message] struct {
	// ID is that of the thing.
	ID uuid.UUID
	// Before is what was there, nil if nothing was; After is what is there.
	Before, After M
	// WasRemoved and Removed say the same of tombstones. What was not there was
	// not removed.
	WasRemoved, Removed bool
	// Event has made the change; nil if a snapshot has.
	Event *inbox.Event
}

// Left says that the thing is removed now and was not before, as one is of which
// nothing was known: it may have come in the same transaction.
func (c Change[M]) Left() bool { return c.Removed && !c.WasRemoved }

// EnvironmentChange is what has changed of one of them.
type EnvironmentChange = Change[*identityv1.Environment]

// UserChange is what has changed of one of them.
type UserChange = Change[*identityv1.User]

// GroupChange is what has changed of one of them.
type GroupChange = Change[*identityv1.Group]

// AppChange is what has changed of one of them.
type AppChange = Change[*requestv1.App]

// EntitlementChange is what has changed of one of them.
type EntitlementChange = Change[*requestv1.Entitlement]

// GrantChange is what has changed of one of them.
type GrantChange = Change[*provisioningv1.Grant]

// FlowChange is what has changed of one of them.
type FlowChange = Change[*approvalv1.Flow]

// MemberChange says that somebody came into a group or went out of it.
type MemberChange struct {
	GroupID, UserID uuid.UUID
	// Removed says that they went out, perhaps because the group is removed.
	Removed bool
	// Event has made the change; nil if a snapshot has.
	Event *inbox.Event
}

// Changes are the rows of one organization that have changed, each from what
// was there before the transaction to what is there now.
type Changes struct {
	OrganizationID uuid.UUID
	Environments   []EnvironmentChange
	Users          []UserChange
	Groups         []GroupChange
	Members        []MemberChange
	Apps           []AppChange
	Entitlements   []EntitlementChange
	Grants         []GrantChange
	Flows          []FlowChange
}

func (c *Changes) empty() bool {
	return len(c.Environments)+len(c.Users)+len(c.Groups)+len(c.Members)+len(c.Apps)+len(c.Entitlements)+len(c.Grants)+len(c.Flows) == 0
}

func (c *Changes) add(r *row, before proto.Message, was, removed bool) {
	switch m := r.message.(type) {
	case *identityv1.Environment:
		c.Environments = append(c.Environments, change(r, before, m, was, removed))
	case *identityv1.User:
		c.Users = append(c.Users, change(r, before, m, was, removed))
	case *identityv1.Group:
		c.Groups = append(c.Groups, change(r, before, m, was, removed))
	case *requestv1.App:
		c.Apps = append(c.Apps, change(r, before, m, was, removed))
	case *requestv1.Entitlement:
		c.Entitlements = append(c.Entitlements, change(r, before, m, was, removed))
	case *provisioningv1.Grant:
		c.Grants = append(c.Grants, change(r, before, m, was, removed))
	case *approvalv1.Flow:
		c.Flows = append(c.Flows, change(r, before, m, was, removed))
	}
}

func change[M proto.Message](r *row, before proto.Message, after M, was, removed bool) Change[M] {
	out := Change[M]{ID: r.id, After: after, WasRemoved: was, Removed: removed, Event: r.event}
	if before != nil {
		out.Before = before.(M)
	}
	return out
}
