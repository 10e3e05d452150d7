package scim_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// memory is a Directory that keeps what the interface promises.
type memory struct {
	mu      sync.Mutex
	now     time.Time
	next    int
	tokens  map[string]scim.Source
	users   map[string]*row[scim.User]
	groups  map[string]*row[scim.Group]
	fault   func(method string) error // unless nil, asked before everything else
	written int                       // rows of members written or removed
	loaded  int                       // members read
	page    int                       // the most members that were asked for at once
	where   *scim.Condition           // of the last list of users
	asked   []string                  // what lists were asked for, and how
	change  scim.MemberChange         // of the last update of a group
}

type row[T any] struct {
	source  uuid.UUID
	seq     int
	v       T
	members []scim.Member // of a group
}

func newMemory() *memory {
	return &memory{
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		tokens: map[string]scim.Source{
			"tok":   {ID: uuid.MustParse("00000000-0000-0000-0000-00000000000a"), OrganizationID: uuid.New()},
			"other": {ID: uuid.MustParse("00000000-0000-0000-0000-00000000000b"), OrganizationID: uuid.New()},
		},
		users:  map[string]*row[scim.User]{},
		groups: map[string]*row[scim.Group]{},
	}
}

func (m *memory) lock(method string) (func(), error) {
	m.mu.Lock()
	if m.fault != nil {
		if err := m.fault(method); err != nil {
			m.mu.Unlock()
			return nil, err
		}
	}
	return m.mu.Unlock, nil
}

func (m *memory) tick() time.Time { m.now = m.now.Add(time.Second); return m.now }

func (m *memory) id() (string, int) {
	m.next++
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(m.next))).String(), m.next
}

func (m *memory) Authenticate(_ context.Context, token string) (scim.Source, error) {
	unlock, err := m.lock("Authenticate")
	if err != nil {
		return scim.Source{}, err
	}
	defer unlock()
	if s, ok := m.tokens[token]; ok {
		return s, nil
	}
	return scim.Source{}, apierr.Unauthenticated("TOKEN_INVALID", "the token is not valid")
}

func (m *memory) unique(src scim.Source, id string, u scim.User) error {
	for _, r := range m.users {
		if r.source != src.ID || r.v.ID == id {
			continue
		}
		if strings.EqualFold(r.v.UserName, u.UserName) {
			return apierr.Exists("USER_NAME_TAKEN", "there is a user with that userName")
		}
	}
	return nil
}

func (m *memory) CreateUser(_ context.Context, src scim.Source, u scim.User) (scim.User, error) {
	unlock, err := m.lock("CreateUser")
	if err != nil {
		return u, err
	}
	defer unlock()
	if err := m.unique(src, "", u); err != nil {
		return u, err
	}
	var seq int
	u.ID, seq = m.id()
	u.Version, u.Created = 1, m.tick()
	u.LastModified = u.Created
	m.users[u.ID] = &row[scim.User]{source: src.ID, seq: seq, v: u}
	return u, nil
}

func find[T any](rows map[string]*row[T], src scim.Source, id string) (*row[T], error) {
	if r := rows[id]; r != nil && r.source == src.ID {
		return r, nil
	}
	return nil, apierr.NotFound("NOT_FOUND", "there is no such resource")
}

func (m *memory) user(r *row[scim.User], related bool) scim.User {
	u := scim.User{ID: r.v.ID, Version: r.v.Version, Created: r.v.Created, LastModified: r.v.LastModified}
	u.Attributes = slices.Clone(r.v.Attributes)
	if related {
		for _, g := range sorted(m.groups, r.source) {
			if slices.ContainsFunc(g.members, func(e scim.Member) bool { return e.Value == u.ID }) {
				u.Groups = append(u.Groups, scim.Member{Value: g.v.ID, Display: g.v.DisplayName, Type: "direct"})
			}
		}
	}
	return u
}

func sorted[T any](rows map[string]*row[T], source uuid.UUID) []*row[T] {
	list := slices.SortedFunc(maps.Values(rows), func(a, b *row[T]) int { return cmp.Compare(a.seq, b.seq) })
	return slices.DeleteFunc(list, func(r *row[T]) bool { return r.source != source })
}

func (m *memory) GetUser(_ context.Context, src scim.Source, id string, related bool) (scim.User, error) {
	unlock, err := m.lock("GetUser")
	if err != nil {
		return scim.User{}, err
	}
	defer unlock()
	r, err := find(m.users, src, id)
	if err != nil {
		return scim.User{}, err
	}
	return m.user(r, related), nil
}

func (m *memory) ListUsers(_ context.Context, src scim.Source, q scim.Query[scim.User]) (scim.Page[scim.User], error) {
	unlock, err := m.lock("ListUsers")
	if err != nil {
		return scim.Page[scim.User]{}, err
	}
	defer unlock()
	m.where = q.Where
	m.asked = append(m.asked, "users "+how(q))
	return list(sorted(m.users, src.ID), q, func(r *row[scim.User], a scim.Attribute) []string {
		switch a {
		case scim.AttributeID:
			return []string{r.v.ID}
		case scim.AttributeExternalID:
			return []string{r.v.ExternalID}
		case scim.AttributeUserName:
			return []string{strings.ToLower(r.v.UserName)}
		case scim.AttributeEmail:
			var out []string
			for _, v := range r.v.Emails {
				out = append(out, strings.ToLower(v.Value))
			}
			return out
		}
		panic("unexpected " + a)
	}, func(r *row[scim.User]) string {
		return map[scim.SortKey]string{scim.SortUserName: strings.ToLower(r.v.UserName), scim.SortDisplayName: strings.ToLower(r.v.DisplayName)}[q.Sort]
	}, func(r *row[scim.User], related bool) scim.User { return m.user(r, related) }), nil
}

// meets reports whether a resource meets a condition; values are those of an attribute.
func meets(c scim.Condition, modified time.Time, values func(scim.Attribute) []string) bool {
	for _, e := range c.All {
		if !meets(e, modified, values) {
			return false
		}
	}
	for _, e := range c.Any {
		if meets(e, modified, values) {
			return true
		}
	}
	switch {
	case len(c.All) > 0:
		return true
	case len(c.Any) > 0:
		return false
	case c.Operator == scim.NotBefore:
		return !modified.Before(c.Time)
	case c.Operator == scim.Before:
		return modified.Before(c.Time)
	}
	exact := c.Attribute == scim.AttributeID || c.Attribute == scim.AttributeExternalID || c.Attribute == scim.AttributeMember
	for _, want := range c.Values {
		if !exact {
			want = strings.ToLower(want)
		}
		for _, v := range values(c.Attribute) {
			if v == want || c.Operator == scim.StartsWith && strings.HasPrefix(v, want) {
				return true
			}
		}
	}
	return false
}

func list[T any](rows []*row[T], q scim.Query[T], values func(*row[T], scim.Attribute) []string, key func(*row[T]) string, read func(r *row[T], related bool) T) scim.Page[T] {
	slices.SortStableFunc(rows, func(a, b *row[T]) int {
		c := strings.Compare(key(a), key(b))
		if q.Descending {
			return -c
		}
		return c
	})
	var p scim.Page[T]
	begun := q.Behind == nil || q.Behind.ID == ""
	for _, r := range rows {
		if !begun {
			begun = strconv.Itoa(r.seq) == q.Behind.ID
			continue
		}
		var modified time.Time
		switch v := any(r.v).(type) {
		case scim.User:
			modified = v.LastModified
		case scim.Group:
			modified = v.LastModified
		}
		if q.Where != nil && !meets(*q.Where, modified, func(a scim.Attribute) []string { return values(r, a) }) || q.Match != nil && !q.Match(read(r, q.MatchRelated)) {
			continue
		}
		switch {
		case q.Behind == nil && p.Total < q.Offset:
		case len(p.Items) < q.Count:
			p.Items = append(p.Items, read(r, q.Related))
			p.Last = scim.Position{Key: key(r), ID: strconv.Itoa(r.seq)}
		default:
			p.More = q.Behind != nil
		}
		p.Total++
	}
	if q.NoTotal {
		p.Total = 0
	}
	return p
}

func (m *memory) UpdateUser(_ context.Context, src scim.Source, id string, change func(scim.User) (scim.User, bool, error)) (scim.User, error) {
	unlock, err := m.lock("UpdateUser")
	if err != nil {
		return scim.User{}, err
	}
	defer unlock()
	r, err := find(m.users, src, id)
	if err != nil {
		return scim.User{}, err
	}
	// A transaction may be tried again: what the first try made is thrown away.
	if _, _, err := change(m.user(r, false)); err != nil {
		return scim.User{}, err
	}
	next, changed, err := change(m.user(r, false))
	if err != nil || !changed {
		return m.user(r, false), err
	}
	if err := m.unique(src, id, next); err != nil {
		return scim.User{}, err
	}
	next.ID, next.Created, next.Version, next.LastModified = id, r.v.Created, r.v.Version+1, m.tick()
	r.v = next
	return m.user(r, false), nil
}

func (m *memory) DeleteUser(_ context.Context, src scim.Source, id string, allow func(int64) error) error {
	unlock, err := m.lock("DeleteUser")
	if err != nil {
		return err
	}
	defer unlock()
	r, err := find(m.users, src, id)
	if err != nil {
		return err
	}
	if err := allow(r.v.Version); err != nil {
		return err
	}
	delete(m.users, id)
	for _, g := range m.groups {
		g.members = slices.DeleteFunc(g.members, func(e scim.Member) bool { return e.Value == id })
	}
	return nil
}

func (m *memory) check(src scim.Source, members []scim.Member) error {
	for _, e := range members {
		if u := m.users[e.Value]; u == nil || u.source != src.ID {
			return apierr.InvalidField("members", "MEMBER_UNKNOWN", "there is no user %s", e.Value)
		}
	}
	return nil
}

func (m *memory) CreateGroup(_ context.Context, src scim.Source, g scim.Group) (scim.Group, error) {
	unlock, err := m.lock("CreateGroup")
	if err != nil {
		return g, err
	}
	defer unlock()
	if err := m.check(src, g.Members); err != nil {
		return g, err
	}
	var seq int
	g.ID, seq = m.id()
	g.Version, g.Created = 1, m.tick()
	g.LastModified = g.Created
	r := &row[scim.Group]{source: src.ID, seq: seq, v: g, members: g.Members}
	r.v.Members = nil
	m.groups[g.ID] = r
	return m.group(r, false), nil
}

func (m *memory) group(r *row[scim.Group], related bool) scim.Group {
	g := scim.Group{ID: r.v.ID, Version: r.v.Version, Created: r.v.Created, LastModified: r.v.LastModified}
	g.Attributes = slices.Clone(r.v.Attributes)
	g.MemberCount = len(r.members)
	if related {
		m.loaded += len(r.members)
		g.Members = m.members(r)
	}
	return g
}

// how says what is read for a query: a page of the list, what a condition finds, or
// everything, to look at it.
func how[T any](q scim.Query[T]) string {
	switch {
	case q.Where != nil:
		return "by index"
	case q.Match != nil:
		return "all"
	}
	return "listed"
}

func (m *memory) ListMembers(_ context.Context, src scim.Source, id, after string, limit int) ([]scim.Member, error) {
	unlock, err := m.lock("ListMembers")
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := find(m.groups, src, id)
	if err != nil {
		return nil, err
	}
	m.page = max(m.page, limit)
	list := slices.DeleteFunc(m.members(r), func(e scim.Member) bool { return e.Value <= after })
	list = list[:min(limit, len(list))]
	m.loaded += len(list)
	return list, nil
}

// members are those of a group in the order of their ids.
func (m *memory) members(r *row[scim.Group]) (out []scim.Member) {
	for _, e := range r.members {
		if u := m.users[e.Value]; u != nil {
			e.Display = u.v.UserName
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b scim.Member) int { return cmp.Compare(a.Value, b.Value) })
	return out
}

func (m *memory) GetGroup(_ context.Context, src scim.Source, id string) (scim.Group, error) {
	unlock, err := m.lock("GetGroup")
	if err != nil {
		return scim.Group{}, err
	}
	defer unlock()
	r, err := find(m.groups, src, id)
	if err != nil {
		return scim.Group{}, err
	}
	return m.group(r, false), nil
}

func (m *memory) ListGroups(_ context.Context, src scim.Source, q scim.Query[scim.Group]) (scim.Page[scim.Group], error) {
	unlock, err := m.lock("ListGroups")
	if err != nil {
		return scim.Page[scim.Group]{}, err
	}
	defer unlock()
	m.asked = append(m.asked, "groups "+how(q))
	return list(sorted(m.groups, src.ID), q, func(r *row[scim.Group], a scim.Attribute) []string {
		switch a {
		case scim.AttributeID:
			return []string{r.v.ID}
		case scim.AttributeExternalID:
			return []string{r.v.ExternalID}
		case scim.AttributeDisplayName:
			return []string{strings.ToLower(r.v.DisplayName)}
		case scim.AttributeMember:
			var out []string
			for _, e := range r.members {
				out = append(out, e.Value)
			}
			return out
		}
		panic("unexpected " + a)
	}, func(r *row[scim.Group]) string {
		return map[scim.SortKey]string{scim.SortDisplayName: strings.ToLower(r.v.DisplayName)}[q.Sort]
	}, func(r *row[scim.Group], related bool) scim.Group { return m.group(r, related) }), nil
}

func (m *memory) UpdateGroup(_ context.Context, src scim.Source, id string, related bool, change func(scim.Group) (scim.GroupChange, error)) (scim.Group, error) {
	unlock, err := m.lock("UpdateGroup")
	if err != nil {
		return scim.Group{}, err
	}
	defer unlock()
	r, err := find(m.groups, src, id)
	if err != nil {
		return scim.Group{}, err
	}
	if _, err := change(m.group(r, related)); err != nil {
		return scim.Group{}, err
	}
	c, err := change(m.group(r, related))
	if err != nil {
		return scim.Group{}, err
	}
	m.change = c.Members
	if c.Empty() {
		return m.group(r, false), nil
	}
	if err := m.check(src, c.Members.Add); err != nil {
		return scim.Group{}, err
	}
	before := memberSet(r.members)
	after := maps.Clone(before)
	if c.Members.Clear {
		clear(after)
	}
	for _, gone := range c.Members.Remove {
		delete(after, gone)
	}
	for _, e := range c.Members.Add {
		if _, ok := after[e.Value]; !ok {
			after[e.Value] = e
		}
	}
	rows := 0
	for k := range before {
		if _, ok := after[k]; !ok {
			rows++
		}
	}
	for k := range after {
		if _, ok := before[k]; !ok {
			rows++
		}
	}
	if rows == 0 && (c.Attributes == nil || bytes.Equal(c.Attributes.Attributes, r.v.Attributes)) {
		return m.group(r, false), nil
	}
	m.written += rows
	if c.Attributes != nil {
		r.v.DisplayName, r.v.ExternalID, r.v.Attributes = c.Attributes.DisplayName, c.Attributes.ExternalID, c.Attributes.Attributes
	}
	r.members = slices.SortedFunc(maps.Values(after), func(a, b scim.Member) int { return strings.Compare(a.Value, b.Value) })
	r.v.Version++
	r.v.LastModified = m.tick()
	return m.group(r, false), nil
}

func memberSet(list []scim.Member) map[string]scim.Member {
	out := make(map[string]scim.Member, len(list))
	for _, e := range list {
		out[e.Value] = e
	}
	return out
}

func (m *memory) DeleteGroup(_ context.Context, src scim.Source, id string, allow func(int64) error) error {
	unlock, err := m.lock("DeleteGroup")
	if err != nil {
		return err
	}
	defer unlock()
	r, err := find(m.groups, src, id)
	if err != nil {
		return err
	}
	if err := allow(r.v.Version); err != nil {
		return err
	}
	delete(m.groups, id)
	return nil
}

// kept is what the store would put into its columns.
func (m *memory) kept(id string) scim.User {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users[id].v
}

// rewrite changes what is kept of a user, as if an earlier version had kept it.
func (m *memory) rewrite(id string, change func(doc map[string]any)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var doc map[string]any
	if err := json.Unmarshal(m.users[id].v.Attributes, &doc); err != nil {
		panic(err)
	}
	change(doc)
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	m.users[id].v.Attributes = b
}

var _ scim.Directory = (*memory)(nil)
