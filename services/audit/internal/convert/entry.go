// Package convert converts between the service's types and those of its API.
package convert

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/store"
)

// Entry is an entry as people read it.
type Entry struct {
	store.Row
	entry.Content
}

// Render renders entries of the log.
func Render(r *entry.Renderer, rows []store.Row) ([]Entry, error) {
	list := make([]Entry, len(rows))
	for i, row := range rows {
		content, err := r.Render(&row.Entry)
		if err != nil {
			return nil, err
		}
		list[i] = Entry{Row: row, Content: content}
	}
	return list, nil
}

// Message gives an entry as the API shows it.
func (e Entry) Message() (*auditv1.AuditEntry, error) {
	data := new(structpb.Struct)
	if err := protojson.Unmarshal(e.JSON, data); err != nil {
		return nil, fmt.Errorf("read the JSON of entry %d: %w", e.Position, err)
	}
	m := &auditv1.AuditEntry{
		EventId: e.EventID.String(), Position: e.Position, OrganizationId: e.OrganizationID.String(), EnvironmentId: ID(e.EnvironmentID),
		Event: e.Event(), Time: timestamppb.New(e.Time), RecordTime: timestamppb.New(e.RecordTime),
		Actor: e.Actor, UserId: ID(e.UserID), AppId: ID(e.AppID), Summary: e.Summary, Data: data,
	}
	for _, id := range e.RequestIDs {
		m.RequestIds = append(m.RequestIds, id.String())
	}
	return m, nil
}

// ID is an id as the API shows it; the nil id is empty.
func ID(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
