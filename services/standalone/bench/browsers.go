package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// browsers are open pages: each has a stream of hints, and asks for what it shows again
// when it is told to.
type browsers struct {
	w            *world
	client       http.Client // without a bound: streams last
	stop         context.CancelFunc
	all          sync.WaitGroup
	hints, asked atomic.Int64
}

// pageCalls are what an open page of a person's requests asks for.
var pageCalls = map[string][]string{
	"requests": {"/v1/requests?view=REQUEST_VIEW_MY_OPEN&pageSize=50"},
	"tasks":    {"/v1/tasks?state=TASK_STATE_OPEN&pageSize=50"},
}

// openBrowsers opens n pages, in turn of each person of the world.
func openBrowsers(ctx context.Context, w *world, n int) (*browsers, error) {
	ctx, stop := context.WithCancel(ctx)
	b := &browsers{w: w, stop: stop, client: http.Client{Transport: &http.Transport{}}}
	tokens := []string{w.manager, w.approver}
	for _, u := range w.users {
		tokens = append(tokens, u.token)
	}
	for i := range n {
		if err := b.open(ctx, tokens[i%len(tokens)]); err != nil {
			b.close()
			return nil, fmt.Errorf("open browser %d: %w", i+1, err)
		}
	}
	return b, nil
}

// open opens one page.
func (b *browsers) open(ctx context.Context, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.base+"/live", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := b.client.Do(r)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return fmt.Errorf("/live: %s", resp.Status)
	}
	b.all.Go(func() {
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			what, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || what == "{}" {
				continue
			}
			b.hints.Add(1)
			for collection, calls := range pageCalls {
				if !strings.Contains(what, `"`+collection+`"`) {
					continue
				}
				for _, path := range calls {
					var page map[string]any
					if b.w.call(ctx, token, http.MethodGet, path, nil, &page) == nil {
						b.asked.Add(1)
					}
				}
			}
		}
	})
	return nil
}

// close closes all pages.
func (b *browsers) close() {
	b.stop()
	b.all.Wait()
	b.client.CloseIdleConnections()
}

const (
	// calm is how many lives begin a second in an organization that is not in a hurry:
	// 3600 requests an hour.
	calm = 1
	// pace is how long lives begin at that rate.
	pace = 20 * time.Second
)

// paced measures what lives cost that begin at a rate.
func paced(ctx context.Context, gh *gatehouse, w *world, rate int) error {
	var wait sync.WaitGroup
	var failed atomic.Pointer[error]
	before, postgresBefore := gh.cpu()
	for end := time.Now().Add(pace); time.Now().Before(end); {
		for range rate {
			wait.Go(func() {
				if _, _, _, err := w.live(ctx); err != nil {
					failed.Store(&err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	wait.Wait()
	after, postgresAfter := gh.cpu()
	if err := failed.Load(); err != nil {
		return *err
	}
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / pace.Seconds() }
	fmt.Printf("  while %d lives begin a second    %8.1f %% of a core by Gatehouse, %.1f %% by PostgreSQL\n", rate, share(after-before), share(postgresAfter-postgresBefore))
	return nil
}

// watched measures the same without and with open pages.
func watched(ctx context.Context, cfg config, gh *gatehouse, w *world) error {
	inFlight := cfg.inFlight[len(cfg.inFlight)-1]
	fmt.Println("No open browsers")
	if err := paced(ctx, gh, w, 0); err != nil {
		return err
	}
	if err := paced(ctx, gh, w, calm); err != nil {
		return err
	}
	b, err := openBrowsers(ctx, w, cfg.browsers)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%d open browsers, each of somebody who is told what has changed and asks for it\n", cfg.browsers)
	if err := paced(ctx, gh, w, 0); err != nil {
		return err
	}
	if err := paced(ctx, gh, w, calm); err != nil {
		return err
	}
	fmt.Println()
	start, hints, asked := time.Now(), b.hints.Load(), b.asked.Load()
	fmt.Printf("The same with %d open browsers: ", cfg.browsers)
	if err := round(ctx, cfg, gh, w, inFlight); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	fmt.Printf("  meanwhile hints to browsers     %8.0f /s   and calls of theirs %.0f /s\n\n", float64(b.hints.Load()-hints)/took, float64(b.asked.Load()-asked)/took)
	return nil
}
