package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

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
}

// RunDemo runs the demo's app beside a Gatehouse of several processes until ctx ends,
// and loads the demo organization once the gateway is ready. ready is called when it
// is loaded. Again it adds what is missing.
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
	if err := demo.Load(ctx, base, app, log); err != nil && ctx.Err() == nil {
		return fmt.Errorf("load the demo organization: %w", err)
	}
	if ctx.Err() == nil {
		ready(Places{URL: base, DemoApp: app.URL})
	}
	<-ctx.Done()
	return nil
}
