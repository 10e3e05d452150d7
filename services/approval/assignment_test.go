package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// assigned is a request of which its requester says that they have assigned it.
func (w *world) assigned(by, to string) *requestv1.Request {
	r := w.request(by, to)
	r.Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT
	return r
}

// denied waits until a request is denied, by nobody, and gives the reason.
func (w *world) denied(t testing.TB, r *requestv1.Request) string {
	t.Helper()
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalDenied) bool { return e.GetRequestId() == r.GetId() })
	if e.GetReviewer() != nil || e.GetTask() != nil || e.GetContext().GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM {
		t.Errorf("denied by somebody: %v", e)
	}
	return e.GetReason()
}

// B-ONB-18: what an admin has assigned is approved in their name, and nobody is asked,
// whatever steps a flow has; once, however often it is delivered.
func TestAssigned(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil) // the manager decides
	r := w.assigned("zoe", "ben")
	eventID := w.submit(t, r)
	w.PublishAgain(t, eventID, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r})
	w.submit(t, r)
	e := w.granted(t, r)
	if e.GetAutomatic() || e.GetTask() != nil || e.GetFlowId() != "" || e.GetContext().GetActor().GetId() != w.users["zoe"].GetId() || e.GetContext().GetBulk() ||
		!proto.Equal(e.GetRequest(), r) {
		t.Errorf("granted: %v", e)
	}
	w.handled(t)
	w.drained(t)
	if got := w.emitted(r.GetId()); len(got) != 1 || got["ApprovalGranted"] != 1 {
		t.Errorf("emitted %v", got)
	}
	// Somebody who only says so in words asks as everybody does.
	asked := w.request("zoe", "ben")
	w.submit(t, asked)
	w.asked(t, asked, 1)
}

// B-ONB-18, B-APR-04, B-APR-15: whether somebody may assign is looked at when it counts.
func TestAssignedByWhomItIsNotFor(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "ian", "", identityv1.Role_ROLE_IT_ADMIN)
	w.join(t, "bot", "", identityv1.Role_ROLE_ADMIN)
	w.change(t, "bot", func(u *identityv1.User) {
		u.Kind, u.AccountableUserId = identityv1.UserKind_USER_KIND_AGENT, w.users["zoe"].GetId()
	})
	w.handled(t)
	it := w.assigned("ian", "ben")
	w.submit(t, it)
	w.granted(t, it)
	for _, tt := range []struct{ by, to, why string }{
		{"ann", "ben", "not an active admin"},
		{"ria", "ben", "not an active admin"},
		{"ada", "ben", "not an active admin"}, // who runs the app
		{"bot", "ben", "not an active admin"},
		{"zoe", "zoe", "themselves"},
		{"zoe", "bot", "answer for"},
	} {
		r := w.assigned(tt.by, tt.to)
		w.submit(t, r)
		if why := w.denied(t, r); !strings.Contains(why, tt.why) {
			t.Errorf("%s for %s: %q, want %q", tt.by, tt.to, why, tt.why)
		}
	}

	// An admin when it was submitted, and not any more.
	w.change(t, "ian", func(u *identityv1.User) { u.Role = identityv1.Role_ROLE_MEMBER })
	w.handled(t)
	late := w.assigned("ian", "ben")
	w.submit(t, late)
	if why := w.denied(t, late); why != "ian is not an active admin, and assigns nothing" {
		t.Errorf("demoted: %q", why)
	}
	w.join(t, "iva", "", identityv1.Role_ROLE_IT_ADMIN)
	w.leave(t, "iva")
	w.handled(t)
	gone := w.assigned("iva", "ben")
	w.submit(t, gone)
	w.denied(t, gone)

	// An admin by now, of which nobody has heard here yet: it waits.
	early := w.assigned("eve", "ben")
	w.Publish(t, w.org, uuid.MustParse(early.GetId()), &eventv1.RequestSubmitted{Request: early, RequesterVersion: 2})
	w.change(t, "eve", func(u *identityv1.User) { u.Role = identityv1.Role_ROLE_ADMIN })
	w.granted(t, early)

	// To somebody suspended.
	w.change(t, "ben", func(u *identityv1.User) { u.State = identityv1.UserState_USER_STATE_SUSPENDED })
	w.handled(t)
	away := w.assigned("zoe", "ben")
	w.submit(t, away)
	if why := w.denied(t, away); why != "ben is not active" {
		t.Errorf("suspended: %q", why)
	}
}

// B-ONB-18, B-REQ-18: what a flow's limits forbid is not assigned either.
func TestAssignedOverLimits(t *testing.T) {
	t.Parallel()
	w := start(t)
	closed, account := id.New(), id.New()
	w.app(t, closed, "Vault", account, nil, nil)
	w.Publish(t, w.org, closed, &eventv1.AppUpdated{App: &requestv1.App{Id: closed.String(), OrganizationId: w.org.String(), Name: "Vault", Version: 99, OnlyByFlow: true}})
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.OnlyAudience, in.Audience = true, &approvalv1.FlowAudience{UserIds: []string{w.id("ann").String()}}
		in.Scope, in.MaxDuration = &approvalv1.FlowScope{AppIds: []string{w.crm.String()}}, durationpb.New(time.Hour)
	})
	if f.GetId() == "" {
		t.Fatal("no flow")
	}
	w.handled(t)
	inVault := w.assigned("zoe", "ann")
	inVault.Items[0].AppId, inVault.Items[0].EntitlementId = closed.String(), account.String()
	for r, why := range map[*requestv1.Request]string{
		w.assigned("zoe", "ben"): "a flow gives it to others only",
		w.assigned("zoe", "ann"): "its flow gives it for 1 hour at most, and not for ever",
		inVault:                  "the app is closed to what no flow covers",
	} {
		w.submit(t, r)
		if got := w.denied(t, r); got != why {
			t.Errorf("denied with %q, want %q", got, why)
		}
	}
}

// B-ONB-18, B-USR-12: an admin of an environment assigns its apps to its people.
func TestAssignedInAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	apps := map[string]uuid.UUID{w.a: id.New(), w.b: id.New()}
	for environment, app := range apps {
		w.Publish(t, w.org, app, &eventv1.AppCreated{App: &requestv1.App{Id: app.String(), OrganizationId: w.org.String(), EnvironmentId: environment, Name: "Payroll", Version: 1}})
	}
	w.handled(t)
	in := func(by, to string, app uuid.UUID) *requestv1.Request {
		r := w.assigned(by, to)
		r.Items[0].AppId = app.String()
		w.submit(t, r)
		return r
	}
	w.granted(t, in("anna", "amy", apps[w.a]))
	w.granted(t, in("zoe", "amy", apps[w.a]))
	w.granted(t, in("zoe", "bert", apps[w.b]))
	w.granted(t, in("zoe", "bert", w.crm))
	for _, r := range []*requestv1.Request{
		in("anna", "bert", apps[w.b]), in("anna", "amy", apps[w.b]), in("anna", "amy", w.crm), in("anna", "ben", apps[w.a]), in("bea", "amy", apps[w.a]),
	} {
		w.denied(t, r)
	}
}

// B-ONB-18: nobody assigns by an event of their own making.
func TestAssignedByAForgedEvent(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.assigned("zoe", "ben")
	m := servicetest.Message(t, id.New(), time.Now(), w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r})
	m.Header.Del(eventsig.Header)
	if _, err := w.Bus.JetStream().PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.handled(t)
	if n := w.count(t, "approval"); n != 0 {
		t.Errorf("%d approvals", n)
	}
	if n := w.count(t, "parked_event"); n != 1 {
		t.Errorf("%d events are parked", n)
	}
}
