package enum_test

import (
	"slices"
	"testing"

	"gatehouse.dev/libs/enum"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]identityv1.UserState{
		"unspecified": identityv1.UserState_USER_STATE_UNSPECIFIED,
		"active":      identityv1.UserState_USER_STATE_ACTIVE,
		"removed":     identityv1.UserState_USER_STATE_REMOVED,
	} {
		if got := enum.Word(v); got != want {
			t.Errorf("Word(%s) = %q, want %q", v, got, want)
		}
		if got := enum.Value[identityv1.UserState](want); got != v {
			t.Errorf("Value(%q) = %s, want %s", want, got, v)
		}
	}
	if got := enum.Word(provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT); got != "create_account" {
		t.Errorf("got %q", got)
	}
	if got := enum.Word(identityv1.UserState(99)); got != "unspecified" {
		t.Errorf("word of an unknown value: %q", got)
	}
	for _, word := range []string{"", "gone", "ACTIVE ", "user_state_active"} {
		if got := enum.Value[identityv1.UserState](word); got != 0 {
			t.Errorf("Value(%q) = %s, want none", word, got)
		}
	}
	if got, want := enum.Words[identityv1.UserKind](), []string{"employee", "external", "service", "agent"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
