package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"gatehouse.dev/services/standalone/internal/demo"
)

// What the demo app keeps its accounts in, and derives its token from.
const demoAppDir, demoAppSecret = "demo-app", "demo-app"

// DemoConfig says where the demo is to be.
type DemoConfig struct {
	// URL is a gateway with sign-up and the development sign-in, which is to say one
	// on a loopback address.
	URL string
	// AppAddr is the address, host:port, of the demo's app, at which provisioning is
	// allowed to call it (GATEHOUSE_OUTGOING_ALLOW).
	AppAddr string
	// DataDir keeps the app's accounts and its token. It is made if it is missing.
	DataDir string
	// Progress is told how the loading of the company goes, which begins after ready was
	// called. It may be nil.
	Progress func(Progress)
}

// Progress is how the loading of the demo's company goes.
type Progress struct {
	// Done of Total are loaded.
	Done, Total int
	// Company says what is in it, once all of it is loaded.
	Company string
	// Took is how long it has taken so far.
	Took time.Duration
	// Err is what could not be loaded, at the end; the next start makes up for it.
	Err error
}

// RunDemo runs the demo's app beside a Gatehouse of several processes until ctx ends,
// and loads the demo organization once the gateway is ready. ready is called when what it
// begins with is loaded; then comes its company. Again it adds what is missing.
func RunDemo(ctx context.Context, cfg DemoConfig, log *slog.Logger, ready func(Places)) (err error) {
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	secrets, err := dir.secrets()
	if err != nil {
		return err
	}
	app, err := demo.StartApp(ctx, filepath.Join(dir.path, demoAppDir), cfg.AppAddr, secrets.text(demoAppSecret))
	if err != nil {
		return fmt.Errorf("start the demo app: %w", err)
	}
	defer func() { err = errors.Join(err, app.Stop()) }()
	base := strings.TrimSuffix(cfg.URL, "/")
	if err := waitReady(ctx, base); err != nil {
		return err
	}
	company, err := demo.Load(ctx, base, app, log)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("load the demo organization: %w", err)
	}
	if ctx.Err() == nil {
		ready(Places{URL: base, DemoApp: app.URL})
		loadCompany(ctx, company, log, cfg.Progress)
	}
	<-ctx.Done()
	return nil
}

// loadCompany loads the company of a demo, if there is one. What fails of it ends nothing:
// it is said, and the next start makes up for it.
func loadCompany(ctx context.Context, company *demo.Company, log *slog.Logger, progress func(Progress)) {
	if company == nil {
		return
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	begun := time.Now()
	facts, err := company.Load(ctx, func(done, total int) {
		progress(Progress{Done: done, Total: total, Took: time.Since(begun)})
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		progress(Progress{Err: err, Took: time.Since(begun)})
		log.Warn("The demo company is not loaded whole; the next start makes up for it", "error", err)
	case facts != nil:
		progress(Progress{
			Company: fmt.Sprintf("%d people, %d apps, %d flows, %d requests", facts.People, facts.Apps, facts.Flows, facts.Requests), Took: time.Since(begun),
		})
	}
}
