package scim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxSearchBytes limits the body of POST /.search.
const maxSearchBytes = 64 << 10

// selection is what attributes and excludedAttributes ask for.
type selection struct {
	include, exclude []string
}

func (s selection) given() bool { return len(s.include)+len(s.exclude) > 0 }

// parameters reads the query of a URL. Some clients leave spaces or colons as
// they are, which is fine; a broken escape is not.
func parameters(raw string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad(invalidValue, "the query of the URL is malformed")
	}
	return v, nil
}

func parseSelection(raw string) (selection, error) {
	v, err := parameters(raw)
	if err != nil {
		return selection{}, err
	}
	return selectionOf(v), nil
}

func selectionOf(v url.Values) selection {
	return selection{include: names(v["attributes"]), exclude: names(v["excludedAttributes"])}
}

// names splits comma-separated lists.
func names(lists []string) []string {
	var out []string
	for _, l := range lists {
		for n := range strings.SplitSeq(l, ",") {
			if n = strings.TrimSpace(n); n != "" {
				out = append(out, n)
			}
		}
	}
	return out
}

// choice is a set of attributes: whole extensions, whole attributes, or some
// sub-attributes. Keys are in lower case.
type choice map[string]map[string]map[string]bool

// choose makes a choice of a list of paths. Names that mean nothing are ignored.
func choose(t *resourceType, paths []string) choice {
	c := choice{}
	for _, s := range paths {
		p, ok := splitPath(t, s)
		if !ok {
			continue
		}
		ext := strings.ToLower(p.urn)
		if p.urn == t.core.id {
			ext = ""
			if p.name == "" {
				for _, a := range t.core.attributes {
					c.put("", a.name, "")
				}
				continue
			}
		}
		c.put(ext, p.name, p.sub)
		if ext != "" && t.extension(p.urn) == nil {
			c.put(strings.ToLower(s), "", "") // the URN of an unknown extension
		}
	}
	return c
}

// put adds an attribute. An empty name is all of the extension, an empty sub is
// all of the attribute; what is whole stays whole.
func (c choice) put(ext, name, sub string) {
	name, sub = strings.ToLower(name), strings.ToLower(sub)
	if c[ext] == nil {
		c[ext] = map[string]map[string]bool{}
	}
	subs, seen := c[ext][name]
	switch {
	case sub == "":
		c[ext][name] = nil
	case !seen:
		c[ext][name] = map[string]bool{sub: true}
	case subs != nil:
		subs[sub] = true
	}
}

// wants reports whether an attribute of the core schema is to be shown.
func (s selection) wants(t *resourceType, name string) bool {
	name = strings.ToLower(name)
	if len(s.include) > 0 {
		if _, ok := choose(t, s.include)[""][name]; !ok {
			return false
		}
	}
	subs, ok := choose(t, s.exclude)[""][name]
	return !ok || subs != nil
}

// project leaves of a resource what was asked for. schemas and id are always
// there.
func (s selection) project(t *resourceType, doc document) document {
	if len(s.include) > 0 {
		doc = choose(t, s.include).keep(t, doc)
	}
	if len(s.exclude) > 0 {
		doc = choose(t, s.exclude).drop(t, doc)
	}
	return doc
}

func (t *resourceType) alwaysShown(name string) bool {
	a := t.root(name)
	return a != nil && a.always
}

func (c choice) keep(t *resourceType, doc document) document {
	out := document{}
	for key, v := range doc {
		low := strings.ToLower(key)
		subs, whole := c[""][low]
		if attrs, ok := c[low]; ok && isURN(key) {
			inner, _ := v.(map[string]any)
			if _, all := attrs[""]; all {
				out[key] = v
			} else if kept := keepNames(inner, attrs); len(kept) > 0 {
				out[key] = kept
			}
			continue
		}
		switch {
		case t.alwaysShown(key):
			out[key] = v
		case whole:
			if kept := keepSubs(v, subs); kept != nil {
				out[key] = kept
			}
		}
	}
	return out
}

func keepNames(m map[string]any, attrs map[string]map[string]bool) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if subs, ok := attrs[strings.ToLower(k)]; ok {
			if kept := keepSubs(v, subs); kept != nil {
				out[k] = kept
			}
		}
	}
	return out
}

// keepSubs leaves the chosen sub-attributes; nil chooses all.
func keepSubs(v any, subs map[string]bool) any {
	return eachSub(v, subs == nil, func(name string) bool { return subs[name] })
}

func eachSub(v any, all bool, keep func(name string) bool) any {
	if all {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if keep(strings.ToLower(k)) {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if kept := eachSub(e, false, keep); kept != nil {
				out = append(out, kept)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return nil
}

func (c choice) drop(t *resourceType, doc document) document {
	out := document{}
	for key, v := range doc {
		low := strings.ToLower(key)
		if attrs, ok := c[low]; ok && isURN(key) {
			inner, _ := v.(map[string]any)
			if kept := dropNames(inner, attrs); len(kept) > 0 {
				out[key] = kept
			}
			continue
		}
		subs, chosen := c[""][low]
		switch {
		case !chosen || t.alwaysShown(key):
			out[key] = v
		case subs != nil:
			if kept := dropSubs(v, subs); kept != nil {
				out[key] = kept
			}
		}
	}
	return out
}

func dropNames(m map[string]any, attrs map[string]map[string]bool) map[string]any {
	if _, all := attrs[""]; all {
		return nil
	}
	out := map[string]any{}
	for k, v := range m {
		subs, chosen := attrs[strings.ToLower(k)]
		switch {
		case !chosen:
			out[k] = v
		case subs != nil:
			if kept := dropSubs(v, subs); kept != nil {
				out[k] = kept
			}
		}
	}
	return out
}

func dropSubs(v any, subs map[string]bool) any {
	return eachSub(v, false, func(name string) bool { return !subs[name] })
}

// listing is what a client asks of a list.
type listing struct {
	selection
	filter     *node
	filterText string
	sortBy     string
	descending bool
	start      int // 1-based; of pages by index
	count      int
	// byCursor asks for pages by cursor; the first has an empty one.
	byCursor bool
	cursor   string
}

func (h *Handler) listingFromURL(r *http.Request) (listing, error) {
	v, err := parameters(r.URL.RawQuery)
	if err != nil {
		return listing{}, err
	}
	l := listing{
		selection: selectionOf(v), sortBy: v.Get("sortBy"), descending: descending(v.Get("sortOrder")),
		byCursor: v.Has("cursor"), cursor: v.Get("cursor"),
	}
	if err := h.paging(&l, v.Get("startIndex"), v.Get("count")); err != nil {
		return listing{}, err
	}
	return h.listing(l, v.Get("filter"))
}

// paging reads startIndex and count, each empty if it is not given.
func (h *Handler) paging(l *listing, start, count string) (err error) {
	if l.byCursor && start != "" {
		return bad(invalidValue, "startIndex and cursor are two ways to ask for a page: give one of them")
	}
	if l.start, err = whole("startIndex", start, 1); err != nil {
		return err
	}
	l.count, err = whole("count", count, h.cfg.PageSize)
	if l.byCursor && (err != nil || l.count < 1) {
		return bad(invalidCount, "count must be a whole number between 1 and %d", h.cfg.MaxPageSize)
	}
	return err
}

func (h *Handler) listingFromBody(c *call) (listing, error) {
	raw, err := h.body(c, maxSearchBytes)
	if err != nil {
		return listing{}, err
	}
	if f := checkSchemas(raw, urnSearch, false); f != nil {
		return listing{}, f
	}
	var l listing
	var filter, order string
	for name, to := range map[string]*string{"filter": &filter, "sortBy": &l.sortBy, "sortOrder": &order, "cursor": &l.cursor} {
		if v, _ := lookup(raw, name); v != nil {
			s, ok := v.(string)
			if !ok {
				return listing{}, bad(invalidValue, "%s must be a string", name)
			}
			*to = s
			l.byCursor = l.byCursor || name == "cursor"
		}
	}
	l.descending = descending(order)
	for name, to := range map[string]*[]string{"attributes": &l.include, "excludedAttributes": &l.exclude} {
		v, _ := lookup(raw, name)
		for _, e := range spread(v) {
			s, ok := e.(string)
			if !ok {
				return listing{}, bad(invalidValue, "%s must be an array of strings", name)
			}
			*to = append(*to, names([]string{s})...)
		}
	}
	var start, count string
	for name, to := range map[string]*string{"startIndex": &start, "count": &count} {
		v, _ := lookup(raw, name)
		if v == nil {
			continue
		}
		*to = "not a number"
		if n, ok := v.(json.Number); ok {
			*to = n.String()
		}
	}
	if err := h.paging(&l, start, count); err != nil {
		return listing{}, err
	}
	return h.listing(l, filter)
}

// listing puts the numbers into their bounds and parses the filter.
func (h *Handler) listing(l listing, filter string) (listing, error) {
	l.start = max(l.start, 1)
	l.count = min(max(l.count, 0), h.cfg.MaxPageSize)
	if l.filterText = strings.TrimSpace(filter); l.filterText == "" {
		return l, nil
	}
	n, f := parseFilter(filter)
	if f != nil {
		return listing{}, f
	}
	l.filter = n
	return l, nil
}

func descending(order string) bool { return strings.EqualFold(order, "descending") }

func whole(name, s string, def int) (int, error) {
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, bad(invalidValue, "%s must be a whole number", name)
	}
	return int(min(max(n, math.MinInt32), math.MaxInt32)), nil
}

// sortKey finds what a list can be ordered by; what it cannot is ignored.
func sortKey(t *resourceType, sorts map[string]SortKey, by string) SortKey {
	p, ok := splitPath(t, by)
	if !ok {
		return SortNone
	}
	g, ok := t.resolve(p)
	if !ok || g.ext != "" {
		return SortNone
	}
	name := g.name
	if g.sub != "" {
		name += "." + g.sub
	}
	return sorts[name]
}

// listQuery makes what the store is asked of what the client asks. at is nil for a page
// by index. lenient is for lists of several types. render shows the client's view to
// the filter. none says that no resource of the type can match: there is nothing to ask.
func listQuery[T any](t *resourceType, l listing, at *cursor, lenient bool, columns map[string]Attribute, sorts map[string]SortKey, related string, render func(T) (document, error)) (q Query[T], none bool, err error) {
	q = Query[T]{
		Sort:       sortKey(t, sorts, l.sortBy),
		Descending: l.descending,
		Offset:     l.start - 1,
		Count:      l.count,
	}
	if at != nil {
		q.Behind, q.NoTotal = &at.Behind, !at.first()
	}
	if l.filter == nil {
		return q, false, nil
	}
	s := scope{typ: t, lenient: lenient}
	if _, f := s.bind(l.filter); f != nil {
		return q, false, f
	}
	filter, always := s.settle(l.filter)
	if filter == nil {
		return q, !always, nil
	}
	where, rest := t.pushDown(filter, columns)
	q.Where = where
	if rest == nil {
		return q, false, nil
	}
	match, f := s.bind(rest)
	if f != nil {
		return q, false, f
	}
	// To count what only the filter knows is to read everything, for each page.
	q.NoTotal = at != nil
	q.MatchRelated = t.mentions(rest, related)
	q.Match = func(r T) bool {
		doc, err := render(r)
		return err == nil && match(doc)
	}
	return q, false, nil
}

func (h *Handler) userQuery(c *call, l listing, at *cursor, lenient bool) (q Query[User], none bool, err error) {
	return listQuery(h.users, l, at, lenient, userColumns, userSorts, "groups", func(u User) (document, error) {
		return h.renderUser(c.base, u)
	})
}

func (h *Handler) groupQuery(c *call, l listing, at *cursor, lenient bool) (q Query[Group], none bool, err error) {
	return listQuery(h.groups, l, at, lenient, groupColumns, groupSorts, "members", func(g Group) (document, error) {
		return h.renderGroup(c.base, g)
	})
}

// part is a page of one type of resource.
type part struct {
	resources []any
	total     *int // nil: not known
	more      bool
	last      Position
}

// partOf makes a part of what the store gave for a query.
func partOf[T any](q Query[T], page Page[T], show func(T) (any, error)) (part, error) {
	out := part{resources: make([]any, 0, len(page.Items)), more: page.More, last: page.Last}
	if !q.NoTotal {
		out.total = &page.Total
	}
	for _, item := range page.Items {
		resource, err := show(item)
		if err != nil {
			return part{}, err
		}
		out.resources = append(out.resources, resource)
	}
	return out, nil
}

func (h *Handler) listUsers(c *call) error {
	l, err := h.listingFromURL(c.r)
	if err != nil {
		return err
	}
	return h.findUsers(c, l)
}

func (h *Handler) searchUsers(c *call) error {
	l, err := h.listingFromBody(c)
	if err != nil {
		return err
	}
	return h.findUsers(c, l)
}

func (h *Handler) findUsers(c *call, l listing) error {
	at, err := h.begin(c, l, h.users.name)
	if err != nil {
		return err
	}
	users, err := h.pageOfUsers(c, l, at, false)
	if err != nil {
		return err
	}
	return h.answerPart(c, l, h.users.name, at, users)
}

func (h *Handler) pageOfUsers(c *call, l listing, at *cursor, lenient bool) (part, error) {
	q, none, err := h.userQuery(c, l, at, lenient)
	if err != nil || none {
		return part{total: new(int)}, err
	}
	q.Related = l.wants(h.users, "groups")
	page, err := h.cfg.Directory.ListUsers(c.r.Context(), c.src, q)
	if err != nil {
		return part{}, fmt.Errorf("list users: %w", err)
	}
	return partOf(q, page, func(u User) (any, error) {
		doc, err := h.renderUser(c.base, u)
		return l.project(h.users, doc), err
	})
}

func (h *Handler) listGroups(c *call) error {
	l, err := h.listingFromURL(c.r)
	if err != nil {
		return err
	}
	return h.findGroups(c, l)
}

func (h *Handler) searchGroups(c *call) error {
	l, err := h.listingFromBody(c)
	if err != nil {
		return err
	}
	return h.findGroups(c, l)
}

func (h *Handler) findGroups(c *call, l listing) error {
	at, err := h.begin(c, l, h.groups.name)
	if err != nil {
		return err
	}
	groups, err := h.pageOfGroups(c, l, at, false)
	if err != nil {
		return err
	}
	return h.answerPart(c, l, h.groups.name, at, groups)
}

func (h *Handler) pageOfGroups(c *call, l listing, at *cursor, lenient bool) (part, error) {
	q, none, err := h.groupQuery(c, l, at, lenient)
	if err != nil || none {
		return part{total: new(int)}, err
	}
	page, err := h.cfg.Directory.ListGroups(c.r.Context(), c.src, q)
	if err != nil {
		return part{}, fmt.Errorf("list groups: %w", err)
	}
	return partOf(q, page, func(g Group) (any, error) { return h.groupResource(c, g, l.selection) })
}

func (h *Handler) queryAll(c *call) error {
	l, err := h.listingFromURL(c.r)
	if err != nil {
		return err
	}
	return h.findAll(c, l)
}

func (h *Handler) searchAll(c *call) error {
	l, err := h.listingFromBody(c)
	if err != nil {
		return err
	}
	return h.findAll(c, l)
}

// allTypes is what cursors call a list of users and groups.
const allTypes = "all"

// findAll lists users and then groups, as if they were one list.
func (h *Handler) findAll(c *call, l listing) error {
	at, err := h.begin(c, l, allTypes)
	if err != nil {
		return err
	}
	if at != nil {
		return h.findAllByCursor(c, l, *at)
	}
	rest := l
	users, err := h.pageOfUsers(c, l, nil, true)
	if err != nil {
		return err
	}
	rest.start = max(l.start-*users.total, 1)
	rest.count -= len(users.resources)
	groups, err := h.pageOfGroups(c, rest, nil, true)
	if err != nil {
		return err
	}
	total := *users.total + *groups.total
	return h.answerList(c, page{resources: append(users.resources, groups.resources...), total: &total, start: l.start})
}

func (h *Handler) findAllByCursor(c *call, l listing, at cursor) (err error) {
	var users, groups part
	inGroups, rest := at, l
	if !at.Groups {
		if users, err = h.pageOfUsers(c, l, &at, true); err != nil {
			return err
		}
		inGroups.Groups, inGroups.Behind = true, Position{}
		rest.count -= len(users.resources)
	}
	if !users.more || at.first() {
		if groups, err = h.pageOfGroups(c, rest, &inGroups, true); err != nil {
			return err
		}
	}
	if at.first() && users.total != nil && groups.total != nil {
		total := *users.total + *groups.total
		at.Total, inGroups.Total = &total, &total
	}
	out := page{resources: append(users.resources, groups.resources...), total: at.Total}
	switch {
	case users.more:
		at.Behind = users.last
		out.next, err = h.next(c, l, allTypes, at)
	case groups.more:
		inGroups.Behind = groups.last
		out.next, err = h.next(c, l, allTypes, inGroups)
	}
	if err != nil {
		return err
	}
	return h.answerList(c, out)
}

// answerPart answers with a list of one type.
func (h *Handler) answerPart(c *call, l listing, kind string, at *cursor, p part) (err error) {
	out := page{resources: p.resources, total: p.total, start: l.start}
	if at != nil {
		if at.first() {
			at.Total = p.total
		}
		out.total, out.start, at.Behind = at.Total, 0, p.last
		if p.more {
			if out.next, err = h.next(c, l, kind, *at); err != nil {
				return err
			}
		}
	}
	return h.answerList(c, out)
}

// page is an answer with resources.
type page struct {
	resources []any
	total     *int   // nil: not known
	start     int    // 0: by cursor
	next      string // empty: there is no more, or it is by index
}

func (h *Handler) answerList(c *call, p page) error {
	answer := map[string]any{"schemas": []string{urnList}, "itemsPerPage": len(p.resources)}
	if p.total != nil {
		answer["totalResults"] = *p.total
	}
	if p.start > 0 {
		answer["startIndex"] = p.start
	}
	if p.next != "" {
		answer["nextCursor"] = p.next
	}
	head, err := encode(answer)
	if err != nil {
		return err
	}
	return h.stream(c, http.StatusOK, func(b *bufio.Writer) error {
		separator := string(head[:len(head)-1]) + `,"Resources":[`
		for _, r := range p.resources {
			if _, err := b.WriteString(separator); err != nil {
				return gone(err)
			}
			if err := h.writeResource(c, b, r); err != nil {
				return err
			}
			separator = ","
		}
		if len(p.resources) > 0 {
			separator = ""
		}
		_, err := b.WriteString(separator + "]}")
		return gone(err)
	})
}
