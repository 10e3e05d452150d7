package lifecycle

import "testing"

// B-ONB-10, in part: what is learnt from what a look has seen, and what is not.
func TestSee(t *testing.T) {
	t.Parallel()
	none := Observed{Account: Absent}
	wanted := Assignment{Looks: true, Observed: none, Grants: []Grant{grant(10, admins, Pending)}}
	gone := func(k Observed, words Words) Assignment {
		return Assignment{Looks: true, Leaving: true, Observed: k, Words: words, Grants: []Grant{grant(10, admins, Revoking)}}
	}
	said := Words{{About: AboutAccount}: id(60)}
	doubt := Observed{Account: Active, AccountInDoubt: true, InDoubt: NewSet(admins)}
	theirs := []Thing{{About: AboutAccount}, {AboutEntitlement, admins}}
	has := Sighting{Has: []ID{admins}}
	with := func(s Sighting, a Sight) Sighting { s.Account = a; return s }
	for _, tt := range []struct {
		name string
		s    Assignment
		saw  Sighting
		by   Acquaintance
		want Seen
	}{
		{"the app does not say", wanted, has, Acquaintance{}, Seen{Observed: none}},
		{"theirs, with all that is wanted", wanted, with(has, SeenTheirs), Acquaintance{}, Seen{Observed: active(admins), Told: theirs}},
		{"of the name, and was not there", wanted, with(has, SeenOther), Acquaintance{NoneBefore: true, Ask: true}, Seen{Observed: active(admins), Told: theirs}},
		{"of the name, and was there: a person says", wanted, with(has, SeenOther), Acquaintance{Ask: true}, Seen{Observed: Observed{Account: Absent, Found: true}}},
		{"of the name, and was there: refused, and shown", wanted, with(has, SeenOther), Acquaintance{}, Seen{Observed: Observed{Account: Absent, Found: true}}},
		{
			"of the name, and was there: adopted", wanted, with(has, SeenOther),
			Acquaintance{Adopt: true},
			Seen{Observed: Observed{Account: Active, Adopted: true, Held: NewSet(admins), Had: NewSet(admins)}, Told: theirs},
		},
		{
			"theirs, and disabled: not made yet", wanted,
			Sighting{Account: SeenTheirs, Disabled: true},
			Acquaintance{},
			Seen{Observed: Observed{Account: Disabled}, Told: theirs[:1]},
		},
		{"gone, known by its id", gone(active(admins), nil), Sighting{Account: SeenNone}, Acquaintance{ByID: true}, Seen{Observed: none, Told: theirs[:1]}},
		{"not found, and nobody has ever seen it", gone(active(admins), nil), Sighting{Account: SeenNone}, Acquaintance{}, Seen{Observed: active(admins)}},
		{"not found, and a person says that it is gone", gone(doubt, said), Sighting{Account: SeenNone}, Acquaintance{}, Seen{Observed: none, Told: theirs[:1]}},
		{"another has the name now", gone(active(admins), nil), Sighting{Account: SeenOther}, Acquaintance{ByID: true}, Seen{Observed: none, Told: theirs[:1]}},
		{
			"said to be gone, and there", gone(doubt, said),
			Sighting{Account: SeenTheirs},
			Acquaintance{ByID: true},
			Seen{Observed: Observed{Account: Active, InDoubt: NewSet(admins)}, Told: theirs[:1], Refuted: []Item{{ID: id(60), Kind: ItemRemoveAccount}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diff(t, tt.want, tt.s.See(tt.saw, tt.by))
		})
	}
}

// Of an account that was there before and that is first seen by a look
// it is known from then on with which profile, so that a change of it is written.
func TestLookKnowsProfile(t *testing.T) {
	t.Parallel()
	found := Observed{Account: Absent, Found: true}.Adopt()
	k := found.Learn([]Result{{Change{Do: Look, Profile: "first", ManagerOf: id(11)}, There}}, Disabled)
	if k.Profile != "first" || !k.Manager.Found || k.Manager.Of != id(11) || k.outdated("first") || !k.outdated("second") {
		t.Errorf("known: %+v", k)
	}
}

// Of a leaver's account that was found it is asked once whose it is, and not again once there
// is surely none to use. B-ONB-07, B-PRV-11, in part
func TestFoundIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	for _, left := range []AccountState{Absent, Disabled} {
		s := Assignment{Mode: Automatic, Leaving: true, Ask: true, Observed: Observed{Account: Absent, Found: true}}
		out := Reconcile(s)
		if out.Doubt == nil || !out.Enqueue {
			t.Fatalf("nobody is asked: %+v", out)
		}
		s.Observed = out.Doubt.Observed.Learn([]Result{{Change{Do: RemoveAccount}, Done}}, left)
		if out = Reconcile(s); out.Doubt != nil || out.Enqueue {
			t.Errorf("left %s: asked again: %+v", left, out)
		}
	}
}
