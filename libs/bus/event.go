package bus

import (
	"strings"

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
	// HeaderContentType is said twice: by CloudEvents' name, and as everybody does.
	HeaderDataContentType = "ce-datacontenttype"
	HeaderContentType     = "content-type"
	// HeaderBulk is "true" for an event whose context says bulk, an extension
	// attribute.
	HeaderBulk = "ce-bulk"

	// SpecVersion is the CloudEvents version that HeaderSpecVersion names.
	SpecVersion = "1.0"
	// ContentType is that of every event's data: its protobuf message.
	ContentType = "application/protobuf"
	// JSONContentType is that of a whole event in JSON, CloudEvents' structured
	// mode, and JSONDataContentType that of the data in it.
	JSONContentType     = "application/cloudevents+json"
	JSONDataContentType = "application/json"
)

// sourcePrefix begins the source of every event, which CloudEvents wants to be an
// absolute URI.
const sourcePrefix = "urn:gatehouse:"

// Source is the source of a service's events.
func Source(service string) string { return sourcePrefix + service }

// ServiceOf is the service whose events have a source. Events of before sources were
// URIs have its name alone.
func ServiceOf(source string) string { return strings.TrimPrefix(source, sourcePrefix) }

// AllSubjects matches every event of every organization, and AllJSONSubjects every
// one in JSON.
const (
	AllSubjects     = "access.>"
	AllJSONSubjects = "access-json.>"
)

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
