package outbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	natsgo "github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// BenchmarkRelay is the way of events from their commit into the stream and out
// of the outbox: with a number of commands in flight that each commit one event
// and wait until a subscriber sees it, and with all events waiting from the
// start. With an old snapshot another session holds one, and the events of some
// minutes have been deleted since, so that their rows are still there. The time of the processor is that of the database and of
// the process, which is command, relay, NATS server and subscriber together.
func BenchmarkRelay(b *testing.B) {
	for _, snapshot := range []bool{false, true} {
		for _, inFlight := range []int{1, 8, 32, 0} {
			name := fmt.Sprintf("%d in flight", inFlight)
			if inFlight == 0 {
				name = "backlog"
			}
			if snapshot {
				name += ", old snapshot"
			}
			b.Run(name, func(b *testing.B) { benchmarkRelay(b, inFlight, snapshot) })
		}
	}
}

func benchmarkRelay(b *testing.B, inFlight int, snapshot bool) {
	server, err := busserver.Start(busserver.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Stop()
	url := pgtest.New(b, outbox.Schema())
	db := pgtest.Connect(b, url)
	nats, err := bus.Connect(b.Context(), bus.Config{URL: server.URL(), Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer nats.Close()
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: db, Bus: nats, Source: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()

	other, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close(context.WithoutCancel(b.Context()))
	if snapshot {
		if _, err := other.Exec(b.Context(), "begin isolation level repeatable read; select 1"); err != nil {
			b.Fatal(err)
		}
	}
	if snapshot {
		err := db.AsSystem(b.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `insert into outbox (id, organization_id, subject, type, aggregate_id, event_time, traceparent, bulk, data)
				select gen_random_uuid(), gen_random_uuid(), 'access', 'type', gen_random_uuid(), now(), '', false, ''
				from generate_series(1, 200000)`)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		err = db.AsSystem(b.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, "delete from outbox")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var backend int
	if err := other.QueryRow(b.Context(), "select pg_backend_pid()").Scan(&backend); err != nil {
		b.Fatal(err)
	}

	var mu sync.Mutex
	seen := map[string]chan struct{}{}
	all := make(chan struct{}, b.N+1)
	_, err = nats.Conn().Subscribe("access.>", func(m *natsgo.Msg) {
		all <- struct{}{}
		mu.Lock()
		defer mu.Unlock()
		if c := seen[m.Header.Get(bus.HeaderID)]; c != nil {
			close(c)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	org := id.New()
	writer := outbox.NewWriter("bench", relay.Wake)
	commit := func(events ...outbox.Event) bool {
		err := db.InOrganization(b.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			return writer.Add(ctx, tx, events...)
		})
		if err != nil {
			b.Error(err)
		}
		return err == nil
	}
	event := func() outbox.Event {
		return outbox.Event{
			ID: id.New(), OrganizationID: org, AggregateID: org,
			Message: &eventv1.GroupCreated{Context: about(1)},
		}
	}
	run := func() { tasks.Go(func() { _ = relay.Run(ctx) }) }

	var took []time.Duration
	if inFlight == 0 {
		for range b.N / 100 {
			events := make([]outbox.Event, 100)
			for i := range events {
				events[i] = event()
			}
			commit(events...)
		}
		for range b.N % 100 {
			commit(event())
		}
	} else {
		run()
	}
	before := processorTime(b, backend)
	b.ResetTimer()
	if inFlight == 0 {
		run()
		for range b.N {
			<-all
		}
	} else {
		var lanes sync.WaitGroup
		next := make(chan struct{}, b.N)
		for range b.N {
			next <- struct{}{}
		}
		close(next)
		for range inFlight {
			lanes.Go(func() {
				for range next {
					e, c := event(), make(chan struct{})
					mu.Lock()
					seen[e.ID.String()] = c
					mu.Unlock()
					if !commit(e) {
						return
					}
					began := time.Now()
					<-c
					mu.Lock()
					delete(seen, e.ID.String())
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		lanes.Wait()
	}
	b.StopTimer()
	used := processorTime(b, backend) - before
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/event")
	if len(took) > 0 {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	}
}

// processorTime is what this process and the database that the backend belongs
// to have used.
func processorTime(b *testing.B, backend int) time.Duration {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	postmaster := stat(strconv.Itoa(backend))[1]
	// Of the postmaster, with what its ended children used: they are waited for.
	ticks := number(b, stat(postmaster)[11:15]...)
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range all {
		if s := stat(filepath.Base(p)); s != nil && s[1] == postmaster {
			ticks += number(b, s[11:13]...)
		}
	}
	return time.Duration(own.Utime.Nano()+own.Stime.Nano()) + time.Duration(ticks)*(time.Second/100)
}

// stat are the fields of a process's /proc/…/stat behind its name; nil if it
// has ended.
func stat(pid string) []string {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

func number(b *testing.B, fields ...string) (sum int64) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}
