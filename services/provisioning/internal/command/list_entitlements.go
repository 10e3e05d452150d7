package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// listTimeout bounds a page of what an app has.
	listTimeout = 8 * time.Second
	// lookUpTimeout bounds a look-up: somebody waits for it who makes an entitlement.
	lookUpTimeout = 4 * time.Second
	// listedPage is how many entitlements a page has by default, and listedMost at most.
	listedPage, listedMost = 50, 200
)

// ListEntitlements shows a page of what the app of an integration has to give. Errors as
// of Get; INVALID_ARGUMENT: ENTITLEMENT_KIND_NOT_LISTED; FAILED_PRECONDITION:
// INTEGRATION_NOT_WORKING.
func (n *Integrations) ListEntitlements(ctx context.Context, by authz.Caller, id uuid.UUID, l connector.Listing) (page connector.Page, err error) {
	if l.Size == 0 {
		l.Size = listedPage
	}
	l.Size = min(l.Size, listedMost)
	i, err := n.Get(ctx, by.Scope(), id)
	if err != nil {
		return page, err
	}
	c, err := n.connectTo(ctx, i)
	if err != nil {
		return page, err
	}
	defer c.Close()
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	page, err = c.ListEntitlements(limited, l)
	switch {
	case err == nil:
		return page, nil
	case ctx.Err() != nil:
		return page, fmt.Errorf("list entitlements: %w", ctx.Err())
	case errors.Is(err, connector.ErrNotListed):
		return page, apierr.InvalidField("kind", "ENTITLEMENT_KIND_NOT_LISTED", "the app does not tell what it has of this kind: name it as the app does")
	}
	e := apierr.Precondition("INTEGRATION_NOT_WORKING", "the app does not say what it has: %s", err)
	if wait := connector.RetryAfter(err); wait > 0 {
		e = e.WithRetry(wait)
	}
	return page, e.Wrap(err)
}

// Found is what a look for an entitlement found.
type Found int

const (
	// FoundUnknown says that the app could not be asked, or does not tell.
	FoundUnknown Found = iota
	// FoundNone says that the app surely does not have it.
	FoundNone
	// FoundOne says that the app has it.
	FoundOne
	// FoundSeveral says that the app has several of the name.
	FoundSeveral
)

// LookUpEntitlement says whether the app of an integration has an entitlement. Errors as of
// Get.
func (n *Integrations) LookUpEntitlement(ctx context.Context, s scope.Scope, id uuid.UUID, e connector.Entitlement) (Found, error) {
	i, err := n.Get(ctx, s, id)
	if err != nil {
		return FoundUnknown, err
	}
	if _, ok := n.lookUps.Take(i.OrganizationID.String()); !ok {
		return FoundUnknown, nil
	}
	c, err := n.connectTo(ctx, i)
	if err != nil {
		return FoundUnknown, err
	}
	defer c.Close()
	limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	has, err := c.HasEntitlement(limited, e)
	switch {
	case errors.Is(err, connector.ErrAmbiguous):
		return FoundSeveral, nil
	case err != nil:
		return FoundUnknown, nil //nolint:nilerr // that is the answer
	case has:
		return FoundOne, nil
	}
	return FoundNone, nil
}

// connectTo makes a connector of an integration. Close it.
func (n *Integrations) connectTo(ctx context.Context, i store.Integration) (*appConnector, error) {
	token, err := n.open(ctx, i)
	if err != nil {
		return nil, err
	}
	c, err := n.connect(i.BaseURL, token, i.Access)
	if err != nil {
		return nil, errSettings("scim", err.Error())
	}
	return c, nil
}
