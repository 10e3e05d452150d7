package copies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// maxSnapshot bounds a snapshot: it keeps the database from cleaning up.
const maxSnapshot = 30 * time.Minute

// Read reads everything of some kind that the service owns, of all
// organizations, and yields it as it comes: no more than one thing is in memory.
// What belongs to one organization comes together, so that it can be applied
// together. It returns an error of yield as it is. yield must not use tx.
type Read func(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error

// snapshotServer is the SnapshotService of an owner.
type snapshotServer struct {
	opsv1.UnimplementedSnapshotServiceServer
	db    *postgres.DB
	bus   *bus.Bus
	reads []Read
}

// NewSnapshotServer serves gatehouse.ops.v1.SnapshotService: all that reads
// yield, as it is at one moment.
func NewSnapshotServer(db *postgres.DB, b *bus.Bus, reads ...Read) opsv1.SnapshotServiceServer {
	return &snapshotServer{db: db, bus: b, reads: reads}
}

// StreamSnapshot streams everything.
func (s *snapshotServer) StreamSnapshot(_ *opsv1.StreamSnapshotRequest, to grpc.ServerStreamingServer[opsv1.StreamSnapshotResponse]) error {
	ctx, cancel := context.WithTimeout(to.Context(), maxSnapshot)
	defer cancel()
	// Before the transaction: what was published by now is committed by then.
	p, err := s.position(ctx)
	if err != nil {
		return apierr.Unavailable("BUS_UNAVAILABLE", err)
	}
	if err := to.Send(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Position{Position: p}}); err != nil {
		return fmt.Errorf("send snapshot: %w", err)
	}
	sent := false
	return s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if sent { // begun again
			return apierr.Unavailable("SNAPSHOT_BROKEN", errors.New("the database gave the snapshot up"))
		}
		for _, read := range s.reads {
			err := read(ctx, tx, func(part *opsv1.StreamSnapshotResponse) error {
				sent = true
				return to.Send(part)
			})
			if err != nil {
				return fmt.Errorf("read snapshot: %w", err)
			}
		}
		return nil
	})
}

// position is the end of the stream.
func (s *snapshotServer) position(ctx context.Context) (*opsv1.SnapshotPosition, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := s.bus.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", bus.Stream, err)
	}
	info := stream.CachedInfo()
	return &opsv1.SnapshotPosition{StreamCreateTime: timestamppb.New(streamCreated(info)), StreamSequence: info.State.LastSeq}, nil
}
