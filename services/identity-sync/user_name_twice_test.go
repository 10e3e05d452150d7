package identitysync_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"gatehouse.dev/libs/postgres"
)

// One user name, written in three ways that differ in lower case.
const (
	zoe           = "zo\u00eb@corp.example"
	zoeDecomposed = "zoe\u0308@corp.example"
	zoeWide       = "\uff5ao\u00eb@corp.example"
	zoeWider      = "\uff5a\uff4f\u00eb@corp.example"
)

// twins are people of a source who had one user name before names were compared by
// their form; the second and third are marked.
type twins struct {
	*world
	admin person
	idp   *provider
	ids   []string
}

func newTwins(t *testing.T) twins {
	w := start(t)
	tw := twins{world: w, admin: w.signUp(t)}
	tw.idp = tw.admin.provider(t, w, "Corp directory")
	tw.ids = []string{tw.idp.create(t, "zoe", "userName", zoe), tw.idp.create(t, "zed"), tw.idp.create(t, "zac")}
	for i, name := range []string{zoe, zoeDecomposed, zoeWide} {
		if i > 0 {
			tw.exec(t, `update users set user_name_twice = true, user_name = $2,
				attributes = replace(attributes::text, user_name, $2)::json where id = $1`, tw.ids[i], name)
		}
	}
	return tw
}

func (tw twins) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	err := tw.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// marked are the numbers of those who are marked.
func (tw twins) marked(t *testing.T) (out []int) {
	t.Helper()
	err := tw.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for i, id := range tw.ids {
			var twice bool
			if err := tx.QueryRow(ctx, `select user_name_twice from users where id = $1`, id).Scan(&twice); err != nil {
				return err
			}
			if twice {
				out = append(out, i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (tw twins) rename(t *testing.T, i int, name string) int {
	t.Helper()
	return tw.idp.do(t, "PATCH", "/Users/"+tw.ids[i], patch("replace", "userName", name)).code
}

func (tw twins) leave(t *testing.T, i int) {
	t.Helper()
	tw.idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+tw.ids[i], nil)
}

// Two people with one user name are known as such as long as there are two: until one
// is renamed or leaves, whoever was there first. From then on the name is one person's,
// and so is the new name. B-USR-17 (in part: whose a user name is)
func TestUserNameIsOneAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(t *testing.T, tw twins)
		want []int // who is marked then
		free bool  // somebody new may have the name
	}{
		"nothing that matters": {func(t *testing.T, tw twins) {
			for i := range tw.ids {
				tw.idp.must(t, http.StatusOK, "PATCH", "/Users/"+tw.ids[i], patch("replace", "title", "Lead"))
				tw.idp.must(t, http.StatusOK, "PATCH", "/Users/"+tw.ids[i], patch("replace", "active", false))
			}
			if code := tw.rename(t, 1, zoeWider); code != http.StatusOK {
				t.Errorf("the same name, written otherwise: %d", code)
			}
		}, []int{1, 2}, false},
		"the first is renamed":  {func(t *testing.T, tw twins) { tw.rename(t, 0, "new@corp.example") }, []int{2}, false},
		"the first leaves":      {func(t *testing.T, tw twins) { tw.leave(t, 0) }, []int{2}, false},
		"the second is renamed": {func(t *testing.T, tw twins) { tw.rename(t, 1, "new@corp.example") }, []int{2}, false},
		"the second leaves":     {func(t *testing.T, tw twins) { tw.leave(t, 1) }, []int{2}, false},
		"two leave":             {func(t *testing.T, tw twins) { tw.leave(t, 0); tw.leave(t, 1) }, nil, false},
		"two are renamed": {func(t *testing.T, tw twins) {
			tw.rename(t, 2, "new@corp.example")
			tw.rename(t, 0, "newer@corp.example")
		}, nil, false},
		"all leave": {func(t *testing.T, tw twins) {
			for i := range tw.ids {
				tw.leave(t, i)
			}
		}, nil, true},
		"one leaves and is refused": {func(t *testing.T, tw twins) {
			tw.leave(t, 1)
			if r := tw.idp.do(t, "POST", "/Users", describe("zed", "userName", zoeDecomposed)); r.code != http.StatusConflict {
				t.Errorf("back under the name of another: %d", r.code)
			}
		}, []int{2}, false},
		"the source is deleted, and they are handed over": {func(t *testing.T, tw twins) {
			tw.exec(t, `update users set source_id = null, external_id = '' where id = any($1::uuid[])`, tw.ids[:2])
			if _, err := tw.admin.handOver(t, tw.idp, false, tw.ids[:2]...); err != nil {
				t.Fatal(err)
			}
			if got := tw.marked(t); !slices.Equal(got, []int{1, 2}) {
				t.Errorf("handed over, %v are marked", got)
			}
			tw.leave(t, 0)
		}, []int{2}, false},
		"one belongs elsewhere": {func(t *testing.T, tw twins) {
			tw.exec(t, `with moved as (select gen_random_uuid() as id)
				update users u set environment_id = m.id, role_environment_id = m.id from moved m where u.id = $1`, tw.ids[0])
		}, []int{2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := newTwins(t)
			if got := tw.marked(t); !slices.Equal(got, []int{1, 2}) {
				t.Fatalf("before: %v are marked", got)
			}
			tt.do(t, tw)
			if got := tw.marked(t); !slices.Equal(got, tt.want) {
				t.Errorf("%v are marked, want %v", got, tt.want)
			}
			want := http.StatusConflict
			if tt.free {
				want = http.StatusCreated
			}
			// Written in a way that nobody has it in.
			r := tw.idp.do(t, "POST", "/Users", describe("eve", "userName", "\uff3aO\u00cb@corp.example"))
			if name != "nothing that matters" && r.code != want {
				t.Errorf("somebody new has the name: %d, want %d", r.code, want)
			}
		})
	}
}

// A new name is compared with everybody's, of whoever had one with others before.
func TestNewNameOfOneOfTwo(t *testing.T) {
	t.Parallel()
	tw := newTwins(t)
	tw.idp.create(t, "ada")
	if code := tw.rename(t, 1, "\uff41da@corp.example"); code != http.StatusConflict {
		t.Errorf("renamed to another's name: %d", code)
	}
	if got := tw.marked(t); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("refused, %v are marked", got)
	}
	if code := tw.rename(t, 1, "zed@corp.example"); code != http.StatusOK {
		t.Fatalf("renamed: %d", code)
	}
	if r := tw.idp.do(t, "POST", "/Users", describe("eve", "userName", "\uff5aed@corp.example")); r.code != http.StatusConflict {
		t.Errorf("somebody has the new name: %d", r.code)
	}
}
