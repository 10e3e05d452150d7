package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/standalone/internal/demoapp"
)

const (
	// people share the lives: each comes to hold some ten entitlements.
	people = 300
	// patience bounds one step of one life.
	patience = 60 * time.Second
)

// world is the organization that lives are made in.
type world struct {
	client  http.Client
	base    string
	admin   string
	users   []user
	manager string // token
	// person has the source say that somebody has joined.
	person func(ctx context.Context, name, manager string) (id string, err error)
	// account is the entitlement that is the account itself.
	account string
	// activated counts the grants that were ever active.
	activated atomic.Int64
	// approver decides the second step.
	approver     string
	entitlements []string
	next         atomic.Int64

	server *http.Server
	events jetstream.ConsumeContext

	mu    sync.Mutex
	lives map[string]*life
}

type user struct{ id, token string }

// life is one request on its way, as the bus tells it.
type life struct {
	tasks  chan task // steps that opened
	active chan time.Time
	closed chan struct{}
}

type task struct {
	id string
	at time.Time
}

// newWorld makes an organization with enough people and entitlements for a
// number of lives, each asking for something not yet held.
func newWorld(ctx context.Context, gh *gatehouse, lives int) (*world, error) {
	w := &world{base: gh.runtime.URL, lives: map[string]*life{}}
	w.client.Transport = &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: time.Minute}
	w.client.Timeout = patience
	perPerson := lives/people + 1
	groups := make([]string, perPerson)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-%03d", i)
	}
	if err := w.startApp(ctx, groups); err != nil {
		return nil, err
	}
	suffix := uuid.NewString()[:8]
	var r map[string]any
	if err := w.call(ctx, "", "POST", "/v1/organizations:signUp", obj{
		"organizationName": "Bench", "email": "root-" + suffix + "@bench.example", "displayName": "Root",
	}, &r); err != nil {
		return nil, err
	}
	w.admin = str(r, "token")
	org := str(r, "organization", "id")
	if err := w.listen(ctx, gh, org); err != nil {
		return nil, err
	}
	if err := w.call(ctx, w.admin, "POST", "/v1/sources", obj{"name": "Bench", "kind": "SOURCE_KIND_SCIM"}, &r); err != nil {
		return nil, err
	}
	scim := str(r, "token")
	w.person = func(ctx context.Context, name, manager string) (id string, err error) {
		const ent = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
		u := obj{
			"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", ent},
			"userName": name + "-" + suffix + "@bench.example", "externalId": name, "displayName": name, "active": true,
			"emails": []obj{{"value": name + "-" + suffix + "@bench.example", "primary": true}},
		}
		if manager != "" {
			u[ent] = obj{"manager": obj{"value": manager}}
		}
		var r map[string]any
		err = w.call(ctx, scim, "POST", "/scim/v2/Users", u, &r)
		return str(r, "id"), err
	}
	signIn := func(name string) (string, error) {
		var r map[string]any
		err := w.call(ctx, "", "POST", "/v1/sessions:devSignIn", obj{"userName": name + "-" + suffix + "@bench.example"}, &r)
		return str(r, "token"), err
	}
	managerID, err := w.person(ctx, "manager", "")
	if err != nil {
		return nil, err
	}
	approverID, err := w.person(ctx, "approver", "")
	if err != nil {
		return nil, err
	}
	if w.manager, err = signIn("manager"); err != nil {
		return nil, err
	}
	if w.approver, err = signIn("approver"); err != nil {
		return nil, err
	}
	for i := range people {
		name := fmt.Sprintf("person%03d", i)
		id, err := w.person(ctx, name, managerID)
		if err != nil {
			return nil, err
		}
		token, err := signIn(name)
		if err != nil {
			return nil, err
		}
		w.users = append(w.users, user{id: id, token: token})
	}
	if err := w.catalog(ctx, approverID, groups); err != nil {
		return nil, err
	}
	return w, nil
}

// catalog makes the app, its entitlements and the flow of two steps.
func (w *world) catalog(ctx context.Context, approver string, groups []string) error {
	var r map[string]any
	if err := w.call(ctx, w.admin, "POST", "/v1/integrations", obj{
		"name": "Bench app", "kind": "INTEGRATION_KIND_SCIM", "scim": obj{"baseUrl": "http://" + w.server.Addr + "/scim/v2", "token": "bench"},
	}, &r); err != nil {
		return err
	}
	app := obj{
		"name": "Bench app", "provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": str(r, "integration", "id"), "approverIds": []string{approver},
	}
	// The catalog hears of new people a moment after the directory.
	if err := eventually(ctx, func() error { return w.call(ctx, w.admin, "POST", "/v1/apps", app, &r) }); err != nil {
		return err
	}
	appID := str(r, "app", "id")
	w.account = str(r, "account", "id")
	for _, g := range groups {
		if err := w.call(ctx, w.admin, "POST", "/v1/apps/"+appID+"/entitlements", obj{"name": g, "kind": "ENTITLEMENT_KIND_GROUP", "ref": g, "description": "What " + g + " may do"}, &r); err != nil {
			return err
		}
		w.entitlements = append(w.entitlements, str(r, "entitlement", "id"))
	}
	flow := obj{"flow": obj{
		"name": "Two steps", "trigger": "FLOW_TRIGGER_REQUEST", "audience": obj{"everyone": true}, "scope": obj{"appIds": []string{appID}},
		"steps": []obj{
			{"name": "Manager", "reviewers": "REVIEWER_KIND_MANAGER", "need": "STEP_NEED_ANY"},
			{"name": "Approver", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"},
		},
	}}
	return eventually(ctx, func() error { return w.call(ctx, w.admin, "POST", "/v1/flows", flow, &r) })
}

func eventually(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// startApp runs the app that accounts are made in.
func (w *world) startApp(ctx context.Context, groups []string) error {
	app, err := demoapp.New(demoapp.Config{Token: "bench", Groups: groups})
	if err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.server = &http.Server{Addr: lis.Addr().String(), Handler: app, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(lis) }()
	return nil
}

func (w *world) close() {
	if w.events != nil {
		w.events.Stop()
	}
	_ = w.server.Close()
}

// listen hears what happens in the organization.
func (w *world) listen(ctx context.Context, gh *gatehouse, org string) error {
	c, err := gh.js.OrderedConsumer(ctx, "ACCESS", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"access." + org + ".approval.requested", "access." + org + ".approval.decided", "access." + org + ".grant.activated", "access." + org + ".request.closed"},
		DeliverPolicy:  jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return fmt.Errorf("listen to events: %w", err)
	}
	w.events, err = c.Consume(func(m jetstream.Msg) {
		now := time.Now()
		switch m.Headers().Get("ce-type") {
		case "gatehouse.event.v1.ApprovalRequested":
			var ev eventv1.ApprovalRequested
			if proto.Unmarshal(m.Data(), &ev) == nil && len(ev.GetTasks()) > 0 {
				w.life(ev.GetRequestId()).tasks <- task{id: ev.GetTasks()[0].GetId(), at: now}
			}
		case "gatehouse.event.v1.ApprovalDecided":
			var ev eventv1.ApprovalDecided
			if proto.Unmarshal(m.Data(), &ev) == nil && len(ev.GetNextTasks()) > 0 {
				w.life(ev.GetTask().GetRequestId()).tasks <- task{id: ev.GetNextTasks()[0].GetId(), at: now}
			}
		case "gatehouse.event.v1.GrantActivated":
			var ev eventv1.GrantActivated
			if proto.Unmarshal(m.Data(), &ev) == nil {
				w.activated.Add(1)
				w.life(ev.GetGrant().GetRequestId()).active <- now
			}
		case "gatehouse.event.v1.RequestClosed":
			var ev eventv1.RequestClosed
			if proto.Unmarshal(m.Data(), &ev) == nil {
				close(w.life(ev.GetRequest().GetId()).closed)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("listen to events: %w", err)
	}
	return nil
}

// life finds a life by its request; events may come before the answer.
func (w *world) life(request string) *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lives[request]
	if l == nil {
		l = &life{tasks: make(chan task, 2), active: make(chan time.Time, 1), closed: make(chan struct{})}
		w.lives[request] = l
	}
	return l
}

// result is what one round measured.
type result struct {
	lives, entries           int
	rate                     float64
	pending, access, audited times
}

type times []time.Duration

// at gives a percentile.
func (t times) at(p int) time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.Sort(t)
	return t[min(len(t)*p/100, len(t)-1)].Round(10 * time.Microsecond)
}

// drive makes a number of lives, some at a time, calls made when all have been
// made, and reads back from the audit that it has them all.
func (w *world) drive(ctx context.Context, inFlight, n int, made func() error) (*result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		r   = &result{lives: n}
		ids = make([]string, 0, n)
	)
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	start := time.Now()
	for range inFlight {
		wg.Go(func() {
			for range todo {
				if ctx.Err() != nil {
					return
				}
				id, pending, access, err := w.live(ctx)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				r.pending, r.access, ids = append(r.pending, pending), append(r.access, access), append(ids, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := made(); err != nil {
		return nil, err
	}
	return r, w.audit(ctx, r, start, ids)
}

// live makes one life: a request, two approvals, access, the end of it.
func (w *world) live(ctx context.Context) (id string, pending, access time.Duration, err error) {
	n := int(w.next.Add(1) - 1)
	who, what := w.users[n%people], w.entitlements[n/people]
	var r map[string]any
	submitted := time.Now()
	if err := w.call(ctx, who.token, "POST", "/v1/requests", obj{
		"requestId": uuid.NewString(), "kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{what}, "justification": "bench",
	}, &r); err != nil {
		return "", 0, 0, err
	}
	id = str(r, "request", "id")
	l := w.life(id)
	defer func() {
		w.mu.Lock()
		delete(w.lives, id)
		w.mu.Unlock()
	}()
	first, err := await(ctx, l.tasks, "first step of "+id)
	if err != nil {
		return "", 0, 0, err
	}
	pending = first.at.Sub(submitted)
	if err := w.call(ctx, w.manager, "POST", "/v1/tasks/"+first.id+":approve", obj{}, nil); err != nil {
		return "", 0, 0, err
	}
	second, err := await(ctx, l.tasks, "second step of "+id)
	if err != nil {
		return "", 0, 0, err
	}
	approved := time.Now()
	if err := w.call(ctx, w.approver, "POST", "/v1/tasks/"+second.id+":approve", obj{}, nil); err != nil {
		return "", 0, 0, err
	}
	active, err := await(ctx, l.active, "access of "+id)
	if err != nil {
		return "", 0, 0, err
	}
	if _, err := await(ctx, l.closed, "end of "+id); err != nil {
		return "", 0, 0, err
	}
	return id, pending, active.Sub(approved), nil
}

func await[T any](ctx context.Context, c <-chan T, what string) (v T, err error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case v = <-c:
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	case <-timeout.C:
		return v, errors.New(what + " did not come")
	}
}

// audit reads the log back: every life must have its end written down. The rate
// counts until the last entry was.
func (w *world) audit(ctx context.Context, r *result, start time.Time, ids []string) error {
	missing := map[string]bool{}
	for _, id := range ids {
		missing[id] = true
	}
	deadline := time.Now().Add(patience)
	for {
		last := start
		r.audited, r.entries = nil, 0
		since, token := start.UTC().Format(time.RFC3339Nano), ""
		open := len(missing)
		seen := map[string]bool{}
		for {
			var p map[string]any
			if err := w.call(ctx, w.admin, "GET", "/v1/auditEntries?pageSize=1000&since="+since+"&pageToken="+token, nil, &p); err != nil {
				return err
			}
			entries, _ := p["auditEntries"].([]any)
			for _, e := range entries {
				requests, _ := e.(map[string]any)["requestIds"].([]any)
				if len(requests) != 1 || !missing[requests[0].(string)] {
					continue
				}
				at, err1 := time.Parse(time.RFC3339Nano, str(e, "time"))
				recorded, err2 := time.Parse(time.RFC3339Nano, str(e, "recordTime"))
				if err := errors.Join(err1, err2); err != nil {
					return err
				}
				r.entries++
				r.audited = append(r.audited, recorded.Sub(at))
				if recorded.After(last) {
					last = recorded
				}
				if id := requests[0].(string); str(e, "event") == "request.closed" && !seen[id] {
					seen[id] = true
					open--
				}
			}
			if token = str(p, "nextPageToken"); token == "" {
				break
			}
		}
		if open == 0 {
			r.rate = float64(r.lives) / last.Sub(start).Seconds()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d lives were never audited", open)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

type obj = map[string]any

func (w *world) call(ctx context.Context, token, method, path string, body any, out *map[string]any) error {
	var rd io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		rd = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, rd)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	if out != nil {
		*out = nil
		return json.Unmarshal(b, out)
	}
	return nil
}

func str(v any, path ...string) string {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	s, _ := v.(string)
	return s
}
