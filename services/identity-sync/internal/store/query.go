package store

import (
	"strconv"
	"strings"

	"gatehouse.dev/libs/page"
)

// query collects the conditions of a list. Conditions are text of this
// package; what comes from outside goes into arguments only.
type query struct {
	conditions []string
	args       []any
}

// arg adds an argument and returns its placeholder.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// where adds a condition that must hold, with a ? for each argument.
func (q *query) where(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", q.arg(a), 1)
	}
	q.conditions = append(q.conditions, condition)
}

// after begins behind a place, in the order of a text and an id; nil is the
// beginning.
func (q *query) after(text, id string, place *page.TextPlace) {
	if place != nil {
		q.where("("+text+", "+id+") > (?, ?)", place.Text, place.ID)
	}
}

// text is the where clause.
func (q *query) text() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return " where " + strings.Join(q.conditions, " and ")
}
