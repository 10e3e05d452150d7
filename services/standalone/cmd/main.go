// Command gatehouse runs all of Gatehouse in one process.
//
// gatehouse init makes what an installation of several processes needs to know,
// gatehouse demo loads the demo organization into one, and gatehouse sign-in-link makes
// a link that signs somebody in.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/service"
	identitysync "gatehouse.dev/services/identity-sync"
	"gatehouse.dev/services/provisioning"
	"gatehouse.dev/services/standalone"
	"gatehouse.dev/services/standalone/internal/install"
)

func main() {
	if len(os.Args) > 1 {
		other := map[string]func(args []string) error{"init": initialize, "demo": loadDemo, "sign-in-link": signInLink}[os.Args[1]]
		if other != nil {
			if err := other(os.Args[2:]); err != nil {
				fail(err)
			}
			return
		}
	}
	var cfg standalone.Config
	demo, err := strconv.ParseBool(env("GATEHOUSE_DEMO", "true"))
	if err != nil {
		fail(fmt.Errorf("GATEHOUSE_DEMO is neither true nor false"))
	}
	settings := service.NewEnv(os.LookupEnv)
	cfg.Stream = backend.StreamFromEnv(settings)
	cfg.EventsJSON = settings.Bool("GATEHOUSE_EVENTS_JSON", false)
	cfg.Limits, cfg.Timing = service.LimitsFromEnv(settings), backend.TimingFromEnv(settings)
	cfg.NATSTLS = settings.NATSTLS()
	cfg.Quotas = backend.QuotasFromEnv(settings)
	cfg.Operations, cfg.CallTimeout = provisioning.TimingFromEnv(settings), identitysync.CallTimeoutFromEnv(settings)
	cfg.MaxConns = int32(settings.IntWithin("GATEHOUSE_POSTGRES_MAX_CONNS", standalone.DefaultMaxConns, backend.LeastConns, 1000)) //nolint:gosec // bounded
	cfg.SessionLifetime = settings.Duration("GATEHOUSE_SESSION_LIFETIME", 12*time.Hour)
	cfg.SessionIdle = settings.Duration("GATEHOUSE_SESSION_IDLE", time.Hour)
	if err := settings.Err(); err != nil {
		fail(err)
	}
	if cfg.Outgoing, err = outgoing.Parse(os.Getenv("GATEHOUSE_OUTGOING_ALLOW")); err != nil {
		fail(fmt.Errorf("GATEHOUSE_OUTGOING_ALLOW: %w", err))
	}
	if cfg.Subscribers, err = busauth.ParseSubscribers(os.Getenv("GATEHOUSE_NATS_SUBSCRIBERS"), standalone.Names()...); err != nil {
		fail(fmt.Errorf("GATEHOUSE_NATS_SUBSCRIBERS: %w", err))
	}
	flag.StringVar(&cfg.HTTPAddr, "http-addr", env("GATEHOUSE_HTTP_ADDR", "127.0.0.1:8080"), "address of the gateway (GATEHOUSE_HTTP_ADDR)")
	flag.StringVar(&cfg.DataDir, "data-dir", env("GATEHOUSE_DATA_DIR", ".gatehouse"), "where everything that lasts is kept (GATEHOUSE_DATA_DIR)")
	flag.StringVar(&cfg.PostgresURL, "postgres-url", os.Getenv("GATEHOUSE_POSTGRES_URL"), "a PostgreSQL to use instead of a private one (GATEHOUSE_POSTGRES_URL)")
	flag.StringVar(&cfg.NATSURL, "nats-url", os.Getenv("GATEHOUSE_NATS_URL"), "a NATS with JetStream to use instead of the embedded one (GATEHOUSE_NATS_URL)")
	flag.StringVar(&cfg.NATSAddr, "nats-addr", os.Getenv("GATEHOUSE_NATS_ADDR"), "address of the embedded NATS, a free port of 127.0.0.1 if empty (GATEHOUSE_NATS_ADDR)")
	flag.BoolVar(&cfg.Demo, "demo", demo, "load the demo organization (GATEHOUSE_DEMO)")
	pprofAddr := flag.String("pprof-addr", "", "address of the profiler, for those who look for where time goes; empty for none")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *pprofAddr != "" {
		if err := profile(ctx, *pprofAddr); err != nil {
			fail(err)
		}
	}
	out := newScreen()
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if os.Getenv("GOGC") == "" {
		// One process holds every service: memory is small, garbage is not.
		debug.SetGCPercent(400)
	}
	cfg.Progress = out.loading()
	if err := standalone.Run(ctx, cfg, log, welcome); err != nil {
		fail(err)
	}
}

// signInLink prints a one-time link to sign somebody in who is in a running Gatehouse.
func signInLink(args []string) error {
	var cfg standalone.Config
	flags := flag.NewFlagSet("gatehouse sign-in-link", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: gatehouse sign-in-link [flags] USER-NAME\n\nPrints a link that signs somebody in once, within 15 minutes. Gatehouse must be running.")
		flags.PrintDefaults()
	}
	flags.StringVar(&cfg.DataDir, "data-dir", env("GATEHOUSE_DATA_DIR", ".gatehouse"), "the data directory of the running Gatehouse (GATEHOUSE_DATA_DIR)")
	flags.StringVar(&cfg.PostgresURL, "postgres-url", os.Getenv("GATEHOUSE_POSTGRES_URL"), "the PostgreSQL that it uses, if that is no private one (GATEHOUSE_POSTGRES_URL)")
	organization := flags.String("organization", "", "sign-in name or id of the person's organization, where people of several have the user name")
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // ends the program
	}
	if flags.NArg() != 1 {
		flags.Usage()
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	link, err := standalone.MakeSignInLink(ctx, cfg, flags.Arg(0), *organization)
	if err != nil {
		return err
	}
	fmt.Printf("Signs in %s once, until %s:\n%s\n", link.Name, link.ExpireTime.Local().Format(time.DateTime), link.URL)
	return nil
}

// initialize makes certificates, keys, passwords and settings.
func initialize(args []string) error {
	var cfg install.Config
	flags := flag.NewFlagSet("gatehouse init", flag.ExitOnError)
	flags.StringVar(&cfg.Dir, "dir", "gatehouse-init", "folder to put everything into; what is there stays")
	flags.StringVar(&cfg.Mount, "mount", "", "where a service finds its part of the folder, %s being the service; the folder itself if empty")
	flags.StringVar(&cfg.Host, "host", "%s", "host of a service, %s being its name")
	flags.StringVar(&cfg.Postgres, "postgres", "postgres:5432", "PostgreSQL, host:port")
	flags.StringVar(&cfg.NATS, "nats", "nats:4222", "NATS, host:port")
	flags.Func("subscriber", "a program that may read events, as name=organization; again for more, and those of earlier runs stay", func(one string) error {
		cfg.Subscribers = append(cfg.Subscribers, one)
		return nil
	})
	flags.Func("program", "name of a program of your own that calls services; again for more, and those of earlier runs stay", func(one string) error {
		cfg.Programs = append(cfg.Programs, one)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // ends the program
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("init takes no %q", flags.Arg(0))
	}
	return install.Make(cfg)
}

// loadDemo runs the demo's app, and loads the demo organization into a Gatehouse of
// several processes.
func loadDemo(args []string) error {
	var cfg standalone.DemoConfig
	flags := flag.NewFlagSet("gatehouse demo", flag.ExitOnError)
	flags.StringVar(&cfg.URL, "url", "http://127.0.0.1:8080", "the gateway; it must have sign-up and the development sign-in")
	flags.StringVar(&cfg.AppAddr, "app-addr", "127.0.0.1:8090", "address of the demo's app, at which provisioning is allowed to call it")
	flags.StringVar(&cfg.DataDir, "data-dir", ".gatehouse-demo", "where the demo's app keeps its accounts")
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // ends the program
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("demo takes no %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := newScreen()
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg.Progress = out.loading()
	return standalone.RunDemo(ctx, cfg, log, welcome)
}

// welcome says what one can do now.
func welcome(p standalone.Places) {
	fmt.Printf("Gatehouse is ready: %s\n", p.URL)
	if p.DemoApp != "" {
		fmt.Printf("Sign in there as one of the demo people. Who has an account in their chat: %s\n", p.DemoApp)
	}
	fmt.Println("Press Ctrl-C to stop; everything is kept.")
}

// screen is where the program writes what people read. On a terminal its last line may be
// written again, as long as nothing else comes.
type screen struct {
	mu       sync.Mutex
	terminal bool
	open     bool // the last line is one that is written again
}

func newScreen() *screen {
	about, err := os.Stdout.Stat()
	return &screen{terminal: err == nil && about.Mode()&os.ModeCharDevice != 0}
}

// Write writes lines of the log.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return os.Stderr.Write(b) //nolint:wrapcheck // is a writer
}

func (s *screen) clear() {
	if s.open {
		fmt.Print("\r\x1b[K")
	}
	s.open = false
}

func (s *screen) say(open bool, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Printf(format, args...)
	if s.open = open; !open {
		fmt.Println()
	}
}

// loading says how the loading of the demo's company goes: on a terminal in one line that
// is written again and again, elsewhere in a line when it begins and one when it ends.
func (s *screen) loading() func(standalone.Progress) {
	said := false
	return func(p standalone.Progress) {
		switch {
		case p.Company != "":
			s.say(false, "The demo company is loaded: %s, in %.0f s", p.Company, p.Took.Seconds())
		case p.Err != nil: // the log says what
		case s.terminal:
			s.say(true, "Loading the demo company… %d %%", 100*p.Done/max(1, p.Total))
		case !said:
			s.say(false, "Loading the demo company…")
		}
		said = true
	}
}

// profile serves net/http/pprof until the process ends.
func profile(ctx context.Context, addr string) error {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the profiler: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(lis) }() // ends with the process
	return nil
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gatehouse:", err)
	os.Exit(1)
}
