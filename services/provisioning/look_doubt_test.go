package provisioning_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// called has an entitlement be called something else in its app.
func (w *world) called(t testing.TB, e *requestv1.Entitlement, ref string) {
	t.Helper()
	e.Version++
	e.Ref = ref
	w.Publish(t, w.org, uuid.MustParse(e.GetId()), &eventv1.EntitlementUpdated{Entitlement: proto.CloneOf(e)})
	w.Handled(t, "provisioning")
}

// unreachable has an app answer nothing, until it is called again.
func (a *scimApp) unreachable() {
	a.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusServiceUnavailable} })
}

// B-PRV-11, B-PRV-13, in part: what the app does not know, by what it is said to call it,
// no look can tell: a person who says that it is gone is believed.
func TestUnseeable(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	admins := w.entitlement(t, a, groupKind, "GL-Admins (ask Bob)")
	jo := w.user(t, "jo")
	w.madeByHand(t, target, a, account, jo)
	member := w.give(t, jo, ask{}, admins)
	w.resolve(t, w.open(t, jo, a, assign))
	w.becomes(t, member, active)
	w.give(t, jo, ask{revoke: true}, admins)
	w.resolve(t, w.open(t, jo, a, unassign))
	w.becomes(t, member, revoked)
	w.settledLooks(t)
}

// What an entitlement is called is corrected: it is looked for by that at once, and an
// operation that has failed is tried again. B-CAT-06, B-ONB-10, in part
func TestCalledOtherwise(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	devs := w.entitlement(t, a, groupKind, "GL-Devs")
	jo := w.user(t, "jo")
	w.madeByHand(t, target, a, account, jo, "devs")
	member := w.give(t, jo, ask{}, devs)
	w.open(t, jo, a, assign)
	target.watched(t, 2)
	w.called(t, devs, "devs")
	w.becomes(t, member, active)
	w.settledLooks(t)

	other := newApp(t, "devs")
	b := w.app(t, "Automatic", automatic, w.integration(t, other))
	account, devs = w.entitlement(t, b, accountKind, "account"), w.entitlement(t, b, groupKind, "GL-Devs")
	w.becomes(t, w.give(t, jo, ask{}, account), active)
	member = w.give(t, jo, ask{}, devs)
	w.becomes(t, member, failed)
	w.called(t, devs, "devs")
	w.becomes(t, member, active)
}

// B-ONB-11, B-ONB-12: in an app that refuses accounts that were there before, the item says
// which one there is, and the account that is made besides is the person's: nothing is
// ever asked, or done, about the other, by hand or by an integration.
func TestRefusedIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	integration := w.integration(t, target)
	a := w.app(t, "Both", manual, integration)
	account, devs := w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs")
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_REFUSE })
	w.Handled(t, "provisioning")
	target.byHand("other", "jo")
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account)
	var item *provisioningv1.WorkItem
	servicetest.Eventually(t, "the item says which account there is", func() bool {
		item = w.open(t, jo, a, createAccount)
		return strings.Contains(item.GetError(), "jo (id other)") && strings.Contains(item.GetError(), "refuse")
	})
	target.byHand("mine", "jo2")
	w.resolve(t, item)
	w.becomes(t, made, active)
	member := w.give(t, jo, ask{}, devs)
	w.open(t, jo, a, assign)
	target.watched(t, 2)
	w.change(t, a, automatic, integration)
	w.becomes(t, member, failed) // a person says which of the two it is
	w.change(t, a, manual, integration)
	w.leave(t, jo)
	item = w.open(t, jo, a, removeAccount)
	target.watched(t, 2)
	target.drop("mine")
	w.resolve(t, item)
	w.becomes(t, made, revoked)
	w.settledLooks(t)
	if u := target.account(t, "jo"); u.ID != "other" || !u.Active || target.member("devs", "other") || target.count("") != 0 {
		t.Errorf("somebody else's account %+v, calls %v", u, target.calls)
	}
}

// B-PRV-11, B-ONB-12: an account that is known by a person's word and its user name alone may be
// somebody else's. What is still there under that name is asked about once more, with
// what there is, and then a person's word is the last.
func TestPerhapsAnothers(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	target.byHand("other", "jo", "ops") // another Jo's
	target.unreachable()
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account)
	w.resolve(t, w.open(t, jo, a, createAccount)) // as jo2: nothing has been seen yet
	w.becomes(t, made, active)
	target.byHand("mine", "jo2")
	target.misbehave(nil)
	w.leave(t, jo)
	item := w.open(t, jo, a, removeAccount)
	target.watched(t, 2)
	target.drop("mine")
	w.resolve(t, item)
	servicetest.Eventually(t, "they are asked once more", func() bool {
		again := w.open(t, jo, a, removeAccount)
		if again.GetReopenedItemId() != item.GetId() {
			return false
		}
		item = again
		return true
	})
	if r := item.GetReopenReason(); !strings.Contains(r, "jo (id other)") {
		t.Errorf("reopened: %q", r)
	}
	w.resolve(t, item)
	w.becomes(t, made, revoked)
	w.settledLooks(t)
}

// An account that was made by hand, of which nobody has said so and that was not seen yet,
// is looked for when it is not wanted any more: it stands on the list of the leaver.
// B-ONB-05, B-ONB-10, B-PRV-11, in part
func TestMadeAndNotSaid(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, devs := w.looked(t)
	jo, mo, ned := w.user(t, "jo"), w.user(t, "mo"), w.user(t, "ned")
	people := []*identityv1.User{jo, mo, ned}
	made := map[*identityv1.User]*requestv1.Request{}
	for _, u := range people {
		made[u] = w.give(t, u, ask{}, account)
		w.open(t, u, a, createAccount)
	}
	target.byHand("ned", "ned")
	w.becomes(t, made[ned], active)
	w.give(t, ned, ask{}, devs)
	w.open(t, ned, a, assign)
	target.watched(t, 6) // nobody has an account yet, but ned
	target.unreachable()
	target.byHand("jo", "jo")
	target.join("devs", "ned")
	for _, u := range []*identityv1.User{jo, mo} {
		w.leave(t, u)
		w.becomes(t, made[u], revoking)
	}
	w.give(t, ned, ask{revoke: true}, devs)
	w.Handled(t, "provisioning")
	target.misbehave(nil)
	w.becomes(t, made[mo], revoked) // there is none
	item := w.open(t, jo, a, removeAccount)
	w.open(t, ned, a, unassign)
	if lists := w.lists(t, jo, false); len(lists) != 1 {
		t.Errorf("jo is on %d lists", len(lists))
	}
	target.drop("jo")
	target.part("devs", "ned")
	w.becomes(t, made[jo], revoked)
	w.seenDone(t, item)
	w.settledLooks(t)
}

// An account that was seen to be made by hand has the profile that the person had then: a
// change of it is written once the app is automatic. B-PRV-13, in part
func TestSeenProfileChanges(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	integration := w.integration(t, target)
	a := w.app(t, "Both", manual, integration)
	account := w.entitlement(t, a, accountKind, "account")
	jo := w.user(t, "jo")
	w.madeByHand(t, target, a, account, jo)
	w.change(t, a, automatic, integration)
	w.Handled(t, "provisioning")
	w.becomesNamed(t, jo, "jo", "Chief")
	servicetest.Eventually(t, "the account has the title", func() bool { return target.account(t, "jo").Title == "Chief" })
}

// Whose an account is that nobody has said anything about when its person leaves, a person
// says: what is not theirs stays, and the list of the leaver ends. B-ONB-12, in part
func TestWhoseItIs(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	target.byHand("other", "jo")
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account)
	servicetest.Eventually(t, "the item says which account there is", func() bool {
		return strings.Contains(w.open(t, jo, a, createAccount).GetError(), "jo (id other)")
	})
	w.leave(t, jo)
	item := w.open(t, jo, a, removeAccount)
	if e := item.GetError(); !strings.Contains(e, "jo (id other)") || !strings.Contains(e, "in either case") {
		t.Errorf("the item says %q", e)
	}
	w.becomes(t, made, revoking)
	w.resolve(t, item)
	w.becomes(t, made, revoked)
	w.settledLooks(t)
	if lists := w.lists(t, jo, false); len(lists) != 0 || target.account(t, "jo") == nil {
		t.Errorf("still on %d lists", len(lists))
	}
}

// While an app cannot be looked at, a leaver of whom people say that all is gone comes back
// to the list, which says why, until it was seen. B-PRV-11, B-ONB-05, in part
func TestLooksThatFail(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, _ := w.looked(t)
	jo := w.user(t, "jo")
	made := w.madeByHand(t, target, a, account, jo)
	w.leave(t, jo)
	item := w.open(t, jo, a, removeAccount)
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusUnauthorized} })
	w.resolve(t, item)
	var again *provisioningv1.WorkItem
	servicetest.Eventually(t, "they are asked again", func() bool {
		again = w.open(t, jo, a, removeAccount)
		return again.GetId() != item.GetId()
	})
	if !strings.Contains(again.GetError(), "cannot look") || !strings.Contains(again.GetError(), "401") {
		t.Errorf("the item says %q", again.GetError())
	}
	if lists := w.lists(t, jo, false); len(lists) != 1 {
		t.Errorf("on %d lists", len(lists))
	}
	w.becomes(t, made, revoking)
	target.drop("theirs")
	target.misbehave(nil)
	w.becomes(t, made, revoked)
	w.seenDone(t, again)
	w.settledLooks(t)
}

// Accounts that are known from before an app had one shared account are not forgotten: a
// person removes them when their access ends. B-ONB-09, B-ONB-11, B-ONB-15, B-PRV-11
func TestSharedLater(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	integration := w.integration(t, target)
	a := w.app(t, "Chat", automatic, integration)
	account := w.entitlement(t, a, accountKind, "account")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	anns, bens := w.give(t, ann, ask{}, account), w.give(t, ben, ask{}, account)
	w.becomes(t, anns, active)
	w.becomes(t, bens, active)
	// What could not be removed before is asked for as well.
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusForbidden} })
	w.leave(t, ann)
	w.open(t, ann, a, fixOperation)
	w.change(t, a, shared, "")
	w.Handled(t, "provisioning")
	item := w.open(t, ann, a, removeAccount)
	w.becomes(t, anns, revoking)
	w.becomes(t, bens, active)
	w.deleteApp(t, a)
	other := w.open(t, ben, a, removeAccount)
	w.becomes(t, bens, revoking)
	w.resolve(t, item, other)
	w.becomes(t, anns, revoked)
	w.becomes(t, bens, revoked)
}

// What an adopted account had before it was to be given it is not taken from it, by hand
// either. B-ONB-12, B-PRV-09, in part
func TestHadBefore(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, devs := w.looked(t)
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	w.Handled(t, "provisioning")
	target.byHand("before", "jo", "devs")
	jo := w.user(t, "jo")
	w.becomes(t, w.give(t, jo, ask{}, account), active)
	member := w.give(t, jo, ask{}, devs)
	w.becomes(t, member, active)
	w.give(t, jo, ask{revoke: true}, devs)
	w.becomes(t, member, revoked)
	w.settledLooks(t)
	if !target.member("devs", "before") {
		t.Error("taken from an account that had it before")
	}
	// What it was given is.
	ops := w.entitlement(t, a, groupKind, "ops")
	member = w.give(t, jo, ask{}, ops)
	w.resolve(t, w.open(t, jo, a, assign))
	w.becomes(t, member, active)
	target.join("ops", "before")
	w.give(t, jo, ask{revoke: true}, ops)
	w.open(t, jo, a, unassign)
	target.part("ops", "before")
	w.becomes(t, member, revoked)
}

// One group that the app cannot show holds up nothing else that is looked at.
// B-PRV-15, B-ONB-10, in part
func TestOneThingCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "one", "two")
	a := w.app(t, "By hand", manual, w.reader(t, target).GetId())
	account := w.entitlement(t, a, accountKind, "account")
	one, two := w.entitlement(t, a, groupKind, "one"), w.entitlement(t, a, groupKind, "two")
	if one.GetId() > two.GetId() {
		one, two = two, one
	}
	jo := w.user(t, "jo")
	w.madeByHand(t, target, a, account, jo)
	target.misbehave(func(r *http.Request) *fault {
		if strings.Contains(r.URL.String(), "/Groups") && strings.Contains(r.URL.String(), one.GetRef()) {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	broken, fine := w.give(t, jo, ask{}, one), w.give(t, jo, ask{}, two)
	servicetest.Eventually(t, "both are asked for", func() bool {
		return w.count(t, `select count(*) from work_item where state = 'open'`) == 2
	})
	target.join(two.GetRef(), "theirs")
	w.becomes(t, fine, active)
	w.becomes(t, broken, pending)
}

// adopted gives somebody an account that was there before.
func (w *world) adopted(t testing.TB, target *scimApp, a *requestv1.App, account *requestv1.Entitlement, name string) (*identityv1.User, string) {
	t.Helper()
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	w.Handled(t, "provisioning")
	target.byHand("before "+name, name)
	u := w.user(t, name)
	w.becomes(t, w.give(t, u, ask{}, account), active)
	return u, "before " + name
}

// What people gave an adopted account is taken away again when the access ends, also if the
// item that asked for it was reopened meanwhile. B-ONB-19, B-PRV-11, in part
func TestReopenedIsNotHadBefore(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, a, account, devs := w.looked(t)
	jo, id := w.adopted(t, target, a, account, "jo")
	member := w.give(t, jo, ask{}, devs)
	item := w.open(t, jo, a, assign)
	target.watched(t, 2)
	target.unreachable()
	target.join("devs", id)
	w.resolve(t, item)
	w.becomes(t, member, active)
	w.reopen(t, item)
	target.misbehave(nil)
	w.becomes(t, member, active)
	w.give(t, jo, ask{revoke: true}, devs)
	w.open(t, jo, a, unassign)
	target.part("devs", id)
	w.becomes(t, member, revoked)
}
