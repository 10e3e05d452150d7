package scim

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on the operations of one PATCH, counting each name in a value without
// a path as one.
const (
	maxUserOperations  = 250
	maxGroupOperations = 20000
)

// The PATCH operations.
const (
	patchAdd     = "add"
	patchReplace = "replace"
	patchRemove  = "remove"
)

// operation is one PATCH operation with its path taken apart.
type operation struct {
	kind  string
	value any
	// hasValue tells "value": null from no value.
	hasValue bool
	target   target
	// filter selects values of the attribute; nil selects all.
	filter predicate
	// exact are the equalities that make up the filter, if it is nothing else.
	exact []equality
	// implicit is set if the path came as a name in the value of an operation
	// without a path.
	implicit bool
	// refused is why an operation on a client's own extension cannot be carried out;
	// what it is about is not known then.
	refused *failure
}

// equality is a sub-attribute and the value it must have.
type equality struct {
	name  string
	value any
}

// parsePatch reads the body of a PATCH. limit is how many operations it may
// have. Operations without a path come out as one for each name in their value.
func (t *resourceType) parsePatch(raw map[string]any, limit int) ([]operation, *failure) {
	if err := checkSchemas(raw, urnPatch, false); err != nil {
		return nil, err
	}
	v, _ := lookup(raw, "Operations")
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, bad(invalidSyntax, "Operations must be an array of at least one operation")
	}
	ops := make([]operation, 0, len(list))
	for i, e := range list {
		var err *failure
		had := len(ops)
		if ops, err = t.parseOperation(ops, e); err != nil {
			err.detail = fmt.Sprintf("operation %d: %s", i+1, err.detail)
			return nil, err
		}
		for j := range ops[had:] {
			if f := ops[had+j].refused; f != nil {
				f.detail = fmt.Sprintf("operation %d: %s", i+1, f.detail)
			}
		}
		if len(ops) > limit {
			return nil, bad(invalidValue, "there are more than %d operations", limit)
		}
	}
	return ops, nil
}

func (t *resourceType) parseOperation(ops []operation, e any) ([]operation, *failure) {
	m, ok := e.(map[string]any)
	if !ok {
		return nil, bad(invalidSyntax, "an operation must be an object")
	}
	name, _ := lookup(m, "op")
	text, _ := name.(string)
	o := operation{kind: strings.ToLower(text)}
	switch o.kind {
	case patchAdd, patchReplace, patchRemove:
	default:
		return nil, bad(invalidSyntax, "op must be add, replace or remove")
	}
	o.value, o.hasValue = lookup(m, "value")
	if o.kind != patchRemove && !o.hasValue {
		return nil, bad(invalidValue, "%s needs a value", o.kind)
	}
	p, _ := lookup(m, "path")
	at, ok := p.(string)
	if p != nil && !ok {
		return nil, bad(invalidPath, "the path must be a string")
	}
	if strings.TrimSpace(at) == "" {
		return t.parsePathless(ops, o)
	}
	if err := t.aim(&o, at); err != nil {
		return nil, err
	}
	return append(ops, o), nil
}

// parsePathless makes an operation of each name in the value. Sorting puts
// "name" before "name.givenName".
func (t *resourceType) parsePathless(ops []operation, o operation) ([]operation, *failure) {
	if o.kind == patchRemove {
		return nil, bad(noTarget, "remove needs a path")
	}
	m, ok := o.value.(map[string]any)
	if !ok {
		return nil, bad(invalidValue, "without a path the value must be an object")
	}
	for _, key := range sortedKeys(m) {
		part := operation{kind: o.kind, value: m[key], hasValue: true, implicit: true}
		if err := t.aim(&part, key); err != nil {
			return nil, err
		}
		ops = append(ops, part)
	}
	return ops, nil
}

// aim takes a path apart and finds out what it means. One of a client's own extension
// that means nothing is left for later, see apply.
func (t *resourceType) aim(o *operation, at string) *failure {
	err := t.aimAt(o, at)
	if err != nil && isOwn(at) {
		o.refused, err = err, nil
	}
	return err
}

func (t *resourceType) aimAt(o *operation, at string) *failure {
	attr, filter, sub, err := parsePath(at)
	if err != nil {
		return err
	}
	p, ok := splitPath(t, attr)
	if !ok || (sub != "" && p.sub != "") {
		return bad(invalidPath, "%s is not a path", quoted(at))
	}
	if sub != "" {
		p.sub = sub
	}
	if o.target, ok = t.resolve(p); !ok {
		return t.unknown(invalidPath, at)
	}
	if filter == nil {
		return nil
	}
	a := o.target.attr
	if o.target.whole || (a != nil && (!a.multi || a.kind != kindComplex)) {
		return bad(invalidPath, "%s has no values to choose from", quoted(attr))
	}
	if o.filter, err = (scope{typ: t, within: a, untyped: a == nil}).bind(filter); err != nil {
		return bad(invalidPath, "%s", err.detail)
	}
	o.exact = equalities(a, filter)
	return nil
}

// equalities returns the comparisons of a filter if they are all "eq", joined
// by "and"; else nil.
func equalities(a *attribute, n *node) []equality {
	var out []equality
	for _, c := range conjuncts(n) {
		if c.op != opEqual || c.value == nil {
			return nil
		}
		e := equality{name: c.attr, value: c.value}
		if a != nil {
			sub := a.sub(c.attr)
			if sub == nil {
				return nil
			}
			v, err := coerceOne(sub, c.value)
			if err != nil {
				return nil
			}
			e = equality{name: sub.name, value: v}
		}
		out = append(out, e)
	}
	return out
}

// apply carries the operations out on a document, which it changes. The
// document is of no use after a failure. What cannot be done to a client's own
// extension is a failure too, unless the operations make somebody inactive: that
// happens without it.
func (t *resourceType) apply(doc document, ops []operation) *failure {
	var refused *failure
	for i := range ops {
		switch err := t.applyOne(doc, &ops[i]); {
		case err == nil:
		case !ops[i].onOwn():
			return err
		case refused == nil:
			refused = err
		}
	}
	t.sweep(doc)
	if refused != nil && (doc["active"] != false || !slices.ContainsFunc(ops, operation.onActive)) {
		return refused
	}
	return t.complete(doc)
}

// onOwn says whether the operation is about a client's own extension.
func (o *operation) onOwn() bool {
	return o.refused != nil || o.target.attr == nil && !o.target.whole
}

// onActive says whether the operation is about active.
func (o operation) onActive() bool {
	if o.target.ext != "" {
		return false
	}
	if o.target.whole {
		m, _ := o.value.(map[string]any)
		_, ok := lookup(m, "active")
		return ok
	}
	return o.target.attr != nil && o.target.attr.name == "active"
}

// sweep drops values that say nothing any more, such as an e-mail address that
// has only its type left. Not earlier, because the next operation may give it
// a value.
func (t *resourceType) sweep(doc document) {
	clean := func(in map[string]any, attrs []*attribute) {
		for _, a := range attrs {
			switch v := in[a.name].(type) {
			case []any:
				v = slices.DeleteFunc(v, func(e any) bool {
					m, ok := e.(map[string]any)
					return ok && a.kind == kindComplex && dead(a, m)
				})
				if in[a.name] = v; len(v) == 0 {
					delete(in, a.name)
				}
			case map[string]any:
				if dead(a, v) {
					delete(in, a.name)
				}
			}
		}
	}
	clean(doc, t.core.attributes)
	for key, v := range doc {
		m, ok := v.(map[string]any)
		if !ok || !isURN(key) {
			continue
		}
		if ext := t.extension(key); ext != nil {
			clean(m, ext.attributes)
		}
		if len(m) == 0 {
			delete(doc, key)
		}
	}
}

func (t *resourceType) applyOne(doc document, o *operation) *failure {
	if o.refused != nil {
		return o.refused
	}
	if o.target.whole {
		return t.applyWhole(doc, o)
	}
	a := o.target.attr
	if a == nil {
		return t.applyUnknown(doc, o)
	}
	readOnly := a.readOnly || (o.target.subAttr != nil && o.target.subAttr.readOnly)
	switch {
	case a.dropped:
		return nil
	case a.name == "schemas":
		if o.kind == patchRemove && !o.implicit {
			return bad(mutability, "schemas cannot be removed")
		}
		return nil // it follows from what there is
	case a.name == "id" && o.implicit:
		// Okta repeats the id. The handler has checked that it is this one's.
		return nil
	case readOnly && o.implicit:
		return nil
	case readOnly:
		return bad(mutability, "%s is read-only", o.target.raw)
	}
	in := o.target.container(doc)
	if in == nil {
		in = map[string]any{}
		defer func() {
			if len(in) > 0 {
				doc[o.target.ext] = in
			}
		}()
	}
	switch {
	case a.multi:
		return applyList(in, a, o)
	case o.target.subAttr != nil:
		return applySub(in, a, o)
	default:
		return applySingle(in, a, o)
	}
}

// applyWhole is for a path that is a schema's URN.
func (t *resourceType) applyWhole(doc document, o *operation) *failure {
	if o.kind == patchRemove || o.value == nil {
		if o.target.ext == "" {
			return bad(mutability, "the core schema cannot be removed")
		}
		delete(doc, o.target.ext)
		return nil
	}
	m, ok := o.value.(map[string]any)
	if !ok {
		return bad(invalidValue, "%s must be an object", o.target.urn)
	}
	for _, key := range sortedKeys(m) {
		part := operation{kind: o.kind, value: m[key], hasValue: true, implicit: true}
		if err := t.aim(&part, o.target.urn+":"+key); err != nil {
			return err
		}
		if err := t.applyOne(doc, &part); err != nil {
			return err
		}
	}
	return nil
}

// applySingle is for an attribute of one value.
func applySingle(in map[string]any, a *attribute, o *operation) *failure {
	if o.kind == patchRemove {
		return unassign(in, a)
	}
	if a.kind == kindComplex {
		if list, ok := o.value.([]any); ok && len(list) == 1 {
			o = &operation{kind: o.kind, value: list[0], hasValue: true, target: o.target}
		}
		if m, ok := o.value.(map[string]any); ok {
			return mergeComplex(in, a, m)
		}
	}
	v, err := coerce(a, o.value)
	if err != nil {
		return err
	}
	if v == nil {
		return unassign(in, a)
	}
	in[a.name] = v
	return nil
}

// unassign removes a value. Required attributes cannot be without one, and nobody
// becomes inactive, or active, by not being said to be either.
func unassign(in map[string]any, a *attribute) *failure {
	if a.decided {
		return bad(invalidValue, "%s must be true or false", a.name)
	}
	if a.required {
		return bad(mutability, "%s is required and cannot be removed", a.name)
	}
	delete(in, a.name)
	return nil
}

// mergeComplex sets the sub-attributes that are given and leaves the others
// (RFC 7644, section 3.5.2.3).
func mergeComplex(in map[string]any, a *attribute, m map[string]any) *failure {
	coerced, err := coerceComplex(a, m)
	if err != nil {
		return err
	}
	given, _ := coerced.(map[string]any)
	if given == nil && !onlyNulls(m) {
		return unassign(in, a) // such as {"value": ""}
	}
	after := map[string]any{}
	before, _ := in[a.name].(map[string]any)
	for k, e := range before {
		after[k] = e
	}
	for k := range m {
		if sub := a.given(k); !sub.readOnly {
			delete(after, sub.name)
		}
	}
	for k, e := range given {
		after[k] = e
	}
	if _, ok := given["$ref"]; !ok {
		dropStale(after)
	}
	if len(after) == 0 {
		return unassign(in, a)
	}
	in[a.name] = after
	return nil
}

// dropStale removes a reference that is not to the value, because the value
// has changed and the reference has not.
func dropStale(m map[string]any) {
	ref, ok1 := m["$ref"].(string)
	value, ok2 := m["value"].(string)
	if ok1 && ok2 && !strings.HasSuffix(ref, value) {
		delete(m, "$ref")
	}
}

// onlyNulls reports whether an object unassigns its members and does no more.
func onlyNulls(m map[string]any) bool {
	for _, v := range m {
		if prune(v) != nil {
			return false
		}
	}
	return true
}

// applySub is for a sub-attribute of an attribute of one value.
func applySub(in map[string]any, a *attribute, o *operation) *failure {
	sub := o.target.subAttr
	m, _ := in[a.name].(map[string]any)
	v, err := valueFor(sub, o)
	if err != nil {
		return err
	}
	if v == nil {
		if delete(m, sub.name); len(m) == 0 {
			delete(in, a.name)
		}
		return nil
	}
	if m == nil {
		m = map[string]any{}
		in[a.name] = m
	}
	setSub(m, sub, v)
	return nil
}

// setSub sets a sub-attribute.
func setSub(m map[string]any, sub *attribute, v any) {
	m[sub.name] = v
	if sub.name == "value" {
		dropStale(m)
	}
}

// valueFor is the value to set, or nil for none.
func valueFor(a *attribute, o *operation) (any, *failure) {
	if o.kind == patchRemove {
		return nil, nil
	}
	return coerce(a, o.value)
}

// applyList is for an attribute of several values.
func applyList(in map[string]any, a *attribute, o *operation) *failure {
	list, _ := in[a.name].([]any)
	var err *failure
	switch {
	case o.filter != nil:
		list, err = applySelected(list, a, o)
	case o.target.subAttr != nil:
		list, err = applyEach(list, a, o)
	case o.kind == patchRemove:
		list, err = removeValues(list, a, o)
	default:
		list, err = setValues(list, a, o)
	}
	if err != nil {
		return err
	}
	list = fold(a, list)
	if err := checkList(a, list); err != nil {
		return err
	}
	if len(list) == 0 {
		delete(in, a.name)
		return nil
	}
	in[a.name] = list
	return nil
}

// setValues adds to the values or replaces them.
func setValues(list []any, a *attribute, o *operation) ([]any, *failure) {
	v, err := coerce(a, o.value)
	if err != nil {
		return nil, err
	}
	given, _ := v.([]any)
	if o.kind == patchReplace {
		return given, nil
	}
	if countPrimary(given) > 0 {
		demote(list, func(int) bool { return false })
	}
	return append(list, given...), nil
}

// removeValues removes all values, or, as Entra does it, those given.
func removeValues(list []any, a *attribute, o *operation) ([]any, *failure) {
	if o.value == nil {
		return nil, nil
	}
	v, err := coerce(a, o.value)
	if err != nil {
		return nil, err
	}
	given, _ := v.([]any)
	if len(given) == 0 {
		return nil, namesNobody(a)
	}
	return slices.DeleteFunc(list, func(e any) bool {
		return slices.ContainsFunc(given, func(g any) bool { return matches(a, e, g) })
	}), nil
}

// namesNobody refuses a "remove" whose value is there and empty: it may be meant to
// remove nothing, or everything.
func namesNobody(a *attribute) *failure {
	return bad(invalidValue, "the value names none of %s to remove; without a value all are removed", a.name)
}

// matches reports whether a value has everything that the pattern says.
func matches(a *attribute, value, pattern any) bool {
	m, ok1 := value.(map[string]any)
	p, ok2 := pattern.(map[string]any)
	if !ok1 || !ok2 {
		return same(value, pattern)
	}
	for k, want := range p {
		got, sub := m[k], a.sub(k)
		gotText, ok1 := got.(string)
		wantText, ok2 := want.(string)
		switch {
		case k == "display" || k == "primary" || k == "$ref":
			// says nothing about which value is meant
		case ok1 && ok2 && (sub == nil || !sub.caseExact):
			if !strings.EqualFold(gotText, wantText) {
				return false
			}
		case !same(got, want):
			return false
		}
	}
	return true
}

// applyEach sets a sub-attribute of every value.
func applyEach(list []any, a *attribute, o *operation) ([]any, *failure) {
	if len(list) == 0 && o.kind != patchRemove {
		list = []any{map[string]any{}}
	}
	return setOn(list, a, o, func(map[string]any) bool { return true })
}

// setOn sets a sub-attribute of the chosen values. One that becomes primary
// makes the others not.
func setOn(list []any, _ *attribute, o *operation, chosen predicate) ([]any, *failure) {
	sub := o.target.subAttr
	v, err := valueFor(sub, o)
	if err != nil {
		return nil, err
	}
	hit := make([]bool, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok || !chosen(m) {
			continue
		}
		hit[i] = true
		if v == nil {
			delete(m, sub.name)
			continue
		}
		setSub(m, sub, v)
	}
	if sub.name == "primary" && v == true {
		demote(list, func(i int) bool { return hit[i] })
	}
	return list, nil
}

// applySelected is for a path with a filter.
func applySelected(list []any, a *attribute, o *operation) ([]any, *failure) {
	found := slices.ContainsFunc(list, func(e any) bool {
		m, ok := e.(map[string]any)
		return ok && o.filter(m)
	})
	if !found {
		if o.kind == patchRemove || o.value == nil || !o.creates(a) {
			return nil, bad(noTarget, "no value of %s matches the filter", a.name)
		}
		created := map[string]any{}
		for _, e := range o.exact {
			created[e.name] = e.value
		}
		if created["primary"] == true {
			demote(list, func(int) bool { return false })
		}
		list = append(list, created)
	}
	if o.target.subAttr != nil {
		return setOn(list, a, o, o.filter)
	}
	if o.kind == patchRemove || o.value == nil {
		return slices.DeleteFunc(list, func(e any) bool {
			m, ok := e.(map[string]any)
			return ok && o.filter(m)
		}), nil
	}
	return replaceSelected(list, a, o)
}

// creates reports whether an operation whose filter matches nothing makes the
// value that it asks for. "add" does if the filter says what the value is like.
// "replace" does where Entra counts on it: for a sub-attribute of the value
// with a type that the schema names, or of the primary one. For all else the
// RFC says noTarget.
func (o *operation) creates(a *attribute) bool {
	if len(o.exact) == 0 {
		return false
	}
	if o.kind == patchAdd {
		return true
	}
	if o.target.subAttr == nil || len(o.exact) != 1 {
		return false
	}
	e := o.exact[0]
	if e.name == "primary" {
		return e.value == true
	}
	sub, text := a.sub(e.name), fmt.Sprint(e.value)
	return e.name == "type" && sub != nil && slices.ContainsFunc(sub.canonical, func(c string) bool {
		return strings.EqualFold(c, text)
	})
}

// replaceSelected puts the given value in the place of those chosen; "add"
// merges it into them.
func replaceSelected(list []any, a *attribute, o *operation) ([]any, *failure) {
	v, err := coerceOne(a, o.value)
	if err != nil {
		return nil, err
	}
	given, _ := v.(map[string]any)
	if given == nil {
		return nil, bad(invalidValue, "the value for %s is empty", a.name)
	}
	hit := make([]bool, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok || !o.filter(m) {
			continue
		}
		hit[i] = true
		next, _ := clone(given).(map[string]any)
		if o.kind == patchAdd {
			for k, e := range m {
				if _, ok := next[k]; !ok {
					next[k] = e
				}
			}
		}
		list[i] = next
	}
	if isPrimary(given) {
		demote(list, func(i int) bool { return hit[i] })
	}
	return list, nil
}

// applyUnknown is for attributes of a client's own extension: values are taken as
// they come.
func (t *resourceType) applyUnknown(doc document, o *operation) *failure {
	if done := t.applyUnknownWhole(doc, o); done {
		return nil
	}
	value := prune(o.value)
	if o.kind != patchRemove && value != nil && !t.keeps(o.target.ext) {
		return t.unknown(invalidPath, o.target.raw)
	}
	m, exists := lookup(doc, o.target.ext)
	in, _ := m.(map[string]any)
	if in == nil {
		if exists {
			return bad(invalidPath, "%s is not an object", quoted(o.target.ext))
		}
		in = map[string]any{}
		doc[o.target.ext] = in
	}
	name := o.target.name
	for k := range in {
		if strings.EqualFold(k, name) {
			name = k
		}
	}
	switch {
	case o.filter != nil:
		return applyUnknownSelected(in, name, o)
	case o.target.sub != "":
		m, _ := in[name].(map[string]any)
		if o.kind == patchRemove || value == nil {
			delete(m, o.target.sub)
			return nil
		}
		if m == nil {
			m = map[string]any{}
			in[name] = m
		}
		m[o.target.sub] = value
	case o.kind == patchRemove || value == nil:
		delete(in, name)
	case o.kind == patchAdd:
		v, err := addUnknown(in[name], value)
		if err != nil {
			return err
		}
		in[name] = v
	default:
		in[name] = value
	}
	return nil
}

// applyUnknownWhole is for a path that may be the URN of an unknown extension
// rather than of an attribute in one: it is, if it is there or its value is an
// object.
func (t *resourceType) applyUnknownWhole(doc document, o *operation) bool {
	if o.filter != nil || o.target.sub != "" || !t.keeps(o.target.raw) {
		return false
	}
	_, exists := doc[o.target.raw]
	m, isObject := prune(o.value).(map[string]any)
	switch {
	case o.kind == patchRemove && exists:
		delete(doc, o.target.raw)
		return true
	case o.kind == patchRemove || !isObject:
		return false
	}
	before, _ := doc[o.target.raw].(map[string]any)
	after := map[string]any{}
	for k, v := range before {
		after[k] = v
	}
	for k, v := range m {
		after[k] = v
	}
	doc[o.target.raw] = after
	return true
}

func applyUnknownSelected(in map[string]any, name string, o *operation) *failure {
	list := spread(in[name])
	found := false
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok || !o.filter(m) {
			continue
		}
		found = true
		switch {
		case o.target.sub == "" && o.kind == patchRemove:
			list[i] = nil
		case o.target.sub == "":
			list[i] = prune(o.value)
		case o.kind == patchRemove:
			delete(m, o.target.sub)
		default:
			m[o.target.sub] = prune(o.value)
		}
	}
	if !found {
		return bad(noTarget, "no value of %s matches the filter", quoted(name))
	}
	if v := prune(list); v != nil {
		in[name] = v
	} else {
		delete(in, name)
	}
	return nil
}

// addUnknown adds to an array, merges objects, and else replaces.
func addUnknown(before, value any) (any, *failure) {
	switch b := before.(type) {
	case []any:
		given := spread(value)
		if len(b)+len(given) > maxValues {
			return nil, bad(invalidValue, "there are more than %d values", maxValues)
		}
		for _, v := range given {
			if !slices.ContainsFunc(b, func(e any) bool { return same(e, v) }) {
				b = append(b, v)
			}
		}
		return b, nil
	case map[string]any:
		if m, ok := value.(map[string]any); ok {
			for k, v := range m {
				b[k] = v
			}
			return b, nil
		}
	}
	return value, nil
}
