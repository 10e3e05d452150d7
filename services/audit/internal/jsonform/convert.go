package jsonform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/inbox"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // all event types can be read
)

// schemaPrefix begins the dataschema of an event; its message's full name follows.
const schemaPrefix = "urn:gatehouse:proto:"

// headerPrefix begins the headers that are CloudEvents attributes.
const headerPrefix = "ce-"

// room is what a message's own headers take.
const room = 512

// cloudEvent is CloudEvents' JSON format, without extension attributes.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time,omitempty"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
}

// convert makes the message of ACCESS_JSON of one of ACCESS. An error means that
// no other attempt of this program will fare better.
func convert(keys eventsig.Keys, subject string, h nats.Header, data []byte) (*nats.Msg, error) {
	id, err := uuid.Parse(h.Get(bus.HeaderID))
	if err != nil || id == uuid.Nil {
		return nil, fmt.Errorf("the message has no event id")
	}
	typ, source := h.Get(bus.HeaderType), bus.ServiceOf(h.Get(bus.HeaderSource))
	m, err := inbox.Decode(keys, typ, source, subject, h, data)
	if err != nil {
		return nil, err
	}
	inner, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("render %s as JSON: %w", typ, err)
	}
	attributes, err := json.Marshal(cloudEvent{
		SpecVersion: bus.SpecVersion, ID: id.String(), Source: bus.Source(source), Type: typ,
		Subject: h.Get(bus.HeaderSubject), Time: h.Get(bus.HeaderTime),
		DataContentType: bus.JSONDataContentType, DataSchema: schemaPrefix + typ,
	})
	if err != nil {
		return nil, fmt.Errorf("render the attributes of %s: %w", typ, err)
	}
	var out bytes.Buffer
	out.Grow(len(attributes) + len(inner) + 256)
	out.Write(attributes[:len(attributes)-1])
	if err := writeExtensions(&out, h); err != nil {
		return nil, fmt.Errorf("render the attributes of %s: %w", typ, err)
	}
	out.WriteString(`,"data":`)
	// protojson puts spaces where it likes; what is said twice is to be the same.
	if err := json.Compact(&out, inner); err != nil {
		return nil, fmt.Errorf("render %s as JSON: %w", typ, err)
	}
	out.WriteByte('}')
	if size := out.Len() + room; size > bus.MaxMessageBytes {
		return nil, fmt.Errorf("%d bytes of JSON are more than the bus takes", size)
	}
	return &nats.Msg{
		Subject: "access-json." + strings.TrimPrefix(subject, "access."),
		Header: nats.Header{
			nats.MsgIdHdr:         {id.String()},
			bus.HeaderContentType: {bus.JSONContentType},
		},
		Data: out.Bytes(),
	}, nil
}

// core are the headers that cloudEvent says, or that are about the data's bytes.
var core = []string{
	bus.HeaderSpecVersion, bus.HeaderID, bus.HeaderType, bus.HeaderSource, bus.HeaderSubject, bus.HeaderTime, bus.HeaderDataContentType, "ce-dataschema",
}

// writeExtensions writes the extension attributes, by name: bulk, which is a
// Boolean, the trace, and what a later version may add.
func writeExtensions(out *bytes.Buffer, h nats.Header) error {
	names := []string{"traceparent", "tracestate"}
	for name := range h {
		if strings.HasPrefix(name, headerPrefix) && !slices.Contains(core, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, header := range names {
		text := h.Get(header)
		if text == "" {
			continue
		}
		var value any = text
		if header == bus.HeaderBulk {
			value = text == "true"
		}
		b, err := json.Marshal(map[string]any{strings.TrimPrefix(header, headerPrefix): value})
		if err != nil {
			return fmt.Errorf("attribute %s: %w", header, err)
		}
		out.WriteByte(',')
		out.Write(b[1 : len(b)-1])
	}
	return nil
}
