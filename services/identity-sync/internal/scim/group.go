package scim

import (
	"fmt"
	"slices"
	"strings"
)

// groupColumns are the attributes that a store finds groups by.
var groupColumns = map[string]Attribute{
	"id":                AttributeID,
	"externalId":        AttributeExternalID,
	"displayName":       AttributeDisplayName,
	"members.value":     AttributeMember,
	"meta.lastModified": AttributeLastModified,
}

// groupSorts are the attributes that groups can be ordered by.
var groupSorts = map[string]SortKey{
	"id":                SortID,
	"externalId":        SortExternalID,
	"displayName":       SortDisplayName,
	"meta.created":      SortCreated,
	"meta.lastModified": SortLastModified,
}

// newGroup makes what the store keeps of a document without members.
func newGroup(doc document, limit int64) (Group, error) {
	attributes, err := encodeDocument(doc, limit)
	if err != nil {
		return Group{}, err
	}
	return Group{
		ExternalID:  str(doc, "externalId"),
		DisplayName: str(doc, "displayName"),
		Attributes:  attributes,
	}, nil
}

// splitMembers takes the members out of what a client sent, before the rest is
// made a document, because there may be many thousands of them.
func (t *resourceType) splitMembers(raw map[string]any) ([]Member, *failure) {
	set := newMemberSet()
	for _, in := range []map[string]any{raw, object(raw, t.core.id)} {
		for _, key := range sortedKeys(in) {
			p, ok := splitPath(t, key)
			if !ok || !strings.EqualFold(p.name, "members") || p.sub != "" || (p.urn != "" && p.urn != t.core.id) {
				continue
			}
			list, err := readMembers(in[key])
			if err != nil {
				return nil, err
			}
			set.add(list)
			delete(in, key)
		}
	}
	return set.change().Add, nil
}

func object(m map[string]any, name string) map[string]any {
	v, _ := lookup(m, name)
	o, _ := v.(map[string]any)
	return o
}

// readMembers reads an array of members, or one.
func readMembers(v any) ([]Member, *failure) {
	list := spread(v)
	out := make([]Member, 0, len(list))
	for _, e := range list {
		if e == nil {
			continue
		}
		m, ok := e.(map[string]any)
		if !ok {
			m = map[string]any{"value": e}
		}
		id, _ := lookup(m, "value")
		text, _ := id.(string)
		if text == "" || len(text) > maxText {
			return nil, bad(invalidValue, "a member must have the id of a user as its value")
		}
		member := Member{Value: text}
		if k, _ := lookup(m, "type"); k != nil {
			switch kind, _ := k.(string); {
			case strings.EqualFold(kind, "User"):
				member.Type = "User"
			case strings.EqualFold(kind, "Group"):
				member.Type = "Group"
			default:
				return nil, bad(invalidValue, "a member's type must be User or Group")
			}
		}
		out = append(out, member)
	}
	return out, nil
}

// memberSet collects changes to the members one after the other, without
// knowing who is a member.
type memberSet struct {
	clear   bool
	added   map[string]Member
	removed map[string]bool
	order   []string
}

func newMemberSet() *memberSet {
	return &memberSet{added: map[string]Member{}, removed: map[string]bool{}}
}

func (s *memberSet) add(list []Member) {
	for _, m := range list {
		if _, ok := s.added[m.Value]; !ok {
			s.order = append(s.order, m.Value)
		}
		s.added[m.Value] = m
		delete(s.removed, m.Value)
	}
}

func (s *memberSet) remove(id string) {
	delete(s.added, id)
	if !s.clear {
		s.removed[id] = true
	}
}

func (s *memberSet) removeAll() {
	s.clear = true
	clear(s.added)
	clear(s.removed)
	s.order = nil
}

// change is the difference that comes of it all.
func (s *memberSet) change() MemberChange {
	c := MemberChange{Clear: s.clear}
	for _, id := range s.order {
		if m, ok := s.added[id]; ok {
			c.Add = append(c.Add, m)
			delete(s.added, id) // who was removed and added again is there twice
		}
	}
	for id := range s.removed {
		c.Remove = append(c.Remove, id)
	}
	slices.Sort(c.Remove)
	return c
}

// onMembers reports whether an operation is about the members of a group.
func (o *operation) onMembers() bool {
	a := o.target.attr
	return a != nil && a.name == "members" && o.target.ext == ""
}

// needsMembers reports whether an operation cannot be carried out without
// knowing the members: its filter is not about their ids alone.
func (o *operation) needsMembers() bool {
	return o.onMembers() && o.kind == patchRemove && o.filter != nil && o.memberIDs() == nil
}

// memberIDs are the ids that a filter such as `value eq "…"` selects, or nil.
func (o *operation) memberIDs() []string {
	var ids []string
	for _, e := range o.exact {
		id, ok := e.value.(string)
		if !ok || e.name != "value" || len(o.exact) > 1 {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// applyMembers carries one operation out. current are the members that the
// group has, if the operation needs to know.
func (s *memberSet) applyMembers(o *operation, current []Member) *failure {
	switch {
	case o.target.subAttr != nil:
		return bad(mutability, "what is said of a member cannot be changed; remove it and add another")
	case o.filter != nil && o.kind != patchRemove:
		return bad(mutability, "a member cannot be changed; remove it and add another")
	case o.filter != nil:
		if ids := o.memberIDs(); ids != nil {
			for _, id := range ids {
				s.remove(id)
			}
			return nil
		}
		s.removeMatching(o.filter, current)
		return nil
	case o.kind == patchRemove && o.value == nil:
		s.removeAll()
		return nil
	}
	list, err := readMembers(o.value)
	if err != nil {
		return err
	}
	switch o.kind {
	case patchRemove:
		if len(list) == 0 {
			return namesNobody(o.target.attr)
		}
		for _, m := range list {
			s.remove(m.Value)
		}
	case patchReplace:
		s.removeAll()
		s.add(list)
	default:
		s.add(list)
	}
	return nil
}

func (s *memberSet) removeMatching(match predicate, current []Member) {
	test := func(m Member) {
		e := map[string]any{"value": m.Value}
		if m.Type != "" {
			e["type"] = m.Type
		}
		if m.Display != "" {
			e["display"] = m.Display
		}
		if match(e) {
			s.remove(m.Value)
		}
	}
	if !s.clear {
		for _, m := range current {
			test(m)
		}
	}
	for _, id := range slices.Clone(s.order) {
		if m, ok := s.added[id]; ok {
			test(m)
		}
	}
}

// changeGroup says what becomes of a group by PATCH.
func (h *Handler) changeGroup(current Group, ops []operation) (GroupChange, error) {
	before, err := h.groups.stored(current.Attributes)
	if err != nil {
		return GroupChange{}, err
	}
	after, _ := clone(before).(map[string]any)
	members := newMemberSet()
	for i := range ops {
		o := &ops[i]
		var fault *failure
		if o.onMembers() {
			fault = members.applyMembers(o, current.Members)
		} else {
			fault = h.groups.applyOne(after, o)
		}
		if fault != nil {
			return GroupChange{}, fault
		}
	}
	h.groups.sweep(after)
	if fault := h.groups.complete(after); fault != nil {
		return GroupChange{}, fault
	}
	return h.groupChange(before, after, members.change())
}

// groupChange is the difference between two documents, and of the members.
func (h *Handler) groupChange(before, after document, members MemberChange) (GroupChange, error) {
	c := GroupChange{Members: members}
	if same(before, after) {
		return c, nil
	}
	g, err := newGroup(after, h.cfg.MaxGroupBytes)
	if err != nil {
		return GroupChange{}, err
	}
	c.Attributes = &g
	return c, nil
}

// renderGroup is the group as the client reads it.
func (h *Handler) renderGroup(base string, g Group) (document, error) {
	doc, err := h.groups.stored(g.Attributes)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", g.ID, err)
	}
	doc["schemas"] = h.groups.schemasOf(doc)
	doc["id"] = g.ID
	doc["meta"] = h.groups.meta(base, g.ID, g.Version, g.Created, g.LastModified)
	if len(g.Members) > 0 {
		doc["members"] = h.renderGroupMembers(base, g.Members)
	}
	return doc, nil
}

func (h *Handler) renderGroupMembers(base string, members []Member) []any {
	return renderMembers(members, func(m Member) string {
		if m.Type == "Group" {
			return base + h.groups.endpoint
		}
		return base + h.users.endpoint
	})
}
