package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// SyncServer is the name of a server that acknowledges what its operating
// system has, and writes it through to the disk when [Bus.Sync] asks for it.
// Other servers are to acknowledge only what no loss of power can take:
// replicated three times, or with sync_interval: always.
const SyncServer = "gatehouse-syncs-on-request"

// SyncSubject is where the server of that id is asked for [Bus.Sync], with the
// name of the stream. It answers when it is done: with nothing, or with what went
// wrong.
func SyncSubject(serverID string) string { return "gatehouse.sync." + serverID }

// SyncPoint is what to give to [Bus.Sync] for messages that are published after
// this call. Empty: what is acknowledged needs no Sync.
func (b *Bus) SyncPoint() string {
	switch b.conn.ConnectedServerName() {
	case SyncServer:
		return b.conn.ConnectedServerId()
	case "":
		return "none" // no connection now; there may be one to either kind in a moment
	default:
		return ""
	}
}

// Sync returns once everything that was published after SyncPoint and
// acknowledged before this call is on the disk. An error means that it may be
// lost, as when the server has ended, and should be published again.
func (b *Bus) Sync(ctx context.Context, point string) error { return b.sync(ctx, point, Stream) }

// SyncJSON is Sync for the messages of [JSONStream].
func (b *Bus) SyncJSON(ctx context.Context, point string) error {
	return b.sync(ctx, point, JSONStream)
}

func (b *Bus) sync(ctx context.Context, point, stream string) error {
	if point == "" {
		return nil
	}
	ctx, cancel := b.WhileConnected(ctx)
	defer cancel()
	answer, err := b.conn.RequestWithContext(ctx, SyncSubject(point), []byte(stream))
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return errors.New("the server that acknowledged has ended")
	case err != nil:
		return fmt.Errorf("ask for a sync: %w", errors.Join(context.Cause(ctx), err))
	case len(answer.Data) > 0:
		return fmt.Errorf("sync the stream: %s", answer.Data)
	}
	return nil
}

// WakeSubject is where a service tells its active relay that there is something to
// publish.
func WakeSubject(service string) string { return "gatehouse.wake." + service }

// InboxPrefix begins the subjects of a user's inboxes.
func InboxPrefix(user string) string { return "_INBOX_" + user }
