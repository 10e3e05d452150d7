package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// CreateBundle creates a bundle. One without an environment belongs to the caller's scope.
func (c *Commands) CreateBundle(ctx context.Context, by authz.Caller, b store.Bundle) (store.Bundle, error) {
	now := c.Clock.Now()
	b.ID, b.OrganizationID, b.CreateTime, b.UpdateTime, b.Version = id.New(), by.OrganizationID, now, now, 1
	if b.EnvironmentID == uuid.Nil {
		b.EnvironmentID = by.EnvironmentID
	}
	if !by.Scope().Owns(b.EnvironmentID) {
		return b, unknownEnvironment("environment_id")
	}
	var named []uuid.UUID
	if b.EnvironmentID != uuid.Nil {
		named = []uuid.UUID{b.EnvironmentID}
	}
	err := copies.WhenKnown(ctx, c.DB, c.Progress, by.OrganizationID, copies.IDs{copies.Environments: named}, func() error {
		return c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
			unknown, err := store.UnknownEnvironments(ctx, tx, named)
			if err != nil {
				return err
			}
			if len(unknown) > 0 {
				return unknownEnvironment("environment_id")
			}
			if err := c.checkBundle(ctx, tx, &b, nil, ""); err != nil {
				return err
			}
			if err := store.InsertBundle(ctx, tx, b); err != nil {
				return public(err)
			}
			if err := c.Events.Add(ctx, tx, convert.BundleCreated(event.CallerActor(by), b)); err != nil {
				return err
			}
			return idempotency.Save(ctx, tx, convert.CreatedBundle(b))
		})
	}, reasonEnvironmentUnknown)
	return b, err
}

// checkBundle refuses a bundle without a name and with what it cannot have, besides what it
// had, and reads its items. in says where it is in the request.
func (c *Commands) checkBundle(ctx context.Context, tx *postgres.Tx, b *store.Bundle, had []uuid.UUID, in string) error {
	if b.Name == "" {
		return apierr.InvalidField(in+"name", "NAME_EMPTY", "the name must not be empty")
	}
	one := []store.Bundle{*b}
	// As its owner sees them: what an environment is not offered is unknown in its bundles.
	if err := store.FillBundles(ctx, tx, b.OrganizationID, b.EnvironmentID, nil, one); err != nil {
		return err
	}
	b.Items = one[0].Items
	for n, e := range b.EntitlementIDs {
		known := slices.ContainsFunc(b.Items, func(i store.BundleItem) bool {
			return i.EntitlementID == e && !i.Gone && (i.AppEnvironmentID == uuid.Nil || i.AppEnvironmentID == b.EnvironmentID)
		})
		if !known && !slices.Contains(had, e) {
			return apierr.InvalidField(fmt.Sprintf("%sentitlement_ids[%d]", in, n), "ENTITLEMENT_UNKNOWN", "there is no such entitlement for this bundle")
		}
	}
	return nil
}

// GetBundle gives a bundle of which the caller sees something.
func (c *Commands) GetBundle(ctx context.Context, by authz.Caller, bundle uuid.UUID) (b store.Bundle, err error) {
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		b, err = c.bundle(ctx, tx, by, bundle)
		return err
	})
	return b, err
}

func (c *Commands) bundle(ctx context.Context, tx *postgres.Tx, by authz.Caller, bundle uuid.UUID) (store.Bundle, error) {
	reader, err := c.catalogReader(ctx, tx, by)
	if err != nil {
		return store.Bundle{}, err
	}
	found, err := store.LoadBundles(ctx, tx, by.OrganizationID, by.EnvironmentID, reader, []uuid.UUID{bundle})
	if err != nil {
		return store.Bundle{}, err
	}
	if len(found) == 0 {
		return store.Bundle{}, public(store.ErrBundleNotFound)
	}
	return found[0], nil
}

// ListBundles gives the bundles of which the caller sees something, and the token of the
// next page.
func (c *Commands) ListBundles(ctx context.Context, by authz.Caller, asked filter.Request) (list []store.Bundle, next string, err error) {
	page, err := store.BundleList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		list, next, err = store.ListBundles(ctx, tx, by.OrganizationID, by.EnvironmentID, reader, page)
		return err
	})
	return list, next, err
}

// UpdateBundle changes a bundle of the caller's scope. apply gives it as it is to be, and
// names the fields that it has changed.
func (c *Commands) UpdateBundle(ctx context.Context, by authz.Caller, bundle uuid.UUID, apply func(store.Bundle) (store.Bundle, []string, error)) (b store.Bundle, err error) {
	err = c.changeBundle(ctx, by, bundle, func(ctx context.Context, tx *postgres.Tx, before store.Bundle) error {
		var changed []string
		if b, changed, err = apply(before); err != nil || len(changed) == 0 {
			return err
		}
		if err := c.checkBundle(ctx, tx, &b, before.EntitlementIDs, "bundle."); err != nil {
			return err
		}
		b.UpdateTime = notBefore(c.Clock.Now(), before.UpdateTime)
		b.Version++
		if err := store.UpdateBundle(ctx, tx, b); err != nil {
			return public(err)
		}
		return c.Events.Add(ctx, tx, convert.BundleUpdated(event.CallerActor(by), b, changed))
	})
	return b, err
}

// DeleteBundle deletes a bundle of the caller's scope. What was requested as one goes on.
func (c *Commands) DeleteBundle(ctx context.Context, by authz.Caller, bundle uuid.UUID, etag string) error {
	return c.changeBundle(ctx, by, bundle, func(ctx context.Context, tx *postgres.Tx, b store.Bundle) error {
		if err := resource.CheckETag(etag, convert.Bundle(b).GetEtag()); err != nil {
			return err
		}
		now := notBefore(c.Clock.Now(), b.UpdateTime)
		b.UpdateTime, b.DeleteTime = now, &now
		b.Version++
		if err := store.UpdateBundle(ctx, tx, b); err != nil {
			return public(err)
		}
		return c.Events.Add(ctx, tx, convert.BundleDeleted(event.CallerActor(by), b))
	})
}

// changeBundle locks a bundle that the caller may change.
func (c *Commands) changeBundle(ctx context.Context, by authz.Caller, bundle uuid.UUID, change func(context.Context, *postgres.Tx, store.Bundle) error) error {
	return c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		seen, err := c.bundle(ctx, tx, by, bundle)
		if err != nil {
			return err
		}
		if !by.Scope().Owns(seen.EnvironmentID) {
			return apierr.Denied("BUNDLE_OF_ORGANIZATION", "this bundle belongs to the organization, and an environment does not change it")
		}
		b, err := store.LockBundle(ctx, tx, bundle)
		if err != nil {
			return public(err)
		}
		one := []store.Bundle{b}
		if err := store.FillBundles(ctx, tx, b.OrganizationID, b.EnvironmentID, nil, one); err != nil {
			return err
		}
		return change(ctx, tx, one[0])
	})
}

// maxItems is how many items a request has at most.
const maxItems = 50

// expand puts what bundles have behind what a submission names itself, each once.
func (c *Commands) expand(ctx context.Context, by authz.Caller, s *Submission) error {
	if len(s.BundleIDs) == 0 {
		return nil
	}
	if s.Kind != lifecycle.Grant {
		return apierr.InvalidField("bundle_ids", "ONLY_FOR_GRANT", "bundles are for asking, and not for giving back")
	}
	var bundles []store.Bundle
	err := c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		bundles, err = store.LoadBundles(ctx, tx, by.OrganizationID, by.EnvironmentID, reader, s.BundleIDs)
		return err
	})
	if err != nil {
		return err
	}
	for n, bundle := range s.BundleIDs {
		i := slices.IndexFunc(bundles, func(b store.Bundle) bool { return b.ID == bundle })
		if i < 0 {
			return apierr.InvalidField(fmt.Sprintf("bundle_ids[%d]", n), "BUNDLE_UNKNOWN", "there is no such bundle")
		}
		for _, item := range bundles[i].Items {
			if item.Gone || slices.Contains(s.EntitlementIDs, item.EntitlementID) {
				continue
			}
			if s.fromBundle == nil {
				s.fromBundle = make(map[uuid.UUID]store.Bundle)
			}
			s.EntitlementIDs, s.fromBundle[item.EntitlementID] = append(s.EntitlementIDs, item.EntitlementID), bundles[i]
		}
	}
	switch {
	case len(s.EntitlementIDs) == 0:
		return apierr.InvalidField("bundle_ids[0]", "BUNDLE_UNKNOWN", "nothing is left in this bundle")
	case len(s.EntitlementIDs) > maxItems:
		return apierr.InvalidField("bundle_ids", "REQUEST_TOO_LARGE", "one request has %d items at most, and this would have %d", maxItems, len(s.EntitlementIDs))
	}
	return nil
}

// leaveOut takes out of a lookup what came with bundles and does not exist for the
// beneficiary, or not any more.
func (s *Submission) leaveOut(by authz.Caller, l *store.Lookup, flows rules) {
	if len(s.fromBundle) == 0 {
		return
	}
	exists := func(e uuid.UUID) bool {
		_, bundled := s.fromBundle[e]
		return !bundled || slices.ContainsFunc(l.Candidates, func(c store.Candidate) bool {
			return c.EntitlementID == e && c.Visible && flows.letIn(by, s.Kind, l.Beneficiary, c)
		})
	}
	s.EntitlementIDs = slices.DeleteFunc(slices.Clone(s.EntitlementIDs), func(e uuid.UUID) bool { return !exists(e) })
	l.Candidates = slices.DeleteFunc(l.Candidates, func(c store.Candidate) bool { return !exists(c.EntitlementID) })
}

// item makes the item of a candidate, with the bundle that it came with.
func (s *Submission) item(c store.Candidate) *store.Item {
	i := newItem(c)
	if b, ok := s.fromBundle[c.EntitlementID]; ok {
		i.BundleID, i.BundleName = convert.Nullable(b.ID), b.Name
	}
	return i
}

// skips reports whether an item that would be refused is left out instead: what came with a
// bundle and the beneficiary has, or is to get.
func (s *Submission) skips(c store.Candidate, why lifecycle.Refusal) bool {
	_, bundled := s.fromBundle[c.EntitlementID]
	return bundled && (why == lifecycle.AlreadyHeld || why == lifecycle.AlreadyRequested)
}
