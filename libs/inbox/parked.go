package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// Parked is an event that could not be handled.
type Parked struct {
	EventID     uuid.UUID
	Type        string
	AggregateID string
	Error       string
	Attempts    int
	EventTime   time.Time
	ParkedTime  time.Time
}

// ParkedList is what parked events are filtered and sorted by. They are few.
var ParkedList = filter.New("gatehouse.ops.v1.ListParkedEvents", "parkedTime", filter.ID("eventId", "p.event_id"),
	// In the order of its bytes, by which the gateway merges the lists of services.
	filter.Text("type", "p.type").SortText(`p.type collate "C"`),
	filter.Text("aggregateId", "p.aggregate_id"),
	filter.Text("error", "p.error"),
	filter.Int("attempts", "p.attempts").Sort(),
	filter.Time("eventTime", "p.event_time").Sort(),
	filter.Time("parkedTime", "p.parked_at").Sort(),
)

// Parked reads a page of [ParkedList], of an organization, and gives the token of the
// next page.
func (c *Consumer) Parked(ctx context.Context, organization uuid.UUID, page *filter.Query) (list []Parked, next string, err error) {
	err = c.cfg.DB.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
		args := filter.Arguments{organization}
		sql := `select p.event_id, p.type, p.aggregate_id, p.error, p.attempts, p.event_time, p.parked_at, ` + page.Keys() + `
from parked_event p where p.organization_id = $1` + page.Where(args.Add) + page.Order() + page.Limit(args.Add)
		list, next, err = filter.Read(ctx, tx, page, sql, args, pgx.RowToStructByPos[Parked])
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list parked events: %w", err)
	}
	return list, next, nil
}

// Replay handles a parked event again and takes it off the list, in one
// transaction. An apierr says NotFound, reason EVENT_NOT_FOUND, or
// FailedPrecondition, reason EVENT_STILL_FAILS; nothing has changed then.
func (c *Consumer) Replay(ctx context.Context, organization, eventID uuid.UUID) error {
	var typ string
	err := c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := tx.SetOrganization(ctx, organization); err != nil {
			return err
		}
		d, err := c.lockParked(ctx, tx, eventID)
		if err != nil {
			return err
		}
		typ = d.Type
		if err := c.replay(ctx, tx, d); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "delete from parked_event where event_id = $1", eventID); err != nil {
			return fmt.Errorf("take event %s off the list: %w", eventID, err)
		}
		if _, err := tx.Exec(ctx, mayHaveCome, organization); err != nil {
			return fmt.Errorf("have what waited for event %s replayed: %w", eventID, err)
		}
		return nil
	})
	var f *failure
	switch {
	case err == nil:
		c.log.Info("Parked event replayed", "event_id", eventID, "type", typ, "organization_id", organization)
		return nil
	case errors.As(err, &f) && !databaseAway(err):
		c.log.Warn("Parked event still fails", "event_id", eventID, "type", typ, "organization_id", organization, "error", f.err)
		return apierr.Precondition("EVENT_STILL_FAILS", "the event still cannot be handled: %s", describe(f.err)).Wrap(f)
	default:
		return err
	}
}

// replay gives a parked event its effect; tx sees its organization.
func (c *Consumer) replay(ctx context.Context, tx *postgres.Tx, d *delivery) error {
	if d.broken != nil {
		return &failure{event: d, err: d.broken}
	}
	switch {
	case c.cfg.Handlers.ofAll(d.Type):
		if err := tx.SetSystem(ctx); err != nil {
			return err
		}
		return c.callBatch(ctx, tx, []*delivery{d}, c.cfg.Handlers.batch)
	case c.cfg.Handlers.wants(d.Type):
		_, err := c.callNext(ctx, tx, []*delivery{d})
		return err
	}
	return &failure{event: d, err: fmt.Errorf("events of type %s are not handled here", d.Type)}
}

// lockParked reads a parked event and keeps others from replaying it.
func (c *Consumer) lockParked(ctx context.Context, tx *postgres.Tx, eventID uuid.UUID) (*delivery, error) {
	d := &delivery{}
	var headers []byte
	var sequence int64
	err := tx.QueryRow(ctx, `
select event_id, organization_id, type, subject, aggregate_id, event_time, headers, data, stream_created, stream_sequence
from parked_event where event_id = $1 for update`, eventID).Scan(
		&d.ID, &d.OrganizationID, &d.Type, &d.Subject, &d.AggregateID, &d.Time, &headers, &d.Data, &d.stream, &sequence)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, apierr.NotFound("EVENT_NOT_FOUND", "there is no parked event %s", eventID)
	}
	if err != nil {
		return nil, fmt.Errorf("load parked event %s: %w", eventID, err)
	}
	d.StreamSequence = uint64(sequence)
	if err := json.Unmarshal(headers, &d.headers); err != nil {
		return nil, fmt.Errorf("read the headers of parked event %s: %w", eventID, err)
	}
	d.Source = bus.ServiceOf(d.headers.Get(bus.HeaderSource))
	c.decode(d)
	return d, nil
}

// ParkedServer is gatehouse.ops.v1.ParkedEventService for the events of one
// service. Callers see those of their own organization, if their role is held in all
// of it: which environment a parked event is about is not known, as it may not be what
// it says.
type ParkedServer struct {
	opsv1.UnimplementedParkedEventServiceServer
	consumer *Consumer
}

// NewParkedServer serves the parked events of a consumer, which need not run.
func NewParkedServer(c *Consumer) *ParkedServer { return &ParkedServer{consumer: c} }

// organizationOf is the organization whose parked events a caller sees.
func organizationOf(ctx context.Context) (uuid.UUID, error) {
	s := authz.Must(ctx).Scope()
	if !s.Whole() {
		return uuid.Nil, apierr.Denied("NOT_IN_ENVIRONMENT", "parked events are shown to those whose role is held in the whole organization")
	}
	return s.OrganizationID, nil
}

// ListParkedEvents lists a page of the organization's parked events.
func (s *ParkedServer) ListParkedEvents(ctx context.Context, req *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	organization, err := organizationOf(ctx)
	if err != nil {
		return nil, err
	}
	page, err := ParkedList.Parse(req)
	if err != nil {
		return nil, err
	}
	service := s.consumer.cfg.Service
	if req.GetService() != "" && req.GetService() != service {
		return &opsv1.ListParkedEventsResponse{}, nil
	}
	list, next, err := s.consumer.Parked(ctx, organization, page)
	if err != nil {
		return nil, err
	}
	resp := &opsv1.ListParkedEventsResponse{NextPageToken: next}
	for _, p := range list {
		resp.ParkedEvents = append(resp.ParkedEvents, &opsv1.ParkedEvent{
			Service:     service,
			EventId:     p.EventID.String(),
			Type:        p.Type,
			AggregateId: p.AggregateID,
			Error:       p.Error,
			Attempts:    int32(p.Attempts),
			EventTime:   timestamppb.New(p.EventTime),
			ParkedTime:  timestamppb.New(p.ParkedTime),
		})
	}
	return resp, nil
}

// ReplayParkedEvent handles a parked event again.
func (s *ParkedServer) ReplayParkedEvent(ctx context.Context, req *opsv1.ReplayParkedEventRequest) (*opsv1.ReplayParkedEventResponse, error) {
	organization, err := organizationOf(ctx)
	if err != nil {
		return nil, err
	}
	eventID, err := id.Parse("event_id", req.GetEventId())
	if err != nil {
		return nil, err
	}
	if req.GetService() != s.consumer.cfg.Service {
		return nil, apierr.NotFound("EVENT_NOT_FOUND", "there is no parked event %s", eventID)
	}
	if err := s.consumer.Replay(ctx, organization, eventID); err != nil {
		return nil, err
	}
	return &opsv1.ReplayParkedEventResponse{}, nil
}
