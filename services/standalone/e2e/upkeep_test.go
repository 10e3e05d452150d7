package e2e_test

import "testing"

// TestUpkeep is what operators do with an installation whose services are processes of
// their own, one thing after the other on the same one, each with an organization of its
// own. Keys change last: after that the settings are not those that were made.
func TestUpkeep(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	s := embeddedStores(t)
	c := startCluster(t, s)
	t.Run("programs", func(t *testing.T) { testPrograms(t, c) })
	t.Run("rebuild after deletions", func(t *testing.T) { testRebuildAfterDeletions(t, s, c) })
	t.Run("restore request", func(t *testing.T) { testRestoreRequest(t, s, c) })
	t.Run("restore identity-sync", func(t *testing.T) { testRestoreIdentitySync(t, s, c) })
	t.Run("change keys", func(t *testing.T) { testChangeKeys(t, c) })
}
