package naming_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"gatehouse.dev/libs/admission"
	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/naming"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	createApp  = "/gatehouse.request.v1.AppService/CreateApp"
	updateApp  = "/gatehouse.request.v1.AppService/UpdateApp"
	assign     = "/gatehouse.request.v1.RequestService/PreviewAssignment"
	createFlow = "/gatehouse.approval.v1.FlowService/CreateFlow"
	listGrants = "/gatehouse.provisioning.v1.GrantService/ListGrants"
	getUser    = "/gatehouse.identity.v1.UserService/GetUser"
	identities = "/gatehouse.identity.v1.IdentityProviderService/ListUserIdentities"
	createUser = "/gatehouse.identity.v1.UserService/CreateUser"
)

// town is a database with the people of an organization, two environments of it and
// another organization.
type town struct {
	db                  *postgres.DB
	people              *naming.People
	org, elsewhere      uuid.UUID
	north, south        uuid.UUID
	ada, bob, eva, evas uuid.UUID    // evas is the south's eva
	twins               [2]uuid.UUID // of one name in the organization, as a copy may have them
	gone, odd, stranger uuid.UUID
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{db: pgtest.Open(t, copies.Schema(copies.Users)...), org: id.New(), elsewhere: id.New(), north: id.New(), south: id.New()}
	w.db.Admit(admission.By("user_copy"))
	w.people = naming.Among(w.db, "user_copy", "not u.removed", nil)
	w.ada = w.join(t, w.org, uuid.Nil, "Ada@corp.example", false)
	w.bob = w.join(t, w.org, uuid.Nil, `CORP\bob`, false)
	w.eva = w.join(t, w.org, w.north, "eva", false)
	w.evas = w.join(t, w.org, w.south, "eva", false)
	w.twins = [2]uuid.UUID{w.join(t, w.org, uuid.Nil, "twin", false), w.join(t, w.org, uuid.Nil, "twin", false)}
	w.gone = w.join(t, w.org, uuid.Nil, "gone@corp.example", true)
	w.odd = w.join(t, w.org, uuid.Nil, w.ada.String(), false)
	w.stranger = w.join(t, w.elsewhere, uuid.Nil, "stranger@corp.example", false)
	return w
}

func (w *town) join(t *testing.T, org, environment uuid.UUID, name string, removed bool) uuid.UUID {
	t.Helper()
	user := id.New()
	err := w.db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
insert into user_copy (id, organization_id, environment_id, user_name, display_name, given_name, family_name, email, title, department,
	state, kind, role, role_environment_id, join_count, version, removed, data)
values ($1, $2, $3, $4, $4, '', '', '', '', '', 'active', 'employee', 'member', $3, 1, 3, $5, '')`, user, org, environment, name, removed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// as is the context of a call by a user in a role.
func (w *town) as(t *testing.T, role authzv1.Caller, user, environment uuid.UUID) context.Context {
	t.Helper()
	return authz.WithCaller(t.Context(), authz.Caller{
		Subject: user.String(), UserID: user, OrganizationID: w.org, EnvironmentID: environment, Role: role, UserVersion: 3,
	})
}

func TestNamesBecomeIDs(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := w.as(t, authzv1.Caller_CALLER_ADMIN, w.ada, uuid.Nil)
	ada, bob := w.ada.String(), w.bob.String()
	unknown := id.New().String()
	for _, tc := range []struct {
		name, method string
		in, want     proto.Message
	}{
		{
			"fields and lists", createApp,
			&requestv1.CreateAppRequest{Name: "ada@corp.example", OwnerId: "ada@corp.example", AdminIds: []string{bob, "ADA@Corp.example"}, ApproverIds: []string{`corp\bob`}},
			&requestv1.CreateAppRequest{Name: "ada@corp.example", OwnerId: ada, AdminIds: []string{bob, ada}, ApproverIds: []string{bob}},
		},
		{"wide", createUser, &identityv1.CreateUserRequest{AccountableUserId: "ａｄａ@corp.example"}, &identityv1.CreateUserRequest{AccountableUserId: ada}},
		{
			"in a message", updateApp,
			&requestv1.UpdateAppRequest{App: &requestv1.App{Id: unknown, OwnerId: "ada@corp.example", GoneUserIds: []string{"ada@corp.example"}}},
			&requestv1.UpdateAppRequest{App: &requestv1.App{Id: unknown, OwnerId: ada, GoneUserIds: []string{"ada@corp.example"}}},
		},
		{
			"in messages of a list", createFlow,
			&approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
				Audience: &approvalv1.FlowAudience{UserIds: []string{"ada@corp.example"}}, Requesters: &approvalv1.FlowRequesters{UserIds: []string{ada}},
				Steps: []*approvalv1.FlowStep{{}, {UserIds: []string{unknown, `CORP\bob`}}},
			}},
			&approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
				Audience: &approvalv1.FlowAudience{UserIds: []string{ada}}, Requesters: &approvalv1.FlowRequesters{UserIds: []string{ada}},
				Steps: []*approvalv1.FlowStep{{}, {UserIds: []string{unknown, bob}}},
			}},
		},
		// Odd has Ada's id as a user name.
		{"an id is no name", listGrants, &provisioningv1.ListGrantsRequest{UserId: strings.ToUpper(ada)}, &provisioningv1.ListGrantsRequest{UserId: strings.ToUpper(ada)}},
		{"nobody", listGrants, &provisioningv1.ListGrantsRequest{}, &provisioningv1.ListGrantsRequest{}},
		{"no such method", "/grpc.health.v1.Health/Check", &provisioningv1.ListGrantsRequest{UserId: "x"}, &provisioningv1.ListGrantsRequest{UserId: "x"}},
	} {
		if err := w.people.Prepare(ctx, tc.method, tc.in); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, tc.in, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	// Of a service, and of nobody, nothing is looked up.
	for _, ctx := range []context.Context{t.Context(), authz.WithCaller(t.Context(), authz.Caller{Subject: "client:request", Role: authzv1.Caller_CALLER_SERVICE})} {
		in := &provisioningv1.ListGrantsRequest{UserId: "ada@corp.example"}
		if err := w.people.Prepare(ctx, listGrants, in); err != nil || in.GetUserId() != "ada@corp.example" {
			t.Errorf("got %v, %v", in, err)
		}
	}
}

// Who is named is whom the caller sees by GetUser where they act, and nobody who has left.
// B-USR-12, in part: no environment decides whom a name means elsewhere.
func TestWhoIsNamed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ext := w.join(t, w.org, uuid.Nil, "ext", false)
	for _, name := range []string{"ada@corp.example", "only@north.example"} {
		w.join(t, w.org, w.north, name, false)
	}
	const unknown, ambiguous = naming.ReasonUnknown, naming.ReasonAmbiguous
	admin, member, external := authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_MEMBER, authzv1.Caller_CALLER_EXTERNAL
	for _, tc := range []struct {
		caller      string
		role        authzv1.Caller
		user        uuid.UUID
		environment uuid.UUID
		name        string
		want        uuid.UUID
		reason      string
	}{
		{"admin", admin, w.ada, uuid.Nil, `corp\bob`, w.bob, ""},
		{"member", member, w.bob, uuid.Nil, "ada@corp.example", w.ada, ""},
		{"admin", admin, w.ada, uuid.Nil, "gone@corp.example", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "stranger@corp.example", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "twin", uuid.Nil, ambiguous},
		// Whoever an environment has: to the organization a name is that of its own people.
		{"admin", admin, w.ada, uuid.Nil, "eva", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "Only@North.example", uuid.Nil, unknown},
		{"admin", admin, w.bob, uuid.Nil, "ada@corp.example", w.ada, ""},
		{"admin of the south", admin, w.evas, w.south, "only@north.example", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "ada", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "%", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, " ada@corp.example", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, "ada\x00", uuid.Nil, unknown},
		{"admin", admin, w.ada, uuid.Nil, strings.Repeat("ж", 5000), uuid.Nil, unknown},
		{"admin of the north", admin, w.eva, w.north, "eva", w.eva, ""},
		{"admin of the south", admin, w.evas, w.south, "eva", w.evas, ""},
		{"admin of the south", admin, w.evas, w.south, "ada@corp.example", uuid.Nil, unknown},
		// One of the organization, with a role in the south, sees themselves all the same.
		{"ada in the south", admin, w.ada, w.south, "ada@corp.example", w.ada, ""},
		{"external", external, ext, uuid.Nil, "ada@corp.example", uuid.Nil, unknown},
		{"external", external, ext, uuid.Nil, "nobody@corp.example", uuid.Nil, unknown},
		{"external", external, ext, uuid.Nil, "eva", uuid.Nil, unknown},
		{"external", external, ext, uuid.Nil, "EXT", ext, ""},
	} {
		in := &provisioningv1.ListGrantsRequest{UserId: tc.name}
		err := w.people.Prepare(w.as(t, tc.role, tc.user, tc.environment), listGrants, in)
		if tc.reason == "" {
			if err != nil || in.GetUserId() != tc.want.String() {
				t.Errorf("%s, %q: got %v, %v", tc.caller, tc.name, in, err)
			}
			continue
		}
		e, ok := apierr.From(err)
		if !ok || e.Code != codes.InvalidArgument || e.Reason != tc.reason || len(e.Fields) != 1 || e.Fields[0].Field != "user_id" || e.Fields[0].Reason != tc.reason {
			t.Errorf("%s, %q: got %v, want %s", tc.caller, tc.name, err, tc.reason)
			continue
		}
		if says := strings.Contains(e.Message, w.twins[0].String()) && strings.Contains(e.Message, w.twins[1].String()); says != (tc.reason == ambiguous) {
			t.Errorf("%s, %q: says %q", tc.caller, tc.name, e.Message)
		}
		ofEnvironment := tc.caller == "admin" && slices.Contains([]string{"eva", "only@north.example"}, strings.ToLower(tc.name))
		if says := strings.Contains(e.Message, "people of its environments are named by id"); says != ofEnvironment {
			t.Errorf("%s, %q: says %q", tc.caller, tc.name, e.Message)
		}
		if len(e.Message) > 1000 {
			t.Errorf("%s says %d bytes", tc.caller, len(e.Message))
		}
	}
}

func TestWrongNames(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := w.as(t, authzv1.Caller_CALLER_ADMIN, w.ada, uuid.Nil)
	e, _ := apierr.From(w.people.Prepare(ctx, createFlow, &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Audience: &approvalv1.FlowAudience{UserIds: []string{"ada@corp.example", "ghost"}},
		Steps:    []*approvalv1.FlowStep{{}, {UserIds: []string{"twin"}}},
	}}))
	if e == nil || len(e.Fields) != 2 ||
		e.Fields[0].Field != "flow.audience.user_ids[1]" || e.Fields[0].Reason != naming.ReasonUnknown ||
		e.Fields[1].Field != "flow.steps[1].user_ids[0]" || e.Fields[1].Reason != naming.ReasonAmbiguous {
		t.Errorf("got %v", e)
	}
	// Whom the path names is not found, and no field is wrong.
	for method, in := range map[string]proto.Message{
		getUser: &identityv1.GetUserRequest{Id: "ghost"}, identities: &identityv1.ListUserIdentitiesRequest{UserId: "ghost"},
	} {
		if err := w.people.Prepare(ctx, method, in); !apierr.HasReason(err, "USER_NOT_FOUND") {
			t.Errorf("%s: got %v", method, err)
		}
	}
	err := w.people.Prepare(ctx, getUser, &identityv1.GetUserRequest{Id: "eva"})
	if e, _ := apierr.From(err); e == nil || e.Reason != "USER_NOT_FOUND" || !strings.Contains(e.Message, "are named by id") {
		t.Errorf("got %v", err)
	}
	many := &requestv1.PreviewAssignmentRequest{Assignment: &requestv1.AssignAccessRequest{}}
	for range 60 {
		many.Assignment.UserIds = append(many.Assignment.UserIds, "ghost"+id.New().String())
	}
	if e, _ := apierr.From(w.people.Prepare(ctx, assign, many)); e == nil || e.Reason != naming.ReasonUnknown || len(e.Fields) != 50 {
		t.Errorf("got %v", e)
	}
	for range 2000 {
		many.Assignment.UserIds = append(many.Assignment.UserIds, "ghost"+id.New().String())
	}
	if err := w.people.Prepare(ctx, assign, many); !apierr.HasReason(err, "TOO_MANY_NAMES") {
		t.Errorf("got %v", err)
	}
}

// B-USR-19, in part: a token without the scope by which people are read tells of nobody
// whether they are there, and names its own user.
func TestNarrowedTokensNameNobody(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	name := func(scopes, user string) error {
		by, _ := authz.From(w.as(t, authzv1.Caller_CALLER_MEMBER, w.bob, uuid.Nil))
		by.Scopes = scopes
		return w.people.Prepare(authz.WithCaller(t.Context(), by), listGrants, &provisioningv1.ListGrantsRequest{UserId: user})
	}
	for _, user := range []string{"ada@corp.example", "twin", "ghost"} {
		err := name("access:read", user)
		if e, _ := apierr.From(err); e == nil || e.Reason != naming.ReasonUnknown || !strings.Contains(e.Fields[0].Description, "people:read") {
			t.Errorf("%s: %v", user, err)
		}
	}
	for _, tc := range [][2]string{{"access:read", `CORP\bob`}, {"access:read people:read", "ada@corp.example"}, {"access:read people:write", "ada@corp.example"}} {
		if err := name(tc[0], tc[1]); err != nil {
			t.Errorf("%v: %v", tc, err)
		}
	}
}

// A token from before a right was lost looks nobody up.
func TestStaleCallersNameNobody(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, name := range []string{"ada@corp.example", "ghost"} {
		c := authz.Must(w.as(t, authzv1.Caller_CALLER_ADMIN, w.ada, uuid.Nil))
		c.UserVersion = 2
		err := w.people.Prepare(authz.WithCaller(t.Context(), c), listGrants, &provisioningv1.ListGrantsRequest{UserId: name})
		if !apierr.HasReason(err, "TOKEN_STALE") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Names are looked up by the index, though row-level security holds.
func TestNamesAreLookedUpByIndex(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	err := w.db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
insert into user_copy (id, organization_id, environment_id, user_name, display_name, given_name, family_name, email, title, department,
	state, kind, role, role_environment_id, join_count, version, removed, data)
select gen_random_uuid(), $1, $2, 'user' || i, '', '', '', '', '', '', 'active', 'employee', 'member', $2, 1, 3, false, '' from generate_series(1, 5000) i`, w.org, uuid.Nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	err = w.db.InOrganizationRead(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, "explain "+w.people.LookUp(), []string{"user17", "ghost"}, w.org, w.ada, true, uuid.Nil)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(plan, func(line string) bool { return strings.Contains(line, "user_copy_by_user_name_form") }) {
		t.Errorf("planned:\n%s", strings.Join(plan, "\n"))
	}
}

func BenchmarkIDs(b *testing.B) {
	p := naming.Among(nil, "user_copy", "true", nil)
	in := &requestv1.PreviewAssignmentRequest{Assignment: &requestv1.AssignAccessRequest{}}
	for range 200 {
		in.Assignment.UserIds = append(in.Assignment.UserIds, id.New().String())
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Prepare(b.Context(), assign, in); err != nil {
			b.Fatal(err)
		}
	}
}
