package command

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/connector/scim"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/store"
)

// testTimeout bounds a test: less than a call may take in all.
const testTimeout = 8 * time.Second

// IntegrationsConfig is what Integrations stand on.
type IntegrationsConfig struct {
	DB     *postgres.DB
	Events *outbox.Writer
	Clock  clock.Clock
	Keys   *datakey.Keys
	// Retry is called after an integration was found working.
	Retry func()
	// WakeDue is called when there are items of the due-queue to do.
	WakeDue func()
	Tracer  trace.TracerProvider
	Log     *slog.Logger
	// Quotas are what every organization may have.
	Quotas quota.Organization
	// LookUps is how often apps of an organization are asked for single entitlements.
	// The service that asks is not limited, and whom it asks for only as with calls that
	// stay inside.
	LookUps ratelimit.Limit
	// Outgoing are networks that are called although they are not public.
	Outgoing outgoing.Allowed
}

// Integrations keeps integrations and makes connectors of them.
//
// A secret is sealed before it is written, bound to the integration's id, and is
// used by connectors alone. An integration is tested whenever it is made or
// changed; its state is the result of the last test. Its methods may be called by any number of
// goroutines.
type Integrations struct {
	cfg     IntegrationsConfig
	lookUps *ratelimit.Meter // by organization

	mu    sync.Mutex
	known map[uuid.UUID]*connected
}

// appConnector is a connector, which is closed when nobody needs it any more.
type appConnector struct {
	connector.Connector
	close func() error
}

// Close lets go of the app.
func (a *appConnector) Close() { _ = a.close() }

// connected is a connector of one version of an integration.
type connected struct {
	version   int64
	connector *appConnector
	tenant    uuid.UUID
	baseURL   string
}

func (c *connected) connection() Connection {
	return Connection{Connector: c.connector, Tenant: c.tenant, BaseURL: c.baseURL}
}

// NewIntegrations makes Integrations. Close them.
func NewIntegrations(cfg IntegrationsConfig) *Integrations {
	return &Integrations{cfg: cfg, known: make(map[uuid.UUID]*connected), lookUps: ratelimit.NewMeter("look-ups in apps", cfg.LookUps, cfg.Clock)}
}

// quotaIntegrations are what there are quotas of here.
var quotaIntegrations = quota.Kind{
	Name: "integrations", Limit: (*identityv1.EnvironmentQuotas).GetIntegrations,
	Count:    `select count(*) from integration where environment_id = $1`,
	CountAll: `select count(*) from integration where organization_id = $1`,
}

// IntegrationSettings are what a person sets of an integration.
type IntegrationSettings struct {
	Name, BaseURL, Token string
	// Access is read_write or read_only.
	Access string
}

// Create makes an integration of an environment, by default the caller's, and
// tests it. INVALID_ARGUMENT names the field; ALREADY_EXISTS: INTEGRATION_NAME_TAKEN.
func (n *Integrations) Create(ctx context.Context, by authz.Caller, environment uuid.UUID, s IntegrationSettings) (store.Integration, error) {
	if environment == uuid.Nil {
		environment = by.EnvironmentID
	}
	if !by.Scope().Owns(environment) {
		return store.Integration{}, errEnvironmentNotFound
	}
	if err := n.cfg.DB.Admitted(ctx, by.Scope()); err != nil { // before the app is called
		return store.Integration{}, err
	}
	now := n.cfg.Clock.Now()
	i := store.Integration{
		ID: id.New(), OrganizationID: by.OrganizationID, EnvironmentID: environment, Name: s.Name, Kind: "scim", BaseURL: s.BaseURL, Access: s.Access, CreateTime: now, Version: 1,
	}
	var err error
	if i.Secret, err = n.cfg.Keys.Seal(ctx, i.OrganizationID, i.ID, s.Token); err != nil {
		return i, err
	}
	if err := n.test(ctx, &i, s.Token); err != nil {
		return i, err
	}
	err = n.cfg.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := quotaIntegrations.CheckOrganization(ctx, tx, n.cfg.Quotas, i.OrganizationID, 1); err != nil {
			return err
		}
		quotas, err := quota.Of(ctx, tx, environment)
		if err != nil {
			return err
		}
		if err := quotaIntegrations.Check(ctx, tx, environment, quotas, 1); err != nil {
			return err
		}
		if err := store.CreateIntegration(ctx, tx, i); err != nil {
			return err
		}
		if err := n.emit(ctx, tx, by, i, "created"); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, &provisioningv1.CreateIntegrationResponse{Integration: convert.Integration(&i)})
	})
	return i, public(err)
}

// Get returns an integration of the scope. NOT_FOUND: INTEGRATION_NOT_FOUND.
func (n *Integrations) Get(ctx context.Context, s scope.Scope, id uuid.UUID) (i store.Integration, err error) {
	err = n.cfg.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		i, err = store.GetIntegration(ctx, tx, id)
		return err
	})
	return i, public(err)
}

// Show is Get with what waits.
func (n *Integrations) Show(ctx context.Context, s scope.Scope, id uuid.UUID) (store.Integration, error) {
	var list []store.Integration
	err := n.cfg.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		i, err := store.GetIntegration(ctx, tx, id)
		if err != nil {
			return err
		}
		list = []store.Integration{i}
		return store.ReadQueues(ctx, tx, list, n.cfg.Clock.Now())
	})
	if err != nil {
		return store.Integration{}, public(err)
	}
	return list[0], nil
}

// List lists integrations of the caller's scope with what waits, and gives the token of the next
// page.
func (n *Integrations) List(ctx context.Context, by authz.Caller, asked filter.Request) (list []store.Integration, next string, err error) {
	page, err := store.IntegrationList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = n.cfg.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if list, next, err = store.ListIntegrations(ctx, tx, by.OrganizationID, page); err != nil {
			return err
		}
		return store.ReadQueues(ctx, tx, list, n.cfg.Clock.Now())
	})
	return list, next, err
}

// Update changes an integration and tests it. change gives what it is to be; an
// empty token keeps the one there is. leave says that accounts that are known at the
// present address may stay there. Errors as of Create and Get. ABORTED:
// INTEGRATION_CHANGED. FAILED_PRECONDITION: ACCOUNTS_LEFT_BEHIND; INTEGRATION_IN_USE, if it
// is to be read-only and something is changed with it.
func (n *Integrations) Update(ctx context.Context, by authz.Caller, id uuid.UUID, leave bool, change func(store.Integration) (IntegrationSettings, error)) (store.Integration, error) {
	i, err := n.Get(ctx, by.Scope(), id)
	if err != nil {
		return i, err
	}
	s, err := change(i)
	if err != nil {
		return i, err
	}
	if s.Token == "" && s.BaseURL != i.BaseURL {
		// A change of the address must not send the secret to the new one.
		return i, errSettings("integration.scim.token", "another address needs the token again")
	}
	token, err := n.open(ctx, i)
	if err != nil {
		return i, err
	}
	if s.Token != "" {
		token = s.Token
		if i.Secret, err = n.cfg.Keys.Seal(ctx, i.OrganizationID, i.ID, token); err != nil {
			return i, err
		}
	}
	before := i
	i.Name, i.BaseURL, i.Access = s.Name, s.BaseURL, s.Access
	return i, n.retest(ctx, by, &i, token, func(ctx context.Context, tx *postgres.Tx) error {
		if i.Access != before.Access && i.Access == accessReadOnly {
			if err := restrict(ctx, tx, i.ID); err != nil {
				return err
			}
		}
		if store.Address(before.BaseURL) == store.Address(i.BaseURL) {
			return nil
		}
		return n.move(ctx, tx, before, leave)
	})
}

// accessReadOnly is the access of an integration that changes nothing.
const accessReadOnly = "read_only"

// restrict refuses that an integration changes nothing any more while something is changed
// with it.
func restrict(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	use, err := widenedUse(ctx, tx, id, true)
	if err != nil || use.None() {
		return err
	}
	const why = "the integration is used to make changes: automatic apps have it, or something is still to be taken away with it"
	return inUse(use, why).WithField("integration.access", "INTEGRATION_IN_USE", "%s", why)
}

// widenedUse says what an integration is used for in all of the organization: apps that
// have it may be offered anywhere, and people be of any environment.
func widenedUse(ctx context.Context, tx *postgres.Tx, id uuid.UUID, toChange bool) (store.IntegrationUse, error) {
	if err := tx.Widen(ctx); err != nil {
		return store.IntegrationUse{}, err
	}
	return store.UseOfIntegration(ctx, tx, id, toChange)
}

func inUse(use store.IntegrationUse, why string) *apierr.Error {
	return apierr.Precondition("INTEGRATION_IN_USE", "%s", why).With("apps", strings.Join(convert.Strings(use.Apps), ",")).
		With("operations", strconv.Itoa(use.Operations)).With("accounts", strconv.Itoa(use.Accounts))
}

// move prepares that an integration leads elsewhere: each account of its apps is looked
// up there.
func (n *Integrations) move(ctx context.Context, tx *postgres.Tx, before store.Integration, leave bool) error {
	// Apps that have it may be offered anywhere, and people be of any environment.
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	known, err := store.AccountsAt(ctx, tx, before)
	if err != nil {
		return err
	}
	if known > 0 && !leave {
		const why = "accounts are known at the present address: preview what is found at the new one, and say leave_accounts to change it nevertheless"
		return apierr.Precondition("ACCOUNTS_LEFT_BEHIND", "%s", why).With("accounts", strconv.Itoa(known)).
			WithField("leave_accounts", "ACCOUNTS_LEFT_BEHIND", "%s", why)
	}
	apps, err := store.AppsOfIntegration(ctx, tx, before.ID)
	if err != nil || len(apps) == 0 {
		return err
	}
	tx.AfterCommit(n.cfg.WakeDue)
	return store.ReconcileApps(ctx, tx, dueReconcile, apps, n.cfg.Clock.Now())
}

// Delete erases an integration that is not used. etag is that of the version that is
// meant; empty for any. Errors as of Get; FAILED_PRECONDITION: INTEGRATION_IN_USE;
// ABORTED: ETAG_MISMATCH.
func (n *Integrations) Delete(ctx context.Context, by authz.Caller, id uuid.UUID, etag string) error {
	err := n.cfg.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		i, err := store.LockIntegration(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := resource.CheckETag(etag, convert.Integration(&i).GetEtag()); err != nil {
			return err
		}
		use, err := widenedUse(ctx, tx, id, false)
		if err != nil {
			return err
		}
		if !use.None() {
			return inUse(use, "the integration is used: apps have it, or something is still to be done with it")
		}
		tx.AfterCommit(func() { n.forget(id) })
		i.Version++
		if err := n.emit(ctx, tx, by, i, "deleted"); err != nil {
			return err
		}
		return store.DeleteIntegration(ctx, tx, id)
	})
	return public(err)
}

// forget lets go of the connector of an integration.
func (n *Integrations) forget(id uuid.UUID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.known[id]; c != nil {
		c.connector.Close()
		delete(n.known, id)
	}
}

// Test tests an integration. Errors as of Get.
func (n *Integrations) Test(ctx context.Context, by authz.Caller, id uuid.UUID) (store.Integration, error) {
	i, err := n.Get(ctx, by.Scope(), id)
	if err != nil {
		return i, err
	}
	token, err := n.open(ctx, i)
	if err != nil {
		return i, err
	}
	return i, n.retest(ctx, by, &i, token, nil)
}

// retest tests an integration and writes its next version. What failed because
// of it is tried again if it works. before, unless nil, comes first in the transaction.
func (n *Integrations) retest(ctx context.Context, by authz.Caller, i *store.Integration, token string, before func(context.Context, *postgres.Tx) error) error {
	if err := n.test(ctx, i, token); err != nil {
		return err
	}
	i.Version++
	return public(n.cfg.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if before != nil {
			if err := before(ctx, tx); err != nil {
				return err
			}
		}
		if i.State == "working" {
			if err := store.RetryStuck(ctx, tx, i.ID, n.cfg.Clock.Now()); err != nil {
				return err
			}
			tx.AfterCommit(n.cfg.Retry)
		}
		if err := store.UpdateIntegration(ctx, tx, *i); err != nil {
			return err
		}
		return n.emit(ctx, tx, by, *i, "updated")
	}))
}

// test asks the app, and puts what it found into the state. It is an error
// only if the settings are wrong or ctx has ended.
func (n *Integrations) test(ctx context.Context, i *store.Integration, token string) error {
	c, err := n.connect(i.BaseURL, token, i.Access)
	if err != nil {
		field := "scim.base_url"
		if strings.Contains(err.Error(), "token") {
			field = "scim.token"
		}
		return errSettings(field, err.Error())
	}
	defer c.Close()
	limited, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	report, err := c.Test(limited)
	if ctx.Err() != nil {
		return fmt.Errorf("test integration: %w", ctx.Err())
	}
	now := n.cfg.Clock.Now()
	i.TestTime, i.State, i.StateDetail = &now, "failing", strings.TrimSpace(report.String())
	switch {
	case err != nil:
		i.StateDetail = "the app did not answer in time"
	case report.OK():
		i.State = "working"
	}
	return nil
}

func (n *Integrations) emit(ctx context.Context, tx *postgres.Tx, by authz.Caller, i store.Integration, name string) error {
	about := &eventv1.Context{Actor: event.CallerActor(by), EnvironmentId: convert.Environment(i.EnvironmentID), Version: i.Version}
	ev := outbox.Event{OrganizationID: i.OrganizationID, AggregateID: i.ID}
	switch name {
	case "created":
		ev.Message = &eventv1.IntegrationCreated{Context: about, Integration: convert.Integration(&i)}
	case "updated":
		ev.Message = &eventv1.IntegrationUpdated{Context: about, Integration: convert.Integration(&i)}
	case "deleted":
		ev.Message = &eventv1.IntegrationDeleted{Context: about, Integration: convert.Integration(&i)}
	}
	return n.cfg.Events.Add(ctx, tx, ev)
}

func (n *Integrations) open(ctx context.Context, i store.Integration) (string, error) {
	token, err := n.cfg.Keys.Open(ctx, i.OrganizationID, i.ID, i.Secret)
	if err != nil {
		return "", fmt.Errorf("open the secret of integration %s: %w", i.ID, err)
	}
	return token, nil
}

// connect makes a connector. Close it. All connectors are made here, so that none changes
// anything with an integration that may only read.
func (n *Integrations) connect(baseURL, token, access string) (*appConnector, error) {
	c, err := scim.New(scim.Config{URL: baseURL, Token: token, Tracer: n.cfg.Tracer, Outgoing: n.cfg.Outgoing})
	if err != nil {
		return nil, err
	}
	if access == accessReadOnly {
		return &appConnector{Connector: connector.ReadOnly(c), close: c.Close}, nil
	}
	return &appConnector{Connector: c, close: c.Close}, nil
}

// Connect returns the connector of an integration as it is in a version or a later
// one, the same for all who ask.
func (n *Integrations) Connect(ctx context.Context, org, id uuid.UUID, version int64) (Connection, error) {
	n.mu.Lock()
	c := n.known[id]
	n.mu.Unlock()
	if c != nil && c.version >= version {
		return c.connection(), nil
	}
	i, err := n.Get(ctx, scope.Organization(org), id)
	if err != nil {
		return Connection{}, connector.NewError(connector.Retryable, err, "the integration could not be read")
	}
	token, err := n.open(ctx, i)
	if err != nil {
		return Connection{}, connector.NewError(connector.Permanent, err, "the integration's token cannot be decrypted: this installation has another encryption key")
	}
	made, err := n.connect(i.BaseURL, token, i.Access)
	if err != nil {
		return Connection{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.known[id]; c != nil {
		if c.version >= i.Version {
			made.Close()
			return c.connection(), nil
		}
		c.connector.Close()
	}
	n.known[id] = &connected{version: i.Version, connector: made, tenant: i.Tenant, baseURL: i.BaseURL}
	return n.known[id].connection(), nil
}

// Close lets go of the apps.
func (n *Integrations) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.known {
		c.connector.Close()
	}
	clear(n.known)
}
