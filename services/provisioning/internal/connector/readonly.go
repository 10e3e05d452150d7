package connector

import (
	"context"
	"slices"
)

// ReadOnly returns a connector that looks and changes nothing, whoever asks for it: what
// would change the app is refused before the app is called. Test leaves out what only
// changes need.
func ReadOnly(c Connector) Connector { return readOnly{c} }

// readOnly lists what is let through, so that a method that is added to Connector is let
// through only once it stands here.
type readOnly struct{ app Connector }

var errReadOnly = NewError(Permanent, nil, "the integration may only read: nothing is changed in the app with it")

func (r readOnly) Test(ctx context.Context) (Report, error) {
	report, err := r.app.Test(ctx)
	report.Checks = slices.DeleteFunc(report.Checks, func(c Check) bool { return c.ForChanges })
	return report, err //nolint:wrapcheck // the connector's own word
}

func (r readOnly) Find(ctx context.Context, p Person, known string) (*Account, error) {
	return r.app.Find(ctx, p, known) //nolint:wrapcheck // the connector's own word
}

func (r readOnly) Holds(ctx context.Context, accountID string, e Entitlement) (bool, error) {
	return r.app.Holds(ctx, accountID, e) //nolint:wrapcheck // the connector's own word
}

func (r readOnly) ListEntitlements(ctx context.Context, l Listing) (Page, error) {
	return r.app.ListEntitlements(ctx, l) //nolint:wrapcheck // the connector's own word
}

func (r readOnly) HasEntitlement(ctx context.Context, e Entitlement) (bool, error) {
	return r.app.HasEntitlement(ctx, e) //nolint:wrapcheck // the connector's own word
}

func (readOnly) EnsureAccount(context.Context, Person, string) (Account, error) {
	return Account{}, errReadOnly
}

func (readOnly) UpdateAccount(context.Context, string, Person) error { return errReadOnly }

func (readOnly) SetManager(context.Context, string, string, []string) error { return errReadOnly }

func (readOnly) Add(context.Context, string, Entitlement) error { return errReadOnly }

func (readOnly) Remove(context.Context, string, Entitlement) error { return errReadOnly }

func (readOnly) RemoveAccount(context.Context, string, Removal) error { return errReadOnly }
