package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/page"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// gatherer answers for the parked events of all services at once. It is a
// client to the REST side, and asks every service with the caller's token. What
// a caller may not do, or asks for wrongly, the services say.
type gatherer struct {
	services []namedConn
}

var _ opsv1.ParkedEventServiceClient = gatherer{}

// ListParkedEvents lists the services' parked events, one service after the
// other. Its page token says which service's page comes next. A service that is
// away fails the list rather than seeming to have none; a caller may ask for
// the others by name. A filter goes to all; an order is that of one service.
func (g gatherer) ListParkedEvents(ctx context.Context, in *opsv1.ListParkedEventsRequest, opts ...grpc.CallOption) (*opsv1.ListParkedEventsResponse, error) {
	services := g.services
	if in.GetService() != "" {
		s, err := g.named(in.GetService())
		if err != nil {
			return nil, err
		}
		services = []namedConn{s}
	} else if in.GetOrderBy() != "" {
		return nil, apierr.InvalidField("order_by", "ORDER_BY_INVALID", "order_by: only the events of one service are sorted; name it in service").GRPCStatus().Err()
	}
	inner, list := "", listOf(in)
	if in.GetPageToken() != "" {
		keys, err := page.Decode(in.GetPageToken(), 3)
		i := slices.IndexFunc(services, func(c namedConn) bool { return err == nil && c.name == keys[0] && keys[2] == list })
		if i < 0 {
			return nil, apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list").GRPCStatus().Err()
		}
		services, inner = services[i:], keys[1]
	}
	size := int32(page.Size(in.GetPageSize())) //nolint:gosec // at most page.MaxSize
	if s := in.GetPageSize(); s < 0 {
		size = s // to be refused in the services' words
	}
	out := &opsv1.ListParkedEventsResponse{}
	for _, s := range services {
		room := size - int32(len(out.ParkedEvents)) //nolint:gosec // at most page.MaxSize
		if room == 0 {
			out.NextPageToken = page.Encode(s.name, "", list)
			break
		}
		asked := &opsv1.ListParkedEventsRequest{PageSize: room, PageToken: inner, Filter: in.GetFilter(), OrderBy: in.GetOrderBy()}
		r, err := opsv1.NewParkedEventServiceClient(s.conn).ListParkedEvents(ctx, asked, opts...)
		if err != nil {
			return nil, s.failed(err)
		}
		inner = ""
		out.ParkedEvents = append(out.ParkedEvents, r.GetParkedEvents()...)
		if r.GetNextPageToken() != "" {
			out.NextPageToken = page.Encode(s.name, r.GetNextPageToken(), list)
			break
		}
	}
	return out, nil
}

// listOf tells lists apart: a page token between two services holds none of theirs,
// which are good for one filter and order.
func listOf(in *opsv1.ListParkedEventsRequest) string {
	sum := sha256.Sum256([]byte(in.GetService() + "\x00" + in.GetFilter() + "\x00" + in.GetOrderBy()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// ReplayParkedEvent passes on to the service that parked the event.
func (g gatherer) ReplayParkedEvent(ctx context.Context, in *opsv1.ReplayParkedEventRequest, opts ...grpc.CallOption) (*opsv1.ReplayParkedEventResponse, error) {
	s, err := g.named(in.GetService())
	if err != nil {
		return nil, err
	}
	r, err := opsv1.NewParkedEventServiceClient(s.conn).ReplayParkedEvent(ctx, in, opts...)
	if err != nil {
		return nil, s.failed(err)
	}
	return r, nil
}

func (g gatherer) named(name string) (namedConn, error) {
	i := slices.IndexFunc(g.services, func(c namedConn) bool { return c.name == name })
	if i < 0 {
		return namedConn{}, apierr.InvalidField("service", "SERVICE_UNKNOWN", "no service of the name %q parks events", name).GRPCStatus().Err()
	}
	return g.services[i], nil
}

// failed names the service that did not answer.
func (c namedConn) failed(err error) error {
	if _, ok := reasonOf(status.Convert(err)); ok || status.Code(err) != codes.Unavailable {
		return err
	}
	return apierr.Unavailable(apierr.ReasonUnavailable, err).With("service", c.name).GRPCStatus().Err()
}
