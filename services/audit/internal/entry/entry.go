package entry

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Entry is one event as the log keeps it.
type Entry struct {
	EventID, OrganizationID uuid.UUID
	// Type is the full name of the event's message.
	Type string
	// Aggregate and Name make the event's name, "<aggregate>.<name>".
	Aggregate, Name string
	// Time is when it happened.
	Time time.Time
	// Data is the event as its owner emitted it, in protobuf's wire format,
	// without secrets.
	Data []byte
	Keys
}

// Event is the event's name, such as "grant.activated".
func (e *Entry) Event() string { return e.Aggregate + "." + e.Name }

// Keys are what entries are found by. The nil id means none.
type Keys struct {
	// ActorID is empty if nobody is named, and at most 200 characters long.
	ActorID string
	// EnvironmentID is the environment that it belongs to; the nil id is the
	// organization itself.
	EnvironmentID uuid.UUID
	// UserID and AppID are whom and what it is about.
	UserID, AppID uuid.UUID
	// RequestIDs are the requests that it belongs to, each once.
	RequestIDs []uuid.UUID
	// Parties are requester and beneficiary of the request PartiesOf, who may
	// read its trail. Empty if the event does not name them.
	PartiesOf uuid.UUID
	Parties   []uuid.UUID
}

const maxActorID = 200 // characters, as many as a list can be filtered by

// Index gives the keys of an event. malformed are ids in it that are no UUIDs;
// they are among no keys.
func Index(m proto.Message) (k Keys, malformed []string) {
	id := func(s string) uuid.UUID {
		if s == "" {
			return uuid.Nil
		}
		u, err := uuid.Parse(s)
		if err != nil {
			malformed = append(malformed, clip(s, 100))
			return uuid.Nil
		}
		return u
	}
	c := event.ContextOf(m)
	k.ActorID = actorID(c.GetActor().GetId())
	k.UserID, k.AppID, k.EnvironmentID = id(c.GetUserId()), id(c.GetAppId()), id(c.GetEnvironmentId())
	for _, s := range c.GetRequestIds() {
		if request := id(s); request != uuid.Nil && !slices.Contains(k.RequestIDs, request) {
			k.RequestIDs = append(k.RequestIDs, request)
		}
	}
	about, ok := m.(interface{ GetRequest() *requestv1.Request })
	if !ok {
		return k, malformed
	}
	r := about.GetRequest()
	if k.PartiesOf = id(r.GetId()); k.PartiesOf == uuid.Nil {
		return k, malformed
	}
	for _, s := range []string{r.GetRequester().GetUserId(), r.GetBeneficiary().GetUserId()} {
		if user := id(s); user != uuid.Nil && !slices.Contains(k.Parties, user) {
			k.Parties = append(k.Parties, user)
		}
	}
	return k, malformed
}

func actorID(s string) string { return clip(line(s), maxActorID) }

// line makes one line of a text, without NUL, which PostgreSQL cannot keep.
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
