package grpcapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
)

type requestService struct {
	requestv1.UnimplementedRequestServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s requestService) CreateRequest(ctx context.Context, in *requestv1.CreateRequestRequest) (*requestv1.CreateRequestResponse, error) {
	submission, err := submission(in)
	if err != nil {
		return nil, err
	}
	r, err := s.commands.SubmitRequest(ctx, authz.Must(ctx), submission)
	if err != nil {
		return nil, err
	}
	return &requestv1.CreateRequestResponse{Request: convert.RequestPart(r)}, nil
}

func (s requestService) PreviewRequest(ctx context.Context, in *requestv1.PreviewRequestRequest) (*requestv1.PreviewRequestResponse, error) {
	submission, err := submission(in.GetRequest())
	if err != nil {
		return nil, err
	}
	list, err := s.commands.PreviewRequest(ctx, authz.Must(ctx), submission)
	if err != nil {
		return nil, err
	}
	out := &requestv1.PreviewRequestResponse{}
	for _, p := range list {
		out.Items = append(out.Items, &requestv1.PreviewItem{Item: convert.Item(p.Item), Refusal: string(p.Refusal), Route: p.Route, Limits: p.Limits, RequestId: p.First})
	}
	return out, nil
}

func (s requestService) AssignAccess(ctx context.Context, in *requestv1.AssignAccessRequest) (*requestv1.AssignAccessResponse, error) {
	a, err := assignment(in)
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.AssignAccessResponse, error) {
		return s.commands.AssignAccess(ctx, authz.Must(ctx), a)
	})
	return out, err
}

func (s requestService) PreviewAssignment(ctx context.Context, in *requestv1.PreviewAssignmentRequest) (*requestv1.PreviewAssignmentResponse, error) {
	a, err := assignment(in.GetAssignment())
	if err != nil {
		return nil, err
	}
	return s.commands.PreviewAssignment(ctx, authz.Must(ctx), a)
}

// assignment is what a call assigns.
func assignment(in *requestv1.AssignAccessRequest) (a command.Assignment, err error) {
	f := fields{}
	a = command.Assignment{
		UserIDs: f.ids("user_ids", in.GetUserIds()), EntitlementIDs: f.ids("entitlement_ids", in.GetEntitlementIds()),
		Justification: strings.TrimSpace(in.GetJustification()), Until: f.time("until", in.GetUntil()),
	}
	if f.err == nil && a.Justification == "" {
		f.fail(apierr.InvalidField("justification", "BLANK", "justification must not be blank"))
	}
	return a, f.err
}

// submission is what a call requests.
func submission(in *requestv1.CreateRequestRequest) (s command.Submission, err error) {
	f := fields{}
	s = command.Submission{
		Kind: lifecycle.Kind(enum.Word(in.GetKind())), BeneficiaryID: f.id("beneficiary_id", in.GetBeneficiaryId()),
		Justification: strings.TrimSpace(in.GetJustification()), ClientRequestID: convert.Nullable(f.id("request_id", in.GetRequestId())),
		Fields: in.GetFields(),
	}
	for i, e := range in.GetEntitlementIds() { // one that is there twice is refused later
		s.EntitlementIDs = append(s.EntitlementIDs, f.id(fmt.Sprintf("entitlement_ids[%d]", i), e))
	}
	s.Until, s.BundleIDs = f.time("until", in.GetUntil()), f.ids("bundle_ids", in.GetBundleIds())
	if len(s.EntitlementIDs)+len(s.BundleIDs) == 0 {
		f.fail(apierr.InvalidField("entitlement_ids", "INVALID_ARGUMENT", "value must contain at least 1 item(s), or bundle_ids must"))
	}
	if f.err == nil && s.ClientRequestID.Valid {
		s.Fingerprint, f.err = fingerprint(in)
	}
	return s, f.err
}

// time is a time as the database keeps it; nil for none.
func (f *fields) time(field string, t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	if err := t.CheckValid(); err != nil {
		f.fail(apierr.InvalidField(field, "TIME_INVALID", "not a time"))
		return nil
	}
	at := t.AsTime().Truncate(time.Microsecond)
	return &at
}

// fingerprint is equal for two calls with the same content.
func fingerprint(in *requestv1.CreateRequestRequest) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

func (s requestService) GetRequest(ctx context.Context, in *requestv1.GetRequestRequest) (*requestv1.GetRequestResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	r, err := s.commands.GetRequest(ctx, authz.Must(ctx), requestID)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetRequestResponse{Request: convert.RequestPart(r)}, nil
}

func (s requestService) ListRequests(ctx context.Context, in *requestv1.ListRequestsRequest) (*requestv1.ListRequestsResponse, error) {
	f, err := requestFilter(in)
	if err != nil {
		return nil, err
	}
	list, next, err := s.commands.ListRequests(ctx, authz.Must(ctx), f, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListRequestsResponse{Requests: each(list, convert.RequestPart), NextPageToken: next}, nil
}

// counted is how many requests are counted exactly.
const counted = 1000

func (s requestService) CountRequests(ctx context.Context, in *requestv1.CountRequestsRequest) (*requestv1.CountRequestsResponse, error) {
	f, err := requestFilter(in)
	if err != nil {
		return nil, err
	}
	count, more, err := s.commands.CountRequests(ctx, authz.Must(ctx), f, &requestv1.ListRequestsRequest{Filter: in.GetFilter()}, counted)
	if err != nil {
		return nil, err
	}
	return &requestv1.CountRequestsResponse{Count: int32(count), More: more}, nil //nolint:gosec // it is at most counted
}

// requestFilter is which requests a call lists or counts.
func requestFilter(in interface {
	GetView() requestv1.RequestView
	GetBeneficiaryId() string
	GetAppId() string
	GetState() requestv1.RequestState
	GetSearch() string
},
) (command.Filter, error) {
	f := fields{}
	filter := command.Filter{
		BeneficiaryID: f.id("beneficiary_id", in.GetBeneficiaryId()), AppID: f.id("app_id", in.GetAppId()),
		State: convert.RequestState(in.GetState()), Words: command.Words(in.GetSearch()),
	}
	open, closed := false, true
	switch in.GetView() {
	case requestv1.RequestView_REQUEST_VIEW_MY_OPEN:
		filter.Mine, filter.Closed = true, &open
	case requestv1.RequestView_REQUEST_VIEW_MY_CLOSED:
		filter.Mine, filter.Closed = true, &closed
	case requestv1.RequestView_REQUEST_VIEW_OPEN:
		filter.Closed = &open
	case requestv1.RequestView_REQUEST_VIEW_CLOSED:
		filter.Closed = &closed
	case requestv1.RequestView_REQUEST_VIEW_ACTION_REQUIRED:
		filter.Waits = true
	case requestv1.RequestView_REQUEST_VIEW_UNSPECIFIED:
	}
	return filter, f.err
}

func (s requestService) CancelRequest(ctx context.Context, in *requestv1.CancelRequestRequest) (*requestv1.CancelRequestResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	r, err := s.commands.CancelRequest(ctx, authz.Must(ctx), requestID, strings.TrimSpace(in.GetReason()))
	if err != nil {
		return nil, err
	}
	return &requestv1.CancelRequestResponse{Request: convert.RequestPart(r)}, nil
}

func (s requestService) GiveUpRequest(ctx context.Context, in *requestv1.GiveUpRequestRequest) (*requestv1.GiveUpRequestResponse, error) {
	f := fields{}
	g := command.GiveUp{RequestID: f.id("id", in.GetId()), ItemIDs: f.ids("item_ids", in.GetItemIds()), Reason: strings.TrimSpace(in.GetReason())}
	if f.err != nil {
		return nil, f.err
	}
	if g.Reason == "" {
		return nil, apierr.InvalidField("reason", "BLANK", "reason must not be blank")
	}
	r, err := s.commands.GiveUpRequest(ctx, authz.Must(ctx), g)
	if err != nil {
		return nil, err
	}
	return &requestv1.GiveUpRequestResponse{Request: convert.RequestPart(r)}, nil
}

func (s requestService) AddComment(ctx context.Context, in *requestv1.AddCommentRequest) (*requestv1.AddCommentResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.AddCommentResponse, error) {
		c, err := s.commands.AddComment(ctx, authz.Must(ctx), requestID, in.GetText())
		if err != nil {
			return nil, err
		}
		return convert.AddedComment(c), nil
	})
	return out, err
}

func (s requestService) ListComments(ctx context.Context, in *requestv1.ListCommentsRequest) (*requestv1.ListCommentsResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.commands.ListComments(ctx, authz.Must(ctx), requestID, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListCommentsResponse{Comments: each(list, convert.Comment), NextPageToken: next}, nil
}

func (s requestService) ListTimeline(ctx context.Context, in *requestv1.ListTimelineRequest) (*requestv1.ListTimelineResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.commands.ListTimeline(ctx, authz.Must(ctx), requestID, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListTimelineResponse{Entries: each(list, convert.TimelineEntry), NextPageToken: next}, nil
}

func (s requestService) GetDecisionContext(ctx context.Context, in *requestv1.GetDecisionContextRequest) (*requestv1.GetDecisionContextResponse, error) {
	requestID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.commands.DecisionContext(ctx, authz.Must(ctx), requestID)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetDecisionContextResponse{Context: convert.DecisionContext(c)}, nil
}
