package command

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// previewTimeout bounds the look-ups of a page, and previewsAtOnce how many are made
	// side by side.
	previewTimeout = 8 * time.Second
	previewsAtOnce = 4
	// previewPage is how many accounts a page has by default, and previewMost at most.
	previewPage, previewMost = 20, 50
)

// PreviewTarget is where accounts are looked up: with an integration, or, if that is the
// nil id, at an address.
type PreviewTarget struct {
	Integration    uuid.UUID
	BaseURL, Token string
}

// Preview is an account as it is known, and what was found: nil with Err if the app did
// not say.
type Preview struct {
	Account store.NamedAccount
	Found   *connector.Account
	Err     error
}

// PreviewAccounts looks a page of an app's accounts up at a target, and changes nothing.
// after is the last account of the page before. Errors as of Get; INVALID_ARGUMENT:
// APP_NOT_FOUND, or names the setting.
func (n *Integrations) PreviewAccounts(ctx context.Context, by authz.Caller, app uuid.UUID, to PreviewTarget, after uuid.UUID, size int) (page []Preview, more bool, err error) {
	if size == 0 {
		size = previewPage
	}
	size = min(size, previewMost)
	if to.Integration != uuid.Nil {
		i, err := n.Get(ctx, by.Scope(), to.Integration)
		if err != nil {
			return nil, false, err
		}
		to.BaseURL = i.BaseURL
		if to.Token, err = n.open(ctx, i); err != nil {
			return nil, false, err
		}
	}
	var known []store.KnownAccount
	err = n.cfg.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if there, err := store.HasApp(ctx, tx, app); err != nil || !there {
			if err == nil {
				err = apierr.InvalidField("app_id", "APP_NOT_FOUND", "there is no such app")
			}
			return err
		}
		known, err = store.AccountsOfApp(ctx, tx, app, after, size+1)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	c, err := n.connect(to.BaseURL, to.Token, accessReadOnly)
	if err != nil {
		return nil, false, errSettings("scim", err.Error())
	}
	defer c.Close()
	more = len(known) > size
	return lookUp(ctx, c, known[:min(size, len(known))]), more, nil
}

// lookUp looks accounts up, some side by side.
func lookUp(ctx context.Context, c connector.Connector, known []store.KnownAccount) []Preview {
	ctx, cancel := context.WithTimeout(ctx, previewTimeout)
	defer cancel()
	page := make([]Preview, len(known))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(previewsAtOnce, len(known)) {
		wg.Go(func() {
			for i := range next {
				page[i].Account = known[i].NamedAccount
				page[i].Found, page[i].Err = c.Find(ctx, personFor(known[i].Person), "")
			}
		})
	}
	for i := range known {
		next <- i
	}
	close(next)
	wg.Wait()
	return page
}
