package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Approved opens the grants of approved requests, or ends those that approved
// revoke requests are about, one request after the other, as if each were
// handled by itself. Repeating it does nothing. An error that is one event's is
// an inbox.Failed. ctx must end with the transaction.
func (e *Engine) Approved(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	requests := make([]*approved, len(events))
	want := store.Want{Create: true}
	for n, ev := range events {
		a, err := readApproved(ev)
		if err != nil {
			return inbox.Failed(ev, err)
		}
		requests[n] = a
		want.Stay = append(want.Stay, a.user)
		for _, it := range a.items {
			want.Keys = append(want.Keys, a.key(it))
			want.Entitlements = append(want.Entitlements, it.entitlement)
			if a.revoke {
				want.Revoked = append(want.Revoked, it.id)
			} else {
				want.Granted = append(want.Granted, it.id)
			}
		}
	}
	if len(events) == 0 {
		return nil
	}
	u := e.begin(tx, events[0].OrganizationID, system())
	found, err := u.lock(ctx, want)
	if err != nil {
		return err
	}
	for n, a := range requests {
		if err := u.approve(found, a); err != nil {
			return inbox.Failed(events[n], err)
		}
	}
	return u.save(ctx)
}

// approve takes in one approved request, and settles its seats: what comes
// after it finds them as they would be had it been saved.
func (u *unit) approve(found *store.Found, a *approved) error {
	var seats []*store.Seat
	u.step++
	for _, it := range a.items {
		s := found.Seat(a.key(it))
		if s == nil || !s.Known() {
			return inbox.NotYet("user %s or app %s", a.user, it.app)
		}
		if ent, ok := found.Entitlements[it.entitlement]; !ok || ent.AppID != it.app {
			return inbox.NotYet("entitlement %s of app %s", it.entitlement, it.app)
		}
		if !slices.Contains(seats, s) {
			seats = append(seats, s)
		}
		switch {
		case found.Items[it.id]: // done already
		case a.revoke:
			u.revoke(s, a, it)
		default:
			u.open(s, a, it)
		}
		found.Items[it.id] = true
	}
	for _, s := range seats {
		u.settle(s)
	}
	return nil
}

// approved is what an approved request says.
type approved struct {
	request, user uuid.UUID
	revoke, join  bool
	until         *time.Time
	items         []item
}

type item struct{ id, app, entitlement uuid.UUID }

func (a *approved) key(it item) store.Key { return store.Key{User: a.user, App: it.app} }

func readApproved(ev inbox.Event) (*approved, error) {
	m, ok := ev.Message.(*eventv1.ApprovalGranted)
	if !ok {
		return nil, fmt.Errorf("event of type %s holds a %T", ev.Type, ev.Message)
	}
	r := m.GetRequest()
	a := &approved{
		revoke: r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE,
		join:   r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN,
	}
	var err error
	if a.request, err = uuid.Parse(r.GetId()); err != nil {
		return nil, fmt.Errorf("read request id: %w", err)
	}
	if a.user, err = uuid.Parse(r.GetBeneficiary().GetUserId()); err != nil {
		return nil, fmt.Errorf("read beneficiary: %w", err)
	}
	if r.GetUntil() != nil {
		t := r.GetUntil().AsTime().Truncate(time.Microsecond)
		a.until = &t
	}
	for _, i := range r.GetItems() {
		var it item
		for into, text := range map[*uuid.UUID]string{&it.id: i.GetId(), &it.app: i.GetAppId(), &it.entitlement: i.GetEntitlementId()} {
			if *into, err = uuid.Parse(text); err != nil {
				return nil, fmt.Errorf("read item of request %s: %w", a.request, err)
			}
		}
		a.items = append(a.items, it)
	}
	return a, nil
}

// open opens a grant. If the person has left, or its end has come already, it
// is over at once.
func (u *unit) open(s *store.Seat, a *approved, it item) {
	g := &store.Grant{
		ID: id.New(), UserID: s.User, AppID: s.Key.App, EntitlementID: it.entitlement, RequestID: a.request, ItemID: it.id,
		Join: a.join, JoinCount: s.Person.JoinCount, State: lifecycle.Pending, Until: a.until, CreateTime: u.now, Version: 1, New: true,
	}
	s.Grants = append(s.Grants, g)
	switch {
	case s.Person.Removed:
		g.End = "user_removed"
	case a.until != nil && !a.until.After(u.now):
		g.End = "expired"
	default:
		if a.until != nil {
			u.awaitEnd(g, warning(u.now, *a.until))
		}
		u.sayGrant(s, g, "created")
		return
	}
	at := u.now
	g.State, g.EndTime, g.RevokeTime = lifecycle.Revoked, &at, &at
	u.sayGrant(s, g, "revoked")
}

// warning is when to warn of the end of a grant: a day before, or when three
// quarters of its time have passed.
func warning(from, until time.Time) time.Time {
	return until.Add(-min(24*time.Hour, until.Sub(from)/4)).Truncate(time.Microsecond)
}

// revoke ends the grants of what a revoke request names. What is being taken
// away already is waited for too.
func (u *unit) revoke(s *store.Seat, a *approved, it item) {
	r := &store.Revocation{ItemID: it.id, RequestID: a.request, EntitlementID: it.entitlement, GrantIDs: []uuid.UUID{}, New: true}
	for _, g := range s.Grants {
		if g.EntitlementID != it.entitlement || g.State == lifecycle.Revoked {
			continue
		}
		if g.State.Live() {
			u.end(s, g, "requested", uuid.NullUUID{UUID: a.request, Valid: true})
		}
		r.GrantIDs = append(r.GrantIDs, g.ID)
	}
	s.Revocations = append(s.Revocations, r)
}

// User takes in what a person is now. If they have left, everything they hold
// ends; so does what they held before, if they turn out to have left and come
// back. Each app by itself: one whose rows cannot be saved keeps access in no
// other.
func (e *Engine) User(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *identityv1.User) error {
	user, err := uuid.Parse(m.GetId())
	if err != nil {
		return fmt.Errorf("read user id: %w", err)
	}
	p := store.Person{
		ID: user, UserName: m.GetUserName(), DisplayName: m.GetDisplayName(), GivenName: m.GetGivenName(), FamilyName: m.GetFamilyName(),
		Email: m.GetEmail(), Title: m.GetTitle(), Department: m.GetDepartment(),
		Removed: m.GetState() == identityv1.UserState_USER_STATE_REMOVED, JoinCount: m.GetJoinCount(),
	}
	left, err := store.PutUser(ctx, tx, ev.OrganizationID, p, m.GetVersion())
	if err != nil || !left {
		return err
	}
	tx.AfterCommit(e.due.Wake)
	return store.ReconcileUser(ctx, tx, dueReconcile, user, e.clock.Now())
}

// App takes in what an app is now. The accounts of an app that is handled in another
// way from now on follow by themselves, each by itself.
func (e *Engine) App(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *requestv1.App) error {
	a := store.App{Name: m.GetName(), Disable: m.GetDeprovisioningAction() == requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE, Version: m.GetVersion()}
	var err error
	if a.ID, err = uuid.Parse(m.GetId()); err != nil {
		return fmt.Errorf("read app id: %w", err)
	}
	switch m.GetProvisioning() {
	case requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE:
		a.Mode = lifecycle.Shared
	case requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC:
		a.Mode = lifecycle.Automatic
	default:
		a.Mode = lifecycle.Manual
	}
	if m.GetIntegrationId() != "" {
		integration, err := uuid.Parse(m.GetIntegrationId())
		if err != nil {
			return fmt.Errorf("read integration id: %w", err)
		}
		a.IntegrationID = uuid.NullUUID{UUID: integration, Valid: true}
	}
	for _, text := range m.GetAdminIds() {
		admin, err := uuid.Parse(text)
		if err != nil {
			return fmt.Errorf("read app admin: %w", err)
		}
		a.AdminIDs = append(a.AdminIDs, admin)
	}
	changed, err := store.PutApp(ctx, tx, ev.OrganizationID, a)
	if err != nil || !changed {
		return err
	}
	if _, err := store.ReconcileApp(ctx, tx, dueReconcile, a.ID, e.clock.Now()); err != nil {
		return err
	}
	tx.AfterCommit(e.due.Wake)
	return e.awaitSettings(tx, ev.OrganizationID, a.ID)
}

// Entitlement takes in what can be held in an app.
func (e *Engine) Entitlement(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *requestv1.Entitlement) error {
	ent := store.Entitlement{Name: m.GetName(), Kind: entitlementKinds[m.GetKind()], Ref: m.GetRef()}
	var err error
	if ent.ID, err = uuid.Parse(m.GetId()); err != nil {
		return fmt.Errorf("read entitlement id: %w", err)
	}
	if ent.AppID, err = uuid.Parse(m.GetAppId()); err != nil {
		return fmt.Errorf("read app id: %w", err)
	}
	if ent.Kind == "" {
		return fmt.Errorf("entitlement %s has unknown kind %s", ent.ID, m.GetKind())
	}
	return store.PutEntitlement(ctx, tx, ev.OrganizationID, ent, m.GetVersion())
}

var entitlementKinds = map[requestv1.EntitlementKind]string{
	requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT: "account",
	requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE:    "role",
	requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP:   "group",
	requestv1.EntitlementKind_ENTITLEMENT_KIND_LICENSE: "license",
}
