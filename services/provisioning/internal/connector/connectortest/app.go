package connectortest

import (
	"context"
	"testing"
	"time"

	"gatehouse.dev/services/provisioning/internal/connector"
)

// App is an app, the way to it, and what the kit must know about it.
type App struct {
	// Connect makes a connector that reaches the app through Faults. The kit calls it again where Gatehouse would have
	// been started anew: nothing may be shared between two of them.
	Connect func(t *testing.T) connector.Connector
	// ConnectWrong makes one with credentials that the app does not accept.
	ConnectWrong func(t *testing.T) connector.Connector
	// Faults is the way to the app.
	Faults Faults
	// Look returns the accounts that are in the app with this user name, whatever its case, or with this id of a person.
	// It reads the app around Faults and around the connector.
	Look func(ctx context.Context, p connector.Person) ([]Seen, error)
	// Make creates an account in the app behind Gatehouse's back: with this user name, and no trace of the person's id.
	Make func(ctx context.Context, p connector.Person) (accountID string, err error)
	// Destroy removes an account behind Gatehouse's back.
	Destroy func(ctx context.Context, accountID string) error
	// Entitlements are things that the app has to give, at least one; better one of each kind that the connector knows.
	Entitlements []connector.Entitlement
	// Secrets must not appear in any error or report.
	Secrets []string
	// NoLink says that the app cannot keep the person's id beside the account, and knows it by its user name alone.
	NoLink bool
	// NoDisable says that the app cannot disable accounts, and removes them only for good.
	NoDisable bool
	// NoManagers says that the accounts of the app name no managers.
	NoManagers bool
}

// Seen is an account as it is in the app.
type Seen struct {
	ID       string
	UserName string
	Active   bool
	Holds    []connector.Entitlement
	// Profile is what it says of its person, as far as the app keeps it. UserID is empty.
	Profile connector.Person
	// Manager is the id of the account that it names as the manager's.
	Manager string
}

// Factory opens an App for one case, and closes it with t.Cleanup.
type Factory func(t *testing.T) App

// Faults is what can go wrong on the way to an app. The numbered ones concern the next requests of a connector and are
// then used up. A change is a request that is not a mere look.
// A fault that the way cannot make is answered with false, and the case is skipped.
type Faults interface {
	// LoseAnswers lets the next n changes reach the app and be done, and breaks the connection before the answer.
	LoseAnswers(n int) bool
	// Duplicate delivers the next n changes twice, one after the other; the connector gets the second answer.
	Duplicate(n int) bool
	// Throttle refuses the next n requests before they reach the app, and asks for a wait.
	Throttle(n int, wait time.Duration) bool
	// Break answers the next n requests as an app does that has a problem of its own.
	Break(n int) bool
	// Hold keeps the next change from the app until release is called. reached is closed when the change is on its way.
	// The app then does it, even though the connector has gone away, and release returns when it has.
	Hold() (reached <-chan struct{}, release func(), ok bool)
	// BeforeChange calls do when the next change is on its way, before it reaches the app.
	BeforeChange(do func()) bool
	// Away makes the app unreachable, or reachable again.
	Away(away bool) bool
}
