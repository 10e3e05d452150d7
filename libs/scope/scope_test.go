package scope_test

import (
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/scope"
)

// B-USR-12 in part: who owns what within an organization.
func TestScope(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	whole := scope.Organization(uuid.New())
	environment := scope.Scope{OrganizationID: whole.OrganizationID, EnvironmentID: a}
	for _, owner := range []uuid.UUID{a, b, uuid.Nil} {
		if !whole.Owns(owner) {
			t.Errorf("the organization does not own what %s owns", owner)
		}
		if got, want := environment.Owns(owner), owner == a; got != want {
			t.Errorf("environment owns %s: %t, want %t", owner, got, want)
		}
	}
	tests := []struct {
		name              string
		person, app, want uuid.UUID
		ok                bool
	}{
		{"both the organization's", uuid.Nil, uuid.Nil, uuid.Nil, true},
		{"app of an environment", uuid.Nil, a, a, true},
		{"person of an environment", a, uuid.Nil, a, true},
		{"same environment", a, a, a, true},
		{"two environments", a, b, uuid.Nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := scope.Meet(tt.person, tt.app); got != tt.want || ok != tt.ok {
				t.Errorf("got %s, %t; want %s, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}
