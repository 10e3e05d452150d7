package copies_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// directory is an owner of users and groups, which forgets removed groups.
type directory struct {
	org     uuid.UUID
	users   map[string]*identityv1.User
	groups  map[string]*identityv1.Group
	members map[string]map[string]bool // of groups
	told    []inbox.Event
	gone    map[string]bool // removed groups
}

func newDirectory() *directory {
	return &directory{
		org: id.New(), users: map[string]*identityv1.User{}, groups: map[string]*identityv1.Group{},
		members: map[string]map[string]bool{}, gone: map[string]bool{},
	}
}

func (d *directory) tell(m proto.Message) {
	d.told = append(d.told, inbox.Event{ID: id.New(), OrganizationID: d.org, Type: string(m.ProtoReflect().Descriptor().FullName()), Message: m})
}

// pick are events by their numbers.
func (d *directory) pick(numbers []int) []inbox.Event {
	out := make([]inbox.Event, len(numbers))
	for i, n := range numbers {
		out[i] = d.told[n]
	}
	return out
}

// user changes a user, who comes if they are not there.
func (d *directory) user(key string, state identityv1.UserState) {
	u := d.users[key]
	if u == nil {
		u = &identityv1.User{Id: id.New().String(), OrganizationId: d.org.String(), UserName: key}
		d.users[key] = u
	}
	u.Version++
	u.State = state
	u.DisplayName = fmt.Sprintf("%s %d", key, u.GetVersion())
	say, ctx := proto.CloneOf(u), &eventv1.Context{Version: u.GetVersion()}
	switch {
	case state == identityv1.UserState_USER_STATE_REMOVED:
		d.tell(&eventv1.UserRemoved{Context: ctx, User: say})
	case state == identityv1.UserState_USER_STATE_SUSPENDED:
		d.tell(&eventv1.UserSuspended{Context: ctx, User: say})
	case u.GetVersion() == 1:
		d.tell(&eventv1.UserJoined{Context: ctx, User: say})
	default:
		d.tell(&eventv1.UserUpdated{Context: ctx, User: say})
	}
}

// group changes a group, which comes if it is not there.
func (d *directory) group(key string) *identityv1.Group {
	g := d.groups[key]
	if g == nil {
		g = &identityv1.Group{Id: id.New().String(), OrganizationId: d.org.String(), Version: 1, DisplayName: key}
		d.groups[key], d.members[g.GetId()] = g, map[string]bool{}
		d.tell(&eventv1.GroupCreated{Group: proto.CloneOf(g)})
	}
	return g
}

func (d *directory) member(group, user string, in bool) {
	u, g := d.users[user], d.group(group)
	if u == nil || d.members[g.GetId()][u.GetId()] == in {
		return
	}
	g.Version++
	say, p := proto.CloneOf(g), &identityv1.Person{UserId: u.GetId()}
	if in {
		d.members[g.GetId()][u.GetId()] = true
		d.tell(&eventv1.GroupMemberAdded{Group: say, Member: p})
	} else {
		delete(d.members[g.GetId()], u.GetId())
		d.tell(&eventv1.GroupMemberRemoved{Group: say, Member: p})
	}
}

func (d *directory) removeGroup(key string) {
	g := d.groups[key]
	if g == nil {
		return
	}
	g.Version++
	d.tell(&eventv1.GroupRemoved{Group: proto.CloneOf(g)})
	d.gone[g.GetId()] = true
	delete(d.groups, key)
	delete(d.members, g.GetId())
}

// act is one change.
func (d *directory) act(t *rapid.T) {
	user := rapid.SampledFrom([]string{"ada", "bob", "eve"}).Draw(t, "user")
	group := rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "group")
	switch rapid.SampledFrom([]string{"join", "suspend", "leave", "add", "add", "take", "drop", "group"}).Draw(t, "act") {
	case "join":
		d.user(user, identityv1.UserState_USER_STATE_ACTIVE)
	case "suspend":
		d.user(user, identityv1.UserState_USER_STATE_SUSPENDED)
	case "leave":
		d.user(user, identityv1.UserState_USER_STATE_REMOVED)
	case "add":
		d.member(group, user, true)
	case "take":
		d.member(group, user, false)
	case "drop":
		d.removeGroup(group)
	case "group":
		d.group(group)
	}
}

// snapshot is all that is there now.
func (d *directory) snapshot() []*opsv1.StreamSnapshotResponse {
	var out []*opsv1.StreamSnapshotResponse
	for _, u := range d.users {
		out = append(out, &opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_User{User: proto.CloneOf(u)}})
	}
	for _, g := range d.groups {
		out = append(out, &opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Group{Group: &opsv1.SnapshotGroup{
			Group: proto.CloneOf(g), MemberIds: slices.Sorted(maps.Keys(d.members[g.GetId()])),
		}}})
	}
	return out
}

// facts are what is true of a directory, in lines.
func (d *directory) facts() []string {
	var out []string
	for _, u := range d.users {
		out = append(out, fmt.Sprintf("user %s v%d %q removed %t", u.GetId(), u.GetVersion(), u.GetDisplayName(), u.GetState() == identityv1.UserState_USER_STATE_REMOVED))
	}
	for _, g := range d.groups {
		out = append(out, fmt.Sprintf("group %s v%d removed false", g.GetId(), g.GetVersion()))
		for m := range d.members[g.GetId()] {
			out = append(out, fmt.Sprintf("member %s of %s", m, g.GetId()))
		}
	}
	slices.Sort(out)
	return out
}

// copied are the facts that the copy has. A removed group is forgotten by its
// owner, so it is no fact.
func copied(ctx context.Context, db *postgres.DB, org uuid.UUID) (out []string, err error) {
	err = db.InOrganizationRead(ctx, org, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			select format('user %s v%s "%s" removed %s', id, version, display_name, removed::text) from user_copy
			union all select format('group %s v%s removed false', id, version) from group_copy where not removed
			union all select format('member %s of %s', user_id, group_id) from group_member_copy where not removed`)
		if err == nil {
			out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	slices.Sort(out)
	return out, err
}

// shadow is what a hook knows from changes alone.
type shadow struct {
	org   uuid.UUID
	mu    sync.Mutex
	users map[uuid.UUID]*identityv1.User
	in    map[string]bool
	wrong []string
}

func (s *shadow) changed(_ context.Context, _ *postgres.Tx, c *copies.Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.OrganizationID != s.org {
		return nil // an earlier run's, which no snapshot has any more
	}
	for _, u := range c.Users {
		if !proto.Equal(u.Before, s.users[u.ID]) && (u.Before != nil || s.users[u.ID] != nil) {
			s.wrong = append(s.wrong, fmt.Sprintf("user before is %v, was told %v", u.Before, s.users[u.ID]))
		}
		s.users[u.ID] = u.After
	}
	for _, m := range c.Members {
		line := fmt.Sprintf("member %s of %s", m.UserID, m.GroupID)
		if s.in[line] == !m.Removed {
			s.wrong = append(s.wrong, fmt.Sprintf("%s has not changed: removed %t by %v", line, m.Removed, m.Event))
		}
		s.in[line] = !m.Removed
	}
	return nil
}

// fakeOwner streams a snapshot, and does something between its parts.
type fakeOwner struct {
	opsv1.UnimplementedSnapshotServiceServer
	mu      sync.Mutex
	take    func() []*opsv1.StreamSnapshotResponse
	between func()
	cut     int // breaks off after so many parts; 0 for never
}

func (o *fakeOwner) StreamSnapshot(_ *opsv1.StreamSnapshotRequest, to grpc.ServerStreamingServer[opsv1.StreamSnapshotResponse]) error {
	o.mu.Lock()
	take, between, cut := o.take, o.between, o.cut
	o.mu.Unlock()
	at := &opsv1.SnapshotPosition{StreamCreateTime: timestamppb.Now()}
	if err := to.Send(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Position{Position: at}}); err != nil {
		return err
	}
	for i, part := range take() {
		if cut > 0 && i == cut {
			return fmt.Errorf("cut")
		}
		if err := to.Send(part); err != nil {
			return err
		}
		if between != nil {
			between()
		}
	}
	return nil
}

// B-RUN-06, in part: events in any order, often and in any batches, with
// rebuilds at any point and one that breaks off, give the copy that the owner
// has. The hook is told exactly what changes.
func TestAnyOrderAndRebuildGivesTheSameCopy(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, copies.Schema(copies.Users|copies.Groups)...)
	pgtest.CheckRowSecurity(t, db)
	b := bustest.Open(t, bustest.Start(t))
	owner := &fakeOwner{}
	server := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) { opsv1.RegisterSnapshotServiceServer(s, owner) })
	conn := rpctest.Conn(t, server, rpctest.Service("audit"))

	rapid.Check(t, func(t *rapid.T) {
		d := newDirectory()
		told := &shadow{org: d.org, users: map[uuid.UUID]*identityv1.User{}, in: map[string]bool{}}
		c, err := copies.New(copies.Config{
			Service: "copier", Kinds: copies.Users | copies.Groups, DB: db, Bus: b, IdentitySync: conn, Changed: told.changed,
		})
		if err != nil {
			t.Fatal(err)
		}
		apply := func(events []inbox.Event) {
			if len(events) == 0 {
				return
			}
			err := db.InOrganization(context.Background(), d.org, func(ctx context.Context, tx *postgres.Tx) error {
				return copies.Handle(c, ctx, tx, events)
			})
			if err != nil {
				t.Errorf("apply: %v", err)
			}
		}
		// late are the events, each twice, that are delivered at the end; some of
		// them have been delivered before.
		deliver := func(label string, most int) []inbox.Event {
			if len(d.told) == 0 {
				return nil
			}
			return d.pick(rapid.SliceOfN(rapid.IntRange(0, len(d.told)-1), 0, most).Draw(t, label))
		}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for range rapid.IntRange(0, 8).Draw(t, "acts") {
				d.act(t)
			}
			switch rapid.SampledFrom([]string{"events", "events", "rebuild", "rebuild", "crash"}).Draw(t, "step") {
			case "events":
				apply(deliver("events", 6))
			case "rebuild", "crash":
				parts := d.snapshot()
				// What changes while the snapshot is on its way.
				for range rapid.IntRange(0, 4).Draw(t, "acts meanwhile") {
					d.act(t)
				}
				during := deliver("events meanwhile", 6)
				owner.mu.Lock()
				owner.cut = 0
				owner.take = func() []*opsv1.StreamSnapshotResponse { return parts }
				owner.between = func() {
					n := min(2, len(during))
					apply(during[:n])
					during = during[n:]
				}
				owner.mu.Unlock()
				if rapid.Bool().Draw(t, "breaks off") && len(parts) > 1 {
					owner.mu.Lock()
					owner.cut = len(parts) - 1
					owner.mu.Unlock()
					if err := c.Rebuild(context.Background()); err == nil {
						t.Error("a snapshot that broke off counts as whole")
					}
				} else if err := c.Rebuild(context.Background()); err != nil {
					t.Errorf("rebuild: %v", err)
				}
			}
		}
		var twice []int
		for i := range d.told {
			twice = append(twice, i, i)
		}
		rest := d.pick(rapid.Permutation(twice).Draw(t, "rest"))
		for len(rest) > 0 {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			apply(rest[:n])
			rest = rest[n:]
		}
		got, err := copied(context.Background(), db, d.org)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.facts(), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("copy differs from its owner: %s", diff)
		}
		var in []string
		for line, present := range told.in {
			if present {
				in = append(in, line)
			}
		}
		slices.Sort(in)
		var have []string
		for _, line := range got {
			if line[:6] == "member" {
				have = append(have, line)
			}
		}
		if diff := cmp.Diff(have, in, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the hook was told of other members: %s", diff)
		}
		for _, u := range d.users {
			if !proto.Equal(told.users[uuid.MustParse(u.GetId())], u) {
				t.Errorf("the hook was told of another %s", u.GetUserName())
			}
		}
		if len(told.wrong) > 0 {
			t.Errorf("the hook was told wrong: %v", told.wrong)
		}
	})
}

// A rebuild alone, without the events, gives the copy that the owner has: what
// was lost is made good, and what is gone goes.
func TestRebuildMakesGoodWhatWasLost(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, copies.Schema(copies.Users|copies.Groups)...)
	b := bustest.Open(t, bustest.Start(t))
	owner := &fakeOwner{}
	server := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) { opsv1.RegisterSnapshotServiceServer(s, owner) })
	conn := rpctest.Conn(t, server, rpctest.Service("audit"))
	rapid.Check(t, func(t *rapid.T) {
		c, err := copies.New(copies.Config{Service: "copier", Kinds: copies.Users | copies.Groups, DB: db, Bus: b, IdentitySync: conn})
		if err != nil {
			t.Fatal(err)
		}
		d := newDirectory()
		for range rapid.IntRange(1, 20).Draw(t, "acts") {
			d.act(t)
		}
		if len(d.told) > 0 {
			arrived := d.pick(rapid.SliceOfN(rapid.IntRange(0, len(d.told)-1), 0, 10).Draw(t, "arrived"))
			err := db.InOrganization(context.Background(), d.org, func(ctx context.Context, tx *postgres.Tx) error {
				if len(arrived) == 0 {
					return nil
				}
				return copies.Handle(c, ctx, tx, arrived)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		owner.mu.Lock()
		owner.take, owner.between = d.snapshot, nil
		owner.mu.Unlock()
		for range 2 {
			if err := c.Rebuild(context.Background()); err != nil {
				t.Fatal(err)
			}
			got, err := copied(context.Background(), db, d.org)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d.facts(), got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("copy differs from its owner: %s", diff)
			}
		}
	})
}
