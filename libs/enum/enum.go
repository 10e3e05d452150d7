// Package enum gives the values of the protos' enums the words that tables, logs
// and event names use: "active" for USER_STATE_ACTIVE. The words follow from the
// protos, so no list of them stands anywhere else.
//
// It relies on the naming that the linter enforces: every value begins with the
// enum's name, and the first is <ENUM>_UNSPECIFIED, whose word is "unspecified".
package enum

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Enum is a generated enum.
type Enum interface {
	~int32
	protoreflect.Enum
}

// Word returns the word of a value; "unspecified" for one that the enum does
// not have, as a newer program may have sent.
func Word[E Enum](v E) string {
	values := v.Descriptor().Values()
	d := values.ByNumber(v.Number())
	if d == nil {
		d = values.Get(0)
	}
	return strings.ToLower(strings.TrimPrefix(string(d.Name()), prefix(values)))
}

// Value returns the value with the word, or the zero value if there is none.
func Value[E Enum](word string) E {
	var zero E
	values := zero.Descriptor().Values()
	if d := values.ByName(protoreflect.Name(prefix(values) + strings.ToUpper(word))); d != nil {
		return E(d.Number())
	}
	return zero
}

// Words returns the words of all values but the unspecified one.
func Words[E Enum]() []string {
	var zero E
	values := zero.Descriptor().Values()
	words := make([]string, 0, values.Len()-1)
	for i := range values.Len() {
		if n := values.Get(i).Number(); n != 0 {
			words = append(words, Word(E(n)))
		}
	}
	return words
}

func prefix(values protoreflect.EnumValueDescriptors) string {
	return strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
}

// Names returns the words of all values of an enum by their names.
func Names(d protoreflect.EnumDescriptor) map[string]string {
	values := d.Values()
	names := make(map[string]string, values.Len())
	for i := range values.Len() {
		name := string(values.Get(i).Name())
		names[name] = strings.ToLower(strings.TrimPrefix(name, prefix(values)))
	}
	return names
}
