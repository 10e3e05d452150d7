package store

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Key names an assignment.
type Key struct{ User, App uuid.UUID }

// assignmentSpace is where assignments' ids are.
var assignmentSpace = uuid.MustParse("0d0c9bd4-3f3c-4ac7-8a42-1f4d6cf1a0a5")

// ID is the id of the assignment's row.
func (k Key) ID() uuid.UUID {
	return uuid.NewSHA1(assignmentSpace, append(append(make([]byte, 0, 32), k.User[:]...), k.App[:]...))
}

// Person is the copy of a user.
type Person struct {
	ID                                                                     uuid.UUID
	UserName, DisplayName, GivenName, FamilyName, Email, Title, Department string
	// Suspended says that they are there and not active, Removed that they left.
	Suspended, Removed bool
	JoinCount          int32
	EnvironmentID      uuid.UUID
	Version            int64
}

// App is the copy of an app.
type App struct {
	ID            uuid.UUID
	Name          string
	Mode          lifecycle.Mode
	IntegrationID uuid.NullUUID
	Disable       bool
	// RemovalUnset says that it was never said what becomes of accounts.
	RemovalUnset bool
	// Adoption is what is done about an account that is there already: ask, adopt or
	// refuse.
	Adoption      string
	AdminIDs      []uuid.UUID
	EnvironmentID uuid.UUID
	Version       int64
	// Removed says that it was deleted.
	Removed bool

	// IntegrationVersion is 0 if there is no such integration, and Paused says
	// that it is to be left alone for now. Load reads them.
	IntegrationVersion int64
	Paused             bool
	// Tenant is where the integration leads.
	Tenant uuid.NullUUID
	// Reached means that there is an integration that may be used for the app: one of its
	// environment, or of the organization.
	Reached bool
}

// Left is what is left of an account of the app that is ended.
func (a App) Left() lifecycle.AccountState {
	if a.Disable {
		return lifecycle.Disabled
	}
	return lifecycle.Absent
}

// Entitlement is the copy of an entitlement.
type Entitlement struct {
	ID, AppID uuid.UUID
	Name      string
	// Kind is account, role, group or license.
	Kind          string
	Ref           string
	EnvironmentID uuid.UUID
	Version       int64
	// Removed says that it was deleted.
	Removed bool
}

// IsAccount reports whether the entitlement is the account itself.
func (e Entitlement) IsAccount() bool { return e.Kind == "account" }

// Account is the row that an assignment turns on.
type Account struct {
	ID         uuid.UUID
	Observed   lifecycle.Observed
	ExternalID string
	UserName   string
	// Tenant is where ExternalID is valid, and where all that is observed was.
	Tenant uuid.NullUUID
	// FoundID and FoundName are the account that was found and is nobody's yet.
	FoundID, FoundName string
	// LeftBehind are accounts that the integration does not reach any more.
	LeftBehind []Place
	// Words say which resolved item was the last to say something.
	Words lifecycle.Words
	// NoneTenant is where a look has found no account of the person, by NoneUserName,
	// since one is to be made by hand.
	NoneTenant   uuid.NullUUID
	NoneUserName string
	// ByName means that the account is taken for the person's by its user name alone.
	ByName bool
	// Questioned means that people were told so.
	Questioned bool
	// Said means that a person has resolved an item about the account since its access ended.
	// Only [LoadSaid] reads it.
	Said bool

	AppVersion int64
	CreateTime *time.Time
	UpdateTime time.Time
	Version    int64

	Changed bool
}

// Place is an account as an app has it, and where.
type Place struct {
	Tenant          uuid.UUID `json:"tenant"`
	IntegrationID   uuid.UUID `json:"integration_id"`
	IntegrationName string    `json:"integration_name"`
	BaseURL         string    `json:"base_url"`
	ExternalID      string    `json:"external_id"`
	UserName        string    `json:"user_name"`
	// Adopted says that the account was there before: it stays, without what it was
	// given.
	Adopted bool `json:"adopted,omitempty"`
}

// String says where the account is.
func (p Place) String() string {
	id := ""
	if p.ExternalID != "" {
		id = " (id " + p.ExternalID + ")"
	}
	text := p.UserName + id + " at " + p.BaseURL + ", integration " + p.IntegrationName
	if p.Adopted {
		text += ": it was there before, take back what it was given"
	}
	return text
}

// Is reports whether an account with an id at a base URL is the one at the place.
func (p Place) Is(baseURL, id string) bool {
	return id != "" && id == p.ExternalID && Address(p.BaseURL) == Address(baseURL)
}

// StandsAt reports whether an account with an id is left behind at a base URL.
func (a *Account) StandsAt(baseURL, id string) bool {
	return slices.ContainsFunc(a.LeftBehind, func(p Place) bool { return p.Is(baseURL, id) })
}

// Moved reports whether the app's integration leads elsewhere than to where the
// account was known.
func (s *Assignment) Moved() bool {
	return s.App.Mode == lifecycle.Automatic && s.App.Tenant.Valid && s.Account.Tenant != s.App.Tenant
}

// Looks reports whether the app's integration looks at what people change: it reaches the
// app, and the account is not one that is known elsewhere.
func (s *Assignment) Looks() bool {
	a, p := &s.Account, &s.App
	known := a.Observed.Account != lifecycle.Absent || a.Observed.AccountInDoubt
	return p.Mode == lifecycle.Manual && p.Reached && (!known || !a.Tenant.Valid || a.Tenant == p.Tenant)
}

// Grant is one row of access_grant.
type Grant struct {
	ID, UserID, AppID, EntitlementID, RequestID, ItemID uuid.UUID
	Join                                                bool
	JoinCount                                           int32
	State                                               lifecycle.GrantState
	Until                                               *time.Time
	CreateTime                                          time.Time
	ActivateTime, EndTime, RevokeTime                   *time.Time
	// End is why it ended: requested, expired, user_removed, app_deleted,
	// entitlement_deleted or given_up; empty if it has not.
	End             string
	RevokeRequestID uuid.NullUUID
	Error           string
	Version         int64

	// New is not in the database yet.
	New    bool
	loaded int64
}

// Revocation is one row of revocation.
type Revocation struct {
	ItemID, RequestID, EntitlementID uuid.UUID
	// GrantItemID is the item whose grant it ends; null: it ends all of the entitlement.
	GrantItemID uuid.NullUUID
	GrantIDs    []uuid.UUID
	Done        bool
	Version     int64

	New, Changed bool
}

// WorkItem is one row of work_item.
type WorkItem struct {
	ID, UserID, AppID uuid.UUID
	Kind              lifecycle.ItemKind
	State             string // open, resolved, cancelled
	EntitlementIDs    []uuid.UUID
	RequestIDs        []uuid.UUID
	ChecklistID       uuid.NullUUID
	List              lifecycle.List
	Error             string
	ResolverID        uuid.NullUUID
	ResolverName      string
	ResolverEmail     string
	Note              string
	CreateTime        time.Time
	ResolveTime       *time.Time
	Version           int64
	// Reopens is the resolved item that it reopens, and ReopenReason why.
	Reopens      uuid.NullUUID
	ReopenReason string
	// Before is how things stood before a person resolved it, and ReopenedBy the item that
	// reopens it. Only [LoadResolved] reads them.
	Before     *Before
	ReopenedBy uuid.NullUUID

	New    bool
	loaded int64
}

// Step is one change of an operation's plan, with all that its call needs.
type Step struct {
	Do          lifecycle.Do `json:"do"`
	Entitlement *uuid.UUID   `json:"entitlement,omitempty"`
	Kind        string       `json:"kind,omitempty"`
	Ref         string       `json:"ref,omitempty"`
	// Look means that it is not known whether an adopted account has had it before.
	Look bool `json:"look,omitempty"`
	// Profile is the fingerprint of the profile that an account is given.
	Profile string `json:"profile,omitempty"`
	// Manager is the id of the account that is named as the person's manager's.
	Manager string `json:"manager,omitempty"`
}

// Operation is one row of operation that is not over.
type Operation struct {
	ID            uuid.UUID
	IntegrationID uuid.UUID
	// State is a lifecycle state, or OperationCancelled when it is to be over.
	State lifecycle.OperationState
	Plan  []Step
	Tries int
	Claim uuid.NullUUID
	Error string
	// NotBefore is when it may be tried; nil waits for a person.
	NotBefore *time.Time
	// Bulk means that others go first.
	Bulk bool
	// Traceparent is the trace of what gave it its plan.
	Traceparent string
	// LeaseUntil is until when the replica that runs it has it.
	LeaseUntil *time.Time

	// Looks means that Plan is what is looked at, and that nothing is changed.
	Looks bool
	// ListedFrom is from when on a removal that still waits for its turn is on a list, and
	// Late means that it is; nil takes nothing away, or has not waited.
	ListedFrom *time.Time
	Late       bool

	New, Changed bool
	// AtOnce means that it has just been given something to do at once.
	AtOnce bool
}

// Assignment is one person in one app, under lock, with everything that is open
// about it.
type Assignment struct {
	Key
	Organization uuid.UUID
	// Environment is what all that belongs to the assignment belongs to.
	Environment uuid.UUID
	Person      Person
	Manager     Manager
	App         App
	Account     Account
	Grants      []*Grant // not revoked
	Over        []*Grant // revoked; only LoadResolved reads some
	Revocations []*Revocation
	Items       []*WorkItem // open
	Operation   *Operation
	// Finished are operations that are over now.
	Finished []*Operation
	// Entitlements are those that anything above names.
	Entitlements map[uuid.UUID]Entitlement

	found   bool // person and app are known
	unknown bool // an entitlement is not
	stood   standing
}

// Job is the assignment's operation, which has been claimed, as its
// runner needs it. claimed is not after the lease's beginning.
func (s *Assignment) Job(claimed time.Time) Job {
	o := s.Operation
	return Job{
		Key: s.Key, Organization: s.Organization, Operation: o.ID, Claim: o.Claim.UUID, Claimed: claimed, Tries: o.Tries, Plan: o.Plan,
		Person: s.Person, Manager: s.Manager, Names: s.Account.Observed.Manager, Disable: s.App.Disable, Refuse: s.App.Adoption == "refuse",
		ExternalID: s.Account.ExternalID, UserName: s.Account.UserName, Tenant: s.Account.Tenant,
		Known: s.Account.Observed.Account != lifecycle.Absent, InDoubt: s.Account.Observed.AccountInDoubt,
		IntegrationID: o.IntegrationID, IntegrationVersion: s.App.IntegrationVersion, Traceparent: o.Traceparent,
		Looks: o.Looks,
	}
}

// Complete reports whether the copies have the person, the app and all of the
// entitlements. Nothing is decided about an assignment before they have.
func (s *Assignment) Complete() bool { return s.found && !s.unknown }
