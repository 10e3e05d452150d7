package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// Batch is statements that reach the database in one round trip and take effect
// in the order they were added, each seeing what the ones before it did and
// what others had committed when its turn came. The zero Batch is ready.
type Batch struct {
	pgx.Batch
}

// Send sends the batch; what the statements give is there when it returns.
func (b *Batch) Send(ctx context.Context, tx *postgres.Tx, doing string) error {
	if b.Len() == 0 {
		return nil
	}
	err := tx.SendBatch(ctx, &b.Batch).Close()
	if err == nil {
		return nil
	}
	switch name, _ := postgres.Constraint(err); name {
	case "access_request_once":
		return ErrSameRequestID
	case "access_request_join_once":
		return ErrJoinedAlready
	case "request_item_asked_once":
		return ErrAskedAlready
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Lock keeps others from moving a request until the end of the transaction.
// What is to be decided by its items is locked before they are read, by a
// statement of its own: two events about two items would otherwise each see the
// other's item as it was.
func (b *Batch) Lock(request string) {
	b.Queue(`select from access_request where id = $1 for update`, request)
}

// Read reads a request into r; r is nil if there is none.
func (b *Batch) Read(request string, r **requestv1.Request) {
	*r = nil
	b.Queue(`select `+requestColumns+` from access_request r where r.id = $1`, request).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectExactlyOneRow(rows, scanRequest)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		*r = found
		return err
	})
}

// Timeline is one entry for the requests it belongs to.
type Timeline struct {
	Requests       []string
	EventID        uuid.UUID
	OrganizationID string
	Time           time.Time
	Event, Text    string
	// TooLate is the text for a request that was being cancelled, if not Text.
	TooLate            string
	ActorID, ActorName string
}

// Timeline adds an entry; an event has one in each request, however often it
// comes.
func (b *Batch) Timeline(t Timeline) {
	if len(t.Requests) == 0 {
		return
	}
	b.Queue(`
		insert into timeline_entry (request_id, event_id, organization_id, event_time, event, actor_id, actor_name, body)
		select i.id, $2, $3, $4, $5, $6, $7, case
			when $9::text = '' then $8::text
			when exists (select from access_request r where r.id = i.id and r.state = 'cancelling') then $9
			else $8 end
		from unnest($1::uuid[]) i (id)
		on conflict do nothing`,
		t.Requests, t.EventID, t.OrganizationID, t.Time, t.Event, t.ActorID, t.ActorName, t.Text, t.TooLate)
}

// Closing is why and by whom a request was ended.
type Closing struct {
	Reason   string
	ByID     string
	By, Mail string
}

// Move is where a request goes, and when.
type Move struct {
	Request string
	To      lifecycle.State
	At      time.Time
	// Closing is why and by whom, for a closing state.
	Closing Closing
	// FlowID and FlowVersion say which flow decides, if that is known now. The
	// first news of it counts.
	FlowID      string
	FlowVersion int32
}

// Move brings a request into a state if the lifecycle allows it from where it
// is.
func (b *Batch) Move(m Move) {
	b.Queue(`
		update access_request set state = $2, update_time = greatest(update_time, $3), version = version + 1,
			close_time = case when $4 then $3::timestamptz end,
			closing_reason = case when $5 <> '' then $5 else closing_reason end,
			closed_by_id = coalesce($6, closed_by_id),
			closed_by_name = case when $6::uuid is null then closed_by_name else $7 end,
			closed_by_email = case when $6::uuid is null then closed_by_email else $8 end,
			flow_id = case when flow_version = 0 then coalesce($10, flow_id) else flow_id end,
			flow_version = case when flow_version = 0 then $11 else flow_version end
		where id = $1 and state = any($9)`,
		m.Request, string(m.To), m.At, m.To.Closed(), m.Closing.Reason, optional(m.Closing.ByID), m.Closing.By, m.Closing.Mail,
		lifecycle.From(m.To), optional(m.FlowID), m.FlowVersion)
	if m.FlowVersion > 0 { // what had moved on already learns of it too
		b.Queue(`
			update access_request set flow_id = $2, flow_version = $3, update_time = greatest(update_time, $4), version = version + 1
			where id = $1 and flow_version = 0`, m.Request, optional(m.FlowID), m.FlowVersion, m.At)
	}
}

// MoveItem brings an item of a request into a state if the lifecycle allows it,
// which is a change of the request.
func (b *Batch) MoveItem(request, item string, to lifecycle.Item, at time.Time) {
	b.Queue(`
		with changed as (
			update request_item set state = $3 where request_id = $1 and id = $2 and state = any($4) returning id
		)
		update access_request set update_time = greatest(update_time, $5), version = version + 1
		where id = $1 and exists (select from changed)`, request, item, string(to), lifecycle.ItemFrom(to), at)
}

// MoveItems brings all items of a request, which is moved with them, into a
// state where the lifecycle allows it.
func (b *Batch) MoveItems(request string, to lifecycle.Item) {
	b.Queue(`update request_item set state = $2 where request_id = $1 and state = any($3)`, request, string(to), lifecycle.ItemFrom(to))
}

// Reviewers lets people see a request from now on.
func (b *Batch) Reviewers(org, request string, users []string) {
	if len(users) == 0 {
		return
	}
	b.Queue(`
		insert into reviewer (request_id, user_id, organization_id) select $1, u, $3 from unnest($2::uuid[]) u
		on conflict do nothing`, request, users, org)
}

// Comment adds a comment.
func (b *Batch) Comment(org string, c *requestv1.Comment) {
	b.Queue(`
		insert into comment (id, organization_id, request_id, author_id, author_name, author_email, body, create_time)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.GetId(), org, c.GetRequestId(), c.GetAuthor().GetUserId(), c.GetAuthor().GetDisplayName(), c.GetAuthor().GetEmail(),
		c.GetText(), c.GetCreateTime().AsTime())
}
