package store

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
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

// after begins behind the row that a page token names, in the order of a text
// and an id.
func (q *query) after(text, id, token string) error {
	keys, err := page.Decode(token, 2)
	if err != nil || keys == nil {
		return err
	}
	last, err := uuid.Parse(keys[1])
	if err != nil || strings.ContainsRune(keys[0], 0) {
		return errPageToken
	}
	q.where("("+text+", "+id+") > (?, ?)", keys[0], last)
	return nil
}

// text is the where clause.
func (q *query) text() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return " where " + strings.Join(q.conditions, " and ")
}

var errPageToken = apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
