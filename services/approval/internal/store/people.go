package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// PeopleQuery says which people are read.
type PeopleQuery struct {
	// ManagersOf are users, whose managers are read up to the top.
	ManagersOf []string
	// AppIDs are apps with their owners, approvers and admins.
	AppIDs []string
	// UserIDs and GroupIDs are users, and groups with their members.
	UserIDs, GroupIDs []string
	// GroupsOf are users, who are read as members of their groups.
	GroupsOf []string
	// Admins says that admins and IT admins are read: those of the organization
	// and those of the environments named.
	Admins         bool
	EnvironmentIDs []string
	// WorkingTimeOf are the environments, or an empty id for the organization, of which it
	// is read when people work.
	WorkingTimeOf []string
	// Absences says that it is read who has delegated at present, with the delegates.
	Absences bool
	// FactsOf are users of whom it is read what reviewers see of them.
	FactsOf []string
}

// AddEligibility adds whom [lifecycle.Approval.Eligible] asks for of a task, and the
// beneficiary.
func (q *PeopleQuery) AddEligibility(a *lifecycle.Approval, taskID string) {
	t := a.Task(taskID)
	s := a.StepOf(t)
	if s == nil {
		return
	}
	q.UserIDs, q.AppIDs = append(q.UserIDs, t.Reviewer.ID, t.PrincipalID(), a.Beneficiary.ID), append(q.AppIDs, s.AppID)
	q.FactsOf = append(q.FactsOf, a.Beneficiary.ID)
	q.Absences = true
	if len(s.Spec.GroupIDs) > 0 {
		q.GroupsOf = append(q.GroupsOf, t.PrincipalID())
	}
	if t.Escalated {
		for _, o := range a.TasksOf(s) {
			q.ManagersOf = append(q.ManagersOf, o.Reviewer.ID)
		}
	}
	if t.Given || s.Spec.Reviewers == lifecycle.Manager || s.Spec.Reviewers == lifecycle.ManagersManager {
		q.ManagersOf = append(q.ManagersOf, a.Beneficiary.ID)
	}
}

// NewPeople returns an empty set of people.
func NewPeople() *lifecycle.People {
	return &lifecycle.People{
		Users: make(map[string]lifecycle.User), Apps: make(map[string]lifecycle.App), Members: make(map[string][]string),
	}
}

const (
	isPerson    = `u.kind in ('employee', 'external')`
	canDecide   = `(u.state = 'active' and u.role <> 'risk_manager' and ` + isPerson + `)`
	administers = `u.role in ('admin', 'it_admin')`
	isExternal  = `(u.role = 'external' or u.kind = 'external')`
	userFields  = `u.id, u.display_name, u.email, coalesce(u.manager_id::text, ''), u.role_environment_id, u.state = 'active', ` + canDecide + `, ` + isPerson + `, ` + administers + `, ` + isExternal
	// What conditions see, and where a person belongs.
	factFields = `u.environment_id, u.user_name, u.department, u.title, u.kind`
	// A manager who is there already ends the search: a circle too.
	selectManagers = `
with recursive chain as (
    select u.id, u.manager_id from user_copy u where u.id = any ($1)
    union
    select u.id, u.manager_id from chain c join user_copy u on u.id = c.manager_id
)
select ` + userFields + ` from chain c join user_copy u on u.id = c.id`
	selectUsers = `
select ` + userFields + ` from user_copy u where u.id = any ($1)`
	selectApps = `
select a.id, a.environment_id, a.only_by_flow, coalesce(p.place, ''), coalesce(p.user_id::text, ''), coalesce(u.display_name, ''), coalesce(u.email, ''),
    coalesce(u.manager_id::text, ''), coalesce(u.role_environment_id, '00000000-0000-0000-0000-000000000000'), coalesce(u.state = 'active', false), coalesce(` + canDecide + `, false), coalesce(` + isPerson + `, false), coalesce(` + administers + `, false), coalesce(` + isExternal + `, false)
from app_copy a
left join lateral (
    select 'owner' as place, a.owner_id as user_id where a.owner_id is not null
    union all select 'approver', unnest(a.approver_ids)
    union all select 'admin', unnest(a.admin_ids)) p on true
left join user_copy u on u.id = p.user_id
where a.id = any ($1)`
	selectMembers = `
select m.group_id, ` + userFields + `
from group_member_copy m join user_copy u on u.id = m.user_id
where m.group_id = any ($1) and not m.removed`
	selectAdmins = `
select ` + userFields + `
from unnest($2::uuid[]) e (id) cross join lateral (
    select u.id, u.display_name, u.email, u.manager_id, u.role_environment_id, u.state, u.role, u.kind from user_copy u
    where u.organization_id = $1 and u.role_environment_id = e.id and u.role in ('admin', 'it_admin') and u.state = 'active'
    order by u.id limit 100) u`
	selectAbsences = `
select d.delegator_id, d.until_time, ` + userFields + `
from delegation d join user_copy u on u.id = d.delegate_id
where d.organization_id = $1 and d.end_time is null and d.from_time <= $2 and d.until_time > $2`
	selectFacts = `
select u.id, u.state, coalesce(u.manager_id::text, ''), coalesce(m.display_name, ''), u.department, u.title
from user_copy u left join user_copy m on m.id = u.manager_id where u.id = any ($1)`
	selectGroups = `
select m.user_id, m.group_id from group_member_copy m where m.user_id = any ($1) and not m.removed`
)

// LoadPeople adds people to a set, in one round trip, or none if nothing is
// asked for. Apps that are in the set already are not read again.
func (s *Store) LoadPeople(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, people *lifecycle.People, q PeopleQuery) error {
	b := &pgx.Batch{}
	if len(q.ManagersOf) > 0 {
		queueManagers(b, people, unique(q.ManagersOf))
	}
	apps := slices.DeleteFunc(unique(q.AppIDs), func(id string) bool {
		_, loaded := people.Apps[id]
		return loaded
	})
	if len(apps) > 0 {
		queueApps(b, people, apps)
	}
	if len(q.UserIDs) > 0 {
		b.Queue(selectUsers, unique(q.UserIDs)).Query(func(rows pgx.Rows) error {
			_, err := collectUsers(rows, people)
			return err
		})
	}
	if len(q.GroupIDs) > 0 {
		groups := unique(q.GroupIDs)
		for _, g := range groups {
			delete(people.Members, g)
		}
		b.Queue(selectMembers, groups).Query(func(rows pgx.Rows) error {
			var group string
			var u lifecycle.User
			var environment uuid.UUID
			_, err := pgx.ForEachRow(rows, append([]any{&group}, userTargets(&u, &environment)...), func() error {
				u.EnvironmentID = environmentID(environment)
				people.Users[u.ID] = u
				people.Members[group] = append(people.Members[group], u.ID)
				return nil
			})
			return err
		})
	}
	if len(q.GroupsOf) > 0 {
		b.Queue(selectGroups, unique(q.GroupsOf)).Query(func(rows pgx.Rows) error {
			var user, group string
			_, err := pgx.ForEachRow(rows, []any{&user, &group}, func() error {
				people.Members[group] = append(people.Members[group], user)
				return nil
			})
			return err
		})
	}
	if q.Admins {
		environments := []uuid.UUID{uuid.Nil}
		for _, id := range unique(q.EnvironmentIDs) {
			if u := environmentUUID(id); u != uuid.Nil {
				environments = append(environments, u)
			}
		}
		b.Queue(selectAdmins, organizationID, environments).Query(func(rows pgx.Rows) (err error) {
			people.Admins, err = collectUsers(rows, people)
			return err
		})
	}
	if len(q.FactsOf) > 0 {
		queueFacts(b, people, unique(q.FactsOf))
	}
	if q.Absences {
		s.queueAbsences(b, people, organizationID)
	}
	if len(q.WorkingTimeOf) > 0 {
		queueWorkingTime(b, people, organizationID, q.WorkingTimeOf)
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load reviewers: %w", err)
	}
	return nil
}

// Accountable gives who answers for a user, if that is a service or an agent.
func (s *Store) Accountable(ctx context.Context, tx *postgres.Tx, userID string) ([]string, error) {
	rows, err := tx.Query(ctx, selectAnswering, userID)
	if err != nil {
		return nil, fmt.Errorf("look who answers for the user: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look who answers for the user: %w", err)
	}
	return ids, nil
}

// queueManagers reads users and their managers.
func queueManagers(b *pgx.Batch, people *lifecycle.People, userIDs []string) {
	b.Queue(selectManagers, userIDs).Query(func(rows pgx.Rows) error {
		var u lifecycle.User
		var role uuid.UUID
		_, err := pgx.ForEachRow(rows, userTargets(&u, &role), func() error {
			u.EnvironmentID = environmentID(role)
			people.Users[u.ID] = u
			return nil
		})
		return err
	})
}

func queueApps(b *pgx.Batch, people *lifecycle.People, ids []string) {
	b.Queue(selectApps, ids).Query(func(rows pgx.Rows) error {
		var app, place string
		var u lifecycle.User
		var home, environment uuid.UUID
		var closed bool
		_, err := pgx.ForEachRow(rows, append([]any{&app, &home, &closed, &place}, userTargets(&u, &environment)...), func() error {
			a := people.Apps[app]
			a.ID, a.EnvironmentID, a.OnlyByFlow = app, environmentID(home), closed
			switch place {
			case "owner":
				a.OwnerID = u.ID
			case "approver":
				a.ApproverIDs = append(a.ApproverIDs, u.ID)
			case "admin":
				a.AdminIDs = append(a.AdminIDs, u.ID)
			}
			people.Apps[app] = a
			if u.Name != "" || u.CanDecide { // else there is no such user
				u.EnvironmentID = environmentID(environment)
				people.Users[u.ID] = u
			}
			return nil
		})
		return err
	})
}

// queueFacts reads what reviewers see of users.
func queueFacts(b *pgx.Batch, people *lifecycle.People, userIDs []string) {
	if people.Facts == nil {
		people.Facts = make(map[string]lifecycle.Facts)
	}
	b.Queue(selectFacts, userIDs).Query(func(rows pgx.Rows) error {
		var id string
		var f lifecycle.Facts
		_, err := pgx.ForEachRow(rows, []any{&id, &f.State, &f.ManagerID, &f.Manager, &f.Department, &f.Title}, func() error {
			people.Facts[id] = f
			return nil
		})
		return err
	})
}

// queueAbsences reads who has delegated at present, with the delegates.
func (s *Store) queueAbsences(b *pgx.Batch, people *lifecycle.People, organizationID uuid.UUID) {
	people.Absences = make(map[string]lifecycle.Absence)
	b.Queue(selectAbsences, organizationID, s.now()).Query(func(rows pgx.Rows) error {
		var delegator string
		var until time.Time
		var u lifecycle.User
		var environment uuid.UUID
		_, err := pgx.ForEachRow(rows, append([]any{&delegator, &until}, userTargets(&u, &environment)...), func() error {
			u.EnvironmentID = environmentID(environment)
			people.Users[u.ID] = u
			people.Absences[delegator] = lifecycle.Absence{DelegateID: u.ID, Until: until}
			return nil
		})
		return err
	})
}

// queueWorkingTime reads when people work in environments, and in the organization.
func queueWorkingTime(b *pgx.Batch, people *lifecycle.People, organizationID uuid.UUID, environmentIDs []string) {
	c := &Calendars{}
	c.queue(b, organizationID, environmentIDs)
	people.WorkingTime = c.Add
}

// collectGroups reads selectGroups into the groups by user.
func collectGroups(groups map[string][]string) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var user, group string
		_, err := pgx.ForEachRow(rows, []any{&user, &group}, func() error {
			groups[user] = append(groups[user], group)
			return nil
		})
		return err
	}
}

// userTargets are where userFields are scanned into.
func userTargets(u *lifecycle.User, environment *uuid.UUID) []any {
	return []any{&u.ID, &u.Name, &u.Email, &u.ManagerID, environment, &u.Active, &u.CanDecide, &u.IsPerson, &u.Administers, &u.IsExternal}
}

// factTargets are where factFields are scanned into.
func factTargets(m *lifecycle.Member, environment *uuid.UUID) []any {
	return []any{environment, &m.UserName, &m.Department, &m.Title, &m.Kind}
}

func collectUsers(rows pgx.Rows, people *lifecycle.People) ([]lifecycle.User, error) {
	var users []lifecycle.User
	var u lifecycle.User
	var environment uuid.UUID
	_, err := pgx.ForEachRow(rows, userTargets(&u, &environment), func() error {
		u.EnvironmentID = environmentID(environment)
		people.Users[u.ID] = u
		users = append(users, u)
		return nil
	})
	return users, err
}

func unique(ids []string) []string {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return slices.Sorted(maps.Keys(set))
}
