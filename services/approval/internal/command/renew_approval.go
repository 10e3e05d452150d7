package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// renewApprovals writes open approvals anew that were last written by a release before
// this one, each in a transaction of its own: what is kept of an approval beside its data
// is not known of them. It ends with the first pass that finds none, and begins again
// when somebody comes upon one, as another replica may be of that release still.
func (c *Commands) renewApprovals(ctx context.Context, s *scan) error {
	if !c.Maintenance.older.Load() {
		return nil
	}
	var after string
	for {
		var found []store.ApprovalID
		err := c.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			found, err = c.Store.OlderApprovals(ctx, tx, after, approvalsAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			if after == "" {
				c.Maintenance.older.Store(false)
			}
			return nil
		}
		for _, a := range found {
			after = a.RequestID
			s.do(ctx, a.OrganizationID, a.RequestID, func() error {
				return c.DB.InOrganization(ctx, a.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
					rec, err := c.Store.Load(ctx, tx, a.RequestID)
					if err != nil || rec == nil || rec.State != lifecycle.Open {
						return err
					}
					r, err := c.prepare(rec)
					if err != nil {
						return err
					}
					return c.save(ctx, tx, r)
				})
			})
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
