package identitysync_test

import (
	"testing"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// After a restored backup the versions are higher than any that others may know, so
// that they take what happens next for news, and the log of every organization has it.
func TestRaiseVersions(t *testing.T) {
	t.Parallel()
	w := start(t)
	root, others := w.signUp(t), w.signUp(t)
	idp := root.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia")
	group := idp.createGroup(t, "Staff")
	if err := identitysync.RaiseVersions(t.Context(), w.Config.Postgres); err != nil {
		t.Fatal(err)
	}
	told := func(to person) *eventv1.OrganizationVersionsRaised {
		return servicetest.Wait(t, w.Harness, func(e *eventv1.OrganizationVersionsRaised) bool {
			return e.GetOrganization().GetId() == to.user.GetOrganizationId()
		})
	}
	said, other := told(root), told(others)
	if a := said.GetContext().GetActor(); a.GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || a.GetDisplayName() != "Operator at the machine" ||
		said.GetUsers() != 2 || said.GetGroups() != 1 || said.GetEnvironments() != 1 {
		t.Errorf("it says %v", said)
	}
	if other.GetUsers() != 1 || other.GetGroups() != 0 {
		t.Errorf("to another organization it says %v", other)
	}
	idp.must(t, 200, "PATCH", "/Groups/"+group, patch("replace", "displayName", "Everybody"))
	idp.must(t, 204, "DELETE", "/Users/"+mia, nil)
	renamed := servicetest.Wait(t, w.Harness, func(e *eventv1.GroupUpdated) bool { return e.GetGroup().GetId() == group })
	left := servicetest.Wait(t, w.Harness, func(e *eventv1.UserRemoved) bool { return e.GetUser().GetId() == mia })
	for what, version := range map[string]int64{"the group's event": renamed.GetContext().GetVersion(), "the user's event": left.GetContext().GetVersion()} {
		if version < 1_000_000_000 {
			t.Errorf("%s has version %d", what, version)
		}
	}
}
