package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

// What there are quotas of here.
var (
	quotaApps = quota.Kind{
		Name: "apps", Limit: (*identityv1.EnvironmentQuotas).GetApps,
		Count:    `select count(*) from app where environment_id = $1 and delete_time is null`,
		CountAll: `select count(*) from app where organization_id = $1 and delete_time is null`,
	}
	// Of requests for access: taking it away is never refused by a quota, and uses up none.
	quotaOpenRequests = quota.Kind{
		Name: "open_requests", Limit: (*identityv1.EnvironmentQuotas).GetOpenRequests,
		Count:    `select count(*) from access_request where environment_id = $1 and close_time is null and kind = 'grant' and origin <> 'join'`,
		CountAll: `select count(*) from access_request where organization_id = $1 and close_time is null and kind = 'grant' and origin <> 'join'`,
	}
)

// CreateApp creates an app with its account entitlement. An app without an
// environment belongs to the caller's scope.
func (c *Commands) CreateApp(ctx context.Context, by authz.Caller, app store.App) (store.App, store.Entitlement, error) {
	now := c.Clock.Now()
	app.ID, app.OrganizationID, app.CreateTime, app.UpdateTime, app.Version = id.New(), by.OrganizationID, now, now, 1
	if app.EnvironmentID == uuid.Nil {
		app.EnvironmentID = by.EnvironmentID
	}
	if !by.Scope().Owns(app.EnvironmentID) {
		return store.App{}, store.Entitlement{}, unknownEnvironment("environment_id")
	}
	if err := c.checkApp(ctx, by, app, "", []string{"provisioning", "integration_id"}); err != nil {
		return store.App{}, store.Entitlement{}, err
	}
	account := store.Entitlement{
		ID: id.New(), OrganizationID: app.OrganizationID, EnvironmentID: app.EnvironmentID, AppID: app.ID, Name: "account",
		Description: "An account in " + app.Name, Kind: "account", Risk: "unspecified", CreateTime: now, Version: 1,
	}
	err := c.inWhenKnown(ctx, by, store.App{}, app, func(ctx context.Context, tx *postgres.Tx) error {
		if err := checkReferences(ctx, tx, "", store.App{}, app); err != nil {
			return err
		}
		if err := quotaApps.CheckOrganization(ctx, tx, c.Quotas, app.OrganizationID, 1); err != nil {
			return err
		}
		quotas, err := quota.Of(ctx, tx, app.EnvironmentID)
		if err != nil {
			return err
		}
		if err := quotaApps.Check(ctx, tx, app.EnvironmentID, quotas, 1); err != nil {
			return err
		}
		if err := store.InsertApp(ctx, tx, app, account); err != nil {
			return public(err)
		}
		if err := c.Events.Add(ctx, tx, convert.AppCreated(event.CallerActor(by), app, account)...); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.CreatedApp(app, account))
	})
	return app, account, err
}

// checkApp checks what the fields must be together. in says where they are in
// the request; changed, which of them are new.
func (c *Commands) checkApp(ctx context.Context, by authz.Caller, a store.App, in string, changed []string) error {
	if a.Name == "" {
		return apierr.InvalidField(in+"name", "NAME_EMPTY", "the name must not be empty")
	}
	if a.EnvironmentID != uuid.Nil && (a.OfferedToAllEnvironments || len(a.OfferedEnvironmentIDs) > 0) {
		field := "offered_environment_ids"
		if a.OfferedToAllEnvironments {
			field = "offered_to_all_environments"
		}
		return apierr.InvalidField(in+field, "ONLY_OF_ORGANIZATION", "only an app of the organization is offered to environments")
	}
	automatic := a.Provisioning == "automatic"
	if automatic && !a.IntegrationID.Valid {
		return apierr.InvalidField(in+"integration_id", "INTEGRATION_MISSING", "an automatic app needs an integration")
	}
	if !a.IntegrationID.Valid || !slices.Contains(changed, "integration_id") && (!automatic || !slices.Contains(changed, "provisioning")) {
		return nil
	}
	return c.checkIntegration(ctx, by, a, in+"integration_id")
}

// checkIntegration refuses an integration that the app cannot have: an automatic one needs
// one that works and may make changes; another app's only looks, and need not work now.
func (c *Commands) checkIntegration(ctx context.Context, by authz.Caller, a store.App, field string) error {
	automatic := a.Provisioning == "automatic"
	// Provisioning is asked with the service's own token, and so does not look itself.
	if err := c.DB.Admitted(ctx, by.Scope()); err != nil {
		return err
	}
	why := ""
	r, err := c.Integrations.LookUpIntegration(ctx, &provisioningv1.LookUpIntegrationRequest{
		Id: a.IntegrationID.UUID.String(), OrganizationId: by.OrganizationID.String(), EnvironmentId: convert.ID(by.EnvironmentID),
	})
	err = apierr.FromCall(err)
	switch i := r.GetIntegration(); {
	case apierr.HasReason(err, "INTEGRATION_NOT_FOUND"):
		why = "there is no such integration"
	case err != nil:
		return err
	case i.GetEnvironmentId() != "" && i.GetEnvironmentId() != convert.ID(a.EnvironmentID):
		why = "it belongs to another environment than the app"
	case !automatic:
		return nil
	case i.GetAccess() == provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_READ_ONLY:
		const why = "an app can be automatic only with an integration that may make changes, and this one may only read"
		return apierr.Precondition("INTEGRATION_READ_ONLY", "%s", why).WithField(field, "INTEGRATION_READ_ONLY", "%s", why)
	case i.GetState() == provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING:
		return nil
	case i.GetState() == provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING:
		why = "its last test failed: " + i.GetStateDetail()
	default:
		why = "it has not been tested"
	}
	if !automatic {
		return apierr.InvalidField(field, "INTEGRATION_NOT_FOUND", "the app cannot have this integration: %s", why)
	}
	return apierr.Precondition("INTEGRATION_NOT_WORKING", "an app can be automatic only with a working integration: %s", why).
		WithField(field, "INTEGRATION_NOT_WORKING", "%s", why)
}

// checkReferences refuses owners, admins, approvers and environments that are
// unknown, besides those that the app had before: somebody who has left since
// does not keep others from changing the app.
func checkReferences(ctx context.Context, tx *postgres.Tx, in string, before, a store.App) error {
	if err := checkEnvironments(ctx, tx, in, before, a); err != nil {
		return err
	}
	if err := checkSSOApp(ctx, tx, in, before, a); err != nil {
		return err
	}
	people := peopleNamed(before, a)
	if len(people) == 0 {
		return nil
	}
	unknown, err := store.UnknownUsers(ctx, tx, postgres.Column(people, reference.user), a.EnvironmentID)
	if err != nil {
		return err
	}
	for _, p := range people {
		if slices.Contains(unknown, p.id) {
			return apierr.InvalidField(in+p.field, reasonUserUnknown, "there is no such user: %s", p.id)
		}
	}
	return nil
}

// checkSSOApp refuses an app to sit behind that is none of the same owner, and one that the
// app would sit behind by way of itself. The app that it names is not deleted until the
// transaction ends.
func checkSSOApp(ctx context.Context, tx *postgres.Tx, in string, before, a store.App) error {
	if !a.SSOAppID.Valid || a.SSOAppID == before.SSOAppID {
		return nil
	}
	behind, found, err := store.LockSSOApps(ctx, tx, a.OrganizationID, a.EnvironmentID, a.SSOAppID.UUID)
	switch {
	case err != nil:
		return err
	case !found:
		return apierr.InvalidField(in+"sso_app_id", "SSO_APP_UNKNOWN", "there is no such app of the same owner")
	case slices.Contains(behind, a.ID):
		return apierr.InvalidField(in+"sso_app_id", "SSO_APP_CYCLE", "the app would sit behind itself")
	}
	return nil
}

// reference is where a field of an app names a user.
type reference struct {
	field string
	id    uuid.UUID
}

func (r reference) user() uuid.UUID { return r.id }

// peopleNamed are the people whom an app names, besides those that it named before.
func peopleNamed(before, a store.App) (people []reference) {
	add := func(field string, id uuid.UUID, had bool) {
		if id != uuid.Nil && !had {
			people = append(people, reference{field, id})
		}
	}
	add("owner_id", a.OwnerID.UUID, a.OwnerID == before.OwnerID)
	for i, p := range a.AdminIDs {
		add(fmt.Sprintf("admin_ids[%d]", i), p, slices.Contains(before.AdminIDs, p))
	}
	for i, p := range a.ApproverIDs {
		add(fmt.Sprintf("approver_ids[%d]", i), p, slices.Contains(before.ApproverIDs, p))
	}
	return people
}

// environmentsNamed are the environments that an app names, besides those that it named
// before.
func environmentsNamed(before, a store.App) (ids []uuid.UUID) {
	if a.EnvironmentID != before.EnvironmentID {
		ids = append(ids, a.EnvironmentID)
	}
	for _, e := range a.OfferedEnvironmentIDs {
		if !slices.Contains(before.OfferedEnvironmentIDs, e) {
			ids = append(ids, e)
		}
	}
	return ids
}

// inWhenKnown is a transaction that makes an app of before. Whom and what it names and
// has just come is waited for.
func (c *Commands) inWhenKnown(ctx context.Context, by authz.Caller, before, a store.App, do func(context.Context, *postgres.Tx) error) error {
	ids := copies.IDs{
		copies.Users: postgres.Column(peopleNamed(before, a), reference.user), copies.Environments: environmentsNamed(before, a),
	}
	return copies.WhenKnown(ctx, c.DB, c.Progress, by.OrganizationID, ids, func() error { return c.DB.In(ctx, by.Scope(), do) }, reasonUserUnknown, reasonEnvironmentUnknown)
}

func checkEnvironments(ctx context.Context, tx *postgres.Tx, in string, before, a store.App) error {
	ids := environmentsNamed(before, a)
	if len(ids) == 0 {
		return nil
	}
	unknown, err := store.UnknownEnvironments(ctx, tx, ids)
	if err != nil || len(unknown) == 0 {
		return err
	}
	if i := slices.Index(a.OfferedEnvironmentIDs, unknown[0]); i >= 0 {
		return unknownEnvironment(fmt.Sprintf("%soffered_environment_ids[%d]", in, i))
	}
	return unknownEnvironment(in + "environment_id")
}

const reasonEnvironmentUnknown = "ENVIRONMENT_UNKNOWN"

func unknownEnvironment(field string) error {
	return apierr.InvalidField(field, reasonEnvironmentUnknown, "there is no such environment")
}

// GetApp gives an app that the caller sees, also if it is deleted.
func (c *Commands) GetApp(ctx context.Context, by authz.Caller, app uuid.UUID) (a store.App, err error) {
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		a, err = store.LoadAnyApp(ctx, tx, by.EnvironmentID, reader, app)
		return public(err)
	})
	return a, err
}

// ListApps gives the apps that the caller sees and whose name or description
// contains query, and the token of the next page.
func (c *Commands) ListApps(ctx context.Context, by authz.Caller, query string, asked filter.Request) (list []store.App, next string, err error) {
	page, err := store.AppList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		list, next, err = store.ListApps(ctx, tx, by.OrganizationID, by.EnvironmentID, reader, query, page)
		return err
	})
	return list, next, err
}

// SearchCatalog gives the apps that the caller sees and that have the words of query, the
// best first, and the token of the next page.
func (c *Commands) SearchCatalog(ctx context.Context, by authz.Caller, query string, asked filter.Request) (list []*store.Found, next string, err error) {
	page, err := store.CatalogList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.search(ctx, by, query, func(ctx context.Context, tx *postgres.Tx, s store.Search) (err error) {
		list, next, err = store.SearchCatalog(ctx, tx, s, page)
		return err
	})
	return list, next, err
}

// CatalogFacets gives the categories and tags of the apps that the caller sees.
func (c *Commands) CatalogFacets(ctx context.Context, by authz.Caller) (categories, tags []string, err error) {
	err = c.search(ctx, by, "", func(ctx context.Context, tx *postgres.Tx, s store.Search) (err error) {
		categories, tags, err = store.Facets(ctx, tx, s)
		return err
	})
	return categories, tags, err
}

func (c *Commands) search(ctx context.Context, by authz.Caller, query string, do func(context.Context, *postgres.Tx, store.Search) error) error {
	return c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		return do(ctx, tx, store.Search{
			OrganizationID: by.OrganizationID, EnvironmentID: by.EnvironmentID, UserID: by.UserID, Reader: reader, Words: store.Words(query),
		})
	})
}

// UpdateApp changes an app. apply gives the app as it is to be, and names the fields
// that it has changed; it is called again if somebody else changes the app at the
// same moment.
func (c *Commands) UpdateApp(ctx context.Context, by authz.Caller, app uuid.UUID, apply func(store.App) (after store.App, changed []string, err error)) (a store.App, err error) {
	for range 5 {
		if a, err = c.updateApp(ctx, by, app, apply); !errors.Is(err, store.ErrAppChanged) {
			break
		}
	}
	return a, public(err)
}

func (c *Commands) updateApp(ctx context.Context, by authz.Caller, appID uuid.UUID, apply func(store.App) (store.App, []string, error)) (store.App, error) {
	before, err := c.GetApp(ctx, by, appID)
	if err == nil && before.DeleteTime != nil {
		err = public(store.ErrAppNotFound)
	}
	if err != nil {
		return store.App{}, err
	}
	if !by.Scope().Owns(before.EnvironmentID) {
		return store.App{}, errAppOfOrganization
	}
	app, changed, err := apply(before)
	if err != nil {
		return store.App{}, err
	}
	if len(changed) == 0 {
		return before, nil
	}
	// Provisioning is asked before the transaction begins.
	if err := c.checkApp(ctx, by, app, "app.", changed); err != nil {
		return store.App{}, err
	}
	app.UpdateTime, app.Version = notBefore(c.Clock.Now(), before.UpdateTime), before.Version+1
	err = c.inWhenKnown(ctx, by, before, app, func(ctx context.Context, tx *postgres.Tx) error {
		if err := checkReferences(ctx, tx, "app.", before, app); err != nil {
			return err
		}
		if err := store.UpdateApp(ctx, tx, app); err != nil {
			return err
		}
		return c.Events.Add(ctx, tx, convert.AppUpdated(event.CallerActor(by), app, changed))
	})
	return app, err
}

// CreateEntitlement adds an entitlement to an app that the caller's scope owns.
func (c *Commands) CreateEntitlement(ctx context.Context, by authz.Caller, e store.Entitlement) (store.Entitlement, error) {
	if e.Name == "" {
		return e, apierr.InvalidField("name", "NAME_EMPTY", "the name must not be empty")
	}
	e.ID, e.OrganizationID, e.CreateTime, e.Version = id.New(), by.OrganizationID, c.Clock.Now(), 1
	var of store.App
	err := c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		of, err = ownedApp(ctx, tx, by, e.AppID)
		return err
	})
	if err != nil {
		return e, err
	}
	if err := c.checkInApp(ctx, by, of, e, ""); err != nil {
		return e, err
	}
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		app, err := ownedApp(ctx, tx, by, e.AppID)
		if err != nil {
			return err
		}
		e.EnvironmentID = app.EnvironmentID
		if err := store.InsertEntitlement(ctx, tx, e); err != nil {
			return public(err)
		}
		if err := c.Events.Add(ctx, tx, convert.EntitlementCreated(event.CallerActor(by), app, e)); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.CreatedEntitlement(e))
	})
	return e, err
}

// batchLookUpTimeout bounds the looks into an app for several entitlements in all, and
// batchLookUps how many are on their way at once.
const (
	batchLookUpTimeout = 10 * time.Second
	batchLookUps       = 8
)

// BatchCreateEntitlements adds entitlements to an app that the caller's scope owns, all of
// them or none.
func (c *Commands) BatchCreateEntitlements(ctx context.Context, by authz.Caller, appID uuid.UUID, list []store.Entitlement) ([]store.Entitlement, error) {
	in := func(n int) string { return fmt.Sprintf("requests[%d].", n) }
	names := make(map[string]bool, len(list))
	for n, e := range list {
		if e.Name == "" {
			return nil, apierr.InvalidField(in(n)+"name", "NAME_EMPTY", "the name must not be empty")
		}
		if names[strings.ToLower(e.Name)] {
			return nil, entitlementNameTaken(in(n))
		}
		names[strings.ToLower(e.Name)] = true
	}
	var of store.App
	err := c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		of, err = ownedApp(ctx, tx, by, appID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.checkAllInApp(ctx, by, of, list, in); err != nil {
		return nil, err
	}
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		app, err := ownedApp(ctx, tx, by, appID)
		if err != nil {
			return err
		}
		now := c.Clock.Now()
		events := make([]outbox.Event, 0, len(list))
		for n := range list {
			e := &list[n]
			e.ID, e.OrganizationID, e.EnvironmentID, e.AppID, e.CreateTime, e.Version = id.New(), app.OrganizationID, app.EnvironmentID, app.ID, now, 1
			err := store.InsertEntitlement(ctx, tx, *e)
			if errors.Is(err, store.ErrEntitlementNameTaken) {
				return entitlementNameTaken(in(n))
			}
			if err != nil {
				return public(err)
			}
			events = append(events, convert.EntitlementCreated(event.CallerActor(by), app, *e))
		}
		if err := c.Events.Add(ctx, tx, events...); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.CreatedEntitlements(list))
	})
	return list, err
}

// checkAllInApp is checkInApp of several, some at once; the error is that of the first that
// is wrong.
func (c *Commands) checkAllInApp(ctx context.Context, by authz.Caller, app store.App, list []store.Entitlement, in func(int) string) error {
	limited, cancel := context.WithTimeout(ctx, batchLookUpTimeout)
	defer cancel()
	errs := make([]error, len(list))
	var looks errgroup.Group
	looks.SetLimit(batchLookUps)
	for n, e := range list {
		looks.Go(func() error {
			if limited.Err() == nil || e.Ref == "" {
				errs[n] = c.checkInApp(limited, by, app, e, in(n))
			}
			return nil
		})
	}
	_ = looks.Wait() // none fails
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // the caller has gone
	}
	for _, err := range errs {
		if _, public := apierr.From(err); public {
			return err
		}
	}
	return nil
}

// lookUpTimeout bounds a look into an app, besides what provisioning takes for it.
const lookUpTimeout = 5 * time.Second

// checkInApp refuses an entitlement of an automatic app that is surely not in the app, as
// far as provisioning can say. in says where it is in the request. It is not called in a
// transaction.
func (c *Commands) checkInApp(ctx context.Context, by authz.Caller, app store.App, e store.Entitlement, in string) error {
	if app.Provisioning != "automatic" || e.Kind == "account" {
		return nil
	}
	field := in + "ref"
	if strings.TrimSpace(e.Ref) == "" {
		return apierr.InvalidField(field, "REF_EMPTY", "an automatic app is told what to give by its ref, such as the name or the id of a group")
	}
	// Provisioning is asked with the service's own token, and so does not look itself.
	if err := c.DB.Admitted(ctx, by.Scope()); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	r, err := c.Integrations.LookUpEntitlement(limited, &provisioningv1.LookUpEntitlementRequest{
		Id: app.IntegrationID.UUID.String(), OrganizationId: by.OrganizationID.String(), EnvironmentId: convert.ID(by.EnvironmentID),
		Kind: enum.Value[requestv1.EntitlementKind](e.Kind), Ref: e.Ref,
	})
	if err != nil {
		return nil //nolint:nilerr // it is not known, as if the app were away
	}
	const list = "IntegrationService.ListIntegrationEntitlements (GET /v1/integrations/%s/entitlements) lists what it has"
	switch r.GetFound() {
	case provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_NONE:
		return apierr.InvalidField(field, "ENTITLEMENT_NOT_IN_APP", "the app has no %s of this name or id; "+list, e.Kind, app.IntegrationID.UUID)
	case provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_SEVERAL:
		return apierr.InvalidField(field, "ENTITLEMENT_AMBIGUOUS", "the app has more than one %s of this name: use the id of the one that is meant; "+list, e.Kind, app.IntegrationID.UUID)
	case provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_UNSPECIFIED, provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_ONE,
		provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_UNKNOWN:
	}
	return nil
}

// checkNewRef is checkInApp for a ref that apply would change. What else is wrong says the
// transaction that makes the change.
func (c *Commands) checkNewRef(ctx context.Context, by authz.Caller, app, entitlement uuid.UUID,
	apply func(store.Entitlement) (after store.Entitlement, changed []string, err error),
) error {
	var of store.App
	var before store.Entitlement
	err := c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if of, err = ownedApp(ctx, tx, by, app); err != nil {
			return err
		}
		before, err = store.LoadEntitlement(ctx, tx, app, entitlement)
		return public(err)
	})
	if err != nil {
		return err
	}
	after, _, err := apply(before)
	if err != nil {
		return err
	}
	if after.Ref == before.Ref {
		return nil
	}
	return c.checkInApp(ctx, by, of, after, "entitlement.")
}

// UpdateEntitlement changes an entitlement of an app that the caller's scope owns.
// apply gives it as it is to be, and names the fields that it has changed; it may be
// called twice.
func (c *Commands) UpdateEntitlement(ctx context.Context, by authz.Caller, app, entitlement uuid.UUID,
	apply func(store.Entitlement) (after store.Entitlement, changed []string, err error),
) (e store.Entitlement, err error) {
	if err := c.checkNewRef(ctx, by, app, entitlement, apply); err != nil {
		return e, err
	}
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		of, before, err := lockEntitlement(ctx, tx, by, app, entitlement)
		if err != nil {
			return err
		}
		var changed []string
		if e, changed, err = apply(before); err != nil || len(changed) == 0 {
			return err
		}
		if e.Name == "" {
			return apierr.InvalidField("entitlement.name", "NAME_EMPTY", "the name must not be empty")
		}
		if e.Ref != before.Ref {
			if err := checkRef(ctx, tx, e); err != nil {
				return err
			}
		}
		e.Version++
		if err := store.UpdateEntitlement(ctx, tx, e); err != nil {
			return public(err)
		}
		return c.Events.Add(ctx, tx, convert.EntitlementUpdated(event.CallerActor(by), of, e, c.Clock.Now(), changed))
	})
	return e, err
}

// lockEntitlement gives an entitlement of an app, which the caller may change, and
// keeps others from changing and requesting it until the transaction ends.
func lockEntitlement(ctx context.Context, tx *postgres.Tx, by authz.Caller, app, entitlement uuid.UUID) (of store.App, e store.Entitlement, err error) {
	if of, err = ownedApp(ctx, tx, by, app); err != nil {
		return of, e, err
	}
	e, err = store.LockEntitlement(ctx, tx, app, entitlement)
	return of, e, public(err)
}

// checkRef refuses another ref for an account, which has none, and for what somebody
// holds or has requested: in the app it is known by the ref, and what they hold there
// would not be found again.
func checkRef(ctx context.Context, tx *postgres.Tx, e store.Entitlement) error {
	if e.Kind == "account" {
		return apierr.InvalidField("update_mask", "FIELD_NOT_CHANGEABLE", "an account has no ref")
	}
	// Who uses it may be of any environment.
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	use, err := store.UseOf(ctx, tx, e.AppID, convert.Nullable(e.ID))
	if err != nil || use.None() {
		return err
	}
	return inUse("ENTITLEMENT_IN_USE", use, "somebody holds it or has requested it, and the app knows it by its ref")
}

// ListEntitlements gives the entitlements of an app that the caller sees, or of all of
// them, and the token of the next page.
func (c *Commands) ListEntitlements(ctx context.Context, by authz.Caller, app uuid.NullUUID, asked filter.Request) (list []store.Entitlement, next string, err error) {
	page, err := store.EntitlementList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		if !app.Valid {
			list, next, err = store.ListAllEntitlements(ctx, tx, by.OrganizationID, by.EnvironmentID, reader, page)
			return err
		}
		if _, err := store.LoadApp(ctx, tx, by.EnvironmentID, reader, app.UUID); err != nil {
			return public(err)
		}
		list, next, err = store.ListEntitlements(ctx, tx, app.UUID, reader, page)
		return err
	})
	return list, next, err
}
