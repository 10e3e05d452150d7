// Package grpcapi serves gatehouse.audit.v1.AuditService.
package grpcapi

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/sheet"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	"gatehouse.dev/services/audit/internal/command"
	"gatehouse.dev/services/audit/internal/report"
)

var eventName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)?$`)

// Audit is the service.
type Audit struct {
	auditv1.UnimplementedAuditServiceServer
	Commands *command.Commands
}

// ListAuditEntries lists what happened, newest first.
func (a *Audit) ListAuditEntries(ctx context.Context, req *auditv1.ListAuditEntriesRequest) (*auditv1.ListAuditEntriesResponse, error) {
	f, err := filter(req)
	if err != nil {
		return nil, err
	}
	entries, next, err := a.Commands.List(ctx, authz.Must(ctx), f, req)
	if err != nil {
		return nil, err
	}
	resp := &auditv1.ListAuditEntriesResponse{NextPageToken: next}
	for _, e := range entries {
		m, err := e.Message()
		if err != nil {
			return nil, err
		}
		resp.AuditEntries = append(resp.AuditEntries, m)
	}
	return resp, nil
}

func filter(req *auditv1.ListAuditEntriesRequest) (f command.Filter, err error) {
	f.ActorID = req.GetActorId()
	for _, v := range []struct {
		field, value string
		to           *uuid.UUID
	}{
		{"user_id", req.GetUserId(), &f.UserID},
		{"app_id", req.GetAppId(), &f.AppID},
		{"request_id", req.GetRequestId(), &f.RequestID},
	} {
		if v.value == "" {
			continue
		}
		if *v.to, err = id.Parse(v.field, v.value); err != nil {
			return f, err
		}
	}
	if req.GetEvent() != "" {
		if !eventName.MatchString(req.GetEvent()) {
			return f, apierr.InvalidField("event", "EVENT_INVALID", `event is not a name such as "grant.activated" or "grant"`)
		}
		f.Aggregate, f.Name, _ = strings.Cut(req.GetEvent(), ".")
	}
	if f.Since, err = timestamp("since", req.GetSince()); err != nil {
		return f, err
	}
	if f.Before, err = timestamp("before", req.GetBefore()); err != nil {
		return f, err
	}
	if req.GetSince() != nil && req.GetBefore() != nil && !f.Since.Before(f.Before) {
		return f, apierr.InvalidField("before", "BEFORE_INVALID", "before is not later than since")
	}
	return f, nil
}

// timestamp reads a time; absent is the zero time.
func timestamp(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if !t.IsValid() {
		return time.Time{}, apierr.InvalidField(field, "TIME_INVALID", "%s is not a time between the years 1 and 9999", field)
	}
	return t.AsTime(), nil
}

const (
	// usualSpan is the time that latencies are about if it is not said, and longestSpan
	// the most that may be.
	usualSpan, longestSpan = 24 * time.Hour, 31 * 24 * time.Hour
)

// GetLatencies tells how long was waited.
func (a *Audit) GetLatencies(ctx context.Context, req *auditv1.GetLatenciesRequest) (*auditv1.GetLatenciesResponse, error) {
	since, err := timestamp("since", req.GetSince())
	if err != nil {
		return nil, err
	}
	before, err := timestamp("before", req.GetBefore())
	if err != nil {
		return nil, err
	}
	if before.IsZero() {
		before = a.Commands.Clock.Now()
	}
	if since.IsZero() {
		since = before.Add(-usualSpan)
	}
	switch {
	case !since.Before(before):
		return nil, apierr.InvalidField("before", "BEFORE_INVALID", "before is not later than since")
	case before.Sub(since) > longestSpan:
		return nil, apierr.InvalidField("since", "SINCE_INVALID", "since is more than 31 days before the end")
	}
	l, err := a.Commands.Latencies(ctx, authz.Must(ctx), since, before)
	if err != nil {
		return nil, err
	}
	return &auditv1.GetLatenciesResponse{
		Since: timestamppb.New(since), Before: timestamppb.New(before),
		Latencies: []*auditv1.Latency{
			latency(auditv1.LatencyKind_LATENCY_KIND_PENDING, l.Pending),
			latency(auditv1.LatencyKind_LATENCY_KIND_ACCESS, l.Access),
			latency(auditv1.LatencyKind_LATENCY_KIND_REMOVAL, l.Removal),
			latency(auditv1.LatencyKind_LATENCY_KIND_AUDIT, l.Audit),
		},
	}, nil
}

func latency(kind auditv1.LatencyKind, l command.Latency) *auditv1.Latency {
	m := &auditv1.Latency{Kind: kind, Count: int32(l.Count)} //nolint:gosec // store.MaxMeasured at most
	if l.Count > 0 {
		m.P50, m.P99, m.Longest = durationpb.New(l.P50), durationpb.New(l.P99), durationpb.New(l.Longest)
	}
	return m
}

// GetRequestReport downloads the trail of a request, oldest first.
func (a *Audit) GetRequestReport(ctx context.Context, req *auditv1.GetRequestReportRequest) (*httpbody.HttpBody, error) {
	request, err := id.Parse("request_id", req.GetRequestId())
	if err != nil {
		return nil, err
	}
	format := sheet.JSON
	if req.GetFormat() != "" {
		if format, err = sheet.ParseFormat(req.GetFormat()); err != nil {
			return nil, apierr.InvalidField("format", "FORMAT_INVALID", "format is not json, csv, xlsx or pdf").Wrap(err)
		}
	}
	caller := authz.Must(ctx)
	trail, err := a.Commands.Trail(ctx, caller, request)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := report.Write(&file, format, request, trail); err != nil {
		return nil, err
	}
	if err := a.Commands.Downloaded(ctx, caller, command.Download{Request: request, Format: cmp.Or(req.GetFormat(), "json"), Entries: len(trail)}); err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: format.ContentType(), Data: file.Bytes()}, nil
}
