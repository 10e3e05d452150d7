package service

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Env reads a process's settings. Every method returns a value at once and
// keeps what is wrong, so that a main function reads all it needs, asks
// [Env.Err] once, and the operator is told of everything in one go. An empty
// variable counts as not set.
type Env struct {
	lookup func(string) (string, bool)
	errs   *[]error
}

// NewEnv reads from lookup, such as [os.LookupEnv].
func NewEnv(lookup func(string) (string, bool)) Env {
	return Env{lookup: lookup, errs: new([]error)}
}

// ProcessEnv reads the environment of the process. A variable that is not there at
// all is looked up in the file that GATEHOUSE_ENV_FILE names, if it names one, so
// that secrets need not stand in the environment. A line of the file is NAME=value;
// empty ones, and those that begin with #, are left out. A file that cannot be read
// is in [Env.Err].
func ProcessEnv() Env {
	env := NewEnv(os.LookupEnv)
	if name := env.String(envFile, ""); name != "" {
		b, err := os.ReadFile(name)
		var values map[string]string
		if err == nil {
			values, err = parseFile(string(b))
		}
		if err != nil {
			*env.errs = append(*env.errs, fmt.Errorf("read the settings of %s: %w", envFile, err))
		}
		env.lookup = func(name string) (string, bool) {
			if v, ok := os.LookupEnv(name); ok {
				return v, true
			}
			v, ok := values[name]
			return v, ok
		}
	}
	return env
}

// parseFile reads lines of the form NAME=value. An error does not quote them.
func parseFile(text string) (map[string]string, error) {
	values := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("line %d is not of the form NAME=value", n)
		}
		values[name] = value
	}
	return values, nil
}

// Err returns everything that was missing or wrong so far, in one line.
func (e Env) Err() error {
	var all error
	for _, err := range *e.errs {
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// String returns the variable, or fallback if it is not set.
func (e Env) String(name, fallback string) string {
	if v, ok := e.lookup(name); ok && v != "" {
		return v
	}
	return fallback
}

// Required returns the variable; that it is not set is an error.
func (e Env) Required(name string) string {
	v := e.String(name, "")
	if v == "" {
		*e.errs = append(*e.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Parse returns what read makes of the variable, which must be set. read's errors
// must not quote it.
func Parse[T any](e Env, name string, read func(string) (T, error)) (value T) {
	text := e.Required(name)
	if text == "" {
		return value
	}
	value, err := read(text)
	if err != nil {
		*e.errs = append(*e.errs, fmt.Errorf("%s: %w", name, err))
	}
	return value
}

// Bool returns the variable, which is true or false (or 1, 0, t, f).
func (e Env) Bool(name string, fallback bool) bool {
	return parse(e, name, fallback, "true or false", strconv.ParseBool)
}

// Int returns the variable, which is a whole number.
func (e Env) Int(name string, fallback int) int {
	return parse(e, name, fallback, "a whole number", strconv.Atoi)
}

// Duration returns the variable, which is a length of time such as 30s or 5m
// and not negative.
func (e Env) Duration(name string, fallback time.Duration) time.Duration {
	return parse(e, name, fallback, "a length of time such as 30s", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = errors.New("negative")
		}
		return d, err
	})
}

// DurationWithin is Duration of at least least and at most most.
func (e Env) DurationWithin(name string, fallback, least, most time.Duration) time.Duration {
	return within(e, name, e.Duration(name, fallback), fallback, least, most)
}

// IntWithin is Int of at least least and at most most.
func (e Env) IntWithin(name string, fallback, least, most int) int {
	return within(e, name, e.Int(name, fallback), fallback, least, most)
}

func within[T cmp.Ordered](e Env, name string, v, fallback, least, most T) T {
	if v < least || v > most {
		e.Refuse("%s is not between %v and %v", name, least, most)
		return fallback
	}
	return v
}

// Refuse notes an error: settings that are right each by itself and do not go together.
// It names them and quotes no secret.
func (e Env) Refuse(format string, args ...any) {
	*e.errs = append(*e.errs, fmt.Errorf(format, args...))
}

// parse never quotes the value: it may be a secret in the wrong place.
func parse[T any](e Env, name string, fallback T, want string, f func(string) (T, error)) T {
	s := e.String(name, "")
	if s == "" {
		return fallback
	}
	v, err := f(s)
	if err != nil {
		*e.errs = append(*e.errs, fmt.Errorf("%s is not %s", name, want))
		return fallback
	}
	return v
}
