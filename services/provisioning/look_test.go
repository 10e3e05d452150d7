package provisioning_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	readOnly  = provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_READ_ONLY
	readWrite = provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_READ_WRITE
)

// reader makes an integration that may only read.
func (w *world) reader(t testing.TB, a *scimApp) *provisioningv1.Integration {
	t.Helper()
	r, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
		Name: "reader " + id.New().String(), Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, Access: readOnly,
		Scim: &provisioningv1.ScimSettings{BaseUrl: a.URL, Token: scimToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	if i := r.GetIntegration(); i.GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING || i.GetAccess() != readOnly {
		t.Fatalf("integration is %s: %s", i.GetState(), i.GetStateDetail())
	}
	return r.GetIntegration()
}

// looked makes an app that people handle and an integration looks at, and its group of
// developers.
func (w *world) looked(t *testing.T) (target *scimApp, a *requestv1.App, account, devs *requestv1.Entitlement) {
	t.Helper()
	target = newApp(t, "devs", "ops")
	a = w.app(t, "By hand", manual, w.reader(t, target).GetId())
	t.Cleanup(func() {
		if n := target.count(""); n > 0 {
			t.Errorf("an integration that may only read has made %d changes: %v", n, target.calls)
		}
	})
	return target, a, w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs")
}

// byHand makes an account in the app, as people do who know nothing of Gatehouse.
func (a *scimApp) byHand(id, userName string, groups ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[id] = &scimUser{ID: id, UserName: userName, Active: true}
	for _, g := range groups {
		a.groups[g][id] = true
	}
}

// madeByHand gives somebody an account, which is made by hand, in groups, and seen.
func (w *world) madeByHand(t testing.TB, target *scimApp, a *requestv1.App, account *requestv1.Entitlement, u *identityv1.User, groups ...string) *requestv1.Request {
	t.Helper()
	made := w.give(t, u, ask{}, account)
	w.open(t, u, a, createAccount)
	target.watched(t, 2)
	target.byHand("theirs", u.GetUserName(), groups...)
	w.becomes(t, made, active)
	return made
}

func (a *scimApp) join(group, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.groups[group][id] = true
}

func (a *scimApp) part(group, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.groups[group], id)
}

func (a *scimApp) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, id)
	for _, g := range a.groups {
		delete(g, id)
	}
}

// watched waits until the app was looked at since now, with the account of a user name
// among what was asked for.
func (a *scimApp) watched(t testing.TB, times int) {
	t.Helper()
	seen := make(chan struct{}, 1000)
	a.mu.Lock()
	before := a.fault
	a.fault = func(r *http.Request) *fault {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/Users") {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		if before != nil {
			return before(r)
		}
		return nil
	}
	a.mu.Unlock()
	for range times {
		select {
		case <-seen:
		case <-t.Context().Done():
			t.Fatal("nobody looks")
		}
	}
	a.misbehave(before)
}

// seenDone waits until an item is resolved, and fails if a person has.
func (w *world) seenDone(t testing.TB, item *provisioningv1.WorkItem) {
	t.Helper()
	got := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemResolved) bool { return m.GetWorkItem().GetId() == item.GetId() })
	i := got.GetWorkItem()
	if i.GetResolver().GetUserId() != "" || i.GetNote() != "seen in the app by its integration" || got.GetContext().GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM {
		t.Errorf("resolved by %v: %q", got.GetContext().GetActor(), i)
	}
}

// B-ONB-10: what people are to do by hand is done once an integration that can only read
// sees it: the account, then a group, then both are gone. B-ONB-07: and only then does
// the person leave the list.
func TestSeenDone(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, devs := w.looked(t)
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account)
	item := w.open(t, jo, a, createAccount)
	target.watched(t, 2)
	w.becomes(t, made, pending)
	if lists := w.lists(t, jo, false); len(lists) != 1 {
		t.Errorf("on %d lists", len(lists))
	}
	target.byHand("theirs", "Jo")
	w.becomes(t, made, active)
	w.seenDone(t, item)
	if lists := w.lists(t, jo, false); len(lists) != 0 {
		t.Errorf("still on %d lists", len(lists))
	}
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: jo.GetId()})
	if err != nil || len(l.GetAccounts()) != 1 || l.GetAccounts()[0].GetExternalId() != "theirs" || l.GetAccounts()[0].GetAdopted() {
		t.Errorf("accounts %v, %v", l.GetAccounts(), err)
	}

	member := w.give(t, jo, ask{}, devs)
	item = w.open(t, jo, a, assign)
	target.watched(t, 2)
	w.becomes(t, member, pending)
	target.join("devs", "theirs")
	w.becomes(t, member, active)
	w.seenDone(t, item)

	w.give(t, jo, ask{revoke: true}, devs)
	w.becomes(t, member, revoking)
	item = w.open(t, jo, a, unassign)
	target.watched(t, 2)
	target.part("devs", "theirs")
	w.becomes(t, member, revoked)
	w.seenDone(t, item)

	w.leave(t, jo)
	w.becomes(t, made, revoking)
	item = w.open(t, jo, a, removeAccount)
	target.watched(t, 2)
	w.becomes(t, made, revoking)
	if lists := w.lists(t, jo, false); len(lists) != 1 {
		t.Errorf("on %d lists", len(lists))
	}
	target.drop("theirs")
	w.becomes(t, made, revoked)
	w.seenDone(t, item)
	w.settledLooks(t)
}

// settledLooks waits until nothing is looked at.
func (w *world) settledLooks(t *testing.T) {
	t.Helper()
	w.Handled(t, "provisioning")
	servicetest.Eventually(t, "nothing is looked at", func() bool {
		return w.count(t, `select count(*) from operation where state in ('queued', 'running', 'stuck')`) == 0
	})
}

// B-PRV-11, B-PRV-13, in part: a removal that a person says is done counts once it was
// looked at, and what is still there is back on the list, with a word of why.
func TestStillThere(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, devs := w.looked(t)
	jo := w.user(t, "jo")
	made, member := w.give(t, jo, ask{}, account), w.give(t, jo, ask{}, devs)
	w.open(t, jo, a, createAccount)
	target.watched(t, 2)
	target.byHand("theirs", "jo", "devs")
	w.becomes(t, made, active)
	w.becomes(t, member, active)

	// refused resolves an item that is not done.
	refused := func(kind provisioningv1.WorkItemKind) *provisioningv1.WorkItem {
		item := w.open(t, jo, a, kind)
		w.resolve(t, item)
		again := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemOpened) bool { return m.GetWorkItem().GetReopenedItemId() == item.GetId() })
		if why := again.GetWorkItem().GetReopenReason(); why != "the app's integration still sees it" || again.GetWorkItem().GetKind() != kind {
			t.Errorf("open again: %v", again.GetWorkItem())
		}
		return again.GetWorkItem()
	}
	revoke := w.give(t, jo, ask{revoke: true}, devs)
	item := refused(unassign)
	w.becomes(t, member, revoking)
	target.part("devs", "theirs")
	w.becomes(t, member, revoked)
	w.seenDone(t, item)
	servicetest.Wait(t, w.Harness, func(m *eventv1.RevocationCompleted) bool { return m.GetRequestId() == revoke.GetId() })

	w.leave(t, jo)
	item = refused(removeAccount)
	w.becomes(t, made, revoking)
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusServiceUnavailable} })
	target.watched(t, 2) // and no look from before is under way
	target.drop("theirs")
	w.resolve(t, item)
	w.becomes(t, made, revoking)
	target.misbehave(nil)
	w.becomes(t, made, revoked)
	w.settledLooks(t)
	if n := len(w.itemsOf(t, jo)); n != 5 {
		t.Errorf("%d items in all", n)
	}
}

// What a person says they have made counts at once.
func TestMadeCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, a, account, devs := w.looked(t)
	jo := w.user(t, "jo")
	r := w.give(t, jo, ask{}, account, devs)
	w.resolve(t, w.open(t, jo, a, createAccount))
	w.becomes(t, r, active)
	w.settledLooks(t)
}

// B-ONB-10, in part: an account that was there before is nobody's until a person says so. It
// is adopted then, and one that may be adopted by itself is.
func TestThereBefore(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	target.byHand("before", "jo", "ops")
	jo := w.user(t, "jo")
	r := w.give(t, jo, ask{}, account)
	item := w.open(t, jo, a, createAccount)
	servicetest.Eventually(t, "the item names the account", func() bool {
		return strings.Contains(w.open(t, jo, a, createAccount).GetError(), "before")
	})
	target.watched(t, 2)
	w.becomes(t, r, pending)
	w.resolve(t, item)
	w.becomes(t, r, active)
	adopted := func(u *identityv1.User, id string) {
		t.Helper()
		l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: u.GetId()})
		if err != nil || len(l.GetAccounts()) != 1 || !l.GetAccounts()[0].GetAdopted() || l.GetAccounts()[0].GetExternalId() != id {
			t.Errorf("accounts %v, %v", l.GetAccounts(), err)
		}
	}
	adopted(jo, "before")
	w.settledLooks(t)

	target.byHand("too", "mia")
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	w.Handled(t, "provisioning")
	mia := w.user(t, "mia")
	w.becomes(t, w.give(t, mia, ask{}, account), active)
	adopted(mia, "too")
}

// B-PRV-15, in part, and B-ONB-10: an app that fails, refuses or hangs resolves nothing, takes
// nothing away and holds nobody else up; it is counted on the integration, and looked at
// again. What a person says is gone stays in debt meanwhile.
func TestLookFails(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	jo := w.user(t, "jo")
	made := w.madeByHand(t, target, a, account, jo)
	w.leave(t, jo)
	item := w.open(t, jo, a, removeAccount)

	var mode atomic.Int32
	hang := make(chan struct{})
	target.misbehave(func(r *http.Request) *fault {
		switch mode.Load() {
		case 0:
			return &fault{status: http.StatusInternalServerError}
		case 1:
			return &fault{status: http.StatusUnauthorized}
		case 2:
			return &fault{before: func() {
				select {
				case <-hang:
				case <-r.Context().Done():
				}
			}}
		}
		return nil
	})
	failing := func() *provisioningv1.Integration {
		var i *provisioningv1.Integration
		servicetest.Eventually(t, "the integration shows that looks fail", func() bool {
			got, err := w.integrations.GetIntegration(t.Context(), &provisioningv1.GetIntegrationRequest{Id: a.GetIntegrationId()})
			if err != nil {
				t.Fatal(err)
			}
			i = got.GetIntegration()
			return i.GetFailedLooks() == 1 && i.GetLookError() != ""
		})
		return i
	}
	if i := failing(); i.GetLookedAtAccounts() != 1 || i.GetWaitingOperations() != 0 {
		t.Errorf("integration %v", i)
	}
	target.drop("theirs")
	w.resolve(t, item)
	mode.Store(1)
	target.watched(t, 2)
	w.becomes(t, made, revoking)
	mode.Store(2)
	target.watched(t, 1)

	// Nobody else waits, in another app or with another integration.
	other := newApp(t, "devs")
	auto := w.app(t, "Automatic", automatic, w.integration(t, other))
	w.becomes(t, w.give(t, w.user(t, "mia"), ask{}, w.entitlement(t, auto, accountKind, "account")), active)
	w.becomes(t, made, revoking)
	for _, i := range w.itemsOf(t, jo) {
		if i.GetKind() == provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION {
			t.Errorf("a person is asked to mend a look: %v", i)
		}
	}
	mode.Store(3)
	close(hang)
	w.becomes(t, made, revoked)
	w.settledLooks(t)
}

// B-RUN-02, in part: a look of a replica that dies is taken over, and an approval that is
// delivered twice opens nothing again.
func TestLookTakenOver(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	jo := w.user(t, "jo")
	r := w.request(jo, ask{}, account)
	event := w.approve(t, r)
	w.open(t, jo, a, createAccount)
	target.watched(t, 2)
	// As a replica leaves it that dies while it looks, and whose result nobody waits for.
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update operation set state = 'running', claim = gen_random_uuid(), lease_until = now() - interval '1 second' where look is not null`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	target.byHand("theirs", "jo")
	w.becomes(t, r, active)
	w.PublishAgain(t, event, w.org, uuid.MustParse(r.GetId()), &eventv1.ApprovalGranted{Request: r})
	w.settledLooks(t)
	if n := len(w.itemsOf(t, jo)); n != 1 {
		t.Errorf("%d items", n)
	}
}

// B-ONB-11: what has been seen, and what is open, goes on when the app becomes automatic, and
// when it comes back.
func TestLookedAtBecomesAutomatic(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	integration := w.integration(t, target)
	a := w.app(t, "Both", manual, integration)
	account, devs := w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs")
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account)
	item := w.open(t, jo, a, createAccount)
	target.watched(t, 2)
	target.byHand("theirs", "jo")
	w.becomes(t, made, active)
	w.seenDone(t, item)
	member := w.give(t, jo, ask{}, devs)
	w.open(t, jo, a, assign)
	if n := target.count(""); n > 0 {
		t.Errorf("%d changes while people make them", n)
	}
	w.change(t, a, automatic, integration)
	w.becomes(t, member, active)
	if u := target.account(t, "jo"); u == nil || u.ID != "theirs" || !target.member("devs", "theirs") {
		t.Errorf("account %+v", u)
	}
	w.change(t, a, manual, integration)
	w.Handled(t, "provisioning")
	w.give(t, jo, ask{revoke: true}, devs)
	item = w.open(t, jo, a, unassign)
	target.part("devs", "theirs")
	w.becomes(t, member, revoked)
	w.seenDone(t, item)
	w.settledLooks(t)
}

// B-ONB-02, in part: an integration that an automatic app has cannot become one that may only
// read, and one that may only read changes nothing even for an app that is automatic.
func TestReadOnlyIntegration(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	integration := w.integration(t, target)
	a := w.app(t, "Automatic", automatic, integration)
	w.Handled(t, "provisioning")
	set := func(id string, to provisioningv1.IntegrationAccess) (*provisioningv1.UpdateIntegrationResponse, error) {
		return w.integrations.UpdateIntegration(t.Context(), &provisioningv1.UpdateIntegrationRequest{
			Integration: &provisioningv1.Integration{Id: id, Access: to}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"access"}},
		})
	}
	_, err := set(integration, readOnly)
	if rpctest.Reason(err) != "INTEGRATION_IN_USE" || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), a.GetId()) {
		t.Errorf("made read-only: %v", err)
	}
	// Nobody may set it, and it may be so for a moment: two services say it.
	reader := w.reader(t, target)
	b := w.app(t, "Cannot be", automatic, reader.GetId())
	jo := w.user(t, "jo")
	r := w.give(t, jo, ask{}, w.entitlement(t, b, accountKind, "account"))
	w.becomes(t, r, failed)
	if item := w.open(t, jo, b, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION); !strings.Contains(item.GetError(), "may only read") {
		t.Errorf("says %q", item.GetError())
	}
	if n := target.count(""); n > 0 {
		t.Errorf("%d changes", n)
	}
	free := w.integration(t, target)
	for _, to := range []provisioningv1.IntegrationAccess{readOnly, readWrite, readOnly} {
		got, err := set(free, to)
		if err != nil || got.GetIntegration().GetAccess() != to {
			t.Errorf("access %v: %v", got, err)
		}
	}
	l, err := w.integrations.ListIntegrations(t.Context(), &provisioningv1.ListIntegrationsRequest{Filter: `access = "INTEGRATION_ACCESS_READ_ONLY"`})
	if err != nil || len(l.GetIntegrations()) != 2 {
		t.Errorf("listed %v: %v", l.GetIntegrations(), err)
	}
}
