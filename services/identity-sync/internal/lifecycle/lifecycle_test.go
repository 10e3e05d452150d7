package lifecycle_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

var ada = lifecycle.Profile{UserName: "ada", DisplayName: "Ada Lovelace", Department: "Engines"}

func user(state lifecycle.State, change ...func(*lifecycle.User)) lifecycle.User {
	u := lifecycle.User{Profile: ada, State: state, Role: lifecycle.Member, JoinCount: 1, Joined: true, Version: 5}
	for _, c := range change {
		c(&u)
	}
	return u
}

func neverJoined(u *lifecycle.User) { u.Joined = false }
func admin(u *lifecycle.User)       { u.Role = lifecycle.Admin }
func timedOut(u *lifecycle.User)    { u.TimedOut = true }

func TestTransitions(t *testing.T) {
	t.Parallel()
	sales := ada
	sales.Department, sales.ManagerID = "Sales", "m"
	renamed, readdressed, numbered := ada, ada, ada
	renamed.UserName, readdressed.Email, numbered.ExternalID = "augusta", "augusta@elsewhere.example", "another"
	type told struct {
		Name    lifecycle.EventName
		Version int64
		Changed []string
	}
	type want struct {
		State     lifecycle.State
		Role      lifecycle.Role
		JoinCount int32
		Joined    bool
		Version   int64
	}
	for _, tt := range []struct {
		name        string
		do          func() (lifecycle.Outcome, error)
		want        want
		told        []told
		endSessions bool
		leaves      bool
		wantErr     error
	}{
		{
			name: "comes",
			do:   func() (lifecycle.Outcome, error) { return lifecycle.Join(ada, "", lifecycle.Member, true), nil },
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 1},
			told: []told{{lifecycle.UserJoined, 1, nil}},
		},
		{
			name: "comes switched off",
			do:   func() (lifecycle.Outcome, error) { return lifecycle.Join(ada, "", lifecycle.Member, false), nil },
			want: want{lifecycle.Suspended, lifecycle.Member, 1, false, 1},
			told: []told{{lifecycle.UserSuspended, 1, nil}},
		},
		{
			name: "switched on for the first time joins, whatever else changed",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Suspended, neverJoined), sales, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
			told: []told{{lifecycle.UserJoined, 6, nil}},
		},
		{
			name: "switched on again",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Suspended), sales, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
			told: []told{{lifecycle.UserUpdated, 6, []string{"department", "manager_id", "state"}}},
		},
		{
			name: "switched off",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), ada, false, true)
			},
			want:        want{lifecycle.Suspended, lifecycle.Member, 1, true, 6},
			told:        []told{{lifecycle.UserSuspended, 6, nil}},
			endSessions: true,
		},
		{
			name: "switched off and moved: both are told",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), sales, false, false)
			},
			want: want{lifecycle.Suspended, lifecycle.Member, 1, true, 7},
			told: []told{
				{lifecycle.UserSuspended, 6, nil},
				{lifecycle.UserUpdated, 7, []string{"department", "manager_id"}},
			},
			endSessions: true,
		},
		{
			name: "moved",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), sales, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
			told: []told{{lifecycle.UserUpdated, 6, []string{"department", "manager_id"}}},
		},
		{
			name: "changed where nobody looks",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), ada, true, true)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
		},
		{
			name: "switched on after being suspended for too long: comes back, as a member",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Removed, timedOut), sales, true, true)
			},
			want: want{lifecycle.Active, lifecycle.Member, 2, true, 6},
			told: []told{{lifecycle.UserJoined, 6, nil}},
		},
		{
			name: "changed after being suspended for too long: nobody but the source is told",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Removed, timedOut), sales, false, true)
			},
			want: want{lifecycle.Removed, lifecycle.Member, 1, true, 6},
		},
		{
			name: "nothing changed",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), ada, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 5},
		},
		{
			name:        "leaves",
			do:          func() (lifecycle.Outcome, error) { return lifecycle.Remove(user(lifecycle.Active)) },
			want:        want{lifecycle.Removed, lifecycle.Member, 1, true, 6},
			told:        []told{{lifecycle.UserRemoved, 6, nil}},
			endSessions: true,
			leaves:      true,
		},
		{
			name: "comes back, without the role",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Rejoin(user(lifecycle.Removed, admin), sales, true)
			},
			want: want{lifecycle.Active, lifecycle.Member, 2, true, 6},
			told: []told{{lifecycle.UserJoined, 6, nil}},
		},
		{
			name: "comes back switched off",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Rejoin(user(lifecycle.Removed), sales, false)
			},
			want: want{lifecycle.Suspended, lifecycle.Member, 2, false, 6},
			told: []told{{lifecycle.UserSuspended, 6, nil}},
		},
		{
			name: "comes back without ever having joined",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Rejoin(user(lifecycle.Removed, neverJoined), sales, true)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
			told: []told{{lifecycle.UserJoined, 6, nil}},
		},
		{
			name: "another role",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.SetRole(user(lifecycle.Active), lifecycle.ITAdmin, "")
			},
			want: want{lifecycle.Active, lifecycle.ITAdmin, 1, true, 6},
			told: []told{{lifecycle.UserUpdated, 6, []string{"role"}}},
		},
		{
			name: "the same role",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.SetRole(user(lifecycle.Active), lifecycle.Member, "")
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 5},
		},
		{
			name:    "leaves twice",
			do:      func() (lifecycle.Outcome, error) { return lifecycle.Remove(user(lifecycle.Removed)) },
			wantErr: lifecycle.ErrRemoved,
		},
		{
			name: "changes after leaving",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Removed), sales, true, false)
			},
			wantErr: lifecycle.ErrRemoved,
		},
		{
			name: "gets a role after leaving",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.SetRole(user(lifecycle.Removed), lifecycle.Admin, "")
			},
			wantErr: lifecycle.ErrRemoved,
		},
		{
			name: "comes back without having left",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Rejoin(user(lifecycle.Active), sales, true)
			},
			wantErr: lifecycle.ErrPresent,
		},
		{
			name: "an admin moves",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active, admin), sales, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Admin, 1, true, 6},
			told: []told{{lifecycle.UserUpdated, 6, []string{"department", "manager_id"}}},
		},
		{
			name: "an admin is given another userName",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active, admin), renamed, true, false)
			},
			wantErr: lifecycle.ErrRoleProtected,
		},
		{
			name: "an admin is given another e-mail address while switched off",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Suspended, admin), readdressed, true, false)
			},
			wantErr: lifecycle.ErrRoleProtected,
		},
		{
			name: "an IT admin is given an externalId",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active, func(u *lifecycle.User) { u.Role = lifecycle.ITAdmin }), numbered, true, false)
			},
			wantErr: lifecycle.ErrRoleProtected,
		},
		{
			name: "a member is renamed",
			do: func() (lifecycle.Outcome, error) {
				return lifecycle.Update(user(lifecycle.Active), renamed, true, false)
			},
			want: want{lifecycle.Active, lifecycle.Member, 1, true, 6},
			told: []told{{lifecycle.UserUpdated, 6, []string{"user_name"}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := tt.do()
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error %v, want %v", err, tt.wantErr)
			}
			if err != nil {
				return
			}
			got := want{o.User.State, o.User.Role, o.User.JoinCount, o.User.Joined, o.User.Version}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			var events []told
			for _, e := range o.Events {
				events = append(events, told{e.Name, e.Version, e.Changed})
			}
			if d := cmp.Diff(tt.told, events); d != "" {
				t.Error(d)
			}
			if o.EndSessions != tt.endSessions || o.Leaves != tt.leaves {
				t.Errorf("EndSessions %t, Leaves %t", o.EndSessions, o.Leaves)
			}
		})
	}
}

// B-USR-05
func TestKeepAdmin(t *testing.T) {
	t.Parallel()
	boss := user(lifecycle.Active, admin)
	remove, _ := lifecycle.Remove(boss)
	demote, _ := lifecycle.SetRole(boss, lifecycle.ITAdmin, "")
	suspend, _ := lifecycle.Update(boss, ada, false, false)
	rename, _ := lifecycle.Update(boss, lifecycle.Profile{UserName: "boss"}, true, false)
	member, _ := lifecycle.Remove(user(lifecycle.Active))
	asleep, _ := lifecycle.Remove(user(lifecycle.Suspended, admin))
	for _, tt := range []struct {
		name   string
		o      lifecycle.Outcome
		others int
		want   error
	}{
		{"the last is removed", remove, 0, lifecycle.ErrLastAdmin},
		{"the last is demoted", demote, 0, lifecycle.ErrLastAdmin},
		{"the last is switched off", suspend, 0, lifecycle.ErrLastAdmin},
		{"the last is renamed", rename, 0, nil},
		{"one of two is removed", remove, 1, nil},
		{"one of two is demoted", demote, 1, nil},
		{"a member is removed", member, 0, nil},
		{"an admin who cannot sign in is removed", asleep, 0, nil},
	} {
		if err := lifecycle.KeepAdmin(tt.o, tt.others); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestNoSequenceBreaksTheRules does anything to a handful of people in any
// order and holds what the package comment guarantees.
func TestNoSequenceBreaksTheRules(t *testing.T) {
	t.Parallel()
	roles := []lifecycle.Role{lifecycle.Admin, lifecycle.ITAdmin, lifecycle.RiskManager, lifecycle.Member, lifecycle.External}
	rapid.Check(t, func(t *rapid.T) {
		people := []lifecycle.User{lifecycle.Join(ada, "", lifecycle.Admin, true).User}
		joins := []int32{1}
		admins := func(but int) int {
			n := 0
			for i, p := range people {
				if i != but && p.State == lifecycle.Active && p.Role == lifecycle.Admin {
					n++
				}
			}
			return n
		}
		apply := func(i int, o lifecycle.Outcome, err error) {
			if err != nil || lifecycle.KeepAdmin(o, admins(i)) != nil {
				return
			}
			before, version := o.Before, o.Before.Version
			for _, e := range o.Events {
				if version++; e.Version != version {
					t.Fatalf("event %s has version %d, want %d", e.Name, e.Version, version)
				}
				if e.Name == lifecycle.UserJoined {
					joins[i]++
				}
				if e.Name == lifecycle.UserUpdated && len(e.Changed) == 0 {
					t.Fatal("told that nothing changed")
				}
			}
			if o.User.Version < version || (o.Changed() && o.User.Version == before.Version) {
				t.Fatalf("version %d after %d events from %d", o.User.Version, len(o.Events), before.Version)
			}
			if o.User.State != before.State && len(o.Events) == 0 {
				t.Fatalf("nobody was told that %s became %s", before.State, o.User.State)
			}
			if before.State == lifecycle.Active && o.User.State != lifecycle.Active && !o.EndSessions {
				t.Fatal("somebody who is not active keeps sessions")
			}
			if o.User.State == lifecycle.Removed && !o.Leaves {
				t.Fatal("somebody who left keeps tokens and groups")
			}
			if before.State == lifecycle.Removed && o.User.Role == lifecycle.Admin {
				t.Fatal("an admin came back as one")
			}
			people[i] = o.User
		}
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				if len(people) == 4 {
					t.Skip("this cannot happen as things stand")
				}
				active := rapid.Bool().Draw(t, "active")
				o := lifecycle.Join(ada, "", lifecycle.Member, active)
				people, joins = append(people, o.User), append(joins, int32(len(o.Events)))
				if !active {
					joins[len(joins)-1] = 0
				}
			},
			"update": func(t *rapid.T) {
				i := rapid.IntRange(0, len(people)-1).Draw(t, "who")
				p := ada
				p.Title = rapid.SampledFrom([]string{"", "Countess"}).Draw(t, "title")
				o, err := lifecycle.Update(people[i], p, rapid.Bool().Draw(t, "active"), rapid.Bool().Draw(t, "silent"))
				apply(i, o, err)
			},
			"remove": func(t *rapid.T) {
				i := rapid.IntRange(0, len(people)-1).Draw(t, "who")
				o, err := lifecycle.Remove(people[i])
				apply(i, o, err)
			},
			"come back": func(t *rapid.T) {
				i := rapid.IntRange(0, len(people)-1).Draw(t, "who")
				o, err := lifecycle.Rejoin(people[i], ada, rapid.Bool().Draw(t, "active"))
				apply(i, o, err)
			},
			"set role": func(t *rapid.T) {
				i := rapid.IntRange(0, len(people)-1).Draw(t, "who")
				o, err := lifecycle.SetRole(people[i], rapid.SampledFrom(roles).Draw(t, "role"), "")
				apply(i, o, err)
			},
			"": func(t *rapid.T) {
				if admins(-1) == 0 {
					t.Fatal("no admin is left")
				}
				for i, p := range people {
					if p.State == lifecycle.Active && !p.Joined {
						t.Fatal("active without having joined")
					}
					if want := joins[i]; p.Joined && p.JoinCount != want {
						t.Fatalf("join_count %d after joining %d times", p.JoinCount, want)
					}
				}
			},
		})
	})
}
