package approval_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// routes asks, as request does, who would decide a request.
func (w *world) routes(t testing.TB, r *requestv1.Request) ([]*requestv1.Route, error) {
	t.Helper()
	out, err := approvalv1.NewFlowServiceClient(w.Conn(t, rpctest.Service("request"))).LookUpRoutes(t.Context(), &approvalv1.LookUpRoutesRequest{
		OrganizationId: w.org.String(), Request: r,
	})
	return out.GetRoutes(), err
}

// inWords is a route such as "Manager: 1 of mia > App admins: 1 of ada".
func inWords(r *requestv1.Route) string {
	var steps []string
	if r.GetAutomatic() {
		steps = append(steps, "automatic")
	}
	for _, s := range r.GetSteps() {
		var people []string
		for _, p := range s.GetReviewers() {
			people = append(people, p.GetPerson().GetDisplayName())
		}
		text := fmt.Sprintf("%s: %d of %s", s.GetName(), s.GetNeededApprovals(), strings.Join(people, ", "))
		if s.GetVacancy() != nil {
			text = s.GetName() + ": nobody"
		}
		steps = append(steps, text)
	}
	return strings.Join(steps, " > ")
}

// B-CAT-05: who will have to approve is told before anybody asks, as it would be if they
// asked now: by the flow of each item, without whom it concerns, with their substitutes,
// and where there is nobody. Nothing is saved by looking.
func TestLookUpRoutes(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki, wikiAccount, hr, hrAccount, free, freeAccount := id.New(), id.New(), id.New(), id.New(), id.New(), id.New()
	w.app(t, wiki, "Wiki", wikiAccount, nil, nil)
	w.app(t, hr, "HR", hrAccount, []string{"ada"}, nil)
	w.app(t, free, "Chat", freeAccount, nil, nil)
	w.handled(t)
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Scope = &approvalv1.FlowScope{AppIds: []string{hr.String()}}
		f.Steps = []*approvalv1.FlowStep{
			step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER),
			{Name: "Two of us", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{w.users["eve"].GetId(), w.users["per"].GetId(), w.users["pia"].GetId()}, Need: approvalv1.StepNeed_STEP_NEED_COUNT, NeedCount: 2},
		}
	})
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Scope, f.Steps, f.AutoApprove = &approvalv1.FlowScope{AppIds: []string{free.String()}}, nil, true
	})
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Scope, f.OnlyAudience = &approvalv1.FlowScope{EntitlementIds: []string{wikiAccount.String()}}, true
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.users["zoe"].GetId(), w.users["max"].GetId()}}
		f.Steps = []*approvalv1.FlowStep{step("Owner", approvalv1.ReviewerKind_REVIEWER_KIND_APP_OWNER)}
	})
	items := func(r *requestv1.Request) {
		crm := r.GetItems()[0]
		r.Id, crm.Id = "", ""
		r.Items = []*requestv1.RequestItem{
			crm,
			{AppId: hr.String(), EntitlementId: hrAccount.String()},
			{AppId: free.String(), EntitlementId: freeAccount.String()},
			{AppId: wiki.String(), EntitlementId: wikiAccount.String()},
		}
	}
	for who, want := range map[string][]string{
		"ann": {"App approvers: 1 of per, pia", "Manager: 1 of mia > Two of us: 2 of eve, per, pia", "automatic", ""},
		"pia": {"App approvers: 1 of per", "Manager: 1 of ada > Two of us: 2 of eve, per", "automatic", ""},
		"max": {"App approvers: 1 of per, pia", "Manager: 1 of ada > Two of us: 2 of eve, per, pia", "automatic", "Owner: 1 of zoe"},
		// Who wrote a flow does not profit from it alone.
		"zoe": {"App approvers: 1 of per, pia", "Manager: 1 of ada > Two of us: 2 of eve, per, pia", "App approvers: nobody", "Owner: nobody"},
	} {
		r := w.request(who, who)
		items(r)
		routes, err := w.routes(t, r)
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		var got []string
		for _, route := range routes {
			got = append(got, inWords(route))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}

	r := w.request("pia", "pia")
	items(r)
	r.Id = id.New().String() // which says nothing
	routes, err := w.routes(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if s := routes[1].GetSteps()[0].GetReviewers()[0].GetSubstitution(); !strings.Contains(s, "pia has no manager") {
		t.Errorf("why ada: %q", s)
	}
	r = w.request("zoe", "zoe")
	items(r)
	if routes, err = w.routes(t, r); err != nil {
		t.Fatal(err)
	}
	if v := routes[3].GetSteps()[0].GetVacancy(); v.GetStep() != 1 || v.GetReason() == "" || !slices.Contains(v.GetHelp(), "name an owner of the app") {
		t.Errorf("nobody: %v", v)
	}
	if n := w.count(t, "approval"); n != 0 {
		t.Errorf("%d approvals came of looking", n)
	}

	// It is what happens then.
	r = w.request("pia", "pia")
	w.submit(t, r)
	if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"per"}) {
		t.Errorf("asked %q", got)
	}

	r = w.request("ann", "ann")
	r.Id, r.Items[0].AppId = "", id.New().String()
	if _, err := w.routes(t, r); rpctest.Reason(err) != "NOT_KNOWN_YET" {
		t.Errorf("an app that is not known: %v", err)
	}
	_, err = w.flows(t, "zoe").LookUpRoutes(t.Context(), &approvalv1.LookUpRoutesRequest{OrganizationId: w.org.String(), Request: r})
	if rpctest.Reason(err) != "ROLE_NOT_ALLOWED" {
		t.Errorf("an admin, who is no service: %v", err)
	}
}

// B-CAT-05: each of fifty items whose steps all ask a large group has all of its steps, and
// names twenty of the people.
func TestLookUpRoutesOfManyItems(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.handled(t)
	g := id.New()
	w.exec(t, `insert into group_copy (id, organization_id, environment_id, display_name, version, removed, rebuild, data) values ($1, $2, '00000000-0000-0000-0000-000000000000', 'All', 1, false, 1, ''::bytea)`, g, w.org)
	w.exec(t, `insert into user_copy (id, organization_id, environment_id, source_id, user_name, display_name, given_name, family_name, email, title, department, manager_id, state, kind, role, role_environment_id, accountable_user_id, end_time, join_count, version, removed, data)
select gen_random_uuid(), organization_id, environment_id, source_id, user_name || n, display_name || n, given_name, family_name, email || n, title, department, manager_id, state, kind, role, role_environment_id, accountable_user_id, end_time, join_count, version, removed, data from user_copy, generate_series(1, 5000) n where id = $1`, w.id("pia"))
	w.exec(t, `insert into group_member_copy select $1, id, organization_id, environment_id, 1, false from user_copy where organization_id = $2 and user_name like 'pia%'`, g, w.org)
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Scope = &approvalv1.FlowScope{Any: true}
		f.Steps = nil
		for n := range 5 {
			f.Steps = append(f.Steps, &approvalv1.FlowStep{Name: fmt.Sprint("s", n), Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS, GroupIds: []string{g.String()}, Need: approvalv1.StepNeed_STEP_NEED_ANY})
		}
	})
	r := w.request("ann", "ann")
	r.Items = nil
	for n := range 50 {
		r.Items = append(r.Items, &requestv1.RequestItem{EntitlementId: id.New().String(), EntitlementName: fmt.Sprint("e", n), AppId: w.crm.String(), AppName: "CRM"})
	}
	all := r.GetItems()
	for _, items := range [][]*requestv1.RequestItem{all[:1], all} {
		r.Items = items
		routes, err := w.routes(t, r)
		if err != nil || len(routes) != len(items) {
			t.Fatal(len(routes), err)
		}
		for _, route := range routes {
			if s := route.GetSteps(); len(s) != 5 || s[4].GetName() != "s4" || s[4].GetReviewerCount() != 5001 || len(s[4].GetReviewers()) != 20 {
				t.Fatalf("%v", route)
			}
		}
	}
}
