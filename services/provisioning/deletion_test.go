package provisioning_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// deleteApp publishes that an app was deleted, and returns the event.
func (w *world) deleteApp(t testing.TB, a *requestv1.App) *eventv1.AppDeleted {
	t.Helper()
	gone := proto.CloneOf(a)
	gone.Version++
	gone.DeleteTime = timestamppb.Now()
	ev := &eventv1.AppDeleted{App: gone}
	w.Publish(t, w.org, uuid.MustParse(a.GetId()), ev)
	return ev
}

func (w *world) deleteEntitlement(t testing.TB, e *requestv1.Entitlement) {
	t.Helper()
	gone := proto.CloneOf(e)
	gone.Version++
	gone.DeleteTime = timestamppb.Now()
	w.Publish(t, w.org, uuid.MustParse(e.GetId()), &eventv1.EntitlementDeleted{Entitlement: gone})
}

// What people hold in a deleted app ends in the ordinary way: accounts go as the app
// says, by the integration or by a person.
func TestDeletedApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "team")
	integration := w.integration(t, target)
	chatApp := w.app(t, "Chat", automatic, integration)
	payApp := w.app(t, "Payroll", manual, "")
	account, team := w.entitlement(t, chatApp, accountKind, "account"), w.entitlement(t, chatApp, groupKind, "team")
	payroll := w.entitlement(t, payApp, accountKind, "account")
	ann := w.user(t, "ann")
	chat, pay := w.give(t, ann, ask{}, account, team), w.give(t, ann, ask{}, payroll)
	w.becomes(t, chat, active)
	w.resolve(t, w.open(t, ann, payApp, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.becomes(t, pay, active)

	_, err := w.integrations.DeleteIntegration(t.Context(), &provisioningv1.DeleteIntegrationRequest{Id: integration})
	wantReason(t, err, "FailedPrecondition", "INTEGRATION_IN_USE")

	deleted := w.deleteApp(t, chatApp)
	w.deleteApp(t, payApp)
	for _, g := range w.becomes(t, chat, revoked) {
		if g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED || g.GetAppName() != "Chat" {
			t.Errorf("grant %v", g)
		}
	}
	if target.account(t, "ann") != nil {
		t.Error("the account is still there")
	}
	w.becomes(t, pay, revoking)
	w.resolve(t, w.open(t, ann, payApp, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT))
	w.becomes(t, pay, revoked)

	// Delivered twice it changes nothing, and an older event does not bring it back.
	w.Publish(t, w.org, uuid.MustParse(chatApp.GetId()), deleted)
	w.Publish(t, w.org, uuid.MustParse(chatApp.GetId()), &eventv1.AppUpdated{App: chatApp})
	// The other order: what is approved after the deletion is over at once, and says so.
	late := w.give(t, ann, ask{}, account)
	for _, g := range w.becomes(t, late, revoked) {
		if g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED || g.GetActivateTime() != nil {
			t.Errorf("grant %v", g)
		}
	}
	if n := target.count("POST /Users"); n != 1 {
		t.Errorf("%d accounts were made", n)
	}

	// Then the integration can go, with its secret, and only once.
	w.Handled(t, "provisioning")
	if _, err := w.integrations.DeleteIntegration(t.Context(), &provisioningv1.DeleteIntegrationRequest{Id: integration, Etag: "another"}); err != nil {
		wantReason(t, err, "Aborted", "ETAG_MISMATCH")
	} else {
		t.Error("deleted with another etag")
	}
	if _, err := w.integrations.DeleteIntegration(t.Context(), &provisioningv1.DeleteIntegrationRequest{Id: integration}); err != nil {
		t.Fatal(err)
	}
	_, err = w.integrations.DeleteIntegration(t.Context(), &provisioningv1.DeleteIntegrationRequest{Id: integration})
	wantReason(t, err, "NotFound", "INTEGRATION_NOT_FOUND")
	var left int
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select count(*) from integration where id = $1`, integration).Scan(&left)
	}); err != nil || left != 0 {
		t.Errorf("%d rows with the secret are left, %v", left, err)
	}
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.IntegrationDeleted) bool { return m.GetIntegration().GetId() == integration })
	if ev.GetIntegration().GetScim().GetToken() != "" || !strings.HasPrefix(ev.GetIntegration().GetName(), "scim ") {
		t.Errorf("emitted %v", ev)
	}
}

// A deleted entitlement ends for those who hold it, and nothing else does.
func TestDeletedEntitlement(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "team", "other")
	a := w.app(t, "Chat", automatic, w.integration(t, target))
	account := w.entitlement(t, a, accountKind, "account")
	team, other := w.entitlement(t, a, groupKind, "team"), w.entitlement(t, a, groupKind, "other")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	held := w.give(t, ann, ask{}, team)
	kept := w.give(t, ann, ask{}, account, other)
	w.becomes(t, held, active)
	w.becomes(t, kept, active)

	w.deleteEntitlement(t, team)
	for _, g := range w.becomes(t, held, revoked) {
		if g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_ENTITLEMENT_DELETED || g.GetEntitlementName() != "team" {
			t.Errorf("grant %v", g)
		}
	}
	w.becomes(t, kept, active)
	if one := target.account(t, "ann"); one == nil || target.member("team", one.ID) || !target.member("other", one.ID) {
		t.Errorf("account %v", one)
	}
	// The other order.
	late := w.give(t, ben, ask{}, team)
	w.becomes(t, late, revoked)
	if target.account(t, "ben") != nil {
		t.Error("an account was made for what was deleted")
	}
}

// A grant that a transaction opened while the deletion was applied, and that it did
// not see, is found and ended.
func TestGrantBesideDeletion(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	a := w.app(t, "Archive", shared, "")
	account := w.entitlement(t, a, accountKind, "account")
	role := w.entitlement(t, a, requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE, "reader")
	ann := w.user(t, "ann")
	kept, gone := w.give(t, ann, ask{}, account), w.give(t, ann, ask{}, role)
	w.becomes(t, kept, active)
	was := w.becomes(t, gone, active)
	w.deleteEntitlement(t, role)
	w.becomes(t, gone, revoked)
	// As it would be, had it been written under the old copy.
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update access_grant set state = 'active', end_time = null, end_reason = null, revoke_time = null where id = $1`, was[0].GetId())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Hour)
	w.becomes(t, gone, revoked)
	w.becomes(t, kept, active)
}

// What is to be removed from an app that was deleted, and that nobody reaches any more, is
// tried once more when a person says that it is gone; when they have to say it again it is
// believed, so that a leaver's list can end. B-PRV-11, B-ONB-07, in part
func TestDeletedAppNeverAnswersAgain(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Vendor", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	ann := w.user(t, "ann")
	made := w.give(t, ann, ask{}, account)
	w.becomes(t, made, active)
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusGone} })
	w.deleteApp(t, app)
	w.leave(t, ann)
	first := w.open(t, ann, app, fixOperation)
	w.resolve(t, first)
	var second *provisioningv1.WorkItem
	servicetest.Eventually(t, "they are asked again", func() bool {
		second = w.open(t, ann, app, fixOperation)
		return second.GetId() != first.GetId()
	})
	w.becomes(t, made, revoking)
	w.resolve(t, second)
	w.becomes(t, made, revoked)
	if lists := w.lists(t, ann, false); len(lists) != 0 {
		t.Errorf("still on %d lists", len(lists))
	}

	// Where the app is there, it is tried as often as it takes.
	other := newApp(t)
	app = w.app(t, "Chat", automatic, w.integration(t, other))
	account = w.entitlement(t, app, accountKind, "account")
	bob := w.user(t, "bob")
	made = w.give(t, bob, ask{}, account)
	w.becomes(t, made, active)
	other.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusGone} })
	w.leave(t, bob)
	seen := map[string]bool{}
	for range 3 {
		servicetest.Eventually(t, "it is asked for", func() bool {
			first = w.open(t, bob, app, fixOperation)
			return !seen[first.GetId()]
		})
		seen[first.GetId()] = true
		w.resolve(t, first)
	}
	w.becomes(t, made, revoking)
}
