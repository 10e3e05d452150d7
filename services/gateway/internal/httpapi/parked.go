package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

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
// the others by name. A filter goes to all. With an order the services' lists are
// merged.
func (g gatherer) ListParkedEvents(ctx context.Context, in *opsv1.ListParkedEventsRequest, opts ...grpc.CallOption) (*opsv1.ListParkedEventsResponse, error) {
	services := g.services
	if in.GetService() != "" {
		s, err := g.named(in.GetService())
		if err != nil {
			return nil, err
		}
		services = []namedConn{s}
	} else if in.GetOrderBy() != "" {
		return g.sorted(ctx, in, opts...)
	}
	inner, list := "", listOf(in)
	if in.GetPageToken() != "" {
		keys, err := page.Decode(in.GetPageToken(), 3)
		i := slices.IndexFunc(services, func(c namedConn) bool { return err == nil && c.name == keys[0] && keys[2] == list })
		if i < 0 {
			return nil, errPageToken()
		}
		services, inner = services[i:], keys[1]
	}
	size := sizeOf(in)
	out := &opsv1.ListParkedEventsResponse{}
	for _, s := range services {
		room := size - int32(len(out.ParkedEvents)) //nolint:gosec // at most page.MaxSize
		if room == 0 {
			out.NextPageToken = page.Encode(s.name, "", list)
			break
		}
		asked := &opsv1.ListParkedEventsRequest{PageSize: room, PageToken: inner, Filter: in.GetFilter(), OrderBy: in.GetOrderBy()}
		r, err := s.parked(ctx, asked, opts...)
		if err != nil {
			return nil, err
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

func errPageToken() error {
	return apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list").GRPCStatus().Err()
}

// sizeOf is how many events a page has.
func sizeOf(in *opsv1.ListParkedEventsRequest) int32 {
	if s := in.GetPageSize(); s < 0 {
		return s // to be refused in the services' words
	}
	return int32(page.Size(in.GetPageSize())) //nolint:gosec // at most page.MaxSize
}

func (c namedConn) parked(ctx context.Context, in *opsv1.ListParkedEventsRequest, opts ...grpc.CallOption) (*opsv1.ListParkedEventsResponse, error) {
	r, err := opsv1.NewParkedEventServiceClient(c.conn).ListParkedEvents(ctx, in, opts...)
	if err != nil {
		return nil, c.failed(err)
	}
	return r, nil
}

// How far a service's events are shown, in the page token of a sorted list: not at all,
// to the end, or up to a page token of the service's own.
const (
	atStart   = ""
	atEnd     = "="
	atToken   = "+"
	perMerged = 1 // what stands in such a token before the services
)

// sorted lists the parked events of all services in one order. Each service is asked
// for a page; of those that are not shown whole, again for what is, since only a
// service can say where its list goes on. What comes or goes meanwhile makes no other
// event appear twice or be missed.
func (g gatherer) sorted(ctx context.Context, in *opsv1.ListParkedEventsRequest, opts ...grpc.CallOption) (*opsv1.ListParkedEventsResponse, error) {
	at, size, list := make([]string, len(g.services)), sizeOf(in), listOf(in)
	if in.GetPageToken() != "" {
		keys, err := page.Decode(in.GetPageToken(), perMerged+len(g.services))
		if err != nil || keys[0] != list {
			return nil, errPageToken()
		}
		copy(at, keys[perMerged:])
	}
	ask := func(i int, size int32) (*opsv1.ListParkedEventsResponse, error) {
		if at[i] == atEnd {
			return &opsv1.ListParkedEventsResponse{}, nil
		}
		return g.services[i].parked(ctx, &opsv1.ListParkedEventsRequest{
			PageSize: size, PageToken: strings.TrimPrefix(at[i], atToken), Filter: in.GetFilter(), OrderBy: in.GetOrderBy(),
		}, opts...)
	}
	pages := make([]*opsv1.ListParkedEventsResponse, len(g.services))
	for i := range g.services {
		var err error
		if pages[i], err = ask(i, size); err != nil {
			return nil, err
		}
	}
	compare := inOrder(in.GetOrderBy())
	_, shown := merge(pages, compare, int(size))
	end := true
	for i, n := range shown {
		if n == 0 && len(pages[i].GetParkedEvents()) > 0 { // goes on where it is
			pages[i], end = &opsv1.ListParkedEventsResponse{}, false
			continue
		}
		if n < len(pages[i].GetParkedEvents()) {
			var err error
			if pages[i], err = ask(i, int32(n)); err != nil { //nolint:gosec // at most page.MaxSize
				return nil, err
			}
		}
		at[i] = atEnd
		if next := pages[i].GetNextPageToken(); next != "" {
			at[i], end = atToken+next, false
		}
	}
	out := &opsv1.ListParkedEventsResponse{}
	out.ParkedEvents, _ = merge(pages, compare, int(size))
	if !end {
		out.NextPageToken = page.Encode(append([]string{list}, at...)...)
	}
	return out, nil
}

// merge takes up to so many events from the beginnings of sorted pages, and says how
// many of each.
func merge(pages []*opsv1.ListParkedEventsResponse, compare func(a, b *opsv1.ParkedEvent) int, size int) (events []*opsv1.ParkedEvent, taken []int) {
	taken = make([]int, len(pages))
	for len(events) < size {
		first := -1
		for i, p := range pages {
			if taken[i] < len(p.GetParkedEvents()) && (first < 0 || compare(p.GetParkedEvents()[taken[i]], pages[first].GetParkedEvents()[taken[first]]) < 0) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		events = append(events, pages[first].GetParkedEvents()[taken[first]])
		taken[first]++
	}
	return events, taken
}

// inOrder compares two events in an order that the services have taken, which is one
// of fields that an event always has.
func inOrder(orderBy string) func(a, b *opsv1.ParkedEvent) int {
	type key struct {
		field protoreflect.FieldDescriptor
		sign  int
	}
	var keys []key
	fields, sign := (&opsv1.ParkedEvent{}).ProtoReflect().Descriptor().Fields(), 1
	for part := range strings.SplitSeq(orderBy, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if sign = 1; len(words) > 1 && words[1] == "desc" {
			sign = -1
		}
		field := fields.ByJSONName(words[0])
		if field == nil {
			field = fields.ByName(protoreflect.Name(words[0]))
		}
		if field != nil {
			keys = append(keys, key{field, sign})
		}
	}
	keys = append(keys, key{fields.ByName("event_id"), sign})
	return func(a, b *opsv1.ParkedEvent) int {
		for _, k := range keys {
			if c := k.sign * compareValues(a.ProtoReflect().Get(k.field), b.ProtoReflect().Get(k.field)); c != 0 {
				return c
			}
		}
		return 0
	}
}

func compareValues(a, b protoreflect.Value) int {
	switch x := a.Interface().(type) {
	case int32:
		return cmp.Compare(x, int32(b.Int())) //nolint:gosec // of the same field
	case string:
		return cmp.Compare(x, b.String())
	case protoreflect.Message:
		t, ok := x.Interface().(*timestamppb.Timestamp)
		u, also := b.Message().Interface().(*timestamppb.Timestamp)
		if ok && also {
			return t.AsTime().Compare(u.AsTime())
		}
	}
	return 0
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
