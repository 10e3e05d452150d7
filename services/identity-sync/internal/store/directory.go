package store

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// Directory is the store as the SCIM handler sees it: the people of one source
// at a time.
type Directory struct{ *Store }

var _ scim.Directory = Directory{}

// Authenticate returns the source that a bearer token stands for, and notes at
// most once a minute that the source was seen.
func (d Directory) Authenticate(ctx context.Context, token string) (scim.Source, error) {
	kind, hash, ok := secret.Parse(token)
	if !ok || kind != secret.Source {
		return scim.Source{}, ErrTokenInvalid
	}
	var src scim.Source
	err := d.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed() // it may be noted again
		err := tx.QueryRow(ctx, `
			with found as (select s.id, s.organization_id, s.environment_id from source s where s.token_hash = $1),
			noted as (
				update source s set last_seen_time = $2
				from found
				where s.id = found.id and (s.last_seen_time is null or s.last_seen_time <= $2::timestamptz - interval '1 minute'))
			select id, organization_id, environment_id from found`, hash[:], d.clock.Now()).Scan(&src.ID, &src.OrganizationID, &src.EnvironmentID)
		return found(err, ErrTokenInvalid, "read source")
	})
	return src, err
}

// environmentOf is the environment of a source's people; empty for the
// organization itself.
func environmentOf(src scim.Source) string {
	if src.EnvironmentID == uuid.Nil {
		return ""
	}
	return src.EnvironmentID.String()
}

// Limits of what indexes and events can hold.
const (
	maxKey  = 512  // characters of what people are found by
	maxText = 1000 // characters of what is shown
)

// profile takes from a SCIM user what Gatehouse knows of a person, without the
// manager.
func profile(in scim.User) (lifecycle.Profile, error) {
	p := lifecycle.Profile{
		ExternalID: in.ExternalID, UserName: in.UserName, DisplayName: in.FullName(), GivenName: in.Name.Given, FamilyName: in.Name.Family,
		Email: in.Email(), Title: in.Title, Department: in.Enterprise.Department,
	}
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"externalId", p.ExternalID, maxKey},
		{"userName", p.UserName, maxKey},
		{"manager", in.Enterprise.Manager, maxKey},
		{"displayName", p.DisplayName, maxText},
		{"name.givenName", p.GivenName, maxText},
		{"name.familyName", p.FamilyName, maxText},
		{"emails", p.Email, maxText},
		{"title", p.Title, maxText},
		{"department", p.Department, maxText},
	} {
		if utf8.RuneCountInString(f.value) > f.max {
			return lifecycle.Profile{}, tooLong(f.name, f.max)
		}
	}
	return p, nil
}

func tooLong(name string, most int) error {
	return apierr.InvalidField(name, "TOO_LONG", "%s is longer than %d characters", name, most)
}

func addresses(in scim.User) []string {
	out := make([]string, len(in.Emails))
	for i, e := range in.Emails {
		out[i] = e.Value
	}
	return out
}

// scim is the user as the SCIM handler wants it back.
func (u User) scim() scim.User {
	return scim.User{
		ID: u.ID.String(), Version: u.Version, Created: u.CreateTime, LastModified: u.UpdateTime,
		ExternalID: u.ExternalID, UserName: u.UserName, Active: u.State == lifecycle.Active, Attributes: u.Attributes,
	}
}

// parseID reads an id that may be any text. What is none is nobody's.
func parseID(text string) (uuid.UUID, bool) {
	if len(text) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}

// queueManager looks for who a source means by a manager: an id, as SCIM has
// it, or what other systems send instead, an externalId or a userName. *to
// stays empty if there is nobody, or nobody yet.
func queueManager(batch *pgx.Batch, source uuid.UUID, ref string, to *string) {
	*to = ""
	if ref == "" {
		return
	}
	id, _ := parseID(ref)
	batch.Queue(`
		select u.id from users u
		where u.source_id = $1 and u.state <> 'removed'
		  and (u.id = $2 or u.user_name_key = lower($3) or (u.external_id = $3 and u.external_id <> ''))
		order by (u.id = $2) desc, (u.external_id = $3) desc limit 1`,
		source, id, ref).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{to}, func() error { return nil })
		return err
	})
}

// queueSource reads the source's name, for the actor of events.
func (w *write) queueSource(batch *pgx.Batch, src scim.Source) {
	batch.Queue(`select s.name from source s where s.id = $1`, src.ID).QueryRow(func(row pgx.Row) error {
		var name string
		err := found(row.Scan(&name), ErrTokenInvalid, "read source")
		w.actor = event.SourceActor(src.ID, name)
		return err
	})
}

// welcomeReports makes a user the manager of those who have been waiting for
// them.
func (w *write) welcomeReports(ctx context.Context, source uuid.UUID, u User) error {
	id := u.ID.String()
	rows, err := w.Query(ctx, `
		update users u set manager_id = $2, version = u.version + 1, update_time = $6
		where u.source_id = $1 and u.manager_id is null and u.manager_ref <> '' and u.state <> 'removed' and u.id <> $2
		  and u.manager_ref_key = any(array[$3, lower($4), lower($5)])
		  and (u.manager_ref in ($3, $4) or u.manager_ref_key = lower($5))
		returning `+userColumns,
		source, u.ID, id, u.ExternalID, u.UserName, w.now)
	var reports []User
	if err == nil {
		reports, err = collectUsers(rows)
	}
	if err != nil {
		return fmt.Errorf("find reports of user %s: %w", u.ID, err)
	}
	for _, r := range reports {
		w.tellUser(r, lifecycle.Outcome{Before: r.User, User: r.User, Events: []lifecycle.Event{
			{Name: lifecycle.UserUpdated, Version: r.Version, Changed: []string{"manager_id"}},
		}})
	}
	return nil
}

// CreateUser makes a user, or lets one come back who was removed and has the
// same externalId or, failing that, the same userName.
func (d Directory) CreateUser(ctx context.Context, src scim.Source, in scim.User) (scim.User, error) {
	p, err := profile(in)
	if err != nil {
		return scim.User{}, err
	}
	var u User
	err = d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		p := p
		var old []User
		batch := &pgx.Batch{}
		w.queueSource(batch, src)
		queueManager(batch, src.ID, in.Enterprise.Manager, &p.ManagerID)
		batch.Queue(`
			select `+userColumns+` from users u
			where u.source_id = $1 and u.state = 'removed'
			  and (u.user_name_key = lower($2) or (u.external_id = $3 and u.external_id <> ''))
			order by (u.external_id = $3 and u.external_id <> '') desc, u.update_time desc, u.id
			limit 1 for update`, src.ID, p.UserName, p.ExternalID).Query(func(rows pgx.Rows) (err error) {
			old, err = collectUsers(rows)
			return err
		})
		if err := w.send(ctx, batch); err != nil {
			return fmt.Errorf("look for the user: %w", err)
		}
		var o lifecycle.Outcome
		if len(old) == 0 {
			u = newUser(w, src)
			o = lifecycle.Come(p, environmentOf(src), lifecycle.Member, in.Active)
		} else {
			var err error
			u = old[0]
			if o, err = lifecycle.ComeBack(u.User, p, in.Active); err != nil {
				return err
			}
		}
		u.User, u.ManagerRef, u.Attributes, u.UpdateTime = o.User, in.Enterprise.Manager, in.Attributes, w.now
		w.tellUser(u, o)
		save := w.insertUser
		if len(old) > 0 {
			save = w.updateUser
		}
		if err := save(ctx, u, addresses(in)); err != nil {
			return err
		}
		return w.welcomeReports(ctx, src.ID, u)
	})
	return u.scim(), err
}

// GetUser returns a user of the source.
func (d Directory) GetUser(ctx context.Context, src scim.Source, id string, related bool) (scim.User, error) {
	uid, ok := parseID(id)
	if !ok {
		return scim.User{}, errUserNotFound
	}
	var u User
	var groups []scim.Member
	err := d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select `+userColumns+groupsOf(related)+`
			from users u where u.id = $1 and u.source_id = $2 and u.state <> 'removed'`, uid, src.ID).
			Scan(u.targets(&groups)...)
		return found(err, errUserNotFound, "read user")
	})
	out := u.scim()
	out.Groups = groups
	return out, err
}

// groupsOf is the column with the groups of a user, which is empty unless asked
// for.
func groupsOf(related bool) string {
	if !related {
		return `, '[]'::json`
	}
	return `, coalesce((
		select json_agg(json_build_object('value', g.id, 'type', 'direct', 'display', g.display_name) order by g.display_name_key, g.id)
		from group_member m join directory_group g on g.id = m.group_id
		where m.user_id = u.id), '[]'::json)`
}

// UpdateUser changes a user of the source.
func (d Directory) UpdateUser(ctx context.Context, src scim.Source, id string, change func(scim.User) (scim.User, bool, error)) (scim.User, error) {
	uid, ok := parseID(id)
	if !ok {
		return scim.User{}, errUserNotFound
	}
	var u User
	err := d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		u = User{}
		if err := w.lockUser(ctx, src, uid, &u); err != nil {
			return err
		}
		next, changed, err := change(u.scim())
		if err != nil || !changed {
			return err
		}
		p, err := profile(next)
		if err != nil {
			return err
		}
		p.ManagerID = u.ManagerID
		if next.Enterprise.Manager != u.ManagerRef {
			batch := &pgx.Batch{}
			queueManager(batch, src.ID, next.Enterprise.Manager, &p.ManagerID)
			if err := w.send(ctx, batch); err != nil {
				return fmt.Errorf("look for the manager: %w", err)
			}
		}
		o, err := lifecycle.Update(u.User, p, next.Active, true)
		if err != nil {
			return err
		}
		if err := w.keepAdmin(ctx, uid, o); err != nil {
			return err
		}
		u.User, u.ManagerRef, u.Attributes, u.UpdateTime = o.User, next.Enterprise.Manager, next.Attributes, w.now
		w.tellUser(u, o)
		if err := w.updateUser(ctx, u, addresses(next)); err != nil {
			return err
		}
		if o.EndSessions {
			if err := w.endSessions(ctx, uid); err != nil {
				return err
			}
		}
		if o.Before.UserName != o.User.UserName || o.Before.ExternalID != o.User.ExternalID {
			return w.welcomeReports(ctx, src.ID, u)
		}
		return nil
	})
	return u.scim(), err
}

// DeleteUser lets a user leave: out of all groups, with all sessions and tokens
// ended. The row stays.
func (d Directory) DeleteUser(ctx context.Context, src scim.Source, id string, allow func(version int64) error) error {
	uid, ok := parseID(id)
	if !ok {
		return errUserNotFound
	}
	return d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		var u User
		if err := w.lockUser(ctx, src, uid, &u); err != nil {
			return err
		}
		if err := allow(u.Version); err != nil {
			return err
		}
		return w.remove(ctx, u)
	})
}

// lockUser reads a user of the source that nobody else changes until the end
// of the transaction, and the source's name.
func (w *write) lockUser(ctx context.Context, src scim.Source, id uuid.UUID, u *User) error {
	var name string
	err := w.QueryRow(ctx, `
		select `+userColumns+`, s.name from users u join source s on s.id = u.source_id
		where u.id = $1 and u.source_id = $2 and u.state <> 'removed' for update of u`, id, src.ID).
		Scan(u.targets(&name)...)
	w.actor = event.SourceActor(src.ID, name)
	return found(err, errUserNotFound, "lock user")
}

// leaveGroups takes a user out of every group.
func (w *write) leaveGroups(ctx context.Context, u User) error {
	rows, err := w.Query(ctx, `
		with gone as (delete from group_member m where m.user_id = $1 returning m.group_id)
		update directory_group g set member_count = g.member_count - 1, version = g.version + 1, update_time = $2
		from gone where g.id = gone.group_id
		returning `+groupColumns, u.ID, w.now)
	var groups []Group
	if err == nil {
		groups, err = collectGroups(rows)
	}
	if err != nil {
		return fmt.Errorf("take user %s out of groups: %w", u.ID, err)
	}
	for _, g := range groups {
		// As it was before, for tellMembers to count.
		g.Version--
		g.MemberCount++
		w.tellMembers(&g, []person{{id: u.ID, name: u.DisplayName, email: u.Email}}, nil)
	}
	return nil
}

func newUser(w *write, src scim.Source) User {
	return User{ID: newID(), OrganizationID: src.OrganizationID, SourceID: src.ID.String(), Kind: kindEmployee, CreateTime: w.now}
}

// userList is how users are listed.
var userList = list[scim.User]{
	from:    `users u`,
	base:    `u.source_id = ? and u.state <> 'removed'`,
	id:      `u.id`,
	columns: userColumns,
	related: groupsOf,
	equal: map[scim.Attribute]string{
		scim.AttributeExternalID: `u.external_id = ? and u.external_id <> ''`,
		scim.AttributeUserName:   `u.user_name_key = lower(?)`,
		scim.AttributeEmail:      `lower(?) = any(u.email_keys)`,
	},
	sort: map[scim.SortKey]string{
		scim.SortID: `u.id`, scim.SortExternalID: `lower(u.external_id)`, scim.SortUserName: `u.user_name_key`,
		scim.SortDisplayName: `u.display_name_key`, scim.SortCreated: `u.create_time`, scim.SortLastModified: `u.update_time`,
	},
	scan: func(rows pgx.Rows) (scim.User, error) {
		var u User
		var groups []scim.Member
		err := rows.Scan(u.targets(&groups)...)
		out := u.scim()
		out.Groups = groups
		return out, err
	},
}

// ListUsers lists users of the source.
func (d Directory) ListUsers(ctx context.Context, src scim.Source, q scim.Query[scim.User]) (scim.Page[scim.User], error) {
	return userList.page(ctx, d.db, src, q)
}
