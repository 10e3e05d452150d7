package bus

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
)

// Header names of an event: CloudEvents 1.0 in its NATS binding, binary mode.
const (
	HeaderSpecVersion = "ce-specversion"
	HeaderID          = "ce-id"
	HeaderType        = "ce-type"
	HeaderSource      = "ce-source"
	HeaderSubject     = "ce-subject"
	HeaderTime        = "ce-time"
	HeaderContentType = "content-type"

	// SpecVersion is the CloudEvents version that HeaderSpecVersion names.
	SpecVersion = "1.0"
	// ContentType is that of every event's data: its protobuf message.
	ContentType = "application/protobuf"
)

// AllSubjects matches every event of every organization.
const AllSubjects = "access.>"

// Subject is where an event of an organization is published:
// access.<organization>.<aggregate>.<event>. It refuses names that would change
// the shape of the subject.
func Subject(organization uuid.UUID, aggregate, event string) (string, error) {
	if organization == uuid.Nil {
		return "", fmt.Errorf("event %s.%s has no organization", aggregate, event)
	}
	if !isToken(aggregate) || !isToken(event) {
		return "", fmt.Errorf("%q and %q cannot name an event: lower-case letters, digits and _ only", aggregate, event)
	}
	return "access." + organization.String() + "." + aggregate + "." + event, nil
}

// Filter matches the events of all organizations: of one aggregate and name, of
// all names if event is empty or *, of all aggregates if aggregate is empty
// or *.
func Filter(aggregate, event string) string {
	if aggregate == "" {
		aggregate = "*"
	}
	if event == "" {
		event = "*"
	}
	return "access.*." + aggregate + "." + event
}

// ParseSubject takes a subject apart. ok is false if it is not one of an event.
func ParseSubject(subject string) (organization uuid.UUID, aggregate, event string, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[0] != "access" {
		return uuid.Nil, "", "", false
	}
	organization, err := uuid.Parse(parts[1])
	if err != nil || organization == uuid.Nil {
		return uuid.Nil, "", "", false
	}
	return organization, parts[2], parts[3], true
}

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}

// Carrier lets an OpenTelemetry propagator read and write the headers of a
// message.
type Carrier nats.Header

var _ propagation.TextMapCarrier = Carrier(nil)

// Get is the value of a header.
func (c Carrier) Get(key string) string { return nats.Header(c).Get(key) }

// Set replaces the value of a header.
func (c Carrier) Set(key, value string) { nats.Header(c).Set(key, value) }

// Keys are the names of all headers.
func (c Carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
