package provisioning_test

import (
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// B-CAT-07: who owns or administers an app sees who has access to it, and a manager what
// their people have, directly or not; nobody else sees anybody's but their own, and is
// told so instead of being shown nothing.
func TestWhoSeesAccess(t *testing.T) {
	t.Parallel()
	w := start(t)
	boss := w.caller(authzv1.Caller_CALLER_MEMBER)
	app, other := w.app(t, "Ours", manual, "", boss.UserID.String()), w.app(t, "Theirs", manual, "", id.New().String())
	chief, lead := w.user(t, "chief"), w.user(t, "lead")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	for under, manager := range map[*identityv1.User]*identityv1.User{ann: lead, lead: chief} {
		under.ManagerId, under.Version = manager.GetId(), under.GetVersion()+1
		w.Publish(t, w.org, uuid.MustParse(under.GetId()), &eventv1.UserUpdated{User: under})
	}
	for _, a := range []*identityv1.User{ann, ben} {
		r := w.give(t, a, ask{}, w.entitlement(t, app, groupKind, "g"+a.GetUserName()), w.entitlement(t, other, groupKind, "h"+a.GetUserName()))
		w.becomes(t, r, provisioningv1.GrantState_GRANT_STATE_PENDING)
	}
	as := func(u *identityv1.User) authz.Caller {
		c := w.caller(authzv1.Caller_CALLER_MEMBER)
		c.UserID, c.Subject = uuid.MustParse(u.GetId()), u.GetId()
		return c
	}
	for _, tc := range []struct {
		name     string
		who      authz.Caller
		app, of  string
		want     int
		notYours bool
	}{
		{"who runs the app", boss, app.GetId(), "", 2, false},
		{"who runs the app, of one person", boss, app.GetId(), ann.GetId(), 1, false},
		{"who runs another app", boss, other.GetId(), "", 0, false},
		{"who runs another app, of one person", boss, other.GetId(), ann.GetId(), 0, true},
		{"who runs an app, everywhere", boss, "", ann.GetId(), 0, true},
		{"a manager", as(lead), "", ann.GetId(), 2, false},
		{"a manager's manager", as(chief), "", ann.GetId(), 2, false},
		{"a manager, of another's people", as(lead), "", ben.GetId(), 0, true},
		{"a report of their manager", as(ann), "", lead.GetId(), 0, true},
		{"a colleague", as(ben), "", ann.GetId(), 0, true},
		{"oneself", as(ann), "", "", 2, false},
		{"oneself, in one app", as(ann), app.GetId(), "", 1, false},
	} {
		grants, all, _, _, _ := clients(w.Conn(t, tc.who))
		list, err := grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{AppId: tc.app, UserId: tc.of})
		_, accountsErr := all.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{AppId: tc.app, UserId: tc.of})
		if tc.notYours {
			wantReason(t, err, "PermissionDenied", "NOT_YOURS", "user_id")
			wantReason(t, accountsErr, "PermissionDenied", "NOT_YOURS", "user_id")
			continue
		}
		if err != nil || accountsErr != nil || len(list.GetGrants()) != tc.want {
			t.Errorf("%s: %d grants, %v, %v, want %d", tc.name, len(list.GetGrants()), err, accountsErr, tc.want)
		}
	}
}
