// Command bench drives whole lives of grant requests through the public API —
// submit, two approvals, provisioning, audit — and prints how many it made a
// second and how long people waited, beside what the same machine does at most:
// bare PostgreSQL transactions of the same number of rows, and bare JetStream
// publishes, measured in the same run on the same servers and disk.
//
// It starts a Gatehouse of its own on an empty data directory, or uses the
// running one whose data directory is given. The app that accounts are made in
// is the in-memory demo app. Times of waiting are seen from outside: from
// sending the call to hearing the event on the bus.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	var cfg config
	inFlight := flag.String("in-flight", "1,32", "how many lives at a time, one round for each")
	flag.IntVar(&cfg.lives, "lives", 3000, "lives in a round at more than one in flight; a tenth of it otherwise")
	flag.StringVar(&cfg.dataDir, "data-dir", "", "data directory of a running standalone Gatehouse; empty starts one")
	flag.StringVar(&cfg.program, "program", "", "standalone program to start; empty builds it")
	flag.IntVar(&cfg.joiners, "joiners", 0, "people who join at once in a last round, in which the lives of others are timed; 0 leaves it out")
	flag.IntVar(&cfg.browsers, "browsers", 0, "open browsers in one more round, each of which is told what has changed and asks for it; 0 leaves it out")
	flag.DurationVar(&cfg.floor, "floor", 3*time.Second, "how long each floor is measured")
	flag.Parse()
	for _, s := range strings.Split(*inFlight, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			fail(fmt.Errorf("in-flight: %q is not a number", s))
		}
		cfg.inFlight = append(cfg.inFlight, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg); err != nil {
		stop()
		fail(err)
	}
}

type config struct {
	inFlight         []int
	lives, joiners   int
	browsers         int
	dataDir, program string
	floor            time.Duration
}

func run(ctx context.Context, cfg config) error {
	fmt.Printf("%d cores, %s; demo app in memory; every commit is on disk before it counts, events are with the next sync\n\n", runtime.NumCPU(), runtime.Version())
	gh, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer gh.close()
	most := 0
	total := 0
	for _, n := range cfg.inFlight {
		most = max(most, n)
		total += lives(cfg, n)
	}
	if cfg.joiners > 0 {
		total += stormLives
	}
	if cfg.browsers > 0 {
		last := cfg.inFlight[len(cfg.inFlight)-1]
		total += lives(cfg, last) + last*warmUps + 2*calm*(int(pace.Seconds())+1)
	}
	w, err := newWorld(ctx, gh, total+most*warmUps)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer w.close()
	for _, n := range cfg.inFlight {
		if err := round(ctx, cfg, gh, w, n); err != nil {
			return err
		}
	}
	if cfg.browsers > 0 {
		if err := watched(ctx, cfg, gh, w); err != nil {
			return fmt.Errorf("browsers: %w", err)
		}
	}
	if cfg.joiners > 0 {
		return storm(ctx, w, cfg.joiners)
	}
	return nil
}

// storm measures how long others wait while many people join and get an account
// by a join-flow.
func storm(ctx context.Context, w *world, joiners int) error {
	r, err := w.storm(ctx, joiners)
	if err != nil {
		return fmt.Errorf("joiners: %w", err)
	}
	fmt.Printf("%d people join, by %d callers of the source's SCIM\n", joiners, joinersAtOnce)
	fmt.Printf("  told by the source in %s, all have access after %s\n", r.told.Round(time.Second/10), r.took.Round(time.Second/10))
	fmt.Printf("  meanwhile %d lives of others, 1 in flight\n", r.lives)
	fmt.Printf("  submit -> pending               %8s p50  %8s p99\n", r.pending.at(50), r.pending.at(99))
	fmt.Printf("  last approval -> access         %8s p50  %8s p99\n\n", r.access.at(50), r.access.at(99))
	return nil
}

// warmUps is how many lives each place in flight makes before it counts.
const warmUps = 5

func lives(cfg config, inFlight int) int {
	if inFlight == 1 {
		return max(cfg.lives/10, 50)
	}
	return cfg.lives
}

// round measures one number of lives in flight and the floors beside it.
func round(ctx context.Context, cfg config, gh *gatehouse, w *world, inFlight int) error {
	if _, err := w.drive(ctx, inFlight, inFlight*warmUps, func() error { return nil }); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	before, err := gh.usage(ctx)
	if err != nil {
		return err
	}
	// Reading the audit back is not part of a life. What is still to be written
	// to it then is, and is done long before usage has waited for its counts.
	var after usage
	r, err := w.drive(ctx, inFlight, lives(cfg, inFlight), func() (err error) {
		after, err = gh.usage(ctx)
		return err
	})
	if err != nil {
		return err
	}
	rows := int(after.rows-before.rows) / r.lives
	each := func(n int64) float64 { return float64(n) / float64(r.lives) }
	events := float64(r.entries) / float64(r.lives)

	pg, err := gh.postgresFloor(ctx, inFlight, rows, cfg.floor)
	if err != nil {
		return fmt.Errorf("measure PostgreSQL: %w", err)
	}
	js, err := gh.jetStreamFloor(ctx, inFlight, cfg.floor)
	if err != nil {
		return fmt.Errorf("measure JetStream: %w", err)
	}

	fmt.Printf("%d in flight, %d lives\n", inFlight, r.lives)
	fmt.Printf("  whole audited lives             %8.0f /s\n", r.rate)
	fmt.Printf("  submit -> pending               %8s p50  %8s p99\n", r.pending.at(50), r.pending.at(99))
	fmt.Printf("  last approval -> access         %8s p50  %8s p99\n", r.access.at(50), r.access.at(99))
	fmt.Printf("  event -> audited                %8s p50  %8s p99\n", r.audited.at(50), r.audited.at(99))
	statements := "(not counted)"
	if before.statements >= 0 && after.statements >= 0 {
		statements = fmt.Sprintf("%.1f", each(after.statements-before.statements))
	}
	milliseconds := func(d time.Duration) float64 { return each(int64(d)) / float64(time.Millisecond) }
	process, postgres := milliseconds(after.process-before.process), milliseconds(after.postgres-before.postgres)
	fmt.Printf("  CPU of a life                   %8.1f ms  Gatehouse %.1f, PostgreSQL %.1f\n", process+postgres, process, postgres)
	fmt.Printf("  a life takes %s statements in %.1f commits, writes %d rows and %.1f kB of WAL, and emits %.1f events\n",
		statements, each(after.commits-before.commits), rows, each(after.wal-before.wal)/1000, events)
	fmt.Printf("  floor: PostgreSQL transactions of %d rows, %d connections   %8.0f /s   lives are %.2f of it\n", rows, inFlight, pg, r.rate/pg)
	fmt.Printf("  floor: JetStream publishes of 512 B, %d at a time           %8.0f /s   events are %.2f of it\n\n", inFlight, js, r.rate*events/js)
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// tempDir is a folder on the same kind of disk that data directories are on:
// beside the caller, not in a temporary file system that may be memory.
func tempDir() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(wd, ".gatehouse-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(filepath.Clean(dir), 0o711)
}
