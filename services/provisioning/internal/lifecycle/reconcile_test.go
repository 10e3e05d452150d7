package lifecycle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func id(n byte) ID { return ID{15: n} }

// What the tests are about.
var (
	account = id(1) // the entitlement that is the account
	admins  = id(2)
	readers = id(3)
)

func grant(n byte, e ID, s GrantState) Grant {
	return Grant{ID: id(n), Entitlement: e, Account: e == account, State: s, Request: id(n + 100), WasActive: s == InPlace}
}

func givenUp(g Grant) Grant {
	g.GivenUp = true
	return g
}

func active(held ...ID) Observed { return Observed{Account: Active, Held: NewSet(held...)} }

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	wants := func(e ...ID) Desired { return Desired{Account: true, Entitlements: NewSet(e...)} }
	for _, tt := range []struct {
		name string
		want Desired
		know Observed
		plan []Change
	}{
		{"nothing wanted, nothing there", Desired{}, Observed{Account: Absent}, nil},
		{"first: account, then entitlement", wants(admins), Observed{Account: Absent}, []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}}},
		{"account alone", wants(), Observed{Account: Absent}, []Change{{Do: CreateAccount}}},
		{"another", wants(admins, readers), active(admins), []Change{{Do: Add, Entitlement: readers}}},
		{"all there", wants(admins), active(admins), nil},
		{"one goes, others stay", wants(readers), active(admins, readers), []Change{{Do: Remove, Entitlement: admins}}},
		{"goes before it comes", wants(readers), active(admins), []Change{{Do: Remove, Entitlement: admins}, {Do: Add, Entitlement: readers}}},
		{"last goes with the account", Desired{}, active(admins, readers), []Change{{Do: RemoveAccount}}},
		{"disabled is gone", Desired{}, Observed{Account: Disabled, InDoubt: NewSet(admins)}, nil},
		{
			"disabled comes back without what it had", wants(readers),
			Observed{Account: Disabled, InDoubt: NewSet(admins)},
			[]Change{{Do: CreateAccount}, {Do: Remove, Entitlement: admins}, {Do: Add, Entitlement: readers}},
		},
		{"perhaps created, not wanted", Desired{}, Observed{AccountInDoubt: true}, []Change{{Do: RemoveAccount}}},
		{
			"perhaps removed, wanted", wants(admins),
			Observed{Account: Active, AccountInDoubt: true, InDoubt: NewSet(admins)},
			[]Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}},
		},
		{"perhaps added, not wanted", wants(), Observed{Account: Active, InDoubt: NewSet(admins)}, []Change{{Do: Remove, Entitlement: admins}}},
		{"perhaps added, wanted", wants(admins), Observed{Account: Active, InDoubt: NewSet(admins)}, []Change{{Do: Add, Entitlement: admins}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diff(t, tt.plan, Plan(tt.want, tt.know))
		})
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	join := func(g Grant) Grant { g.Join = true; return g }
	for _, tt := range []struct {
		name       string
		assignment Assignment
		want       Outcome
	}{
		{
			"nothing", Assignment{}, Outcome{},
		},
		{
			"B-PRV-01 automatic: one operation",
			Assignment{Mode: Automatic, Grants: []Grant{grant(10, admins, Pending)}},
			Outcome{Plan: []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}}, Enqueue: true},
		},
		{
			"B-PRV-01 automatic: done",
			Assignment{Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, admins, Pending)}, Operation: Operation{State: Succeeded}},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}, Finish: true},
		},
		{
			"B-PRV-10 a second grant of the same calls nobody",
			Assignment{Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, admins, InPlace), grant(11, admins, Pending)}},
			Outcome{Grants: []Transition{{ID: id(11), To: InPlace}}},
		},
		{
			"B-PRV-10 the first of two ends: nothing is taken",
			Assignment{
				Mode: Automatic, Observed: active(admins),
				Grants:      []Grant{grant(10, admins, Revoking), grant(11, admins, InPlace)},
				Revocations: []Revocation{{ID: id(50), Grants: []ID{id(10)}}},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}, Revocations: []ID{id(50)}},
		},
		{
			"B-PRV-10 the last ends: taken, and revoked only then",
			Assignment{
				Mode: Automatic, Observed: active(admins),
				Grants:      []Grant{grant(11, admins, Revoking)},
				Revocations: []Revocation{{ID: id(50), Grants: []ID{id(11)}}},
			},
			Outcome{Plan: []Change{{Do: RemoveAccount}}, Enqueue: true},
		},
		{
			"the account stays while anything is held",
			Assignment{Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, account, Revoking), grant(11, admins, InPlace)}},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}},
		},
		{
			"a grant that ends while its operation runs is not revoked before the outcome is known",
			Assignment{
				Mode: Automatic, Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Running, Plan: []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}}},
			},
			Outcome{Plan: []Change{{Do: RemoveAccount}}},
		},
		{
			"one that ends before its operation started is revoked at once",
			Assignment{
				Mode: Automatic, Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Queued, Plan: []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}}},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}, Cancel: true},
		},
		{
			"B-PRV-04 stuck: the grant fails, an item is opened",
			Assignment{
				Mode: Automatic, Grants: []Grant{join(grant(10, admins, Pending))},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}}, Error: "no"},
			},
			Outcome{
				Plan:   []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}},
				Grants: []Transition{{ID: id(10), To: Failed, Error: "no"}},
				Open:   []Item{{Kind: ItemFixOperation, Entitlements: []ID{admins}, Requests: []ID{id(110)}, List: Onboarding, Error: "no"}},
			},
		},
		{
			"B-PRV-11 stuck while taking away: said once",
			Assignment{
				Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: RemoveAccount}}, Error: "no"},
			},
			Outcome{
				Plan:   []Change{{Do: RemoveAccount}},
				Grants: []Transition{{ID: id(10), To: Revoking, Error: "no"}},
				Open:   []Item{{Kind: ItemFixOperation, Entitlements: []ID{admins}, Requests: []ID{id(110)}, Error: "no"}},
			},
		},
		{
			"something new to do wakes a stuck operation; its item stays",
			Assignment{
				Mode: Automatic, Observed: active(), Grants: []Grant{{ID: id(10), Entitlement: admins, State: Failed, Error: "no"}, grant(11, readers, Pending)},
				Items:     []Item{{ID: id(60), Kind: ItemFixOperation, Entitlements: []ID{admins}, Requests: []ID{{}}, Error: "no"}},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: Add, Entitlement: admins}}, Error: "no"},
			},
			Outcome{Plan: []Change{{Do: Add, Entitlement: admins}, {Do: Add, Entitlement: readers}}, Enqueue: true},
		},
		{
			"success resolves the item by itself",
			Assignment{
				Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, admins, Failed)},
				Items:     []Item{{ID: id(60), Kind: ItemFixOperation, Error: "no"}},
				Operation: Operation{State: Succeeded},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}, Finish: true, Resolve: []ID{id(60)}},
		},
		{
			"B-ONB-03 manual and joining: one item on the onboarding checklist",
			Assignment{Grants: []Grant{join(grant(10, account, Pending)), join(grant(11, admins, Pending))}},
			Outcome{
				Plan: []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}},
				Open: []Item{{Kind: ItemCreateAccount, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Onboarding}},
			},
		},
		{
			"B-ONB-03 manual, whatever gave it: an account to be made is onboarding",
			Assignment{Grants: []Grant{grant(10, account, Pending)}},
			Outcome{
				Plan: []Change{{Do: CreateAccount}},
				Open: []Item{{Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
		},
		{
			"B-ONB-05 manual: what a join-flow adds to an account that is there is no onboarding",
			Assignment{Observed: active(), Grants: []Grant{join(grant(10, admins, Pending))}},
			Outcome{
				Plan: []Change{{Do: Add, Entitlement: admins}},
				Open: []Item{{Kind: ItemAssign, Entitlements: []ID{admins}, Requests: []ID{id(110)}}},
			},
		},
		{
			"B-ONB-17 suspended: nothing should be there, and the grant is held",
			Assignment{Mode: Automatic, Suspended: true, Observed: active(admins), Grants: []Grant{grant(10, admins, InPlace), grant(11, readers, Pending)}},
			Outcome{Plan: []Change{{Do: RemoveAccount}}, Enqueue: true, Grants: []Transition{{ID: id(10), To: Held}}},
		},
		{
			"B-ONB-17 suspended: what waits is not said to have failed when taking away does",
			Assignment{
				Mode: Automatic, Suspended: true, Observed: active(admins), Grants: []Grant{grant(10, admins, Held), grant(11, readers, Pending)},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: RemoveAccount}}, Error: "no"},
			},
			Outcome{
				Plan: []Change{{Do: RemoveAccount}},
				Open: []Item{{Kind: ItemFixOperation, Entitlements: []ID{admins}, Requests: []ID{id(110)}, List: Offboarding, Error: "no"}},
			},
		},
		{
			"B-ONB-17 active again: what is due is put back",
			Assignment{Mode: Automatic, Observed: Observed{Account: Disabled, InDoubt: NewSet(admins, readers)}, Grants: []Grant{grant(10, admins, Held)}},
			Outcome{Plan: []Change{{Do: CreateAccount}, {Do: Remove, Entitlement: readers}, {Do: Add, Entitlement: admins}}, Enqueue: true},
		},
		{
			"B-ONB-13 back again: what is left of the first time stands on no list",
			Assignment{Observed: active(admins), Grants: []Grant{grant(10, admins, Revoking)}, Items: []Item{
				{ID: id(60), Kind: ItemRemoveAccount, Entitlements: []ID{admins}, Requests: []ID{id(110)}, List: Offboarding},
				{ID: id(61), Kind: ItemChangeSecret, List: Offboarding},
			}},
			Outcome{Plan: []Change{{Do: RemoveAccount}}, Change: []Item{
				{ID: id(60), Kind: ItemRemoveAccount, Entitlements: []ID{admins}, Requests: []ID{id(110)}},
				{ID: id(61), Kind: ItemChangeSecret},
			}},
		},
		{
			"manual: more is wanted before the account is there",
			Assignment{
				Grants: []Grant{grant(10, account, Pending), join(grant(11, admins, Pending))},
				Items:  []Item{{ID: id(60), Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Plan:   []Change{{Do: CreateAccount}, {Do: Add, Entitlement: admins}},
				Change: []Item{{ID: id(60), Kind: ItemCreateAccount, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Onboarding}},
			},
		},
		{
			"manual: to an account that is there",
			Assignment{Observed: active(), Grants: []Grant{grant(10, account, InPlace), grant(11, admins, Pending)}},
			Outcome{
				Plan: []Change{{Do: Add, Entitlement: admins}},
				Open: []Item{{Kind: ItemAssign, Entitlements: []ID{admins}, Requests: []ID{id(111)}}},
			},
		},
		{
			"B-ONB-12 left before the account was made: the item goes, nothing is asked for",
			Assignment{
				Leaving: true, Grants: []Grant{join(grant(10, account, Revoking))},
				Items: []Item{{ID: id(60), Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
			Outcome{
				Grants:       []Transition{{ID: id(10), To: Revoked}},
				Cancellation: []Cancellation{{id(60), ReasonLeft}},
			},
		},
		{
			"B-PRV-16 given up before the account was made: the item goes, and says why",
			Assignment{
				Grants: []Grant{givenUp(grant(10, account, Revoking))},
				Items:  []Item{{ID: id(60), Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
			Outcome{
				Grants:       []Transition{{ID: id(10), To: Revoked}},
				Cancellation: []Cancellation{{id(60), ReasonGivenUp}},
			},
		},
		{
			"B-PRV-16 one of two that are stuck is given up: the other stays so",
			Assignment{
				Mode: Automatic, Observed: active(), Grants: []Grant{grant(9, account, InPlace), givenUp(grant(10, admins, Revoking)), grant(11, readers, Failed)},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: Add, Entitlement: admins}, {Do: Add, Entitlement: readers}}, Error: "no"},
				Items:     []Item{{ID: id(60), Kind: ItemFixOperation, Entitlements: []ID{admins, readers}, Requests: []ID{id(110), id(111)}, Error: "no"}},
			},
			Outcome{
				Plan: []Change{{Do: Add, Entitlement: readers}}, Replan: true, Grants: []Transition{{ID: id(10), To: Revoked}},
				Change: []Item{{ID: id(60), Kind: ItemFixOperation, Entitlements: []ID{readers}, Requests: []ID{id(111)}, Error: "no"}},
			},
		},
		{
			"B-PRV-16 given up with an account that was made for it: gone once that is",
			Assignment{
				Mode: Automatic, Observed: active(), Grants: []Grant{givenUp(grant(10, admins, Revoking))},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: Add, Entitlement: admins}}, Error: "no"},
			},
			Outcome{Plan: []Change{{Do: RemoveAccount}}, Enqueue: true},
		},
		{
			"B-ONB-09 left: the account is to be removed by hand",
			Assignment{Leaving: true, Observed: active(admins), Grants: []Grant{grant(10, account, Revoking), grant(11, admins, Revoking)}},
			Outcome{
				Plan: []Change{{Do: RemoveAccount}},
				Open: []Item{{Kind: ItemRemoveAccount, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Offboarding}},
			},
		},
		{
			"what was to be removed anyway moves to the offboarding checklist",
			Assignment{
				Leaving: true, Observed: active(), Grants: []Grant{grant(10, account, Revoking)},
				Items: []Item{{ID: id(60), Kind: ItemRemoveAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Plan:   []Change{{Do: RemoveAccount}},
				Change: []Item{{ID: id(60), Kind: ItemRemoveAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Offboarding}},
			},
		},
		{
			"wanted again before it was removed",
			Assignment{
				Observed: active(), Grants: []Grant{grant(10, account, Revoking), grant(11, account, Pending)},
				Items: []Item{{ID: id(60), Kind: ItemRemoveAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Grants:       []Transition{{ID: id(10), To: Revoked}, {ID: id(11), To: InPlace}},
				Cancellation: []Cancellation{{id(60), ReasonWantedAgain}},
			},
		},
		{
			"B-ONB-03 shared: in place at once, nothing asked for",
			Assignment{Mode: Unmanaged, Grants: []Grant{join(grant(10, account, Pending))}},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}},
		},
		{
			"B-ONB-09 shared: who leaves knows the secret",
			Assignment{Mode: Unmanaged, Leaving: true, Grants: []Grant{grant(10, account, Revoking), {ID: id(11), Entitlement: admins, State: Revoking}}},
			Outcome{
				Grants: []Transition{{ID: id(10), To: Revoked}, {ID: id(11), To: Revoked}},
			},
		},
		{
			"B-ONB-11 manual becomes automatic: nothing is lost",
			Assignment{
				Mode: Automatic, Grants: []Grant{join(grant(10, account, Pending))},
				Items: []Item{{ID: id(60), Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
			Outcome{
				Plan: []Change{{Do: CreateAccount}}, Enqueue: true,
				Cancellation: []Cancellation{{id(60), ReasonAutomatic}},
			},
		},
		{
			"B-ONB-11 and back",
			Assignment{
				Grants:    []Grant{join(grant(10, account, Failed))},
				Items:     []Item{{ID: id(60), Kind: ItemFixOperation, Error: "no"}},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: CreateAccount}}, Error: "no"},
			},
			Outcome{
				Plan: []Change{{Do: CreateAccount}}, Cancel: true,
				Open:         []Item{{Kind: ItemCreateAccount, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
				Cancellation: []Cancellation{{id(60), ReasonManual}},
			},
		},
		{
			"B-PRV-11 a removal that waits for its turn for long is listed, and what is to be given waits on",
			Assignment{
				Mode: Automatic, Observed: active(admins), Grants: []Grant{grant(10, account, InPlace), grant(11, admins, Revoking), grant(12, readers, Pending)},
				Operation: Operation{State: Queued, Late: true, Plan: []Change{{Do: Remove, Entitlement: admins}, {Do: Add, Entitlement: readers}}},
			},
			Outcome{
				Plan:   []Change{{Do: Remove, Entitlement: admins}, {Do: Add, Entitlement: readers}},
				Grants: []Transition{{ID: id(11), To: Revoking, Error: "the app takes few calls, and this removal still waits for its turn"}},
				Open: []Item{{
					Kind: ItemFixOperation, Entitlements: []ID{admins}, Requests: []ID{id(111)},
					Error: "the app takes few calls, and this removal still waits for its turn",
				}},
			},
		},
		{
			"B-ONB-11 back while the integration is at it: first hear what it has done",
			Assignment{
				Grants:    []Grant{grant(10, account, Pending)},
				Operation: Operation{State: Running, Plan: []Change{{Do: CreateAccount}}},
			},
			Outcome{Plan: []Change{{Do: CreateAccount}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "B-ONB-09 shared: who leaves knows the secret" {
				tt.assignment.Grants[0].WasActive = true
				tt.want.Open = []Item{{Kind: ItemChangeSecret, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Offboarding}}
			}
			diff(t, tt.want, Reconcile(tt.assignment))
		})
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	r := func(a ...Answer) (out []Result) {
		for _, a := range a {
			out = append(out, Result{Answer: a})
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		results []Result
		try     int
		want    OperationState
	}{
		{"nothing to do", nil, 1, Succeeded},
		{"all done", r(Done, Done), 1, Succeeded},
		{"may pass", r(Done, Unknown), 1, Queued},
		{"account gone", r(Done, Missing), 1, Queued},
		{"last try", r(Unknown), MaxTries, Stuck},
		{"will not pass", r(Refused, Done), 1, Stuck},
		{"some may pass", r(Refused, Unknown), 1, Queued},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diff(t, tt.want, After(tt.results, tt.try))
		})
	}
}

// B-PRV-04
func TestBackoff(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, tt := range []struct {
		name   string
		try    int
		asked  time.Duration
		chance float64
		want   time.Duration
	}{
		{"first", 1, 0, 1, s / 2},
		{"first, shortest", 1, 0, 0, s / 4},
		{"third", 3, 0, 1, 2 * s},
		{"longest", 40, 0, 1, 300 * s},
		{"as asked", 1, 7 * s, 0, 7 * s},
		{"asked for less", 5, s, 1, 8 * s},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diff(t, tt.want, Backoff(tt.try, s/2, 300*s, tt.asked, tt.chance))
		})
	}
}
