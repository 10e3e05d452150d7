package entry

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	maxSummary = 1000 // characters; the whole text is in the data
	maxActorID = 200  // characters, as many as a list can be filtered by
)

// Facts are what the log says of an event, besides its name and times.
type Facts struct {
	// ActorKind is a value of ActorKinds.
	ActorKind string
	// ActorID and ActorName may be empty.
	ActorID, ActorName string
	// EnvironmentID is the environment it belongs to; the nil id is the
	// organization itself.
	EnvironmentID uuid.UUID
	// UserID and AppID are whom and what it is about; the nil id for none.
	UserID, AppID uuid.UUID
	// RequestIDs are the requests it belongs to, each once.
	RequestIDs []uuid.UUID
	// PartyOf and Parties say who may read the trail of a request, as far as
	// this event tells. Parties is empty if it does not.
	PartyOf uuid.UUID
	Parties []uuid.UUID
	// Summary is what happened, in one line of plain words.
	Summary string
	// Data is the whole event as JSON, without secrets.
	Data []byte
	// BadIDs are ids in the context that are none. They stand in Data alone.
	BadIDs []string
}

// ActorKinds are the kinds of actors, by their names in the log.
var ActorKinds = map[eventv1.ActorKind]string{
	eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED: "unspecified",
	eventv1.ActorKind_ACTOR_KIND_USER:        "user",
	eventv1.ActorKind_ACTOR_KIND_SOURCE:      "source",
	eventv1.ActorKind_ACTOR_KIND_SYSTEM:      "system",
	eventv1.ActorKind_ACTOR_KIND_SERVICE:     "service",
}

// Reader reads events. Make one with NewReader; it is safe for concurrent use.
type Reader struct {
	words   words
	secrets secrets
}

// NewReader makes a reader of all event types that are linked in.
func NewReader() *Reader { return &Reader{words: allWords(), secrets: findSecrets()} }

// Read reads the event that happened as "<aggregate>.<name>". m is not changed.
func (r *Reader) Read(name string, m proto.Message) (Facts, error) {
	var f Facts
	c := event.ContextOf(m)
	actor := c.GetActor()
	if f.ActorKind = ActorKinds[actor.GetKind()]; f.ActorKind == "" {
		f.ActorKind = ActorKinds[eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED]
	}
	f.ActorID, f.ActorName = clip(line(actor.GetId()), maxActorID), line(actor.GetDisplayName())
	f.UserID, f.AppID, f.EnvironmentID = f.id(c.GetUserId()), f.id(c.GetAppId()), f.id(c.GetEnvironmentId())
	for _, s := range c.GetRequestIds() {
		if request := f.id(s); request != uuid.Nil && !slices.Contains(f.RequestIDs, request) {
			f.RequestIDs = append(f.RequestIDs, request)
		}
	}
	if about, ok := m.(interface{ GetRequest() *requestv1.Request }); ok {
		f.PartyOf = f.id(about.GetRequest().GetId())
		for _, s := range []string{about.GetRequest().GetRequester().GetUserId(), about.GetRequest().GetBeneficiary().GetUserId()} {
			if user := f.id(s); user != uuid.Nil && f.PartyOf != uuid.Nil && !slices.Contains(f.Parties, user) {
				f.Parties = append(f.Parties, user)
			}
		}
	}
	f.Summary = name
	if say := r.words[m.ProtoReflect().Descriptor().FullName()]; say != nil {
		f.Summary = clip(line(say(m)), maxSummary)
	}
	var err error
	if f.Data, err = protojson.Marshal(r.secrets.without(m)); err != nil {
		return Facts{}, fmt.Errorf("write %s as JSON: %w", name, err)
	}
	return f, nil
}

// id reads an id; none is the nil id.
func (f *Facts) id(s string) uuid.UUID {
	if s == "" {
		return uuid.Nil
	}
	u, err := uuid.Parse(s)
	if err != nil {
		f.BadIDs = append(f.BadIDs, clip(s, 100))
		return uuid.Nil
	}
	return u
}

// line makes one line of a text, which PostgreSQL can keep: it has no NUL.
func line(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "\x00", "\uFFFD")
}

// clip shortens a text to so many characters.
func clip(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
