package demoapp

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// store holds the users and groups and the ways to find them.
type store struct {
	mu         sync.RWMutex
	users      map[string]*user
	byName     map[string]*user             // lower-case userName
	byExternal map[string]map[string]*user  // externalId -> id
	in         map[string]map[string]*group // id of a user -> its groups
	groups     map[string]*group
	byDisplay  map[string]map[string]*group // lower-case displayName -> id
	file       *os.File                     // nil: memory alone
	closed     bool
}

// record is one line of the file. One field is set.
type record struct {
	User      *user       `json:"user,omitempty"`
	UserGone  string      `json:"userGone,omitempty"`
	Group     *group      `json:"group,omitempty"`
	GroupGone string      `json:"groupGone,omitempty"`
	Join      *membership `json:"join,omitempty"`
	Leave     *membership `json:"leave,omitempty"`
}

type membership struct {
	Group string `json:"group"`
	User  string `json:"user"`
}

// open reads the file, writes it anew without what has been overtaken, and keeps it open for the changes to come.
func open(name string) (*store, error) {
	s := &store{
		users: map[string]*user{}, byName: map[string]*user{}, byExternal: map[string]map[string]*user{},
		in: map[string]map[string]*group{}, groups: map[string]*group{}, byDisplay: map[string]map[string]*group{},
	}
	if name == "" {
		return s, nil
	}
	if err := s.load(name); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if err := s.compact(name); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s.file = f
	return s, nil
}

func (s *store) load(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without an end was being written when the process ended: it was never answered
		}
		if err != nil {
			return err
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("line %d is not a record of this app: %w", n, err)
		}
		s.apply(r)
	}
}

func (s *store) compact(name string) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	write := func() error {
		for _, u := range s.sortedUsers() {
			if err := enc.Encode(record{User: u}); err != nil {
				return err
			}
		}
		for _, g := range s.sortedGroups() {
			if err := enc.Encode(record{Group: g}); err != nil {
				return err
			}
			for id := range g.members {
				if err := enc.Encode(record{Join: &membership{g.ID, id}}); err != nil {
					return err
				}
			}
		}
		return w.Flush()
	}
	if err := errors.Join(write(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// commit writes the changes down and then makes them. Under the lock.
func (s *store) commit(records ...record) error {
	if s.closed {
		return fail(http.StatusServiceUnavailable, "", "The app is closing.")
	}
	if s.file != nil {
		var lines []byte
		for _, r := range records {
			b, err := json.Marshal(r)
			if err != nil {
				return fmt.Errorf("write change: %w", err)
			}
			lines = append(append(lines, b...), '\n')
		}
		if _, err := s.file.Write(lines); err != nil {
			return fmt.Errorf("write change: %w", err)
		}
	}
	for _, r := range records {
		s.apply(r)
	}
	return nil
}

// apply makes one change in memory. It fits any state, so that a file can always be read.
func (s *store) apply(r record) {
	switch {
	case r.User != nil:
		s.dropUser(r.User.ID)
		s.users[r.User.ID] = r.User
		s.byName[strings.ToLower(r.User.UserName)] = r.User
		if r.User.ExternalID != "" {
			put(s.byExternal, r.User.ExternalID, r.User.ID, r.User)
		}
	case r.UserGone != "":
		s.dropUser(r.UserGone)
		for _, g := range s.in[r.UserGone] {
			delete(g.members, r.UserGone)
		}
		delete(s.in, r.UserGone)
	case r.Group != nil:
		g := s.groups[r.Group.ID]
		if g == nil {
			g = &group{ID: r.Group.ID, members: map[string]struct{}{}}
			s.groups[g.ID] = g
		} else {
			drop(s.byDisplay, strings.ToLower(g.DisplayName), g.ID)
		}
		g.DisplayName, g.Created, g.Modified = r.Group.DisplayName, r.Group.Created, r.Group.Modified
		put(s.byDisplay, strings.ToLower(g.DisplayName), g.ID, g)
	case r.GroupGone != "":
		if g := s.groups[r.GroupGone]; g != nil {
			drop(s.byDisplay, strings.ToLower(g.DisplayName), g.ID)
			for id := range g.members {
				drop(s.in, id, g.ID)
			}
			delete(s.groups, g.ID)
		}
	case r.Join != nil:
		if g := s.groups[r.Join.Group]; g != nil && s.users[r.Join.User] != nil {
			g.members[r.Join.User] = struct{}{}
			put(s.in, r.Join.User, g.ID, g)
		}
	case r.Leave != nil:
		if g := s.groups[r.Leave.Group]; g != nil {
			delete(g.members, r.Leave.User)
			drop(s.in, r.Leave.User, g.ID)
		}
	}
}

func (s *store) dropUser(id string) {
	old := s.users[id]
	if old == nil {
		return
	}
	delete(s.users, id)
	if s.byName[strings.ToLower(old.UserName)] == old {
		delete(s.byName, strings.ToLower(old.UserName))
	}
	drop(s.byExternal, old.ExternalID, id)
}

func put[T any](m map[string]map[string]T, key, id string, v T) {
	if m[key] == nil {
		m[key] = map[string]T{}
	}
	m[key][id] = v
}

func drop[T any](m map[string]map[string]T, key, id string) {
	if delete(m[key], id); len(m[key]) == 0 {
		delete(m, key)
	}
}

// now is to the millisecond, as clients keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// newID makes ids that sort by when they were made.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (s *store) createUser(in userBody) (shownUser, error) {
	u := &user{ID: newID(), Created: now()}
	u.Modified = u.Created
	if err := in.replace(u); err != nil {
		return shownUser{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[strings.ToLower(u.UserName)] != nil {
		return shownUser{}, taken()
	}
	if err := s.commit(record{User: u}); err != nil {
		return shownUser{}, err
	}
	return shownUser{user: u}, nil
}

func taken() error {
	return fail(http.StatusConflict, "uniqueness", "There is an account with this userName.")
}

// changeUser lets change work on a copy. When nothing came of it, the account is left as it is, with its time of change.
func (s *store) changeUser(id string, change func(*user) error) (shownUser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.users[id]
	if old == nil {
		return shownUser{}, notFound("account", id)
	}
	u := *old
	if err := change(&u); err != nil {
		return shownUser{}, err
	}
	if other := s.byName[strings.ToLower(u.UserName)]; other != nil && other != old {
		return shownUser{}, taken()
	}
	if reflect.DeepEqual(u, *old) {
		return s.show(old), nil
	}
	u.Modified = now()
	if err := s.commit(record{User: &u}); err != nil {
		return shownUser{}, err
	}
	return s.show(&u), nil
}

func (s *store) deleteUser(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[id] == nil {
		return notFound("account", id)
	}
	return s.commit(record{UserGone: id})
}

func (s *store) user(id string) (shownUser, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u := s.users[id]
	if u == nil {
		return shownUser{}, notFound("account", id)
	}
	return s.show(u), nil
}

func notFound(what, id string) error {
	return fail(http.StatusNotFound, "", "There is no %s %.80q.", what, id)
}

func (s *store) show(u *user) shownUser {
	out := shownUser{user: u}
	for _, g := range s.in[u.ID] {
		out.in = append(out.in, reference{Value: g.ID, Display: g.DisplayName})
	}
	slices.SortFunc(out.in, func(a, b reference) int { return cmp.Compare(a.Value, b.Value) })
	return out
}

func (s *store) sortedUsers() []*user {
	out := make([]*user, 0, len(s.users))
	for _, u := range s.users {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *user) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (s *store) sortedGroups() []*group {
	out := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (s *store) findUsers(f filter) ([]shownUser, error) {
	if err := known(f, (*user).is); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	hits := map[string]*user{}
	scan := len(f) == 0
	for _, terms := range f {
		candidates, ok := s.userIndex(terms)
		if !ok {
			scan = true
			break
		}
		for _, u := range candidates {
			if all(u, terms, (*user).is) {
				hits[u.ID] = u
			}
		}
	}
	if scan {
		for _, u := range s.users {
			if matches(u, f, (*user).is) {
				hits[u.ID] = u
			}
		}
	}
	out := make([]shownUser, 0, len(hits))
	for _, u := range hits {
		out = append(out, s.show(u))
	}
	slices.SortFunc(out, func(a, b shownUser) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// userIndex returns all users that can match, when one of the terms is indexed.
func (s *store) userIndex(terms []term) ([]*user, bool) {
	for _, t := range terms {
		var u *user
		switch t.attribute {
		case "id":
			u = s.users[t.value]
		case "username":
			u = s.byName[strings.ToLower(t.value)]
		case "externalid":
			var out []*user
			for _, u := range s.byExternal[t.value] {
				out = append(out, u)
			}
			return out, true
		default:
			continue
		}
		if u == nil {
			return nil, true
		}
		return []*user{u}, true
	}
	return nil, false
}

// is says whether a term holds; known is false for an attribute that cannot be filtered by.
func (u *user) is(t term) (holds, known bool) {
	switch t.attribute {
	case "id":
		return u.ID == t.value, true
	case "username":
		return strings.EqualFold(u.UserName, t.value), true
	case "externalid":
		return u.ExternalID == t.value, true
	case "displayname":
		return strings.EqualFold(u.DisplayName, t.value), true
	case "active":
		return fmt.Sprint(u.Active) == t.value, true
	case "emails", "emails.value":
		return slices.ContainsFunc(u.Emails, func(e multi) bool { return strings.EqualFold(e.Value, t.value) }), true
	case "roles", "roles.value":
		return slices.ContainsFunc(u.Roles, func(e multi) bool { return e.Value == t.value }), true
	}
	return false, false
}

func (g *group) is(t term) (holds, known bool) {
	switch t.attribute {
	case "id":
		return g.ID == t.value, true
	case "displayname":
		return strings.EqualFold(g.DisplayName, t.value), true
	case "members", "members.value":
		_, ok := g.members[t.value]
		return ok, true
	}
	return false, false
}

func known[T any](f filter, is func(*T, term) (bool, bool)) error {
	for _, terms := range f {
		for _, t := range terms {
			if _, ok := is(new(T), t); !ok {
				return badFilter("%.80q cannot be filtered by.", t.attribute)
			}
		}
	}
	return nil
}

func all[T any](v *T, terms []term, is func(*T, term) (bool, bool)) bool {
	for _, t := range terms {
		if holds, _ := is(v, t); !holds {
			return false
		}
	}
	return true
}

func matches[T any](v *T, f filter, is func(*T, term) (bool, bool)) bool {
	return len(f) == 0 || slices.ContainsFunc(f, func(terms []term) bool { return all(v, terms, is) })
}

func (s *store) seedGroup(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byDisplay[strings.ToLower(name)]) > 0 {
		return nil
	}
	return s.commit(record{Group: &group{ID: newID(), DisplayName: name, Created: now(), Modified: now()}})
}

func (s *store) createGroup(in groupBody) (shownGroup, error) {
	if strings.TrimSpace(in.DisplayName) == "" {
		return shownGroup{}, fail(http.StatusBadRequest, "invalidValue", "displayName is missing.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byDisplay[strings.ToLower(in.DisplayName)]) > 0 {
		return shownGroup{}, fail(http.StatusConflict, "uniqueness", "There is a group with this displayName.")
	}
	at := now()
	records := []record{{Group: &group{ID: newID(), DisplayName: in.DisplayName, Created: at, Modified: at}}}
	for _, m := range in.Members {
		if s.users[m.Value] == nil {
			return shownGroup{}, notMember(m.Value)
		}
		records = append(records, record{Join: &membership{records[0].Group.ID, m.Value}})
	}
	if err := s.commit(records...); err != nil {
		return shownGroup{}, err
	}
	return s.showGroup(s.groups[records[0].Group.ID], true), nil
}

func notMember(id string) error {
	return fail(http.StatusBadRequest, "invalidValue", "There is no account %.80q that could be a member.", id)
}

func (s *store) group(id string, members bool) (shownGroup, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.groups[id]
	if g == nil {
		return shownGroup{}, notFound("group", id)
	}
	return s.showGroup(g, members), nil
}

func (s *store) showGroup(g *group, members bool) shownGroup {
	out := shownGroup{group: *g}
	out.group.members = nil
	if members {
		for id := range g.members {
			out.members = append(out.members, reference{Value: id, Display: s.users[id].UserName})
		}
		slices.SortFunc(out.members, func(a, b reference) int { return cmp.Compare(a.Value, b.Value) })
	}
	return out
}

func (s *store) findGroups(f filter, members bool) ([]shownGroup, error) {
	if err := known(f, (*group).is); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	candidates := s.groups
	if len(f) == 1 && len(f[0]) == 1 && f[0][0].attribute == "displayname" {
		candidates = s.byDisplay[strings.ToLower(f[0][0].value)]
	}
	out := make([]shownGroup, 0, len(candidates))
	for _, g := range candidates {
		if matches(g, f, (*group).is) {
			out = append(out, s.showGroup(g, members))
		}
	}
	slices.SortFunc(out, func(a, b shownGroup) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (s *store) deleteGroup(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[id] == nil {
		return notFound("group", id)
	}
	return s.commit(record{GroupGone: id})
}

// patchGroup makes all the changes or none. Changes that are already so are not written down.
func (s *store) patchGroup(id string, ops []operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		return notFound("group", id)
	}
	var records []record
	changed := map[string]bool{} // members as they will be, where that differs
	isMember := func(id string) bool {
		if is, ok := changed[id]; ok {
			return is
		}
		_, is := g.members[id]
		return is
	}
	join := func(user string) error {
		if s.users[user] == nil {
			return notMember(user)
		}
		if !isMember(user) {
			changed[user] = true
			records = append(records, record{Join: &membership{id, user}})
		}
		return nil
	}
	leave := func(user string) {
		if isMember(user) {
			changed[user] = false
			records = append(records, record{Leave: &membership{id, user}})
		}
	}
	leaveAllBut := func(stay []multi) {
		current := make([]string, 0, len(g.members)+len(changed))
		for user := range g.members {
			current = append(current, user)
		}
		for user := range changed {
			current = append(current, user)
		}
		for _, user := range current {
			if !slices.ContainsFunc(stay, func(m multi) bool { return m.Value == user }) {
				leave(user)
			}
		}
	}
	next := group{ID: id, DisplayName: g.DisplayName, Created: g.Created}
	for _, op := range ops {
		attribute, where, err := op.path()
		if err != nil {
			return err
		}
		switch {
		case attribute == "displayname" && where == nil:
			if err := set(op, &next.DisplayName); err != nil {
				return err
			}
			if strings.TrimSpace(next.DisplayName) == "" {
				return fail(http.StatusBadRequest, "invalidValue", "displayName cannot be empty.")
			}
		case attribute == "members" && where != nil && op.Op == "remove":
			if len(where) != 1 || where[0].attribute != "value" {
				return fail(http.StatusBadRequest, "invalidPath", "Members are chosen by value.")
			}
			leave(where[0].value)
		case attribute == "members" && where == nil && op.Op == "remove" && len(op.Value) > 0:
			// Not in the standard, and what some clients send to take out these and no others.
			values, err := op.values()
			if err != nil {
				return err
			}
			for _, m := range values {
				leave(m.Value)
			}
		case attribute == "members" && where == nil && op.Op == "remove":
			leaveAllBut(nil)
		case attribute == "members" && where == nil:
			values, err := op.values()
			if err != nil {
				return err
			}
			if op.Op == "replace" {
				leaveAllBut(values)
			}
			for _, m := range values {
				if err := join(m.Value); err != nil {
					return err
				}
			}
		default:
			return fail(http.StatusBadRequest, "invalidPath", "There is no attribute %.80q.", op.Path)
		}
	}
	if next.DisplayName != g.DisplayName {
		for other := range s.byDisplay[strings.ToLower(next.DisplayName)] {
			if other != id {
				return fail(http.StatusConflict, "uniqueness", "There is a group with this displayName.")
			}
		}
	}
	if len(records) == 0 && next.DisplayName == g.DisplayName {
		return nil
	}
	next.Modified = now()
	return s.commit(append(records, record{Group: &next})...)
}
