package copies_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// place is an owner that serves snapshots, and a database that copies them.
type place struct {
	db   *postgres.DB
	bus  *bus.Bus
	conn grpc.ClientConnInterface

	mu    sync.Mutex
	calls int
	users []*identityv1.User
	// before is called before each user is yielded.
	before func(ctx context.Context, call, i int) error
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{db: pgtest.Open(t, copies.Schema(copies.Users)...), bus: bustest.Open(t, bustest.Start(t))}
	read := func(ctx context.Context, _ *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
		p.mu.Lock()
		p.calls++
		call, users, before := p.calls, p.users, p.before
		p.mu.Unlock()
		for i, u := range users {
			if before != nil {
				if err := before(ctx, call, i); err != nil {
					return err
				}
			}
			if err := yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_User{User: u}}); err != nil {
				return err
			}
		}
		return nil
	}
	server := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) {
		opsv1.RegisterSnapshotServiceServer(s, copies.NewSnapshotServer(p.db, p.bus, read))
	})
	p.conn = rpctest.Conn(t, server, rpctest.Service("audit"))
	return p
}

func (p *place) set(users ...*identityv1.User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users = users
}

func (p *place) snapshots() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// run runs copies until the test ends or stop is called.
func (p *place) run(t *testing.T) (c *copies.Copies, stop func()) {
	t.Helper()
	c, err := copies.New(copies.Config{
		Service: "copier", Kinds: copies.Users, DB: p.db, Bus: p.bus, IdentitySync: p.conn, LookEvery: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

func (p *place) version(t *testing.T, u *identityv1.User) (v int64) {
	t.Helper()
	err := p.db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select coalesce(max(version), 0) from user_copy where id = $1`, u.GetId()).Scan(&v)
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func someone(version int64) *identityv1.User {
	return &identityv1.User{Id: id.New().String(), OrganizationId: id.New().String(), Version: version, State: identityv1.UserState_USER_STATE_ACTIVE}
}

func at(u *identityv1.User, version int64) *identityv1.User {
	return &identityv1.User{Id: u.GetId(), OrganizationId: u.GetOrganizationId(), Version: version, State: u.GetState()}
}

// A rebuild keeps no connection of the pool from who writes what it brings.
func TestRebuildWithOneConnection(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, copies.Schema(copies.Users)...)
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, url), Name: "test", MaxConns: 2}) // one of each role
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	p := newPlace(t)
	p.db = db
	ada := someone(3)
	p.set(ada)
	c, _ := p.run(t)
	servicetest.Eventually(t, "built", func() bool { return c.Ready(t.Context()) == nil && p.version(t, ada) == 3 })
}

// B-RUN-06, in part: an empty copy is built by itself, though its owner breaks
// off first, and again when that is asked for.
func TestCopyBuildsItself(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ada, bob := someone(3), someone(1)
	p.set(ada, bob)
	p.before = func(_ context.Context, call, i int) error {
		if call <= 2 && i == 1 {
			return apierr.New(codes.Unavailable, "GONE", "gone")
		}
		return nil
	}
	c, _ := p.run(t)
	servicetest.Eventually(t, "the copy is complete", func() bool { return c.Ready(t.Context()) == nil })
	if p.snapshots() != 3 || p.version(t, ada) != 3 || p.version(t, bob) != 1 {
		t.Errorf("after %d snapshots ada has version %d and bob %d", p.snapshots(), p.version(t, ada), p.version(t, bob))
	}
	p.set(at(ada, 4), bob)
	if err := c.RequestRebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the copy is rebuilt", func() bool { return p.version(t, ada) == 4 })
}

// B-RUN-02 and B-RUN-06, in part: a replica that dies while it rebuilds is
// followed by another, which begins again.
func TestRebuildBeginsAgainAfterACrash(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ada, bob := someone(1), someone(1)
	p.set(ada, bob)
	halfway := make(chan struct{})
	p.before = func(ctx context.Context, call, i int) error {
		if call == 1 && i == 1 {
			close(halfway)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	first, stop := p.run(t)
	<-halfway
	if err := first.Ready(t.Context()); err == nil {
		t.Error("ready with half a copy")
	}
	stop()
	second, _ := p.run(t)
	servicetest.Eventually(t, "the copy is complete", func() bool { return second.Ready(t.Context()) == nil })
	if p.version(t, ada) != 1 || p.version(t, bob) != 1 {
		t.Error("not everybody is there")
	}
}

// B-RUN-06, in part: when the stream has dropped events that were not applied,
// or was made anew, the copy is rebuilt; when it drops what was applied, not.
func TestEventsThatTheStreamDropped(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	js := p.bus.JetStream()
	ada := someone(1)
	p.set(ada)
	consume := func() jetstream.Consumer {
		consumer, err := js.CreateConsumer(t.Context(), bus.Stream, jetstream.ConsumerConfig{Durable: "copier", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		return consumer
	}
	publish := func() {
		if _, err := js.Publish(t.Context(), "access."+uuid.NewString()+".user.updated", nil); err != nil {
			t.Fatal(err)
		}
	}
	drop := func() { // as the stream does with what is beyond its size
		s, err := js.Stream(t.Context(), bus.Stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{1, -1} {
			cfg := s.CachedInfo().Config
			cfg.MaxBytes = size
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		}
	}
	consumer := consume()
	c, _ := p.run(t)
	servicetest.Eventually(t, "the copy is complete", func() bool { return c.Ready(t.Context()) == nil })

	// Applied, then dropped.
	publish()
	m, err := consumer.Next()
	if err == nil {
		err = m.DoubleAck(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the position is known", func() bool {
		var n int64
		err := p.db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `select stream_sequence from copy_state`).Scan(&n)
		})
		return err == nil && n == 1
	})
	drop()
	if p.snapshots() != 1 {
		t.Errorf("%d snapshots", p.snapshots())
	}

	// Dropped before it was applied.
	p.set(at(ada, 2))
	publish()
	drop()
	servicetest.Eventually(t, "the copy is rebuilt", func() bool { return p.version(t, ada) == 2 })

	// Made anew.
	p.set(at(ada, 3))
	if err := js.DeleteStream(t.Context(), bus.Stream); err != nil {
		t.Fatal(err)
	}
	// The server may still be at taking the old one's files away.
	servicetest.Eventually(t, "the stream is made again", func() bool { return p.bus.EnsureStream(t.Context()) == nil })
	consume()
	servicetest.Eventually(t, "the copy is rebuilt", func() bool { return p.version(t, ada) == 3 })
	had := p.snapshots()
	publish()
	servicetest.Eventually(t, "all is well again", func() bool { return c.Ready(t.Context()) == nil })
	if p.snapshots() != had {
		t.Errorf("%d snapshots after %d", p.snapshots(), had)
	}
}

// B-USR-21, in part
func TestWhatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ada := someone(1)
	org, user := uuid.MustParse(ada.GetOrganizationId()), uuid.MustParse(ada.GetId())
	who := copies.IDs{copies.Users: {user}}
	err := copies.Await(t.Context(), p.db, org, who)
	e, ok := apierr.From(err)
	if !ok || e.Code != codes.Unavailable || e.Reason != copies.ReasonNotKnownYet {
		t.Errorf("command: %v", err)
	}
	arrived := func() error {
		return p.db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			return copies.Arrived(ctx, tx, who)
		})
	}
	if err := arrived(); !errors.Is(err, inbox.ErrNotYet) {
		t.Errorf("event: %v", err)
	}
	// It arrives while a command waits.
	answer := make(chan error, 1)
	go func() { answer <- copies.Await(t.Context(), p.db, org, who) }()
	p.set(ada)
	p.run(t)
	if err := <-answer; err != nil {
		t.Errorf("command: %v", err)
	}
	if err := arrived(); err != nil {
		t.Errorf("event: %v", err)
	}
}

// B-USR-21, in part: what is refused because somebody is not known yet is done again,
// and nothing else is.
func TestWhenKnown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ada := someone(1)
	org, user := uuid.MustParse(ada.GetOrganizationId()), uuid.MustParse(ada.GetId())
	who := copies.IDs{copies.Users: {user}}
	unknown, other := apierr.InvalidField("owner_id", "USER_UNKNOWN", "there is no such user"), apierr.Precondition("OTHER", "something else")
	for _, tt := range []struct {
		name  string
		first error
		comes bool
		want  error
		calls int
	}{
		{"done", nil, false, nil, 1},
		{"refused for something else", other, false, other, 1},
		{"never comes", unknown, false, unknown, 1},
		{"comes meanwhile", unknown, true, nil, 2},
	} {
		calls := 0
		err := copies.WhenKnown(t.Context(), p.db, nil, org, who, func() error {
			if calls++; calls > 1 {
				return nil
			}
			if tt.comes {
				p.set(ada)
				p.run(t)
			}
			return tt.first
		}, "USER_UNKNOWN", "ENVIRONMENT_UNKNOWN")
		if !errors.Is(err, tt.want) || calls != tt.calls {
			t.Errorf("%s: %v after %d calls", tt.name, err, calls)
		}
	}
}
