package demoapp

import (
	"encoding/json"
	"net/http"
	"strings"
)

// filter is a disjunction of conjunctions of terms. An empty one lets everything through.
type filter [][]term

// term says that an attribute has a value. Attribute is lower case; value is a string, or "true" and "false" for booleans.
type term struct{ attribute, value string }

// parseFilter reads the part of SCIM's filters that the app understands: attribute eq value, joined by and and or.
func parseFilter(s string) (filter, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	f := filter{nil}
	for {
		t, rest, err := parseTerm(s)
		if err != nil {
			return nil, err
		}
		f[len(f)-1] = append(f[len(f)-1], t)
		word, rest := word(rest)
		switch strings.ToLower(word) {
		case "":
			return f, nil
		case "and":
		case "or":
			f = append(f, nil)
		default:
			return nil, badFilter("%.40q is neither and nor or.", word)
		}
		s = rest
	}
}

func parseTerm(s string) (t term, rest string, err error) {
	attribute, s := word(s)
	operator, s := word(s)
	if attribute == "" || operator == "" {
		return term{}, "", badFilter("A filter is attribute eq value.")
	}
	if !strings.EqualFold(operator, "eq") {
		return term{}, "", badFilter("The operator %.40q is not supported; eq is.", operator)
	}
	t.attribute = strings.ToLower(strings.TrimPrefix(attribute, schemaUser+":"))
	t.value, rest, err = literal(s)
	return t, rest, err
}

// word takes what stands before the next space.
func word(s string) (word, rest string) {
	s = strings.TrimLeft(s, " ")
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

// literal takes a JSON string, true or false.
func literal(s string) (value, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, `"`) {
		value, rest = word(s)
		switch strings.ToLower(value) {
		case "true", "false":
			return strings.ToLower(value), rest, nil
		}
		return "", "", badFilter("The value %.40q is neither a string in quotes nor a boolean.", value)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(s[:i+1]), &value) != nil {
				return "", "", badFilter("The value is not a JSON string.")
			}
			return value, s[i+1:], nil
		}
	}
	return "", "", badFilter("A quote is not closed.")
}

func badFilter(format string, args ...any) error {
	return fail(http.StatusBadRequest, "invalidFilter", format, args...)
}
