// Package report makes the trail of a request into a file: CSV, XLSX and PDF
// for people, JSON for programs.
//
// The tables hold names where the trail itself tells them, and ids otherwise;
// nothing is looked up elsewhere, so that a trail reads the same for ever. JSON
// is an array of gatehouse.audit.v1.AuditEntry as the API shows it, and holds
// all there is.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/sheet"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/store"
)

// columns are those of the tables.
var columns = []string{"Time", "Recorded", "Event", "Actor", "Summary", "User", "App"}

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// Write writes the trail of a request.
func Write(w io.Writer, f sheet.Format, request uuid.UUID, trail []store.Row) error {
	if f == sheet.JSON {
		return writeJSON(w, trail)
	}
	names, err := learn(trail)
	if err != nil {
		return err
	}
	table := sheet.Table{Title: "Trail of request " + request.String(), Columns: columns}
	table.Rows = func(yield func([]string, error) bool) {
		for i, r := range trail {
			row := []string{
				r.Time.UTC().Format(timeForm), r.RecordTime.UTC().Format(timeForm), r.Aggregate + "." + r.Name,
				named(r.ActorName, r.ActorID), r.Summary, names.of(r.UserID), names.app(r.AppID, i),
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	return sheet.Write(w, f, table)
}

func writeJSON(w io.Writer, trail []store.Row) error {
	var b bytes.Buffer
	for i, r := range trail {
		b.WriteString(map[bool]string{true: "[\n", false: ",\n"}[i == 0])
		e, err := Message(r)
		if err != nil {
			return err
		}
		text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(e)
		if err != nil {
			return fmt.Errorf("write entry %d as JSON: %w", r.Position, err)
		}
		b.Write(text)
	}
	if len(trail) == 0 {
		b.WriteString("[")
	}
	b.WriteString("\n]\n")
	_, err := w.Write(b.Bytes())
	return err
}

// Message gives an entry as the API shows it.
func Message(r store.Row) (*auditv1.AuditEntry, error) {
	data := new(structpb.Struct)
	if err := protojson.Unmarshal(r.Data, data); err != nil {
		return nil, fmt.Errorf("read the data of entry %d: %w", r.Position, err)
	}
	e := &auditv1.AuditEntry{
		EventId: r.EventID.String(), Position: r.Position, OrganizationId: r.OrganizationID.String(), EnvironmentId: text(r.EnvironmentID),
		Event: r.Aggregate + "." + r.Name, Time: timestamppb.New(r.Time), RecordTime: timestamppb.New(r.RecordTime),
		Actor:  &eventv1.Actor{Id: r.ActorID, DisplayName: r.ActorName},
		UserId: text(r.UserID), AppId: text(r.AppID), Summary: r.Summary, Data: data,
	}
	for kind, name := range entry.ActorKinds {
		if name == r.ActorKind {
			e.Actor.Kind = kind
		}
	}
	for _, u := range r.RequestIDs {
		e.RequestIds = append(e.RequestIds, u.String())
	}
	return e, nil
}

// names are what the trail itself calls people and apps.
type names struct {
	byID map[string]string
	// apps are the names in each entry, for those about several apps.
	apps [][]string
}

func learn(trail []store.Row) (*names, error) {
	n := &names{byID: map[string]string{}, apps: make([][]string, len(trail))}
	for i, r := range trail {
		var data any
		if err := json.Unmarshal(r.Data, &data); err != nil {
			return nil, fmt.Errorf("read the data of entry %d: %w", r.Position, err)
		}
		n.look("", data, i)
		if r.ActorName != "" && r.ActorKind == entry.ActorKinds[eventv1.ActorKind_ACTOR_KIND_USER] {
			n.byID[r.ActorID] = r.ActorName
		}
	}
	return n, nil
}

// look takes the names out of an event: those of persons, users and apps, and
// the apps beside which something else stands.
func (n *names) look(field string, v any, i int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n.look(field, e, i)
		}
	case map[string]any:
		n.take(v, "userId", "displayName")
		if n.take(v, "appId", "appName") && !slices.Contains(n.apps[i], v["appName"].(string)) {
			n.apps[i] = append(n.apps[i], v["appName"].(string))
		}
		switch field {
		case "app":
			n.take(v, "id", "name")
		case "user":
			n.take(v, "id", "displayName")
		}
		for k, e := range v {
			n.look(k, e, i)
		}
	}
}

// take learns a name; the latest stands.
func (n *names) take(v map[string]any, id, name string) bool {
	i, _ := v[id].(string)
	s, _ := v[name].(string)
	if i == "" || s == "" {
		return false
	}
	n.byID[i] = s
	return true
}

func (n *names) of(id uuid.UUID) string { return named(n.byID[text(id)], text(id)) }

func (n *names) app(id uuid.UUID, i int) string {
	if id == uuid.Nil {
		slices.Sort(n.apps[i]) // they come out of maps
		return strings.Join(n.apps[i], ", ")
	}
	return n.of(id)
}

func named(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
