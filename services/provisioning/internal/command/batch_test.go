package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/store"
)

// step is one approval: whose, of what, and how.
type step struct {
	user         int
	what         []int // entitlements: two of each of the three apps
	revoke, join bool
	past         bool // its end has come already
	again        int  // if not negative, the request of an earlier step once more
	takes        int  // if not negative, a revoke of what the request of this step gives, also if it comes later
}

func steps() *rapid.Generator[[]step] {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			user: rapid.IntRange(0, 2).Draw(t, "user"), what: rapid.SliceOfN(rapid.IntRange(0, 5), 1, 3).Draw(t, "what"),
			revoke: rapid.IntRange(0, 2).Draw(t, "revoke") == 0, join: rapid.Bool().Draw(t, "join"),
			past: rapid.IntRange(0, 9).Draw(t, "past") == 0, again: max(-1, rapid.IntRange(-20, 10).Draw(t, "again")),
			takes: max(-1, rapid.IntRange(-12, 11).Draw(t, "takes")),
		}
	})
	return rapid.SliceOfN(one, 1, 12)
}

// twin is one of several organizations that are the same but for the last byte
// of their ids.
type twin struct {
	*world
	n     byte
	org   uuid.UUID
	ids   []uuid.UUID
	names map[uuid.UUID]string
}

// named is the nth id of the kind, the same in all twins but for its end.
func (w *twin) named(base uuid.UUID, name string) uuid.UUID {
	base[15] = w.n
	w.names[base] = name
	return base
}

// newTwin makes three users, of whom the last has left, and three apps handled
// in different ways.
func newTwin(w *world, n byte, bases []uuid.UUID) *twin {
	w2 := &twin{world: w, n: n, names: map[uuid.UUID]string{}}
	for i, b := range bases {
		w2.ids = append(w2.ids, w2.named(b, fmt.Sprint("id", i)))
	}
	w2.org = w2.ids[0]
	integration := w2.ids[1]
	err := w.in(w.t.Context(), scope.Organization(w2.org), func(ctx context.Context, tx *postgres.Tx) error {
		err := store.CreateIntegration(ctx, tx, store.Integration{
			ID: integration, OrganizationID: w2.org, Name: "app", Kind: "scim", Access: "read_write", Secret: []byte{1}, State: "working", CreateTime: time.Now(), Version: 1,
		})
		if err != nil {
			return err
		}
		var known []proto.Message
		for i := range 3 {
			u := &identityv1.User{Id: w2.user(i).String(), UserName: fmt.Sprint("user", i), State: identityv1.UserState_USER_STATE_ACTIVE, JoinCount: 1}
			if i == 2 {
				u.State = identityv1.UserState_USER_STATE_REMOVED
			}
			mode := []requestv1.ProvisioningSupport{
				requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL, requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE,
				requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC,
			}[i]
			app := w2.appOf(2 * i).String()
			known = append(known, u, &requestv1.App{Id: app, Provisioning: mode, IntegrationId: integration.String(), Version: 1})
			for k, kind := range []requestv1.EntitlementKind{requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT, requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP} {
				known = append(known, &requestv1.Entitlement{
					Id: w2.entitlement(2*i + k).String(), AppId: app, Name: fmt.Sprint("ent", i, k), Kind: kind, Ref: "ref",
				})
			}
		}
		return copies.Apply(ctx, tx, w2.org, known...)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w2
}

func (w *twin) user(i int) uuid.UUID        { return w.ids[2+i] }
func (w *twin) appOf(e int) uuid.UUID       { return w.ids[5+e/2] }
func (w *twin) entitlement(e int) uuid.UUID { return w.ids[8+e] }
func (w *twin) request(i int) uuid.UUID     { return w.ids[14+4*i] }

const twinIDs = 14 + 4*12

// events are the steps as events.
func (w *twin) events(all []step) []inbox.Event {
	var out []inbox.Event
	for i, s := range all {
		if s.again >= 0 && s.again < i {
			ev := out[s.again]
			ev.ID = id.New()
			out = append(out, ev)
			continue
		}
		r := &requestv1.Request{
			Id: w.request(i).String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, Origin: requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
			Beneficiary: &identityv1.Person{UserId: w.user(s.user).String()},
		}
		if s.revoke {
			r.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
		}
		if s.join {
			r.Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
		}
		if s.past {
			r.Until = timestamppb.New(time.Now().Add(-time.Hour))
		}
		takes := s.revoke && s.takes >= 0 && s.takes < len(all) && !all[s.takes].revoke
		if takes {
			s.what = all[s.takes].what
			r.Beneficiary.UserId = w.user(all[s.takes].user).String()
		}
		for n, e := range s.what {
			item := &requestv1.RequestItem{Id: w.ids[14+4*i+1+n].String(), AppId: w.appOf(e).String(), EntitlementId: w.entitlement(e).String()}
			if takes {
				item.GrantItemId = w.ids[14+4*s.takes+1+n].String()
			}
			r.Items = append(r.Items, item)
		}
		out = append(out, inbox.Event{ID: id.New(), OrganizationID: w.org, Message: &eventv1.ApprovalGranted{Request: r}})
	}
	return out
}

func (w *twin) handle(t *rapid.T, events []inbox.Event) {
	err := w.in(context.Background(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
	if err != nil {
		t.Fatal(err)
	}
}

var (
	anyID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)`)
	saves   = regexp.MustCompile(`"version": \d+, `) // counts how often a row was written, and nothing else
	anyETag = regexp.MustCompile(`"etag":"[^"]*"`)   // made of an id
)

// plain is a text without what differs between twins.
func (w *twin) plain(text string) string {
	text = anyID.ReplaceAllStringFunc(text, func(s string) string {
		if name, ok := w.names[uuid.MustParse(s)]; ok {
			return name
		}
		return "?"
	})
	return anyETag.ReplaceAllString(anyTime.ReplaceAllString(strings.ReplaceAll(text, " ", ""), "T"), "")
}

// picture is everything there is and everything that was emitted: rows, and for
// each thing what was emitted of it, in that order.
func (w *twin) picture(t *rapid.T) []string {
	var out []string
	err := w.in(context.Background(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error {
		for _, table := range []string{
			`account`, `access_grant`, `revocation`, `checklist`, `work_item`,
			// One that was queued and cancelled before anybody saw it never was.
			`(select integration_id, user_id, app_id, state, plan, tries, error from operation where state <> 'cancelled')`,
		} {
			rows, err := tx.Query(ctx, `select to_jsonb(t)::text from `+table+` t`)
			if err != nil {
				return err
			}
			for rows.Next() {
				var row string
				if err := rows.Scan(&row); err != nil {
					return err
				}
				if table == `account` {
					row = saves.ReplaceAllString(row, "")
				}
				out = append(out, table+w.plain(row))
			}
			if rows.Err() != nil {
				return rows.Err()
			}
		}
		emitted := map[uuid.UUID]string{}
		rows, err := tx.Query(ctx, `select aggregate_id, type, data from outbox order by seq`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var about uuid.UUID
			var typ string
			var data []byte
			if err := rows.Scan(&about, &typ, &data); err != nil {
				return err
			}
			mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(typ))
			if err != nil {
				return err
			}
			m := mt.New().Interface()
			if err := proto.Unmarshal(data, m); err != nil {
				return err
			}
			text, err := protojson.Marshal(m)
			if err != nil {
				return err
			}
			emitted[about] += typ + w.plain(string(text)) + "\n"
		}
		for _, s := range emitted {
			out = append(out, s)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// B-PRV-01, B-PRV-10, B-ONB-05: however approvals are brought together, what
// becomes of them and what is emitted of it is the same as one by one.
func TestAnySplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never}) // nobody runs operations: what was enqueued is seen as it was
	rapid.Check(t, func(t *rapid.T) {
		all := steps().Draw(t, "steps")
		bases := make([]uuid.UUID, twinIDs)
		for i := range bases {
			bases[i] = uuid.New()
		}
		one, many := newTwin(w, 1, bases), newTwin(w, 2, bases)
		for _, ev := range one.events(all) {
			one.handle(t, []inbox.Event{ev})
		}
		for rest := many.events(all); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "together")
			many.handle(t, rest[:n])
			rest = rest[n:]
		}
		want, got := one.picture(t), many.picture(t)
		if !slices.Equal(want, got) {
			for _, s := range want {
				if !slices.Contains(got, s) {
					t.Log("missing: ", s)
				}
			}
			for _, s := range got {
				if !slices.Contains(want, s) {
					t.Log("too much:", s)
				}
			}
			t.Fatal("not the same")
		}
	})
}

// B-PRV-01: one that waits for its person is named, and nothing stays of those
// beside it until they come without it.
func TestNotYetInCompany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	users := w.users(2)
	events := []inbox.Event{w.approval(users[0]), w.approval(id.New()), w.approval(users[1])}
	err := w.in(t.Context(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
	if !errors.Is(err, inbox.ErrNotYet) || err.Error() != inbox.Failed(events[1], errors.Unwrap(err)).Error() {
		t.Errorf("error %v", err)
	}
	events[2].Message = &eventv1.ApprovalGranted{Request: &requestv1.Request{Id: "none"}}
	err = w.in(t.Context(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
	if err == nil || errors.Is(err, inbox.ErrNotYet) {
		t.Errorf("error %v", err)
	}
	if n := w.count(`select count(*) from access_grant`) + w.count(`select count(*) from account`); n != 0 {
		t.Errorf("%d rows stay", n)
	}
}
