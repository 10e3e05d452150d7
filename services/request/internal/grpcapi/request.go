package grpcapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/consume"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// Requests answers RequestService.
type Requests struct {
	requestv1.UnimplementedRequestServiceServer

	DB     *postgres.DB
	Events *outbox.Writer
	Clock  clock.Clock
}

// CreateRequest implements RequestService.
func (s *Requests) CreateRequest(ctx context.Context, in *requestv1.CreateRequestRequest) (*requestv1.CreateRequestResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	content, err := fingerprint(in)
	if err != nil {
		return nil, err
	}
	r, err := s.create(ctx, c, in, content)
	if err == nil {
		return &requestv1.CreateRequestResponse{Request: r}, nil
	}
	// What is refused now may have been taken before, by the first of two same
	// calls; then that one is the answer.
	if in.GetRequestId() != "" {
		if first, found, lookErr := s.earlier(ctx, c, in.GetRequestId(), content); lookErr != nil || found {
			return first, lookErr
		}
	}
	return nil, err
}

// create makes a request. An ask that another one beats to it is tried again,
// to say which one that was.
func (s *Requests) create(ctx context.Context, c authz.Caller, in *requestv1.CreateRequestRequest, content []byte) (r *requestv1.Request, err error) {
	now := s.Clock.Now()
	a, err := readAsk(c, in, now)
	if err != nil {
		return nil, err
	}
	for range 3 {
		err = s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			who, wishes, err := a.survey(ctx, tx, true)
			if err != nil {
				return err
			}
			r = &requestv1.Request{
				Id: id.New().String(), OrganizationId: c.OrganizationID.String(), Kind: a.kind,
				Origin:        requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
				Requester:     &identityv1.Person{UserId: c.UserID.String(), DisplayName: c.Name, Email: c.Email},
				Beneficiary:   &identityv1.Person{UserId: a.beneficiary, DisplayName: who.Name, Email: who.Email},
				Justification: strings.TrimSpace(in.GetJustification()), Until: a.until,
				State:      requestv1.RequestState_REQUEST_STATE_SUBMITTED,
				CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now), Version: 1,
			}
			for _, w := range wishes {
				if err := a.refusal(w); err != nil {
					return err
				}
				r.Items = append(r.Items, consume.Item(w))
			}
			return consume.Submit(ctx, tx, s.Events, event.CallerActor(c), store.New{Request: r, ClientRequestID: in.GetRequestId(), Fingerprint: content})
		})
		if !errors.Is(err, store.ErrAskedAlready) || apierrMetadata(err, "request") != "" {
			break
		}
	}
	return r, err
}

// apierrMetadata gives a fact of an error for callers.
func apierrMetadata(err error, key string) string {
	if e, ok := apierr.From(err); ok {
		return e.Metadata[key]
	}
	return ""
}

// earlier looks for the request that the caller made with a request_id.
func (s *Requests) earlier(ctx context.Context, c authz.Caller, clientID string, content []byte) (out *requestv1.CreateRequestResponse, found bool, err error) {
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		first, was, err := store.ByClientRequestID(ctx, tx, c.UserID.String(), clientID)
		if err != nil || first == "" {
			return err
		}
		found = true
		if !bytes.Equal(was, content) {
			return apierr.Precondition("REQUEST_ID_REUSED", "this request_id was used before, for something else").
				With("request", first).WithField("request_id", "REQUEST_ID_REUSED", "was used before, for something else")
		}
		r, err := store.ByID(ctx, tx, first)
		if err != nil {
			return err
		}
		out = &requestv1.CreateRequestResponse{Request: r.Proto()}
		return nil
	})
	if err != nil {
		return nil, found, err
	}
	return out, found, nil
}

// PreviewRequest implements RequestService.
func (s *Requests) PreviewRequest(ctx context.Context, in *requestv1.PreviewRequestRequest) (*requestv1.PreviewRequestResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	a, err := readAsk(c, in.GetRequest(), s.Clock.Now())
	if err != nil {
		return nil, err
	}
	var out *requestv1.PreviewRequestResponse
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		out = &requestv1.PreviewRequestResponse{}
		_, wishes, err := a.survey(ctx, tx, false)
		for _, w := range wishes {
			item := consume.Item(w)
			item.Id = ""
			p := &requestv1.PreviewItem{Item: item}
			if e, ok := apierr.From(a.refusal(w)); ok {
				p.Refusal = e.Reason
			}
			out.Items = append(out.Items, p)
		}
		return err
	})
	return out, err
}

// ask is what is asked for, in the form the database keeps it in.
type ask struct {
	kind         requestv1.RequestKind
	beneficiary  string
	entitlements []string
	until        *timestamppb.Timestamp
}

// readAsk checks what needs no database.
func readAsk(c authz.Caller, in *requestv1.CreateRequestRequest, now time.Time) (ask, error) {
	a := ask{kind: in.GetKind(), beneficiary: strings.ToLower(in.GetBeneficiaryId())}
	if a.beneficiary == "" {
		a.beneficiary = c.UserID.String()
	}
	if c.Role == authzv1.Caller_CALLER_EXTERNAL && a.beneficiary != c.UserID.String() {
		return a, apierr.Denied("ONLY_FOR_ONESELF", "people from outside can ask for themselves only")
	}
	for i, e := range in.GetEntitlementIds() {
		e = strings.ToLower(e)
		if slices.Contains(a.entitlements, e) {
			return a, apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_TWICE", "each entitlement is asked for once")
		}
		a.entitlements = append(a.entitlements, e)
	}
	if in.GetUntil() == nil {
		return a, nil
	}
	if err := in.GetUntil().CheckValid(); err != nil {
		return a, apierr.InvalidField("until", "TIME_INVALID", "not a time")
	}
	until := in.GetUntil().AsTime().Truncate(time.Microsecond) // what the database keeps
	switch {
	case a.kind == requestv1.RequestKind_REQUEST_KIND_REVOKE:
		return a, apierr.InvalidField("until", "ONLY_FOR_GRANT", "a revoke has no end")
	case !until.After(now):
		return a, apierr.InvalidField("until", "NOT_IN_FUTURE", "must be in the future")
	}
	a.until = timestamppb.New(until)
	return a, nil
}

// survey looks up what is asked for; each entitlement is in the answer, in the
// order asked. lock keeps the beneficiary from being removed meanwhile.
func (a ask) survey(ctx context.Context, tx *postgres.Tx, lock bool) (store.Subject, []store.Wish, error) {
	who, wishes, err := store.Survey(ctx, tx, a.beneficiary, a.entitlements, a.kind, lock)
	switch {
	case err != nil:
		return who, nil, err
	case !who.Known:
		return who, nil, apierr.InvalidField("beneficiary_id", "USER_UNKNOWN", "there is no such user")
	}
	for i, e := range a.entitlements {
		if !slices.ContainsFunc(wishes, func(w store.Wish) bool { return w.EntitlementID == e }) {
			return who, nil, apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_UNKNOWN", "there is no such entitlement")
		}
	}
	if who.State != "active" {
		return who, nil, apierr.Precondition("BENEFICIARY_NOT_ACTIVE", "%s is %s", who.Name, who.State).
			WithField("beneficiary_id", "BENEFICIARY_NOT_ACTIVE", "%s is %s", who.Name, who.State)
	}
	return who, wishes, nil
}

// refusal says why one entitlement cannot be asked for as things stand; nil if
// it can.
func (a ask) refusal(w store.Wish) error {
	what := w.AppName + ": " + w.Name
	grant := a.kind == requestv1.RequestKind_REQUEST_KIND_GRANT
	switch {
	case w.Asked != "":
		return apierr.Precondition("ALREADY_REQUESTED", "%s has been asked for already", what).
			With("request", w.Asked).With("entitlement", w.EntitlementID)
	case !grant && !w.Held:
		return apierr.Precondition("NOTHING_TO_REVOKE", "%s is not held", what).With("entitlement", w.EntitlementID)
	case grant && w.Held && consume.Covers(w.HeldUntil, a.until):
		refused := apierr.Precondition("ALREADY_HELD", "%s is held already", what).With("entitlement", w.EntitlementID)
		if w.HeldBy != "" {
			refused = refused.With("request", w.HeldBy)
		}
		return refused
	}
	return nil
}

// fingerprint tells whether two calls with the same request_id ask the same.
func fingerprint(in *requestv1.CreateRequestRequest) ([]byte, error) {
	if in.GetRequestId() == "" {
		return nil, nil
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// GetRequest implements RequestService.
func (s *Requests) GetRequest(ctx context.Context, in *requestv1.GetRequestRequest) (*requestv1.GetRequestResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	out := &requestv1.GetRequestResponse{}
	err := s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.VisibleRequest(ctx, tx, c, in.GetId())
		if err != nil {
			return err
		}
		out.Request = r.Proto()
		return nil
	})
	return out, err
}

// ListRequests implements RequestService.
func (s *Requests) ListRequests(ctx context.Context, in *requestv1.ListRequestsRequest) (*requestv1.ListRequestsResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	after, err := idKey(in.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(in.GetPageSize())
	f := store.Filter{Beneficiary: in.GetBeneficiaryId(), AppID: in.GetAppId(), State: in.GetState(), After: after, Limit: size + 1}
	open, closed := false, true
	switch in.GetView() {
	case requestv1.RequestView_REQUEST_VIEW_MY_OPEN:
		f.Mine, f.Closed = true, &open
	case requestv1.RequestView_REQUEST_VIEW_MY_CLOSED:
		f.Mine, f.Closed = true, &closed
	case requestv1.RequestView_REQUEST_VIEW_OPEN:
		f.Closed = &open
	case requestv1.RequestView_REQUEST_VIEW_CLOSED:
		f.Closed = &closed
	case requestv1.RequestView_REQUEST_VIEW_UNSPECIFIED:
	}
	out := &requestv1.ListRequestsResponse{}
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		rs, err := store.Requests(ctx, tx, c, f)
		rs, out.NextPageToken = cut(rs, size, func(r *store.Request) string { return page.Encode(r.ID.String()) })
		out.Requests = make([]*requestv1.Request, 0, len(rs))
		for _, r := range rs {
			out.Requests = append(out.Requests, r.Proto())
		}
		return err
	})
	return out, err
}

// CancelRequest implements RequestService.
func (s *Requests) CancelRequest(ctx context.Context, in *requestv1.CancelRequestRequest) (*requestv1.CancelRequestResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c, now := authz.Must(ctx), s.Clock.Now()
	out := &requestv1.CancelRequestResponse{}
	err := s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.VisibleLocked(ctx, tx, c, in.GetId())
		if err != nil {
			return err
		}
		if me := (uuid.NullUUID{UUID: c.UserID, Valid: true}); !c.Administers() && r.RequesterID != me && r.BeneficiaryID != c.UserID {
			return apierr.Denied("NOT_YOUR_REQUEST", "only its requester, its beneficiary and admins can cancel a request")
		}
		if r.State == lifecycle.Cancelling {
			out.Request = r.Proto() // asking again is fine
			return nil
		}
		if !lifecycle.CanMove(r.State, lifecycle.Cancelling) {
			return apierr.Precondition("REQUEST_NOT_OPEN", "the request is %s; it can no longer be cancelled", r.State).
				With("state", r.Proto().GetState().String())
		}
		at := now
		if at.Before(r.UpdateTime) {
			at = r.UpdateTime
		}
		reason := strings.TrimSpace(in.GetReason())
		if reason == "" {
			reason = "taken back by " + c.Name
		}
		changes := store.NewChanges(c.OrganizationID)
		consume.AskToCancel(changes, r, event.CallerActor(c), reason, at)
		out.Request = r.Proto()
		return changes.WriteLater(ctx, tx, s.Events)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AddComment implements RequestService.
func (s *Requests) AddComment(ctx context.Context, in *requestv1.AddCommentRequest) (*requestv1.AddCommentResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c, now := authz.Must(ctx), timestamppb.New(s.Clock.Now())
	comment := &requestv1.Comment{
		Id: id.New().String(), Text: in.GetText(), CreateTime: now,
		Author: &identityv1.Person{UserId: c.UserID.String(), DisplayName: c.Name, Email: c.Email},
	}
	err := s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.VisibleRequest(ctx, tx, c, in.GetRequestId())
		if err != nil {
			return err
		}
		comment.RequestId = r.ID.String()
		ev := newEvent(c, comment.GetId(), now, &eventv1.CommentAdded{
			Context: &eventv1.Context{Actor: event.CallerActor(c), RequestIds: []string{comment.GetRequestId()}, UserId: r.BeneficiaryID.String()}, Comment: comment,
		})
		ev.ID = id.New()
		changes := store.NewChanges(c.OrganizationID)
		changes.Comment(comment)
		changes.Note(r.ID, store.Entry{
			EventID: ev.ID, Time: now.AsTime(), Event: "comment.added", ActorID: c.Subject, ActorName: c.Name, Text: in.GetText(),
		})
		changes.Say(ev)
		return changes.WriteLater(ctx, tx, s.Events)
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.AddCommentResponse{Comment: comment}, nil
}

// ListComments implements RequestService.
func (s *Requests) ListComments(ctx context.Context, in *requestv1.ListCommentsRequest) (*requestv1.ListCommentsResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	after, err := idKey(in.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(in.GetPageSize())
	out := &requestv1.ListCommentsResponse{}
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.VisibleRequest(ctx, tx, c, in.GetRequestId())
		if err != nil {
			return err
		}
		cs, err := store.Comments(ctx, tx, r.ID.String(), after, size+1)
		out.Comments, out.NextPageToken = cut(cs, size, func(c *requestv1.Comment) string { return page.Encode(c.GetId()) })
		return err
	})
	return out, err
}

// ListTimeline implements RequestService.
func (s *Requests) ListTimeline(ctx context.Context, in *requestv1.ListTimelineRequest) (*requestv1.ListTimelineResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c := authz.Must(ctx)
	after, err := page.Decode(in.GetPageToken(), 2)
	if err != nil {
		return nil, err
	}
	if after != nil {
		if _, err := id.Parse("page_token", after[1]); err != nil {
			return nil, err
		}
		if _, err := time.Parse(time.RFC3339Nano, after[0]); err != nil {
			return nil, apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
		}
	}
	size := page.Size(in.GetPageSize())
	out := &requestv1.ListTimelineResponse{}
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.VisibleRequest(ctx, tx, c, in.GetRequestId())
		if err != nil {
			return err
		}
		es, err := store.TimelineOf(ctx, tx, r.ID.String(), after, size+1)
		out.Entries, out.NextPageToken = cut(es, size, func(e *requestv1.TimelineEntry) string {
			return page.Encode(e.GetTime().AsTime().Format(time.RFC3339Nano), e.GetEventId())
		})
		return err
	})
	return out, err
}

// idKey reads the page token of a list by id.
func idKey(token string) (string, error) {
	keys, err := page.Decode(token, 1)
	if err != nil || keys == nil {
		return "", err
	}
	_, err = id.Parse("page_token", keys[0])
	return keys[0], err
}
