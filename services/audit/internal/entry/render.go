package entry

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/event"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

const maxSummary = 1000 // characters; the whole text is in the event

// Content is what an entry says beside its keys.
type Content struct {
	// Actor did it. Never nil.
	Actor *eventv1.Actor
	// Summary is what happened, in one line of at most 1,000 characters.
	Summary string
	// JSON is the event in protobuf's JSON mapping.
	JSON []byte
}

// Renderer renders entries. Make it with [NewRenderer]; it is safe for
// concurrent use.
type Renderer struct{ summaries summaries }

// NewRenderer makes a renderer of all event types that are linked in.
func NewRenderer() *Renderer { return &Renderer{summaries: allSummaries()} }

// Render renders an entry. An event of a type that this program does not know,
// as after it was set back to an older version, gives its name and no more. An
// error means that Data is not what was recorded.
func (r *Renderer) Render(e *Entry) (Content, error) {
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
	if err != nil {
		return Content{Actor: &eventv1.Actor{Id: e.ActorID}, Summary: e.Event(), JSON: []byte("{}")}, nil //nolint:nilerr // said in the comment
	}
	m := typ.New().Interface()
	if err := proto.Unmarshal(e.Data, m); err != nil {
		return Content{}, fmt.Errorf("decode event %s, a %s: %w", e.EventID, e.Type, err)
	}
	json, err := protojson.Marshal(m)
	if err != nil {
		return Content{}, fmt.Errorf("render event %s as JSON: %w", e.EventID, err)
	}
	c := Content{Actor: actor(event.ContextOf(m).GetActor()), Summary: e.Event(), JSON: json}
	if summarize := r.summaries[m.ProtoReflect().Descriptor().FullName()]; summarize != nil {
		c.Summary = clip(line(summarize(m)), maxSummary)
	}
	return c, nil
}

// actor is an actor on one line, of a known kind.
func actor(a *eventv1.Actor) *eventv1.Actor {
	kind := a.GetKind()
	if _, ok := eventv1.ActorKind_name[int32(kind)]; !ok {
		kind = eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED
	}
	return &eventv1.Actor{Kind: kind, Id: actorID(a.GetId()), DisplayName: line(a.GetDisplayName())}
}
