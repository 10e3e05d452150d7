package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/service"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/gateway/internal/live"
)

const (
	// livePath is where browsers are told of changes.
	livePath = "/live"
	// sessionPrefix begins the secrets of sessions.
	sessionPrefix = "ghs_"
	// lookEvery is how often it is looked at whether a stream's session still holds, if
	// no event says that it may not.
	lookEvery = time.Minute
	// heartbeat is how often a stream says that it lives, so that proxies keep it.
	heartbeat = 20 * time.Second
	// writeTimeout bounds one write to a browser.
	writeTimeout = 10 * time.Second
	// latestRetry is after how long at most a browser comes back that has lost its
	// stream, each after another time.
	latestRetry = 5 * time.Second
)

// liveDoor tells signed-in browsers which collections to ask for again, by server-sent
// events.
type liveDoor struct {
	hub   *live.Hub // nil if there is no bus
	auth  *authenticator
	users identityv1.UserServiceClient
	apps  requestv1.AppServiceClient
}

func (d liveDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, ok := r.Context().Value(exchangedKey{}).(exchanged)
	switch {
	case !ok && !hasToken(r):
		send(w, r, apierr.Unauthenticated("TOKEN_MISSING", "nobody is signed in"))
		return
	case !ok || !strings.HasPrefix(caller.secret, sessionPrefix):
		send(w, r, apierr.Denied("SESSION_NEEDED", "only somebody who is signed in is told of changes here; programs read events"))
		return
	case d.hub == nil:
		send(w, r, apierr.New(codes.Unimplemented, "LIVE_UNAVAILABLE", "this gateway has no bus, and tells of no changes"))
		return
	}
	if r.Method == http.MethodHead {
		newEvents(w).head()
		return
	}
	ctx := r.Context()
	who, err := d.who(ctx)
	if err != nil {
		send(w, r, err)
		return
	}
	viewer, err := d.hub.Join(ctx, who)
	if live.IsFull(err) {
		send(w, r, apierr.New(codes.ResourceExhausted, "TOO_MANY_STREAMS", "there are too many open streams; close one, or try again later"))
		return
	} else if err != nil {
		send(w, r, apierr.Unavailable(apierr.ReasonUnavailable, err))
		return
	}
	defer d.hub.Leave(viewer)
	d.stream(ctx, newEvents(w), caller.secret, viewer)
}

// stream tells a viewer of changes until they go, or are nobody any more.
func (d liveDoor) stream(ctx context.Context, to *events, secret string, viewer *live.Viewer) {
	hints := viewer.Hints()
	defer hints.Stop()
	look, beat := time.NewTicker(lookEvery), time.NewTicker(heartbeat)
	defer look.Stop()
	defer beat.Stop()
	if to.ready() != nil {
		return
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-service.Stopping(ctx):
			return
		case <-viewer.Looks():
			err = d.look(ctx, secret, viewer)
		case <-look.C:
			err = d.look(ctx, secret, viewer)
		case <-hints.Wake():
			hints.Plan()
		case <-hints.Due():
			// Whoever is not to hear it any more is not told: that comes first.
			select {
			case <-viewer.Looks():
				err = d.look(ctx, secret, viewer)
			default:
			}
			if err == nil {
				err = to.changed(hints.Take())
			}
		case <-beat.C:
			err = to.alive()
		}
		if status.Code(err) == codes.Unauthenticated {
			_ = to.signedOut()
		}
		if err != nil {
			return
		}
	}
}

// look finds out who a viewer is now. It is an error if they are nobody any more, or if
// that cannot be known.
func (d liveDoor) look(ctx context.Context, secret string, viewer *live.Viewer) error {
	d.auth.forget(secret)
	tokens, err := d.auth.exchange(ctx, secret)
	if err != nil {
		return err
	}
	who, err := d.who(withTokens(ctx, secret, tokens))
	if err == nil {
		d.hub.Change(viewer, who)
	}
	return err
}

// who is who a caller is, and which apps they run.
func (d liveDoor) who(ctx context.Context) (live.Who, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := d.users.GetMe(ctx, &identityv1.GetMeRequest{})
	if err != nil {
		return live.Who{}, err //nolint:wrapcheck // the service's own
	}
	u := r.GetUser()
	who := live.Who{
		Organization: r.GetOrganization().GetId(), User: u.GetId(),
		Environment: u.GetEnvironmentId(), RoleEnvironment: u.GetRoleEnvironmentId(),
	}
	switch u.GetRole() {
	case identityv1.Role_ROLE_ADMIN, identityv1.Role_ROLE_IT_ADMIN, identityv1.Role_ROLE_RISK_MANAGER:
		who.All = true
		return who, nil
	case identityv1.Role_ROLE_MEMBER:
	default:
		who.External = true
		return who, nil
	}
	apps, err := d.apps.ListApps(ctx, &requestv1.ListAppsRequest{
		PageSize: 1000, Filter: fmt.Sprintf("ownerId = %[1]q OR adminIds:%[1]q OR approverIds:%[1]q", u.GetId()),
	})
	if err != nil {
		// They are told of it later, with everybody else.
		return who, nil //nolint:nilerr // see above
	}
	for _, a := range apps.GetApps() {
		who.Apps = append(who.Apps, a.GetId())
	}
	return who, nil
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newEvents(w http.ResponseWriter) *events {
	return &events{w, http.NewResponseController(w)}
}

// head sets the headers of a stream.
func (e *events) head() {
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
}

// ready begins the stream: from now on everything is told.
func (e *events) ready() error {
	e.head()
	// The request has been read, and nothing more comes; a deadline would end the stream.
	if err := e.control.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("keep the stream open: %w", err)
	}
	retry := time.Second + rand.N(latestRetry-time.Second)
	return e.write(fmt.Sprintf("retry: %d\nevent: ready\ndata: {}\n\n", retry.Milliseconds()))
}

// changed tells of collections, if there are any.
func (e *events) changed(what []live.Collection) error {
	if len(what) == 0 {
		return nil
	}
	b, err := json.Marshal(map[string][]live.Collection{"collections": what})
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return e.write("event: changed\ndata: " + string(b) + "\n\n")
}

// signedOut says that the session has ended.
func (e *events) signedOut() error { return e.write("event: signed-out\ndata: {}\n\n") }

// alive says nothing.
func (e *events) alive() error { return e.write(":\n\n") }

func (e *events) write(text string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if _, err := e.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}
