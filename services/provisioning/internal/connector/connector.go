package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Person is who gets an account.
type Person struct {
	// UserID is the id of the user in Gatehouse. It never changes, and the app keeps it beside the account where it
	// can (SCIM: externalId), so that the account is found again after a change of name.
	UserID string
	// UserName is what the person signs in with. An app has it once, whatever its case.
	UserName    string
	Email       string
	GivenName   string
	FamilyName  string
	DisplayName string
	Title       string
	Department  string
}

// Fingerprint tells one profile from another: it is the same as long as all that UpdateAccount writes is. It is kept
// (account.profile), and so never changes its form.
func (p Person) Fingerprint() string {
	all := []string{p.UserName, p.Email, p.GivenName, p.FamilyName, p.DisplayName, p.Title, p.Department}
	sum := sha256.Sum256([]byte(strings.Join(all, "\x1f")))
	return hex.EncodeToString(sum[:])
}

// Account is a person's identity inside an app.
type Account struct {
	// ID is the app's own id of the account: what the other calls take.
	ID       string
	UserName string
	// Ours says that the account carries the person's id, Foreign that it carries another id, which Gatehouse would not have given it, and
	// Disabled that nobody can use it: what Find saw.
	Ours, Foreign, Disabled bool
	// Made says that EnsureAccount has surely made it just now.
	Made bool
}

// The kinds of entitlement a Connector may know. One that does not know a kind says Permanent.
const (
	Group   = "group"
	Role    = "role"
	License = "license"
)

// Entitlement is one thing that an account can hold.
type Entitlement struct {
	Kind string
	// Ref names it in the app: the name people see there, or the app's own id.
	Ref string
}

// Listing asks for a page of what an app has to give.
type Listing struct {
	// Kind is the kind of entitlement that is listed.
	Kind string
	// Query is a part of the name, whatever its case; empty for everything.
	Query string
	// After is Page.Next of the page before; empty for the first.
	After string
	// Size is how many are wanted at most, at least one.
	Size int
}

// Offer is an entitlement that an app has, in the words of Add, and what people call it there: one line of at most
// MaxMessage bytes.
type Offer struct {
	Entitlement
	Name string
}

// Page is a page of a list.
type Page struct {
	Offers []Offer
	// Next asks for the next page; empty if this is the last. It is short, whatever the app has.
	Next string
}

// The causes of what cannot be said of entitlements.
var (
	// ErrNotListed says that the connector cannot know what the app has of a kind: Add may take whatever it is told.
	ErrNotListed = errors.New("what the app has of this kind cannot be known")
	// ErrAmbiguous says that the app has several with the same name.
	ErrAmbiguous = errors.New("the app has several of this name")
)

// Removal is how an account ends.
type Removal int

const (
	// Disable leaves the account and what it holds, and nobody can use it.
	Disable Removal = iota + 1
	// Delete removes the account.
	Delete
)

// Connector reaches one app. See the package comment for what every implementation guarantees.
type Connector interface {
	// Test looks at the app and changes nothing. The error is not nil only when ctx ended; whatever else is wrong is in the Report.
	Test(ctx context.Context) (Report, error)

	// Find looks for the person's account and changes nothing: for one that carries the person's id, for the known one, and
	// for one with the person's user name, of which only the caller can say whose it is. It returns nil when the app surely
	// has none of them, and Conflict when the user name is that of an account that carries the id of somebody else.
	// known is the app's id of an account that is the person's, or empty.
	Find(ctx context.Context, p Person, known string) (*Account, error)

	// EnsureAccount returns the person's account, active: the one that carries the person's id, or the known one, or else a
	// new one. Another account with the person's user name is not touched: Exists, with the account; Conflict, when it
	// carries the id of somebody else.
	EnsureAccount(ctx context.Context, p Person, known string) (Account, error)

	// UpdateAccount has the account say of its person what p does, as far as the app keeps it: the user name, the e-mail, the
	// names, the title and the department, and nothing else. It neither makes nor enables an account, and changes nothing of
	// what it holds. NotFound says that the account is gone, and Conflict that another one has the user name.
	UpdateAccount(ctx context.Context, accountID string, p Person) error

	// SetManager has the account name another one of the app as that of its person's manager, as far as the app keeps managers;
	// where it keeps none nothing is done. With an empty managerID it names nobody any more, if it names one of written: what
	// it names besides, somebody else has written. NotFound says that the account is gone.
	SetManager(ctx context.Context, accountID, managerID string, written []string) error

	// Holds says whether the account has an entitlement. NotFound says that the account is gone; an entitlement that the app
	// does not have is Permanent.
	Holds(ctx context.Context, accountID string, e Entitlement) (bool, error)

	// Add gives the account an entitlement. NotFound says that the account is gone: call EnsureAccount first.
	// An entitlement that the app does not have is Permanent.
	Add(ctx context.Context, accountID string, e Entitlement) error

	// Remove takes an entitlement from an account. What is gone already (the entitlement, the account) is nil.
	Remove(ctx context.Context, accountID string, e Entitlement) error

	// RemoveAccount disables or deletes an account. One that is gone already is nil.
	RemoveAccount(ctx context.Context, accountID string, mode Removal) error

	// ListEntitlements shows what the app has to give, and changes nothing. A page may be short, or empty, with more behind
	// it; following Next comes to an end, whatever the app answers. A kind of which nothing can be known is Permanent,
	// ErrNotListed.
	ListEntitlements(ctx context.Context, l Listing) (Page, error)

	// HasEntitlement says whether the app has an entitlement now, so that Add finds it, and changes nothing. It is false only
	// if the app surely has none: it was searched, or all that it has was read; ErrNotListed as of ListEntitlements, and several of the name are Permanent, ErrAmbiguous.
	HasEntitlement(ctx context.Context, e Entitlement) (bool, error)
}

// Check is one thing that Test looked at.
type Check struct {
	// Name says what was tried, in a few words.
	Name string
	OK   bool
	// ForChanges marks what is needed only to change something in the app.
	ForChanges bool
	// Optional marks what the app can do without: when it fails, something is slower or missing, and the rest works.
	Optional bool
	// Detail says what was found and, when it failed, what to do about it. No secrets.
	Detail string
}

// Report is what Test found.
type Report struct{ Checks []Check }

// OK says whether the integration can work: everything that is not optional does.
func (r Report) OK() bool {
	for _, c := range r.Checks {
		if !c.OK && !c.Optional {
			return false
		}
	}
	return len(r.Checks) > 0
}

// String is the report as lines of text.
func (r Report) String() string {
	var b strings.Builder
	for _, c := range r.Checks {
		switch {
		case c.OK:
			b.WriteString("works: ")
		case c.Optional:
			b.WriteString("does without: ")
		default:
			b.WriteString("missing: ")
		}
		b.WriteString(c.Name)
		if c.Detail != "" {
			b.WriteString(" (" + c.Detail + ")")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
