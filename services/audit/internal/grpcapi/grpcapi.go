// Package grpcapi serves gatehouse.audit.v1.AuditService over the store.
package grpcapi

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/sheet"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	"gatehouse.dev/services/audit/internal/report"
	"gatehouse.dev/services/audit/internal/store"
)

// maxPage bounds the events in a page, in bytes of JSON, so that an answer
// stays well below what callers take. A page that would be larger ends early.
const maxPage = 2 << 20

var eventName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)?$`)

// Audit is the service.
type Audit struct {
	auditv1.UnimplementedAuditServiceServer
	DB *postgres.DB
}

// ListAuditEntries lists what happened, newest first.
func (a *Audit) ListAuditEntries(ctx context.Context, req *auditv1.ListAuditEntriesRequest) (*auditv1.ListAuditEntriesResponse, error) {
	f, err := filter(req)
	if err != nil {
		return nil, err
	}
	after, err := place(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	org := authz.Must(ctx).OrganizationID
	var rows []store.Row
	var more bool
	err = a.DB.InRead(ctx, authz.Must(ctx).Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		rows, more, err = store.List(ctx, tx, org, f, after, page.Size(req.GetPageSize()), maxPage)
		return err
	})
	if err != nil {
		return nil, err
	}
	resp := &auditv1.ListAuditEntriesResponse{}
	for _, r := range rows {
		e, err := report.Message(r)
		if err != nil {
			return nil, err
		}
		resp.AuditEntries = append(resp.AuditEntries, e)
	}
	if more {
		last := rows[len(rows)-1]
		resp.NextPageToken = page.Encode(strconv.FormatInt(last.Time.UnixMicro(), 10), strconv.FormatInt(last.Position, 10))
	}
	return resp, nil
}

func filter(req *auditv1.ListAuditEntriesRequest) (f store.Filter, err error) {
	if strings.ContainsRune(req.GetActorId(), 0) {
		return f, apierr.InvalidField("actor_id", "ACTOR_ID_INVALID", "actor_id holds a character that no id has")
	}
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
	if f.Since, err = moment("since", req.GetSince()); err != nil {
		return f, err
	}
	if f.Before, err = moment("before", req.GetBefore()); err != nil {
		return f, err
	}
	if req.GetSince() != nil && req.GetBefore() != nil && !f.Since.Before(f.Before) {
		return f, apierr.InvalidField("before", "BEFORE_INVALID", "before is not later than since")
	}
	return f, nil
}

// moment reads a time; none is the zero time.
func moment(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if !t.IsValid() {
		return time.Time{}, apierr.InvalidField(field, "TIME_INVALID", "%s is not a time between the years 1 and 9999", field)
	}
	return t.AsTime(), nil
}

// place reads a page token.
func place(token string) (*store.Place, error) {
	keys, err := page.Decode(token, 2)
	if err != nil || keys == nil {
		return nil, err
	}
	at, err1 := strconv.ParseInt(keys[0], 10, 64)
	position, err2 := strconv.ParseInt(keys[1], 10, 64)
	t := time.UnixMicro(at).UTC()
	if err1 != nil || err2 != nil || !timestamppb.New(t).IsValid() {
		return nil, apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
	}
	return &store.Place{Time: t, Position: position}, nil
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
			return nil, apierr.InvalidField("format", "FORMAT_INVALID", "format is none of json, csv, xlsx and pdf").Wrap(err)
		}
	}
	caller := authz.Must(ctx)
	unknown := apierr.NotFound("REQUEST_NOT_FOUND", "there is no request %s", request)
	var trail []store.Row
	err = a.DB.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
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
	var file bytes.Buffer
	if err := report.Write(&file, format, request, trail); err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: format.ContentType(), Data: file.Bytes()}, nil
}
