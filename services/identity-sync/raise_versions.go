package identitysync

import (
	"context"

	"gatehouse.dev/libs/postgres"
)

// RaiseVersions raises the versions of all environments, users and groups past any
// that was ever told of them, for who runs Gatehouse and has restored an older backup:
// others know higher versions than it has, and so refuse the tokens of these users and
// take no news of them. The audit log of each organization says that it was done. It
// changes no copy by itself: one that is rebuilt afterwards takes what the backup says
// for newer than what it has.
func RaiseVersions(ctx context.Context, urls postgres.URLs) error {
	commands, done, err := onDatabase(ctx, urls)
	if err != nil {
		return err
	}
	defer done()
	return commands.RaiseVersions(ctx)
}
