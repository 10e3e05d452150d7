package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxDepth is how deep JSON and filters may nest.
	maxDepth = 32
	// maxNames is how many members a JSON object may have.
	maxNames = 1000
)

// Values that are JSON and that no database takes.
var (
	errNUL    = errors.New("text must not contain U+0000")
	errNumber = errors.New("a number is too large or too small")
)

// decode reads one JSON object. Unlike encoding/json it refuses names that come
// twice, also in another spelling, because attribute names ignore case.
func decode(data []byte) (map[string]any, *failure) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after the end")
		}
	}
	for _, known := range []error{errNUL, errNumber} {
		if errors.Is(err, known) {
			return nil, bad(invalidValue, "%s", known)
		}
	}
	var own *jsonError
	switch {
	case errors.As(err, &own):
		return nil, bad(invalidSyntax, "the body is not valid JSON: %s", own.text)
	case err != nil:
		return nil, bad(invalidSyntax, "the body is not valid JSON")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, bad(invalidSyntax, "the body must be a JSON object")
	}
	return m, nil
}

// jsonError is a fault whose text the client may read.
type jsonError struct{ text string }

func (e *jsonError) Error() string { return e.text }

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &jsonError{fmt.Sprintf("it nests deeper than %d", maxDepth)}
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return decodeArray(d, depth)
		}
		return decodeObject(d, depth)
	case string:
		return t, checkText(t)
	case json.Number:
		return t, checkNumber(t)
	default:
		return t, nil
	}
}

func decodeArray(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func decodeObject(d *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if err := checkText(name); err != nil {
			return nil, err
		}
		low := strings.ToLower(name)
		if seen[low] {
			return nil, &jsonError{fmt.Sprintf("the name %s comes twice", quoted(name))}
		}
		seen[low] = true
		if len(seen) > maxNames {
			return nil, &jsonError{fmt.Sprintf("an object has more than %d names", maxNames)}
		}
		if m[name], err = decodeValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return m, err
}

func checkText(s string) error {
	if strings.ContainsRune(s, 0) {
		return errNUL
	}
	return nil
}

// checkNumber keeps numbers to what a double can hold.
func checkNumber(n json.Number) error {
	f, err := strconv.ParseFloat(n.String(), 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if err != nil || len(n) > 64 || (f == 0 && strings.ContainsAny(mantissa, "123456789")) {
		return errNumber
	}
	return nil
}

// encode writes JSON without escaping <, > and &.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// lookup finds a member of an object, ignoring case.
func lookup(m map[string]any, name string) (any, bool) {
	if v, ok := m[name]; ok {
		return v, true
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

// same reports whether two documents say the same. The order of values in an
// array means nothing in SCIM.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && len(a) == len(b) && slices.Equal(sortedTexts(a), sortedTexts(b))
	default:
		return a == b
	}
}

func sortedTexts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		text, err := encode(v)
		if err != nil {
			text = fmt.Append(nil, v)
		}
		out[i] = string(text)
	}
	slices.Sort(out)
	return out
}

// clone is a deep copy.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = clone(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = clone(e)
		}
		return l
	default:
		return v
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
