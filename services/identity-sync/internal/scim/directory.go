package scim

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Directory keeps the people of all sources. It is what the handler needs of a
// store; the store's own rules are in the methods' comments.
//
// Errors that the client may read are apierr errors, translated by their code:
//
//	Unauthenticated                   401
//	PermissionDenied                  403
//	NotFound                          404
//	AlreadyExists                     409 uniqueness
//	FailedPrecondition, Aborted       409
//	InvalidArgument, OutOfRange       400 invalidValue
//	ResourceExhausted                 429, with Retry-After
//	Unavailable, or the context ended 503, with Retry-After
//
// Everything else is answered with 500 and a fixed text.
type Directory interface {
	Authenticator
	Users
	Groups
}

// Authenticator knows whose a token is.
type Authenticator interface {
	// Authenticate returns the source that the bearer token stands for, or an
	// Unauthenticated error. It compares hashes and takes note of the use.
	Authenticate(ctx context.Context, token string) (Source, error)
}

// Users keeps the users of a source. A user of another source, and a deleted
// one, is NotFound for every method.
type Users interface {
	// CreateUser stores a user and returns it with id, version and times.
	// It is AlreadyExists if the source has a user with that userName, ignoring
	// case. Someone who was deleted before may come back.
	CreateUser(ctx context.Context, src Source, user User) (User, error)
	// GetUser returns a user; with related also its Groups.
	GetUser(ctx context.Context, src Source, id string, related bool) (User, error)
	// ListUsers returns the page that the query asks for.
	ListUsers(ctx context.Context, src Source, query Query[User]) (Page[User], error)
	// UpdateUser reads the user for update, has change say what it becomes, and
	// stores that, in one transaction. If change says that nothing changed, it
	// writes nothing, says nothing, and returns the user as it is. If change
	// returns an error, it changes nothing and returns that error, wrapped or
	// not. It may call change more than once. Uniqueness is as for CreateUser.
	UpdateUser(ctx context.Context, src Source, id string, change func(current User) (next User, changed bool, err error)) (User, error)
	// DeleteUser removes the user from the source if allow agrees to its
	// version, in one transaction, and else returns the error of allow.
	DeleteUser(ctx context.Context, src Source, id string, allow func(version int64) error) error
}

// Groups keeps the groups of a source, with the same rules as Users.
type Groups interface {
	// CreateGroup stores a group with its members. A member that is no user of
	// the source is InvalidArgument.
	CreateGroup(ctx context.Context, src Source, group Group) (Group, error)
	// GetGroup returns a group without its Members.
	GetGroup(ctx context.Context, src Source, id string) (Group, error)
	// ListMembers returns members of a group in the order of their ids, at most as many
	// as the limit says, from behind the one with the id after; it may be empty. A
	// group of another source has none.
	ListMembers(ctx context.Context, src Source, id, after string, limit int) ([]Member, error)
	// ListGroups returns the page that the query asks for.
	ListGroups(ctx context.Context, src Source, query Query[Group]) (Page[Group], error)
	// UpdateGroup reads the group for update, has change say what becomes of
	// it, and stores that, in one transaction. The group given to change has
	// Members only with related. An empty change, and one that leaves the same
	// attributes and the same set of members, writes nothing and says nothing.
	// The result has MemberCount, and need not have Members.
	UpdateGroup(ctx context.Context, src Source, id string, related bool, change func(current Group) (GroupChange, error)) (Group, error)
	// DeleteGroup is for a group what DeleteUser is for a user.
	DeleteGroup(ctx context.Context, src Source, id string, allow func(version int64) error) error
}

// Source is who is pushing: one source of one organization.
type Source struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	// EnvironmentID is set if the source's people belong to an environment.
	EnvironmentID uuid.UUID
}

// Query says which resources of a source are wanted.
type Query[T any] struct {
	// Where, unless nil, is a condition that the store answers from its columns, and
	// that must hold.
	Where *Condition
	// Match, unless nil, must hold too. It is asked about resources that are filled as
	// MatchRelated says. It is safe for concurrent use and has no effects.
	Match func(T) bool
	// Sort is the order; the zero value is the order of creation. Resources
	// that compare equal are in the order of creation, so that pages are
	// stable.
	Sort       SortKey
	Descending bool
	// Behind, unless nil, is where the page begins: behind that position. Else Offset
	// says how many resources come before it, which may be more than there are.
	Behind *Position
	Offset int
	// Count is how long the page may be. It may be zero: only the total is wanted then,
	// and whether there is more.
	Count int
	// NoTotal says that the total is not wanted.
	NoTotal bool
	// Related asks for the groups of users, and MatchRelated for those and the members
	// of groups where Match is asked. Without it the store must not load them.
	Related, MatchRelated bool
}

// Position is a place in a list: behind the resource with this id, whose sort key is
// Key, as the store writes it. The zero value is before the first one.
type Position struct {
	Key string `json:"k,omitempty"`
	ID  string `json:"i,omitempty"`
}

// Page is a part of a list.
type Page[T any] struct {
	// Items are the resources of this page, at most as many as asked for.
	Items []T
	// Total is the number of resources that match, on all pages, unless it was not
	// wanted.
	Total int
	// More says of a page behind a position whether there are resources behind it, and
	// Last is its end.
	More bool
	Last Position
}

// Attribute is one that a store can find resources by.
type Attribute string

// The attributes that stores find resources by.
const (
	// AttributeID is compared exactly, and is any text.
	AttributeID Attribute = "id"
	// AttributeExternalID is compared exactly.
	AttributeExternalID Attribute = "externalId"
	// AttributeUserName is compared ignoring case; users only.
	AttributeUserName Attribute = "userName"
	// AttributeEmail is any of a user's e-mail addresses, compared ignoring
	// case; users only.
	AttributeEmail Attribute = "emails.value"
	// AttributeLastModified is a time.
	AttributeLastModified Attribute = "meta.lastModified"
	// AttributeDisplayName is compared ignoring case; groups only.
	AttributeDisplayName Attribute = "displayName"
	// AttributeMember is the id of any of a group's members, compared exactly;
	// groups only.
	AttributeMember Attribute = "members.value"
)

// SortKey is what a list can be ordered by.
type SortKey string

// The keys that lists can be ordered by; text is ordered ignoring case.
const (
	SortNone         SortKey = ""
	SortID           SortKey = "id"
	SortExternalID   SortKey = "externalId"
	SortUserName     SortKey = "userName"
	SortDisplayName  SortKey = "displayName"
	SortCreated      SortKey = "meta.created"
	SortLastModified SortKey = "meta.lastModified"
)

// User is a person as the identity provider describes them.
//
// Attributes is the whole description and the only thing a store has to give
// back, next to ID, Version, Created, LastModified and, when asked for, Groups.
// The other fields are taken from it by this package, for the store to keep in
// columns; what they say on the way back is ignored.
type User struct {
	ID           string
	Version      int64
	Created      time.Time
	LastModified time.Time

	ExternalID        string
	UserName          string
	Name              Name
	DisplayName       string
	NickName          string
	Title             string
	UserType          string
	PreferredLanguage string
	Locale            string
	Timezone          string
	Active            bool
	Emails            []Value
	PhoneNumbers      []Value
	Enterprise        Enterprise

	// Attributes is the resource as a JSON object with names as the schemas
	// spell them, without id, meta, schemas, groups and password. A store may
	// keep it as jsonb.
	Attributes json.RawMessage

	// Groups are the groups the user is a member of.
	Groups []Member
}

// Name is a person's name.
type Name struct {
	Formatted, Given, Family, Middle string
}

// Value is one value of an attribute that has several.
type Value struct {
	Value, Type, Display string
	Primary              bool
}

// Enterprise is what the enterprise extension says of a user.
type Enterprise struct {
	EmployeeNumber, CostCenter, Organization, Division, Department string
	// Manager is the manager's id as the identity provider gave it. Whether it
	// is the id of a user is for the store to find out, now or later: managers
	// may come after those they manage.
	Manager string
}

// Group is a group as the identity provider describes it. Attributes is to it
// what it is to a User; it has no members.
type Group struct {
	ID           string
	Version      int64
	Created      time.Time
	LastModified time.Time

	ExternalID  string
	DisplayName string
	Attributes  json.RawMessage

	// Members are the members, when asked for and at creation.
	Members []Member
	// MemberCount is the number of members after an update.
	MemberCount int
}

// Member is one who is in a group, or, in User.Groups, a group one is in.
type Member struct {
	// Value is the id.
	Value string
	// Type is "User" or "Group", or empty where the client did not say.
	Type string
	// Display is a name for people; stores fill it in if they have it at hand.
	Display string
}

// GroupChange is what becomes of a group.
type GroupChange struct {
	// Attributes, unless nil, has the new ExternalID, DisplayName and
	// Attributes; its other fields mean nothing.
	Attributes *Group
	// Members says how the members change.
	Members MemberChange
}

// Empty reports whether the change changes nothing.
func (c GroupChange) Empty() bool { return c.Attributes == nil && c.Members.Empty() }

// MemberChange is a difference: first all members are removed if Clear, then
// those in Remove, then those in Add are added. Nobody is in both; adding one
// who is a member and removing one who is none change nothing.
type MemberChange struct {
	Clear  bool
	Remove []string
	Add    []Member
}

// Empty reports whether the difference is none.
func (c MemberChange) Empty() bool { return !c.Clear && len(c.Remove) == 0 && len(c.Add) == 0 }

// Email returns the address to reach the user at: the primary one, else the
// work address, else the first, else a userName that looks like an address,
// else nothing.
func (u User) Email() string {
	best := ""
	for _, e := range u.Emails {
		switch {
		case e.Primary:
			return e.Value
		case strings.EqualFold(e.Type, "work") && best == "":
			best = e.Value
		}
	}
	switch {
	case best != "":
		return best
	case len(u.Emails) > 0:
		return u.Emails[0].Value
	case strings.Contains(u.UserName, "@"):
		return u.UserName
	}
	return ""
}

// FullName returns what to call the user: displayName, else the formatted
// name, else given and family name, else userName.
func (u User) FullName() string {
	given := strings.TrimSpace(u.Name.Given + " " + u.Name.Family)
	for _, s := range []string{u.DisplayName, u.Name.Formatted, given} {
		if s != "" {
			return s
		}
	}
	return u.UserName
}
