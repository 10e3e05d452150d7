// Package command is what the audit service does: it records entries, lists
// them, reads the trail of a request, and says who was given one. It opens transactions and decides who
// may see what; grpcapi and consume only translate.
package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/audit/internal/convert"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/store"
)

// Commands may be used by any number of goroutines.
type Commands struct {
	DB       *postgres.DB
	Events   *outbox.Writer
	Clock    clock.Clock
	Renderer *entry.Renderer
}

type (
	// Filter selects entries. Zero fields select all.
	Filter = store.Filter
	// UserVersion is a version of a user that an event has told of.
	UserVersion = store.UserVersion
)

// maxPage bounds the events in a page, in bytes as they are kept. Their JSON is
// two to four times as large, and an answer is to stay well below the 4 MiB that
// gRPC clients take. A page that would be larger ends early.
const maxPage = 512 << 10

// Record records entries with the commit of tx, in their order. An event that is
// recorded already changes nothing.
func (c *Commands) Record(tx *postgres.Tx, entries []entry.Entry) {
	store.Record(tx, c.Clock.Now(), entries)
}

// RaiseUserVersions has signed tokens that are older than users are not be
// accepted any more, with the commit of tx.
func (c *Commands) RaiseUserVersions(tx *postgres.Tx, versions []UserVersion) {
	store.RaiseUserVersions(tx, versions)
}

// List gives a page of the caller's organization's entries that f selects, at least
// one if there is one, and the token of the next page.
func (c *Commands) List(ctx context.Context, caller authz.Caller, f Filter, asked filter.Request) (list []convert.Entry, next string, err error) {
	page, err := store.EntryList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	var rows []store.Row
	err = c.DB.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		rows, next, err = store.List(ctx, tx, caller.OrganizationID, f, page, maxPage)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	list, err = convert.Render(c.Renderer, rows)
	return list, next, err
}

// Trail gives all entries of a request, oldest first. Those who do not see
// everybody's entries see the trails of requests that they are a party to; for
// others the request does not exist.
func (c *Commands) Trail(ctx context.Context, caller authz.Caller, request uuid.UUID) ([]convert.Entry, error) {
	unknown := apierr.NotFound("REQUEST_NOT_FOUND", "there is no request %s", request)
	var trail []store.Row
	err := c.DB.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if !caller.SeesAll() {
			is, err := store.IsParty(ctx, tx, caller.OrganizationID, request, caller.UserID)
			if err != nil {
				return err
			}
			if !is {
				return unknown
			}
		}
		trail, err = store.Trail(ctx, tx, caller.OrganizationID, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(trail) == 0 {
		return nil, unknown
	}
	return convert.Render(c.Renderer, trail)
}

// Download is a trail that is given to somebody as a file.
type Download struct {
	Request uuid.UUID
	Format  string
	Entries int
}

// Downloaded emits that the caller is given the trail of a request. It comes back into
// the log as every event does. Without it nothing is to be given.
func (c *Commands) Downloaded(ctx context.Context, caller authz.Caller, d Download) error {
	about := &eventv1.Context{Actor: event.CallerActor(caller), EnvironmentId: convert.ID(caller.EnvironmentID)}
	return c.DB.In(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		return c.Events.Add(ctx, tx, outbox.Event{
			OrganizationID: caller.OrganizationID, AggregateID: d.Request, Time: c.Clock.Now(),
			Message: &eventv1.ReportDownloaded{
				Context: about, RequestId: d.Request.String(), Format: d.Format, EntryCount: int32(d.Entries), //nolint:gosec // far below
				CredentialId: convert.ID(caller.CredentialID), Address: authz.AddressText(authz.ClientAddress(ctx)),
			},
		})
	})
}
