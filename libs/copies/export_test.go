package copies

import "context"

// Handle applies events as the handler of a batch does.
var Handle = (*Copies).handle

// Rebuild rebuilds everything now.
func (c *Copies) Rebuild(ctx context.Context) error {
	for _, s := range c.sources {
		if err := c.rebuild(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// All are all kinds.
const All = Environments | Users | Groups | Apps | Entitlements | Grants
