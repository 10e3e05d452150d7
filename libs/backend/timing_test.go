package backend_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// Every setting of how long things may take has bounds, and the error names it.
func TestTimingFromEnv(t *testing.T) {
	t.Parallel()
	read := func(set string) (backend.Timing, error) {
		env := service.NewEnv(func(name string) (string, bool) {
			for one := range strings.FieldsSeq(set) {
				if n, v, _ := strings.Cut(one, "="); n == name {
					return v, true
				}
			}
			return "", false
		})
		t := backend.TimingFromEnv(env)
		return t, env.Err()
	}
	defaults := backend.Timing{
		Timeouts:    service.Timeouts{RPC: 10 * time.Second, Stop: 10 * time.Second},
		Transaction: 50 * time.Second, EventTimeout: 20 * time.Second, EventAckWait: 10 * time.Second, EventAttempts: 8, EventAttemptsNotYet: 20,
		DueLease: 30 * time.Second, DueTimeout: 10 * time.Second, DueRetryLongest: 5 * time.Minute, RelayDatabase: 10 * time.Second, RelayBus: 5 * time.Second,
	}
	if got, err := read(""); err != nil || got != defaults {
		t.Errorf("nothing set: %+v, %v", got, err)
	}
	got, err := read(`GATEHOUSE_RPC_TIMEOUT=30s GATEHOUSE_STOP_TIMEOUT=31s GATEHOUSE_POSTGRES_TIMEOUT=32s GATEHOUSE_EVENT_TIMEOUT=33s GATEHOUSE_EVENT_ACK_WAIT=34s
		GATEHOUSE_EVENT_ATTEMPTS=3 GATEHOUSE_EVENT_ATTEMPTS_NOT_YET=4 GATEHOUSE_DUE_LEASE=90s GATEHOUSE_DUE_TIMEOUT=45s GATEHOUSE_DUE_RETRY_LONGEST=1h
		GATEHOUSE_RELAY_DATABASE_TIMEOUT=35s GATEHOUSE_RELAY_BUS_TIMEOUT=36s`)
	want := backend.Timing{
		Timeouts:    service.Timeouts{RPC: 30 * time.Second, Stop: 31 * time.Second},
		Transaction: 32 * time.Second, EventTimeout: 33 * time.Second, EventAckWait: 34 * time.Second, EventAttempts: 3, EventAttemptsNotYet: 4,
		DueLease: 90 * time.Second, DueTimeout: 45 * time.Second, DueRetryLongest: time.Hour, RelayDatabase: 35 * time.Second, RelayBus: 36 * time.Second,
	}
	if err != nil || got != want {
		t.Errorf("all set: %+v, %v", got, err)
	}
	for set, want := range map[string]string{
		"GATEHOUSE_RPC_TIMEOUT=0s":             "GATEHOUSE_RPC_TIMEOUT is not between 1s and 10m0s",
		"GATEHOUSE_STOP_TIMEOUT=1h":            "GATEHOUSE_STOP_TIMEOUT is not between",
		"GATEHOUSE_POSTGRES_TIMEOUT=1ms":       "GATEHOUSE_POSTGRES_TIMEOUT is not between",
		"GATEHOUSE_EVENT_TIMEOUT=ten":          "GATEHOUSE_EVENT_TIMEOUT is not a length of time",
		"GATEHOUSE_EVENT_ACK_WAIT=20ms":        "GATEHOUSE_EVENT_ACK_WAIT is not between",
		"GATEHOUSE_EVENT_ATTEMPTS=0":           "GATEHOUSE_EVENT_ATTEMPTS is not between 1 and 1000",
		"GATEHOUSE_EVENT_ATTEMPTS_NOT_YET=-1":  "GATEHOUSE_EVENT_ATTEMPTS_NOT_YET is not between",
		"GATEHOUSE_DUE_RETRY_LONGEST=48h":      "GATEHOUSE_DUE_RETRY_LONGEST is not between",
		"GATEHOUSE_RELAY_BUS_TIMEOUT=1h":       "GATEHOUSE_RELAY_BUS_TIMEOUT is not between",
		"GATEHOUSE_RELAY_DATABASE_TIMEOUT=1us": "GATEHOUSE_RELAY_DATABASE_TIMEOUT is not between",
		"GATEHOUSE_DUE_TIMEOUT=16s":            "GATEHOUSE_DUE_TIMEOUT is 16s: it must be half of GATEHOUSE_DUE_LEASE, which is 30s, or less",
		"GATEHOUSE_DUE_LEASE=19s":              "GATEHOUSE_DUE_TIMEOUT is 10s: it must be half of GATEHOUSE_DUE_LEASE, which is 19s, or less",
	} {
		if _, err := read(set); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), ";") {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// What is set reaches the parts of a service: an event is parked after so many attempts,
// the bus waits so long, and a transaction that nothing else bounds ends.
func TestTimingHolds(t *testing.T) {
	t.Parallel()
	h := servicetest.Start(t, migrations, func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		cfg.Timing = backend.Timing{EventAttempts: 2, EventAckWait: 7 * time.Second, Transaction: 2 * time.Second}
		b, err := backend.Open(ctx, "identity-sync", cfg, migrations, log)
		if err != nil {
			return err
		}
		defer b.Close(ctx)
		err = b.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, "select pg_sleep($1)", 300)
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a transaction without end: %v", err)
		}
		var h inbox.Handlers
		inbox.On(&h, func(context.Context, *postgres.Tx, inbox.Event, *eventv1.UserJoined) error { return errors.New("no") })
		return b.Run(ctx, lis, backend.Spec{Register: func(grpc.ServiceRegistrar) {}, Handlers: &h})
	})
	org, user := id.New(), id.New()
	h.Publish(t, org, user, &eventv1.UserJoined{User: &identityv1.User{Id: user.String()}})
	admin := rpctest.User(authzv1.Caller_CALLER_ADMIN)
	admin.OrganizationID = org
	client := opsv1.NewParkedEventServiceClient(h.Conn(t, admin))
	servicetest.Eventually(t, "the event is parked", func() bool {
		parked, err := client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{})
		if err != nil || len(parked.GetParkedEvents()) == 0 {
			return false
		}
		if n := parked.GetParkedEvents()[0].GetAttempts(); n != 2 {
			t.Errorf("it was tried %d times", n)
		}
		return true
	})
	consumer, err := h.Bus.JetStream().Consumer(t.Context(), bus.Stream, "identity-sync")
	if err != nil || consumer.CachedInfo().Config.AckWait != 7*time.Second {
		t.Errorf("the consumer: %v, %v", consumer, err)
	}
}
