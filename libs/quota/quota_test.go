package quota_test

import (
	"maps"
	"strings"
	"testing"

	"gatehouse.dev/libs/quota"
)

func TestParseOrganization(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]quota.Organization{
		"": {}, "users=10000": {"users": 10000}, "open_requests=1, integrations=20": {"open_requests": 1, "integrations": 20},
	} {
		if got, err := quota.ParseOrganization(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"10000", "users", "users=", "users=0", "users=-1", "users=3000000000", "cats=1", "users=1,users=2", "users=1,", "users=hunter2"} {
		if got, err := quota.ParseOrganization(text); err == nil || got != nil || !strings.Contains(err.Error(), "the kinds are users, ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
