package scim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const (
	listing = "list the groups"
	// readsOfPage is how often the app is asked for one page of ours, and searched how many groups it is asked for where
	// names are matched here.
	readsOfPage, searched = 10, 200
	// lastPosition is where a list ends at the latest.
	lastPosition = 100_000
	// longestRef is the longest id that is listed, in bytes.
	longestRef = 1000
)

// place is where a list goes on.
type place struct {
	// start is the place of the next group in what the app lists, from 1.
	start int
	// first tells whether a page begins with the first group of all: an app that does not know startIndex begins there again.
	first string
	// whole says that the app refused the filter, so that all groups are read.
	whole bool
}

// String is the place as text; it is empty where the list ends.
func (p place) String() string {
	switch {
	case p.start > lastPosition:
		return ""
	case p.whole:
		return strconv.Itoa(p.start) + " " + p.first + " whole"
	}
	return strconv.Itoa(p.start) + " " + p.first
}

// placeOf reads a place; empty is the first.
func placeOf(text string) (place, error) {
	if text == "" {
		return place{start: 1}, nil
	}
	parts := strings.Split(text, " ")
	if start, err := strconv.Atoi(parts[0]); err == nil && start > 1 && len(parts) > 1 {
		return place{start: start, first: parts[1], whole: len(parts) > 2}, nil
	}
	return place{}, connector.NewError(connector.Permanent, nil, "%s: not a place in this list", listing)
}

// ListEntitlements implements connector.Connector: groups, by id.
func (c *Connector) ListEntitlements(ctx context.Context, l connector.Listing) (connector.Page, error) {
	var page connector.Page
	if l.Kind != connector.Group {
		return page, notListed(l.Kind)
	}
	at, err := placeOf(l.After)
	if err != nil {
		return page, err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	wanted := strings.ToLower(l.Query)
	for range readsOfPage {
		groups, more, err := c.readGroups(ctx, &at, l)
		if err != nil {
			return connector.Page{}, err
		}
		for i, g := range groups {
			if g.ID != "" && len(g.ID) <= longestRef && strings.Contains(strings.ToLower(g.DisplayName), wanted) {
				page.Offers = append(page.Offers, connector.Offer{
					Entitlement: connector.Entitlement{Kind: connector.Group, Ref: g.ID}, Name: connector.Line(g.DisplayName),
				})
			}
			if len(page.Offers) == l.Size && (more || i+1 < len(groups)) {
				at.start += i + 1
				page.Next = at.String()
				return page, nil
			}
		}
		at.start += len(groups)
		if !more {
			return page, nil
		}
	}
	page.Next = at.String()
	return page, nil
}

// readGroups reads groups from a place on, and says whether there may be more behind them.
func (c *Connector) readGroups(ctx context.Context, at *place, l connector.Listing) (groups []group, more bool, err error) {
	count := l.Size + 1 // one more shows whether this page is the last
	if l.Query != "" {
		count = max(count, searched)
	}
	path := "/Groups?excludedAttributes=members&startIndex=" + strconv.Itoa(at.start) + "&count=" + strconv.Itoa(count)
	filtered := l.Query != "" && !at.whole
	if filtered {
		path += "&filter=" + query("displayName co "+quote(l.Query))
	}
	r, err := c.send(ctx, listing, http.MethodGet, path, nil, true)
	if err != nil {
		return nil, false, err
	}
	if filtered && at.start == 1 && (r.status == http.StatusBadRequest || r.status == http.StatusNotImplemented) {
		at.whole = true
		return c.readGroups(ctx, at, l)
	}
	if !r.ok() {
		return nil, false, c.refused(listing, r)
	}
	var answer list[group]
	if json.Unmarshal(r.body, &answer) != nil || !answer.valid() {
		return nil, false, notSCIM(listing)
	}
	groups = answer.Resources
	if len(groups) == 0 {
		return nil, false, nil
	}
	first := mark(groups[0].ID)
	switch {
	case at.start == 1:
		at.first = first
	case first == at.first:
		// The app does not know startIndex, and shows the same again.
		return groups[min(at.start-1, len(groups)):], false, nil
	}
	return groups, len(groups) >= count || answer.total() >= at.start+len(groups), nil
}

// mark tells one id from another, and is short however long the id is.
func mark(id string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// HasEntitlement implements connector.Connector.
func (c *Connector) HasEntitlement(ctx context.Context, e connector.Entitlement) (bool, error) {
	switch {
	case e.Kind != connector.Group:
		return false, notListed(e.Kind)
	case strings.TrimSpace(e.Ref) == "":
		return false, nil
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	// What was known a moment ago may have another name by now.
	id, sought, err := c.findGroup(ctx, e.Ref)
	if err != nil || id != "" {
		return err == nil, err
	}
	if sought {
		if sought, err = c.seeks(ctx); err != nil || sought {
			return false, err
		}
	}
	return false, c.listsNone(ctx, e.Ref)
}

const lookingForGroup = "look whether the app has the group"

// seeks reports whether the app finds a group by its name that it lists. What answers "no" to everything is no app that
// surely does not have it.
func (c *Connector) seeks(ctx context.Context) (bool, error) {
	groups, _, err := c.readGroups(ctx, &place{start: 1}, connector.Listing{Kind: connector.Group, Size: 1})
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(groups, func(g group) bool { return g.ID != "" && g.DisplayName != "" })
	if i < 0 {
		return false, nil
	}
	found, _, err := c.groupsNamed(ctx, lookingForGroup, groups[i].DisplayName)
	return slices.ContainsFunc(found, func(g group) bool { return g.ID == groups[i].ID }), err
}

// listsNone reads all groups of an app that does not search. It returns nil if they are all, and none has the name: if one
// has, Add does not find it by that.
func (c *Connector) listsNone(ctx context.Context, name string) error {
	seen := make(map[string]bool)
	for range readsOfPage {
		var answer list[group]
		path := "/Groups?excludedAttributes=members&startIndex=" + strconv.Itoa(len(seen)+1) + "&count=" + strconv.Itoa(searched)
		if err := c.read(ctx, lookingForGroup, path, &answer); err != nil {
			return err
		}
		if !answer.valid() {
			return notSCIM(lookingForGroup)
		}
		before := len(seen)
		for _, g := range answer.Resources {
			seen[g.ID] = true
			if strings.EqualFold(g.DisplayName, name) {
				return connector.NewError(connector.Permanent, nil, "%s: it lists one named %.80q and does not find it by its name; use its id", lookingForGroup, name)
			}
		}
		switch {
		case answer.TotalResults != nil && len(seen) >= *answer.TotalResults, answer.TotalResults == nil && len(answer.Resources) == 0:
			return nil
		case len(seen) == before:
			return notAll()
		}
	}
	return notAll()
}

func notAll() error {
	return connector.NewError(connector.Permanent, nil, "%s: it does not search by name, and does not show all that it has", lookingForGroup)
}

func notListed(kind string) error {
	return connector.NewError(connector.Permanent, connector.ErrNotListed, "SCIM does not tell what an app has of kind %.40q", kind)
}
