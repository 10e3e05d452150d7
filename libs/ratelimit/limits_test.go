package ratelimit_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/ratelimit"
)

// An operator sets the limits of some kinds of calls, and the others keep theirs.
func TestParseLimits(t *testing.T) {
	t.Parallel()
	some := *ratelimit.DefaultLimits()
	some.Reads, some.SCIM = ratelimit.Limit{PerSecond: 0.5, Burst: 1000}, ratelimit.Limit{}
	for text, want := range map[string]*ratelimit.Limits{
		"true": ratelimit.DefaultLimits(), "1": ratelimit.DefaultLimits(), "false": nil, "0": nil,
		"reads=0.5/1000, scim=off": &some,
	} {
		got, err := ratelimit.ParseLimits(text)
		if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"hunter2": "true, false, or kinds", "hunter2=1/1": "look-ups", "reads=hunter2": "reads: ", "reads=400": "400/1000", "reads=/1000": "400/1000",
		"reads=0/10": "400/1000", "reads=NaN/10": "400/1000", "reads=Inf/10": "400/1000", "reads=1/0": "400/1000", "reads=-1/10": "400/1000", "": "true, false", "reads=1/1,": "true, false",
	} {
		got, err := ratelimit.ParseLimits(text)
		if err == nil || got != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
