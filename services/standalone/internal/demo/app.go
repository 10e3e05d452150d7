package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse.dev/services/standalone/internal/demoapp"
)

// App is the running demo app.
type App struct {
	// URL is where people look at it.
	URL string
	// Token is what an integration shows it.
	Token string

	dir    string // what it keeps
	server *http.Server
	done   chan struct{}
}

// SCIM is the base address for an integration with the tenant at a path; the chat is at
// the empty one.
func (a *App) SCIM(path string) string { return a.URL + path + "/scim/v2" }

// StartApp runs the demo app at an address, host:port. If that is empty it is one of
// loopback: the one that it had before, if that is free, since integrations remember it.
func StartApp(ctx context.Context, dir, addr, token string) (*App, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	portFile := filepath.Join(dir, "address")
	var lc net.ListenConfig
	var lis net.Listener
	if addr != "" {
		var err error
		if lis, err = lc.Listen(ctx, "tcp", addr); err != nil {
			return nil, err
		}
	} else if b, err := os.ReadFile(portFile); err == nil {
		lis, _ = lc.Listen(ctx, "tcp", strings.TrimSpace(string(b)))
	}
	if lis == nil {
		var err error
		if lis, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	addr = lis.Addr().String()
	if err := os.WriteFile(portFile, []byte(addr+"\n"), 0o600); err != nil {
		lis.Close()
		return nil, err
	}
	app, err := newApp(dir, token)
	if err != nil {
		lis.Close()
		return nil, err
	}
	a := &App{
		dir: dir, URL: "http://" + addr, Token: token, done: make(chan struct{}),
		server: &http.Server{Handler: app, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		defer close(a.done)
		_ = a.server.Serve(lis) // ends with Stop
	}()
	return a, nil
}

// newApp is the chat and, each at a path of its own, the other tenants.
func newApp(dir, token string) (http.Handler, error) {
	all := []demoapp.Config{{Title: "Tidepool Chat", File: filepath.Join(dir, "app.json"), Groups: []string{"Engineers", "Moderators"}}}
	for _, t := range tenants {
		all = append(all, demoapp.Config{
			Title: t.name, Path: t.path, File: filepath.Join(dir, t.path[1:]+".json"), Groups: t.groups, Licences: t.licences,
		})
	}
	mux := http.NewServeMux()
	for i, cfg := range all {
		cfg.Token = token
		for j, other := range all {
			if i != j {
				cfg.Others = append(cfg.Others, demoapp.Link{Title: other.Title, Path: other.Path})
			}
		}
		app, err := demoapp.New(cfg)
		if err != nil {
			return nil, err
		}
		mux.Handle(cfg.Path+"/", app)
	}
	return mux, nil
}

// Stop ends the demo app.
func (a *App) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := a.server.Shutdown(ctx)
	<-a.done
	if err != nil {
		return fmt.Errorf("stop demo app: %w", err)
	}
	return nil
}
