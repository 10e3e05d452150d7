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

func active(held ...ID) Knowledge { return Knowledge{Account: Active, Held: NewSet(held...)} }

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	wants := func(e ...ID) Want { return Want{Account: true, Entitlements: NewSet(e...)} }
	for _, tt := range []struct {
		name string
		want Want
		know Knowledge
		plan []Change
	}{
		{"nothing wanted, nothing there", Want{}, Knowledge{}, nil},
		{"first: account, then entitlement", wants(admins), Knowledge{}, []Change{{Do: CreateAccount}, {Add, admins}}},
		{"account alone", wants(), Knowledge{}, []Change{{Do: CreateAccount}}},
		{"another", wants(admins, readers), active(admins), []Change{{Add, readers}}},
		{"all there", wants(admins), active(admins), nil},
		{"one goes, others stay", wants(readers), active(admins, readers), []Change{{Remove, admins}}},
		{"goes before it comes", wants(readers), active(admins), []Change{{Remove, admins}, {Add, readers}}},
		{"last goes with the account", Want{}, active(admins, readers), []Change{{Do: RemoveAccount}}},
		{"disabled is gone", Want{}, Knowledge{Account: Disabled, Doubt: NewSet(admins)}, nil},
		{
			"disabled comes back without what it had", wants(readers),
			Knowledge{Account: Disabled, Doubt: NewSet(admins)},
			[]Change{{Do: CreateAccount}, {Remove, admins}, {Add, readers}},
		},
		{"perhaps created, not wanted", Want{}, Knowledge{Unsure: true}, []Change{{Do: RemoveAccount}}},
		{
			"perhaps removed, wanted", wants(admins),
			Knowledge{Account: Active, Unsure: true, Doubt: NewSet(admins)},
			[]Change{{Do: CreateAccount}, {Add, admins}},
		},
		{"perhaps added, not wanted", wants(), Knowledge{Account: Active, Doubt: NewSet(admins)}, []Change{{Remove, admins}}},
		{"perhaps added, wanted", wants(admins), Knowledge{Account: Active, Doubt: NewSet(admins)}, []Change{{Add, admins}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diff(t, tt.plan, Plan(tt.want, tt.know))
		})
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	join := func(g Grant) Grant { g.Join = true; return g }
	for _, tt := range []struct {
		name string
		seat Seat
		want Outcome
	}{
		{
			"nothing", Seat{}, Outcome{},
		},
		{
			"B-PRV-01 automatic: one operation",
			Seat{Mode: Automatic, Grants: []Grant{grant(10, admins, Pending)}},
			Outcome{Plan: []Change{{Do: CreateAccount}, {Add, admins}}, Enqueue: true},
		},
		{
			"B-PRV-01 automatic: done",
			Seat{Mode: Automatic, Know: active(admins), Grants: []Grant{grant(10, admins, Pending)}, Operation: Operation{State: Succeeded}},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}, Finish: true},
		},
		{
			"B-PRV-10 a second grant of the same calls nobody",
			Seat{Mode: Automatic, Know: active(admins), Grants: []Grant{grant(10, admins, InPlace), grant(11, admins, Pending)}},
			Outcome{Grants: []Transition{{ID: id(11), To: InPlace}}},
		},
		{
			"B-PRV-10 the first of two ends: nothing is taken",
			Seat{
				Mode: Automatic, Know: active(admins),
				Grants:      []Grant{grant(10, admins, Revoking), grant(11, admins, InPlace)},
				Revocations: []Revocation{{ID: id(50), Grants: []ID{id(10)}}},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}, Revocations: []ID{id(50)}},
		},
		{
			"B-PRV-10 the last ends: taken, and revoked only then",
			Seat{
				Mode: Automatic, Know: active(admins),
				Grants:      []Grant{grant(11, admins, Revoking)},
				Revocations: []Revocation{{ID: id(50), Grants: []ID{id(11)}}},
			},
			Outcome{Plan: []Change{{Do: RemoveAccount}}, Enqueue: true},
		},
		{
			"the account stays while anything is held",
			Seat{Mode: Automatic, Know: active(admins), Grants: []Grant{grant(10, account, Revoking), grant(11, admins, InPlace)}},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}},
		},
		{
			"a grant that ends while its operation runs is not revoked before the outcome is known",
			Seat{
				Mode: Automatic, Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Running, Plan: []Change{{Do: CreateAccount}, {Add, admins}}},
			},
			Outcome{Plan: []Change{{Do: RemoveAccount}}},
		},
		{
			"one that ends before its operation started is revoked at once",
			Seat{
				Mode: Automatic, Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Queued, Plan: []Change{{Do: CreateAccount}, {Add, admins}}},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: Revoked}}, Cancel: true},
		},
		{
			"B-PRV-04 stuck: the grant fails, an item is opened",
			Seat{
				Mode: Automatic, Grants: []Grant{join(grant(10, admins, Pending))},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: CreateAccount}, {Add, admins}}, Error: "no"},
			},
			Outcome{
				Plan:   []Change{{Do: CreateAccount}, {Add, admins}},
				Grants: []Transition{{ID: id(10), To: Failed, Error: "no"}},
				Open:   []Item{{Kind: Mend, Entitlements: []ID{admins}, Requests: []ID{id(110)}, List: Onboarding, Error: "no"}},
			},
		},
		{
			"B-PRV-11 stuck while taking away: said once",
			Seat{
				Mode: Automatic, Know: active(admins), Grants: []Grant{grant(10, admins, Revoking)},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: RemoveAccount}}, Error: "no"},
			},
			Outcome{
				Plan:   []Change{{Do: RemoveAccount}},
				Grants: []Transition{{ID: id(10), To: Revoking, Error: "no"}},
				Open:   []Item{{Kind: Mend, Entitlements: []ID{admins}, Requests: []ID{id(110)}, Error: "no"}},
			},
		},
		{
			"something new to do wakes a stuck operation; its item stays",
			Seat{
				Mode: Automatic, Know: active(), Grants: []Grant{{ID: id(10), Entitlement: admins, State: Failed, Error: "no"}, grant(11, readers, Pending)},
				Items:     []Item{{ID: id(60), Kind: Mend, Entitlements: []ID{admins}, Requests: []ID{{}}, Error: "no"}},
				Operation: Operation{State: Stuck, Plan: []Change{{Add, admins}}, Error: "no"},
			},
			Outcome{Plan: []Change{{Add, admins}, {Add, readers}}, Enqueue: true},
		},
		{
			"success resolves the item by itself",
			Seat{
				Mode: Automatic, Know: active(admins), Grants: []Grant{grant(10, admins, Failed)},
				Items:     []Item{{ID: id(60), Kind: Mend, Error: "no"}},
				Operation: Operation{State: Succeeded},
			},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}, Finish: true, Resolve: []ID{id(60)}},
		},
		{
			"B-ONB-03 manual and joining: one item on the onboarding checklist",
			Seat{Grants: []Grant{join(grant(10, account, Pending)), join(grant(11, admins, Pending))}},
			Outcome{
				Plan: []Change{{Do: CreateAccount}, {Add, admins}},
				Open: []Item{{Kind: CreateByHand, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Onboarding}},
			},
		},
		{
			"manual: more is wanted before the account is there",
			Seat{
				Grants: []Grant{grant(10, account, Pending), join(grant(11, admins, Pending))},
				Items:  []Item{{ID: id(60), Kind: CreateByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Plan:   []Change{{Do: CreateAccount}, {Add, admins}},
				Change: []Item{{ID: id(60), Kind: CreateByHand, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Onboarding}},
			},
		},
		{
			"manual: to an account that is there",
			Seat{Know: active(), Grants: []Grant{grant(10, account, InPlace), grant(11, admins, Pending)}},
			Outcome{
				Plan: []Change{{Add, admins}},
				Open: []Item{{Kind: AssignByHand, Entitlements: []ID{admins}, Requests: []ID{id(111)}}},
			},
		},
		{
			"B-ONB-12 left before the account was made: the item goes, nothing is asked for",
			Seat{
				Leaving: true, Grants: []Grant{join(grant(10, account, Revoking))},
				Items: []Item{{ID: id(60), Kind: CreateByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
			Outcome{
				Grants: []Transition{{ID: id(10), To: Revoked}},
				Drop:   []Drop{{id(60), ReasonLeft}},
			},
		},
		{
			"B-ONB-09 left: the account is to be removed by hand",
			Seat{Leaving: true, Know: active(admins), Grants: []Grant{grant(10, account, Revoking), grant(11, admins, Revoking)}},
			Outcome{
				Plan: []Change{{Do: RemoveAccount}},
				Open: []Item{{Kind: RemoveByHand, Entitlements: []ID{account, admins}, Requests: []ID{id(110), id(111)}, List: Offboarding}},
			},
		},
		{
			"what was to be removed anyway moves to the offboarding checklist",
			Seat{
				Leaving: true, Know: active(), Grants: []Grant{grant(10, account, Revoking)},
				Items: []Item{{ID: id(60), Kind: RemoveByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Plan:   []Change{{Do: RemoveAccount}},
				Change: []Item{{ID: id(60), Kind: RemoveByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Offboarding}},
			},
		},
		{
			"wanted again before it was removed",
			Seat{
				Know: active(), Grants: []Grant{grant(10, account, Revoking), grant(11, account, Pending)},
				Items: []Item{{ID: id(60), Kind: RemoveByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}}},
			},
			Outcome{
				Grants: []Transition{{ID: id(10), To: Revoked}, {ID: id(11), To: InPlace}},
				Drop:   []Drop{{id(60), ReasonWantedAgain}},
			},
		},
		{
			"B-ONB-03 shared: in place at once, nothing asked for",
			Seat{Mode: Shared, Grants: []Grant{join(grant(10, account, Pending))}},
			Outcome{Grants: []Transition{{ID: id(10), To: InPlace}}},
		},
		{
			"B-ONB-09 shared: who leaves knows the secret",
			Seat{Mode: Shared, Leaving: true, Grants: []Grant{grant(10, account, Revoking), {ID: id(11), Entitlement: admins, State: Revoking}}},
			Outcome{
				Grants: []Transition{{ID: id(10), To: Revoked}, {ID: id(11), To: Revoked}},
			},
		},
		{
			"B-ONB-11 manual becomes automatic: nothing is lost",
			Seat{
				Mode: Automatic, Grants: []Grant{join(grant(10, account, Pending))},
				Items: []Item{{ID: id(60), Kind: CreateByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
			},
			Outcome{
				Plan: []Change{{Do: CreateAccount}}, Enqueue: true,
				Drop: []Drop{{id(60), ReasonAutomatic}},
			},
		},
		{
			"B-ONB-11 and back",
			Seat{
				Grants:    []Grant{join(grant(10, account, Failed))},
				Items:     []Item{{ID: id(60), Kind: Mend, Error: "no"}},
				Operation: Operation{State: Stuck, Plan: []Change{{Do: CreateAccount}}, Error: "no"},
			},
			Outcome{
				Plan: []Change{{Do: CreateAccount}}, Cancel: true,
				Open: []Item{{Kind: CreateByHand, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Onboarding}},
				Drop: []Drop{{id(60), ReasonByHand}},
			},
		},
		{
			"B-ONB-11 back while the integration is at it: first hear what it has done",
			Seat{
				Grants:    []Grant{grant(10, account, Pending)},
				Operation: Operation{State: Running, Plan: []Change{{Do: CreateAccount}}},
			},
			Outcome{Plan: []Change{{Do: CreateAccount}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "B-ONB-09 shared: who leaves knows the secret" {
				tt.seat.Grants[0].WasActive = true
				tt.want.Open = []Item{{Kind: ChangeSecret, Entitlements: []ID{account}, Requests: []ID{id(110)}, List: Offboarding}}
			}
			diff(t, tt.want, Settle(tt.seat))
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
