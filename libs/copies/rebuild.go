package copies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

const (
	// chunk is how many rows, memberships included, are written in one
	// transaction.
	chunk = 500
	// maxPart bounds one message of a snapshot in bytes: a group with a million
	// members.
	maxPart = 64 << 20
	// lockBase begins the advisory locks under which one replica rebuilds.
	lockBase = 0x67682d636f7079 << 8 // "gh-copy"
	// applyTimeout bounds one transaction.
	applyTimeout = 20 * time.Second
)

// pauses are those while an owner is away.
var pauses = backoff.Backoff{First: 200 * time.Millisecond, Longest: 30 * time.Second}

// state is a row of copy_state.
type state struct {
	begun, done, asked int64 // asked is the column wanted
	shape              int
	position           position
}

// wanted says whether the kind is to be rebuilt.
func (s state) wanted(t *table) bool { return s.done == 0 || s.done < s.asked || s.shape < t.shape }

// states reads the states of kinds.
func (c *Copies) states(ctx context.Context, kinds Kinds) (map[*table]state, error) {
	out := map[*table]state{}
	err := c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		clear(out)
		rows, err := tx.Query(ctx, `
select kind, begun, done, wanted, shape, coalesce(stream_create_time, 'epoch'), stream_sequence from copy_state where kind = any ($1)`, kinds.names())
		if err != nil {
			return err
		}
		var kind string
		var s state
		_, err = pgx.ForEachRow(rows, []any{&kind, &s.begun, &s.done, &s.asked, &s.shape, &s.position.created, &s.position.sequence}, func() error {
			for _, t := range kinds.tables() {
				if t.word == kind {
					out[t] = s
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read state of copies: %w", err)
	}
	return out, nil
}

// RequestRebuild has all copies rebuilt, by whichever replica comes first. If a
// rebuild is running, another follows.
func (c *Copies) RequestRebuild(ctx context.Context) error {
	err := c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error { return want(ctx, tx, c.cfg.Kinds) })
	if err != nil {
		return err
	}
	for _, s := range c.sources {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func want(ctx context.Context, tx *postgres.Tx, kinds Kinds) error {
	_, err := tx.Exec(ctx, `
insert into copy_state as s (kind) select k from unnest($1::text[]) k order by k
on conflict (kind) do update set wanted = s.begun + 1`, kinds.names())
	if err != nil {
		return fmt.Errorf("ask for a rebuild of copies: %w", err)
	}
	return nil
}

// keep rebuilds what an owner has whenever that is wanted, until ctx ends.
func (c *Copies) keep(ctx context.Context, s *source) {
	failures := 0
	w := &watch{}
	for ctx.Err() == nil {
		err := c.look(ctx, s, w)
		next := c.cfg.LookEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures == 0 {
				c.log.Warn("Copies cannot be rebuilt now, it will be tried again", "owner", s.name, "error", err)
			}
			failures++
			next = pauses.After(failures)
		default:
			failures = 0
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-s.wake:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// look rebuilds if that is wanted and no other replica does it.
func (c *Copies) look(ctx context.Context, s *source, w *watch) error {
	wanted, err := c.wanted(ctx, s, w)
	if err != nil || !wanted {
		return err
	}
	return c.alone(ctx, s, func(ctx context.Context) error {
		// Another replica may just have done it.
		if wanted, err := c.wanted(ctx, s, w); err != nil || !wanted {
			return err
		}
		begun := time.Now()
		if err := c.rebuild(ctx, s); err != nil {
			return err
		}
		c.log.Info("Copies rebuilt", "owner", s.name, "kinds", s.kinds.String(), "took", time.Since(begun))
		return nil
	})
}

// wanted says whether what an owner has is to be rebuilt.
func (c *Copies) wanted(ctx context.Context, s *source, w *watch) (bool, error) {
	states, err := c.states(ctx, s.kinds)
	if err != nil {
		return false, err
	}
	for _, t := range s.kinds.tables() {
		if states[t].wanted(t) {
			return true, nil
		}
	}
	return c.watchStream(ctx, s, states, w)
}

// alone calls f unless another replica is calling its own. The lock has a connection of
// its own: a pool of which each owner's rebuild held one, for as long as that takes, could
// have none left to write with.
func (c *Copies) alone(ctx context.Context, s *source, f func(context.Context) error) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("lock copies: %w", err)
	}
	defer func() {
		// Closing gives the lock back.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	ask, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	var mine bool
	if err := conn.QueryRow(ask, "select pg_try_advisory_lock($1)", int64(lockBase+s.number)).Scan(&mine); err != nil {
		return fmt.Errorf("lock copies: %w", err)
	}
	if !mine {
		return nil
	}
	return f(ctx)
}

func (c *Copies) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	cfg := c.cfg.DB.Pool().Config().ConnConfig.Copy()
	cfg.Tracer = nil
	return pgx.ConnectConfig(ctx, cfg) //nolint:wrapcheck // by alone
}

// rebuild takes a snapshot in. Nothing is taken away before all of it is there,
// and whatever has been written stays right if it breaks off.
func (c *Copies) rebuild(ctx context.Context, s *source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun, err := c.begin(ctx, s.kinds)
	if err != nil {
		return err
	}
	stream, err := s.client.StreamSnapshot(ctx, &opsv1.StreamSnapshotRequest{}, grpc.MaxCallRecvMsgSize(maxPart))
	if err != nil {
		return fmt.Errorf("ask %s for a snapshot: %w", s.name, err)
	}
	first, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("ask %s for a snapshot: %w", s.name, err)
	}
	if first.GetPosition() == nil {
		return fmt.Errorf("the snapshot of %s does not begin with its position", s.name)
	}
	var b *batch
	size := 0
	flush := func() error {
		if b == nil {
			return nil
		}
		err := c.write(ctx, b.organization, func(ctx context.Context, tx *postgres.Tx) error { return c.apply(ctx, tx, b) })
		b, size = nil, 0
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the snapshot of %s: %w", s.name, err)
		}
		kind, organization := describe(part)
		if !s.kinds.has(kind) {
			continue
		}
		org, err := uuid.Parse(organization)
		if err != nil {
			return fmt.Errorf("a part of the snapshot of %s has no organization: %w", s.name, err)
		}
		n := 1 + len(part.GetGroup().GetMemberIds())
		if b != nil && (b.organization != org || size+n > chunk) {
			if err := flush(); err != nil {
				return err
			}
		}
		if b == nil {
			b = newBatch(org, true)
		}
		if err := b.addPart(part); err != nil {
			return fmt.Errorf("read the snapshot of %s: %w", s.name, err)
		}
		size += n
	}
	if err := flush(); err != nil {
		return err
	}
	if s.kinds.has(Groups) {
		if err := c.sweepGroups(ctx, begun[tableOf(Groups)]); err != nil {
			return err
		}
	}
	return c.finish(ctx, begun, position{
		created: first.GetPosition().GetStreamCreateTime().AsTime(), sequence: int64(first.GetPosition().GetStreamSequence()), //nolint:gosec // counts messages
	})
}

// write runs a transaction of an organization.
func (c *Copies) write(ctx context.Context, organization uuid.UUID, fn func(context.Context, *postgres.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	return c.cfg.DB.InOrganization(ctx, organization, fn)
}

// describe says what a part is and whose.
func describe(part *opsv1.StreamSnapshotResponse) (kind Kinds, organization string) {
	switch p := part.GetPart().(type) {
	case *opsv1.StreamSnapshotResponse_Environment:
		return Environments, p.Environment.GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_User:
		return Users, p.User.GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_Group:
		return Groups, p.Group.GetGroup().GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_App:
		return Apps, p.App.GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_Entitlement:
		return Entitlements, p.Entitlement.GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_Grant:
		return Grants, p.Grant.GetOrganizationId()
	case *opsv1.StreamSnapshotResponse_Flow:
		return Flows, p.Flow.GetOrganizationId()
	}
	return 0, ""
}

// addPart adds a part of a snapshot.
func (b *batch) addPart(part *opsv1.StreamSnapshotResponse) error {
	switch p := part.GetPart().(type) {
	case *opsv1.StreamSnapshotResponse_Environment:
		return b.put(Environments, p.Environment.GetId(), p.Environment, p.Environment.GetVersion(), false, nil)
	case *opsv1.StreamSnapshotResponse_User:
		return b.putUser(p.User, p.User.GetVersion(), nil)
	case *opsv1.StreamSnapshotResponse_Group:
		g := p.Group.GetGroup()
		for _, user := range p.Group.GetMemberIds() {
			if err := b.putMember(g.GetId(), user, g.GetVersion(), false, nil); err != nil {
				return err
			}
		}
		return b.put(Groups, g.GetId(), g, g.GetVersion(), false, nil)
	case *opsv1.StreamSnapshotResponse_App:
		return b.putApp(p.App, p.App.GetVersion(), nil)
	case *opsv1.StreamSnapshotResponse_Entitlement:
		return b.putEntitlement(p.Entitlement, p.Entitlement.GetVersion(), nil)
	case *opsv1.StreamSnapshotResponse_Grant:
		return b.putGrant(p.Grant, p.Grant.GetVersion(), nil)
	case *opsv1.StreamSnapshotResponse_Flow:
		return b.putFlow(p.Flow, 0, nil)
	}
	return nil
}

// begin counts a rebuild of each kind and says which it is.
func (c *Copies) begin(ctx context.Context, kinds Kinds) (begun map[*table]int64, err error) {
	err = c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		begun = map[*table]int64{}
		for _, t := range kinds.tables() {
			var n int64
			if err := tx.QueryRow(ctx, `
insert into copy_state as s (kind, begun, begin_time) values ($1, 1, now())
on conflict (kind) do update set begun = s.begun + 1, wanted = greatest(s.wanted, s.begun + 1), begin_time = now()
returning begun`, t.word).Scan(&n); err != nil {
				return fmt.Errorf("begin a rebuild of copies: %w", err)
			}
			begun[t] = n
		}
		return nil
	})
	return begun, err
}

// finish writes that rebuilds are done, of which the snapshot stood at p.
func (c *Copies) finish(ctx context.Context, begun map[*table]int64, p position) error {
	return c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for t, n := range begun {
			if _, err := tx.Exec(ctx, `
update copy_state set done = $2, done_time = now(), shape = $3, stream_create_time = $4, stream_sequence = $5
where kind = $1 and done < $2`, t.word, n, t.shape, p.created, p.sequence); err != nil {
				return fmt.Errorf("finish a rebuild of copies: %w", err)
			}
		}
		return nil
	})
}

const sweep = `
update group_copy set removed = true where rebuild < $1 and not removed and id = any ($2) returning id, data`

// sweepGroups removes the groups that were there before the rebuild and that
// the snapshot did not have.
func (c *Copies) sweepGroups(ctx context.Context, begun int64) error {
	gone := map[uuid.UUID][]uuid.UUID{}
	err := c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		clear(gone)
		rows, err := tx.Query(ctx, `select organization_id, id from group_copy where rebuild < $1 and not removed order by 1, 2`, begun)
		if err != nil {
			return err
		}
		var org, id uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&org, &id}, func() error {
			gone[org] = append(gone[org], id)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("look for groups that are gone: %w", err)
	}
	for org, ids := range gone {
		err := c.write(ctx, org, func(ctx context.Context, tx *postgres.Tx) error {
			changes := &Changes{OrganizationID: org}
			b := newBatch(org, true)
			var q pgx.Batch
			q.Queue(lockThings, ids)
			q.Queue(sweep, begun, ids).Query(func(rows pgx.Rows) error {
				var id uuid.UUID
				var data []byte
				_, err := pgx.ForEachRow(rows, []any{&id, &data}, func() error {
					g := &identityv1.Group{}
					if err := proto.Unmarshal(data, g); err != nil {
						return fmt.Errorf("read group %s: %w", id, err)
					}
					changes.add(&row{id: id, message: g}, g, false, true)
					return nil
				})
				return err
			})
			q.Queue(endMembers, ids).Query(func(rows pgx.Rows) error { return b.noteMembers(rows, changes) })
			if err := tx.SendBatch(ctx, &q).Close(); err != nil {
				return fmt.Errorf("remove groups that are gone: %w", err)
			}
			return c.callChanged(ctx, tx, changes)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// server is the CopyService of copies.
type server struct {
	opsv1.UnimplementedCopyServiceServer
	copies *Copies
}

// NewServer serves gatehouse.ops.v1.CopyService for c.
func NewServer(c *Copies) opsv1.CopyServiceServer { return server{copies: c} }

// RebuildCopies has all copies rebuilt.
func (s server) RebuildCopies(ctx context.Context, _ *opsv1.RebuildCopiesRequest) (*opsv1.RebuildCopiesResponse, error) {
	if err := s.copies.RequestRebuild(ctx); err != nil {
		return nil, err
	}
	return &opsv1.RebuildCopiesResponse{}, nil
}
