package scim

import (
	"bufio"
	"fmt"
	"net/http"
)

func (h *Handler) createUser(c *call) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	doc, err := h.userDocument(c, false)
	if err != nil {
		return err
	}
	if _, ok := doc["active"]; !ok {
		doc["active"] = true
	}
	u, err := newUser(doc, h.cfg.MaxUserBytes)
	if err != nil {
		return err
	}
	created, err := h.cfg.Directory.CreateUser(c.r.Context(), c.src, u)
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return h.answerUser(c, http.StatusCreated, created, sel)
}

// userDocument reads the body of POST and PUT.
func (h *Handler) userDocument(c *call, put bool) (document, error) {
	raw, err := h.body(c, h.cfg.MaxUserBytes)
	if err != nil {
		return nil, err
	}
	if f := checkSchemas(raw, urnUser, true); f != nil {
		return nil, f
	}
	if put {
		raw = h.users.withoutUnkept(raw)
	}
	doc, f := h.users.normalise(raw)
	if f != nil {
		return nil, f
	}
	if f := h.users.complete(doc); f != nil {
		return nil, f
	}
	return doc, nil
}

func (h *Handler) getUser(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	u, err := h.cfg.Directory.GetUser(c.r.Context(), c.src, id, sel.wants(h.users, "groups"))
	if err != nil {
		return fmt.Errorf("get user: %w", err)
	}
	if notModified(c.r, u.Version) {
		c.w.Header().Set("ETag", etag(u.Version))
		return c.empty(http.StatusNotModified)
	}
	return h.answerUser(c, http.StatusOK, u, sel)
}

func (h *Handler) putUser(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	doc, err := h.userDocument(c, true)
	if err != nil {
		return err
	}
	return h.changeUser(c, id, sel, func(before document) (document, *failure) {
		after, _ := clone(doc).(map[string]any)
		if _, ok := after["active"]; !ok {
			if v, ok := before["active"]; ok {
				after["active"] = v
			}
		}
		return after, nil
	})
}

func (h *Handler) patchUser(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	raw, err := h.body(c, h.cfg.MaxUserBytes)
	if err != nil {
		return err
	}
	ops, f := h.users.parsePatch(raw, maxUserOperations)
	if f != nil {
		return f
	}
	if f := checkID(ops, id); f != nil {
		return f
	}
	return h.changeUser(c, id, sel, func(before document) (document, *failure) {
		after, _ := clone(before).(map[string]any)
		return after, h.users.apply(after, ops)
	})
}

// checkID refuses an id in a value without a path that is another's.
func checkID(ops []operation, id string) *failure {
	for _, o := range ops {
		a := o.target.attr
		if o.implicit && a != nil && a.name == "id" && o.target.ext == "" && o.value != nil && o.value != any(id) {
			return bad(mutability, "id is read-only")
		}
	}
	return nil
}

// changeUser replaces a user's document by what change makes of it.
func (h *Handler) changeUser(c *call, id string, sel selection, change func(before document) (document, *failure)) error {
	updated, err := h.cfg.Directory.UpdateUser(c.r.Context(), c.src, id, func(current User) (User, bool, error) {
		if err := checkVersion(c.r, current.Version); err != nil {
			return User{}, false, err
		}
		before, err := h.users.stored(current.Attributes)
		if err != nil {
			return User{}, false, err
		}
		after, f := change(before)
		if f != nil {
			return User{}, false, f
		}
		if same(before, after) {
			return current, false, nil
		}
		next, err := newUser(after, h.cfg.MaxUserBytes)
		if err != nil {
			return User{}, false, err
		}
		next.ID, next.Version, next.Created, next.LastModified = current.ID, current.Version, current.Created, current.LastModified
		return next, true, nil
	})
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if sel.wants(h.users, "groups") {
		// Without them the answer would say that the user is in no group.
		if updated, err = h.cfg.Directory.GetUser(c.r.Context(), c.src, id, true); err != nil {
			return fmt.Errorf("get updated user: %w", err)
		}
	}
	return h.answerUser(c, http.StatusOK, updated, sel)
}

func (h *Handler) deleteUser(c *call, id string) error {
	err := h.cfg.Directory.DeleteUser(c.r.Context(), c.src, id, func(version int64) error {
		return checkVersion(c.r, version)
	})
	if err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return c.empty(http.StatusNoContent)
}

func (h *Handler) answerUser(c *call, status int, u User, sel selection) error {
	doc, err := h.renderUser(c.base, u)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(u.Version))
	c.w.Header().Set("Location", location(c.base, h.users, u.ID))
	return h.answer(c, status, sel.project(h.users, doc))
}

func (h *Handler) createGroup(c *call) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	doc, members, err := h.groupDocument(c)
	if err != nil {
		return err
	}
	g, err := newGroup(doc, h.cfg.MaxGroupBytes)
	if err != nil {
		return err
	}
	g.Members = members
	created, err := h.cfg.Directory.CreateGroup(c.r.Context(), c.src, g)
	if err != nil {
		return fmt.Errorf("create group: %w", err)
	}
	return h.answerGroup(c, http.StatusCreated, created, sel)
}

// groupDocument reads the body of POST and PUT.
func (h *Handler) groupDocument(c *call) (document, []Member, error) {
	raw, err := h.body(c, h.cfg.MaxGroupBytes)
	if err != nil {
		return nil, nil, err
	}
	if f := checkSchemas(raw, urnGroup, true); f != nil {
		return nil, nil, f
	}
	members, f := h.groups.splitMembers(raw)
	if f != nil {
		return nil, nil, f
	}
	doc, f := h.groups.normalise(raw)
	if f != nil {
		return nil, nil, f
	}
	if f := h.groups.complete(doc); f != nil {
		return nil, nil, f
	}
	return doc, members, nil
}

func (h *Handler) getGroup(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	g, err := h.cfg.Directory.GetGroup(c.r.Context(), c.src, id)
	if err != nil {
		return fmt.Errorf("get group: %w", err)
	}
	if notModified(c.r, g.Version) {
		c.w.Header().Set("ETag", etag(g.Version))
		return c.empty(http.StatusNotModified)
	}
	return h.answerGroup(c, http.StatusOK, g, sel)
}

func (h *Handler) putGroup(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	doc, members, err := h.groupDocument(c)
	if err != nil {
		return err
	}
	updated, err := h.cfg.Directory.UpdateGroup(c.r.Context(), c.src, id, false, func(current Group) (GroupChange, error) {
		if err := checkVersion(c.r, current.Version); err != nil {
			return GroupChange{}, err
		}
		before, err := h.groups.stored(current.Attributes)
		if err != nil {
			return GroupChange{}, err
		}
		return h.groupChange(before, doc, MemberChange{Clear: true, Add: members})
	})
	if err != nil {
		return fmt.Errorf("replace group: %w", err)
	}
	return h.answerGroup(c, http.StatusOK, updated, sel)
}

func (h *Handler) patchGroup(c *call, id string) error {
	sel, err := parseSelection(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	raw, err := h.body(c, h.cfg.MaxGroupBytes)
	if err != nil {
		return err
	}
	ops, f := h.groups.parsePatch(raw, maxGroupOperations)
	if f != nil {
		return f
	}
	if f := checkID(ops, id); f != nil {
		return f
	}
	related := false
	for i := range ops {
		related = related || ops[i].needsMembers()
	}
	updated, err := h.cfg.Directory.UpdateGroup(c.r.Context(), c.src, id, related, func(current Group) (GroupChange, error) {
		if err := checkVersion(c.r, current.Version); err != nil {
			return GroupChange{}, err
		}
		return h.changeGroup(current, ops)
	})
	if err != nil {
		return fmt.Errorf("update group: %w", err)
	}
	if !sel.given() && updated.MemberCount > h.cfg.MaxGroupAnswer {
		c.w.Header().Set("ETag", etag(updated.Version))
		c.w.Header().Set("Location", location(c.base, h.groups, updated.ID))
		return c.empty(http.StatusNoContent)
	}
	return h.answerGroup(c, http.StatusOK, updated, sel)
}

func (h *Handler) deleteGroup(c *call, id string) error {
	err := h.cfg.Directory.DeleteGroup(c.r.Context(), c.src, id, func(version int64) error {
		return checkVersion(c.r, version)
	})
	if err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	return c.empty(http.StatusNoContent)
}

func (h *Handler) answerGroup(c *call, status int, g Group, sel selection) error {
	resource, err := h.groupResource(c, g, sel)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(g.Version))
	c.w.Header().Set("Location", location(c.base, h.groups, g.ID))
	return h.stream(c, status, func(b *bufio.Writer) error { return h.writeGroup(c, b, resource) })
}
