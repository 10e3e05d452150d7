package live_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/gateway/internal/live"
)

// timing is so short that a test need not wait, and so that what is told to others comes
// well after what is told to those whom it concerns.
var timing = live.Timing{Gather: 20 * time.Millisecond, Between: 50 * time.Millisecond, Every: 300 * time.Millisecond, Burst: 10, Again: 100 * time.Millisecond, Others: time.Hour}

// world is a hub at a bus with the users of production.
type world struct {
	t      *testing.T
	server *busserver.Server
	cfg    busserver.Config
	hub    *live.Hub
	conn   *nats.Conn // of who may say anything
	org    uuid.UUID
}

func start(t *testing.T, timing live.Timing) *world {
	t.Helper()
	w := &world{t: t, org: id.New(), cfg: busserver.Config{
		Dir: t.TempDir(), Users: []busauth.User{busauth.Operator("operator", "operator"), busauth.Listener("gateway", "gateway")},
	}}
	w.serve()
	var err error
	w.hub, err = live.New(live.Config{Bus: bus.ListenerConfig{URL: as(w.server.URL(), "gateway"), Name: "gateway"}, Timing: timing})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.hub.Close)
	if err := w.hub.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve starts the bus, at the address that it had before.
func (w *world) serve() {
	w.t.Helper()
	var err error
	if w.server, err = busserver.Start(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.server.Stop)
	w.cfg.Addr = strings.TrimPrefix(w.server.URL(), "nats://")
	if w.conn, err = nats.Connect(as(w.server.URL(), "operator")); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.conn.Close)
}

func as(url, user string) string { return strings.Replace(url, "://", "://"+user+":"+user+"@", 1) }

// publish says an event of the world's organization.
func (w *world) publish(m proto.Message) {
	w.t.Helper()
	w.publishFor(w.org, m)
}

func (w *world) publishFor(org uuid.UUID, m proto.Message) {
	w.t.Helper()
	typ, err := event.TypeOf(m)
	if err != nil {
		w.t.Fatal(err)
	}
	subject, err := typ.Subject(org)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{bus.HeaderType: {string(m.ProtoReflect().Descriptor().FullName())}}}
	if err := w.conn.PublishMsg(msg); err != nil {
		w.t.Fatal(err)
	}
	if err := w.conn.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

// member is somebody without a role that sees more.
func (w *world) member() live.Who {
	return live.Who{Organization: w.org.String(), User: id.New().String()}
}

func (w *world) admin() live.Who {
	who := w.member()
	who.All = true
	return who
}

func (w *world) join(who live.Who) *live.Viewer {
	w.t.Helper()
	v, err := w.hub.Join(w.t.Context(), who)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.hub.Leave(v) })
	return v
}

// told gives the hints that a viewer gets within a while, until there are n.
func told(t *testing.T, v *live.Viewer, n int) (hints []string) {
	t.Helper()
	h := v.Hints()
	defer h.Stop()
	end := time.After(time.Second)
	if n > 0 {
		end = time.After(10 * time.Second)
	}
	for {
		select {
		case <-h.Wake():
			h.Plan()
		case <-h.Due():
			var names []string
			for _, c := range h.Take() {
				names = append(names, string(c))
			}
			if hints = append(hints, strings.Join(names, " ")); n > 0 && len(hints) == n {
				return hints
			}
		case <-end:
			return hints
		}
	}
}

// submitted is a request of somebody.
func submitted(who live.Who, app string) *eventv1.RequestSubmitted {
	request := id.New().String()
	return &eventv1.RequestSubmitted{
		Context: &eventv1.Context{UserId: who.User, RequestIds: []string{request}, EnvironmentId: who.Environment},
		Request: &requestv1.Request{
			Id: request, Requester: &identityv1.Person{UserId: who.User},
			Items: []*requestv1.RequestItem{{Id: id.New().String(), AppId: app}},
		},
	}
}

// Whom an event names is told, and again of what other services show of it; whoever it
// does not name is not. Roles that see everything are told of everything.
func TestTellsWhomItConcerns(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	alan, hedy, ada := w.member(), w.member(), w.admin()
	app := id.New().String()
	runs := w.member()
	runs.Apps = []string{app}
	elsewhere := w.admin()
	elsewhere.Organization = id.New().String()
	a, h, all, r, e := w.join(alan), w.join(hedy), w.join(ada), w.join(runs), w.join(elsewhere)
	w.publish(submitted(alan, app))
	for name, tc := range map[string]struct {
		v    *live.Viewer
		want []string
	}{
		"the requester":    {a, []string{"requests tasks", "tasks"}},
		"who runs the app": {r, []string{"requests tasks", "tasks"}},
		"an admin":         {all, []string{"auditEntries requests tasks", "auditEntries tasks"}},
	} {
		if got := told(t, tc.v, 2); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, v := range map[string]*live.Viewer{"somebody else": h, "another organization": e, "the requester, a third time": a} {
		if got := told(t, v, 0); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What concerned somebody concerns them further on, although it does not name them.
func TestRemembersRequests(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	requester, reviewer := w.member(), w.member()
	v := w.join(reviewer)
	request := id.New().String()
	about := &eventv1.Context{UserId: requester.User, RequestIds: []string{request}}
	w.publish(&eventv1.CommentAdded{Context: about, Comment: &requestv1.Comment{RequestId: request}})
	if got := told(t, v, 0); len(got) > 0 {
		t.Fatalf("before: %q", got)
	}
	w.publish(&eventv1.ApprovalRequested{Context: about, Tasks: []*approvalv1.Task{{Reviewer: &identityv1.Person{UserId: reviewer.User}}}})
	told(t, v, 2)
	w.publish(&eventv1.CommentAdded{Context: about, Comment: &requestv1.Comment{RequestId: request}})
	if got := told(t, v, 1); got[0] != "requests" {
		t.Errorf("after: %q", got)
	}
}

// What one environment's people do, those of another are not told; what the organization
// has, all are. B-USR-12.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	mine, theirs := id.New().String(), id.New().String()
	inMine := func(who live.Who) live.Who { who.Environment = mine; return who }
	ofRole := w.admin()
	ofRole.RoleEnvironment = mine
	env, role, all, member := w.join(inMine(w.admin())), w.join(ofRole), w.join(w.admin()), w.join(inMine(w.member()))
	other := w.member()
	other.Environment = theirs
	w.publish(submitted(other, ""))
	for name, v := range map[string]*live.Viewer{"admin of the environment": env, "admin in the environment": role, "its member": member} {
		if got := told(t, v, 0); len(got) > 0 {
			t.Errorf("of another: %s: %q", name, got)
		}
	}
	if got := told(t, all, 2); got[0] != "auditEntries requests tasks" {
		t.Errorf("admin of all: %q", got)
	}
	w.publish(submitted(inMine(w.member()), ""))
	for name, v := range map[string]*live.Viewer{"admin of the environment": env, "admin in the environment": role} {
		if got := told(t, v, 2); got[0] != "auditEntries requests tasks" {
			t.Errorf("of it: %s: %q", name, got)
		}
	}
}

// Who might see something of a change that does not name them is told later, once.
func TestTellsOthersLater(t *testing.T) {
	t.Parallel()
	short := timing
	short.Others = 300 * time.Millisecond
	w := start(t, short)
	mine := w.member()
	mine.Environment = id.New().String()
	v, elsewhere := w.join(w.member()), w.join(mine)
	for range 5 {
		w.publish(&eventv1.AppUpdated{Context: &eventv1.Context{EnvironmentId: id.New().String()}})
	}
	if got := told(t, v, 1); got[0] != "apps bundles" {
		t.Errorf("%q", got)
	}
	if got := told(t, v, 0); len(got) > 0 {
		t.Errorf("once more: %q", got)
	}
	if got := told(t, elsewhere, 0); len(got) > 0 {
		t.Errorf("of another environment: %q", got)
	}
}

// Nobody is told of what their role may not ask for. B-USR-06.
func TestTellsOfWhatMayBeAskedFor(t *testing.T) {
	t.Parallel()
	short := timing
	short.Others = 300 * time.Millisecond
	w := start(t, short)
	who := w.member()
	who.External = true
	external, member := w.join(who), w.join(w.member())
	w.publish(&eventv1.FlowUpdated{Context: &eventv1.Context{}})
	w.publish(&eventv1.ChecklistUpdated{Context: &eventv1.Context{}})
	w.publish(&eventv1.GroupUpdated{Context: &eventv1.Context{}})
	for name, tc := range map[string]struct {
		v    *live.Viewer
		want []string
	}{
		"a member":         {member, []string{"groups workItems"}},
		"somebody outside": {external, nil},
	} {
		if got := told(t, tc.v, 0); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Many changes are few hints.
func TestGathers(t *testing.T) {
	t.Parallel()
	slow := timing
	slow.Every, slow.Burst = time.Hour, 3
	w := start(t, slow)
	v := w.join(w.admin())
	var said sync.WaitGroup
	said.Go(func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for range 50 {
			w.publish(submitted(w.member(), ""))
			<-pace.C
		}
	})
	if got := told(t, v, 0); len(got) != 3 {
		t.Errorf("%d hints", len(got))
	}
	said.Wait()
}

// Who may be somebody else, or nobody, is looked at.
func TestLooks(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	alan, hedy := w.member(), w.member()
	a, h := w.join(alan), w.join(hedy)
	w.publish(&eventv1.SessionEnded{Context: &eventv1.Context{UserId: alan.User}})
	select {
	case <-a.Looks():
	case <-time.After(10 * time.Second):
		t.Error("not looked at")
	}
	select {
	case <-h.Looks():
		t.Error("somebody else is looked at")
	default:
	}
	alan.All = true
	w.hub.Change(a, alan)
	told(t, a, 2)
	w.publish(submitted(hedy, ""))
	if got := told(t, a, 2); got[0] != "auditEntries requests tasks" {
		t.Errorf("with another role: %q", got)
	}
}

// Who sees less from now on is not told of what they saw when it happened. B-USR-06.
func TestTellsOfWhatIsSeenNow(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	ada := w.admin()
	v := w.join(ada)
	w.publish(submitted(w.member(), ""))
	wake := v.Hints()
	defer wake.Stop()
	select {
	case <-wake.Wake():
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is to be told")
	}
	ada.All = false
	w.hub.Change(v, ada)
	for _, c := range wake.Take() {
		if c == "auditEntries" {
			t.Error("a member is told of the log")
		}
	}
}

// A bus that was away may have told what was not heard: everybody is told of everything.
// B-RUN-03.
func TestBusAway(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	v := w.join(w.member())
	w.server.Stop()
	early := w.join(w.admin()) // who comes meanwhile
	w.serve()
	for name, v := range map[string]*live.Viewer{"who was there": v, "who came meanwhile": early} {
		if got := told(t, v, 1); !strings.Contains(got[0], "requests") || !strings.Contains(got[0], "grants") {
			t.Errorf("%s: %q", name, got)
		}
		select {
		case <-v.Looks():
		default:
			t.Errorf("%s: not looked at", name)
		}
	}
	alan := w.member()
	a := w.join(alan)
	w.publish(submitted(alan, ""))
	if got := told(t, a, 1); got[0] != "requests tasks" {
		t.Errorf("afterwards: %q", got)
	}
}

// A gateway starts without a bus, and hears once it is there.
func TestStartsWithoutBus(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	w.server.Stop()
	hub, err := live.New(live.Config{Bus: bus.ListenerConfig{URL: as("nats://"+w.cfg.Addr, "gateway"), Name: "gateway"}, Timing: timing})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	if hub.Ready(t.Context()) == nil {
		t.Error("ready without a bus")
	}
	alan := w.member()
	v, err := hub.Join(t.Context(), alan)
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Leave(v)
	w.serve()
	told(t, v, 1)
	w.publish(submitted(alan, ""))
	if got := told(t, v, 1); !strings.Contains(got[0], "requests") {
		t.Errorf("%q", got)
	}
}

// An event of a newer release, which cannot be read, concerns those who see everything.
func TestUnknownEvent(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	all, member := w.join(w.admin()), w.join(w.member())
	if err := w.conn.PublishMsg(&nats.Msg{Subject: "access." + w.org.String() + ".request.paused", Header: nats.Header{bus.HeaderType: {"gatehouse.event.v1.RequestPaused"}}}); err != nil {
		t.Fatal(err)
	}
	if got := told(t, all, 1); got[0] != "auditEntries requests tasks" {
		t.Errorf("%q", got)
	}
	if got := told(t, member, 0); len(got) > 0 {
		t.Errorf("member: %q", got)
	}
}

// One user has so many streams, and whoever has left is counted no more.
func TestFull(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	alan := w.member()
	var viewers []*live.Viewer
	for range live.MaxStreamsOfUser {
		viewers = append(viewers, w.join(alan))
	}
	if _, err := w.hub.Join(t.Context(), alan); !live.IsFull(err) {
		t.Errorf("one more: %v", err)
	}
	w.join(w.member())
	w.hub.Leave(viewers[0])
	w.hub.Leave(viewers[0])
	w.join(alan)
	if _, err := w.hub.Join(t.Context(), alan); !live.IsFull(err) {
		t.Errorf("one more after one has left: %v", err)
	}
}

// Nobody listens to an organization without viewers.
func TestLeaves(t *testing.T) {
	t.Parallel()
	w := start(t, timing)
	for range 3 {
		v, other := w.join(w.member()), w.join(w.member())
		if n := w.hub.Listening(); n != 1 {
			t.Errorf("with viewers: %d", n)
		}
		w.hub.Leave(v)
		if n := w.hub.Listening(); n != 1 {
			t.Errorf("with one viewer left: %d", n)
		}
		w.hub.Leave(other)
		if n := w.hub.Listening(); n != 0 {
			t.Errorf("without viewers: %d", n)
		}
	}
}
