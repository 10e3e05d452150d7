// Package report makes the trail of a request into a file: CSV, XLSX and PDF
// for people, JSON for programs.
//
// The tables hold names where the trail itself tells them, and ids otherwise;
// nothing is looked up elsewhere, so that a trail can be read after all that is in it was deleted. JSON
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

	"gatehouse.dev/libs/sheet"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/audit/internal/convert"
)

// columns are those of the tables.
var columns = []string{"Time", "Recorded", "Event", "Actor", "Summary", "User", "App"}

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// Write writes the trail of a request.
func Write(w io.Writer, f sheet.Format, request uuid.UUID, trail []convert.Entry) error {
	if f == sheet.JSON {
		return writeJSON(w, trail)
	}
	names, err := findNames(trail)
	if err != nil {
		return err
	}
	table := sheet.Table{Title: "Trail of request " + request.String(), Columns: columns}
	table.Rows = func(yield func([]string, error) bool) {
		for i, r := range trail {
			row := []string{
				r.Time.UTC().Format(timeForm), r.RecordTime.UTC().Format(timeForm), r.Event(),
				orElse(r.Actor.GetDisplayName(), r.Actor.GetId()), r.Summary, names.of(r.UserID), names.app(r.AppID, i),
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	return sheet.Write(w, f, table)
}

func writeJSON(w io.Writer, trail []convert.Entry) error {
	var b bytes.Buffer
	for i, r := range trail {
		b.WriteString(map[bool]string{true: "[\n", false: ",\n"}[i == 0])
		e, err := r.Message()
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

// names are what the trail itself calls people and apps.
type names struct {
	byID map[string]string
	// apps are the names in each entry, for those about several apps.
	apps [][]string
}

func findNames(trail []convert.Entry) (*names, error) {
	n := &names{byID: map[string]string{}, apps: make([][]string, len(trail))}
	for i, r := range trail {
		var data any
		if err := json.Unmarshal(r.JSON, &data); err != nil {
			return nil, fmt.Errorf("read the JSON of entry %d: %w", r.Position, err)
		}
		n.collect("", data, i)
		if name := r.Actor.GetDisplayName(); name != "" && r.Actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_USER {
			n.byID[r.Actor.GetId()] = name
		}
	}
	return n, nil
}

// collect takes the names out of an event: those of persons, users and apps, and
// the apps beside which something else stands.
func (n *names) collect(field string, v any, i int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n.collect(field, e, i)
		}
	case map[string]any:
		n.add(v, "userId", "displayName")
		if n.add(v, "appId", "appName") && !slices.Contains(n.apps[i], v["appName"].(string)) {
			n.apps[i] = append(n.apps[i], v["appName"].(string))
		}
		switch field {
		case "app":
			n.add(v, "id", "name")
		case "user":
			n.add(v, "id", "displayName")
		}
		for k, e := range v {
			n.collect(k, e, i)
		}
	}
}

// add adds a name; the latest one counts.
func (n *names) add(v map[string]any, id, name string) bool {
	i, _ := v[id].(string)
	s, _ := v[name].(string)
	if i == "" || s == "" {
		return false
	}
	n.byID[i] = s
	return true
}

func (n *names) of(id uuid.UUID) string { return orElse(n.byID[convert.ID(id)], convert.ID(id)) }

func (n *names) app(id uuid.UUID, i int) string {
	if id == uuid.Nil {
		slices.Sort(n.apps[i]) // they come out of maps
		return strings.Join(n.apps[i], ", ")
	}
	return n.of(id)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
