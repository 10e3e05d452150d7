package backend

import (
	"time"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
)

// Timing is how long what every service does may take, and how often it is tried. Zero
// fields have the defaults.
type Timing struct {
	service.Timeouts
	// Transaction bounds a transaction that nothing else bounds, see postgres.Config.
	Transaction time.Duration
	// EventTimeout bounds a transaction in which events are handled, and EventAckWait
	// is when the bus delivers again what it has heard nothing of. EventAttempts is how
	// often an event is tried before it is parked, and EventAttemptsNotYet how often one
	// that something is missing for. See inbox.Config.
	EventTimeout, EventAckWait         time.Duration
	EventAttempts, EventAttemptsNotYet int
	// DueLease, DueTimeout and DueRetryLongest are those of the due-queue, see
	// due.Config.
	DueLease, DueTimeout, DueRetryLongest time.Duration
	// RelayDatabase and RelayBus bound what the relay waits for, see outbox.RelayConfig.
	RelayDatabase, RelayBus time.Duration
}

// TimingFromEnv reads the settings GATEHOUSE_POSTGRES_TIMEOUT, GATEHOUSE_EVENT_…,
// GATEHOUSE_DUE_…, GATEHOUSE_RELAY_… and those of service.TimeoutsFromEnv.
func TimingFromEnv(env service.Env) Timing {
	const second, minute, hour = time.Second, time.Minute, time.Hour
	t := Timing{
		Timeouts:            service.TimeoutsFromEnv(env),
		Transaction:         env.DurationWithin("GATEHOUSE_POSTGRES_TIMEOUT", postgres.DefaultTimeout, second, hour),
		EventTimeout:        env.DurationWithin("GATEHOUSE_EVENT_TIMEOUT", inbox.DefaultHandleTimeout, second, 10*minute),
		EventAckWait:        env.DurationWithin("GATEHOUSE_EVENT_ACK_WAIT", inbox.DefaultAckWait, second, 10*minute),
		EventAttempts:       env.IntWithin("GATEHOUSE_EVENT_ATTEMPTS", inbox.DefaultMaxAttempts, 1, 1000),
		EventAttemptsNotYet: env.IntWithin("GATEHOUSE_EVENT_ATTEMPTS_NOT_YET", inbox.DefaultMaxNotYet, 1, 1000),
		DueLease:            env.DurationWithin("GATEHOUSE_DUE_LEASE", due.DefaultLease, 2*second, hour),
		DueTimeout:          env.DurationWithin("GATEHOUSE_DUE_TIMEOUT", due.DefaultTimeout, second, hour),
		DueRetryLongest:     env.DurationWithin("GATEHOUSE_DUE_RETRY_LONGEST", due.DefaultRetryLongest, second, 24*hour),
		RelayDatabase:       env.DurationWithin("GATEHOUSE_RELAY_DATABASE_TIMEOUT", outbox.DefaultDatabaseTimeout, second, 5*minute),
		RelayBus:            env.DurationWithin("GATEHOUSE_RELAY_BUS_TIMEOUT", outbox.DefaultBusTimeout, second, 5*minute),
	}
	if t.DueTimeout > t.DueLease/2 {
		env.Refuse("GATEHOUSE_DUE_TIMEOUT is %s: it must be half of GATEHOUSE_DUE_LEASE, which is %s, or less", t.DueTimeout, t.DueLease)
	}
	return t
}
