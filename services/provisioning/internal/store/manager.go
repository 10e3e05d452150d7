package store

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Manager is a person's manager and the manager's account in the app, read without a lock:
// when that account changes, those who report to the manager are looked at again.
type Manager struct {
	// ID is the manager; null if the person has none.
	ID uuid.NullUUID
	// Removed says that the manager has left.
	Removed bool
	// State is that of the manager's account in the app; empty if there never was one.
	State   lifecycle.AccountState
	InDoubt bool
	// ExternalID is the app's id of it, at Tenant alone.
	ExternalID string
	Tenant     uuid.NullUUID
}

// managerLateral reads the account of u.manager_id in the app %s: managerColumns, which
// follow u.manager_id.
const managerLateral = `
	left join lateral (
	    select m.state::text as state, m.account_in_doubt, m.external_id, m.tenant_id
	    from account m where m.user_id = u.manager_id and m.app_id = %s limit 1) m on true
	left join lateral (select b.removed from user_copy b where b.id = u.manager_id limit 1) b on true`

const managerColumns = `coalesce(b.removed, false), coalesce(m.state, ''), coalesce(m.account_in_doubt, false), coalesce(m.external_id, ''), m.tenant_id`

func (m *Manager) columns() []any {
	return []any{&m.ID, &m.Removed, &m.State, &m.InDoubt, &m.ExternalID, &m.Tenant}
}

// Wanted is whom an account of the app should name.
func (m Manager) Wanted(a App) lifecycle.WantedManager {
	w := lifecycle.WantedManager{Person: m.ID.UUID}
	switch {
	case !m.ID.Valid, m.Removed, m.State == "", m.State == lifecycle.Absent && !m.InDoubt: // surely nobody
	case m.InDoubt, !m.At(a.Tenant.UUID):
		w.Unknown = true
	default:
		w.Account = m.ExternalID
	}
	return w
}

// At reports whether the id of the manager's account is known and valid at a tenant.
func (m Manager) At(tenant uuid.UUID) bool {
	return m.ExternalID != "" && m.Tenant.Valid && m.Tenant.UUID == tenant
}

// standing is what the accounts of those who report to a person are told of the person's
// own.
type standing struct {
	there, inDoubt bool
	id             string
	tenant         uuid.NullUUID
}

func (a *Account) standing() standing {
	return standing{there: a.Observed.Account != lifecycle.Absent, inDoubt: a.Observed.AccountInDoubt, id: a.ExternalID, tenant: a.Tenant}
}

// Restands reports whether what is known of the account has changed in a way that the
// accounts of those who report to its person are told of.
func (s *Assignment) Restands() bool { return s.Account.standing() != s.stood }

// managerRow is account.manager.
type managerRow struct {
	Account string        `json:"account,omitempty"`
	Perhaps []string      `json:"perhaps,omitempty"`
	Found   bool          `json:"found,omitempty"`
	Of      uuid.NullUUID `json:"of,omitzero"`
}

// rowOf is account.manager; nil if no manager was written or found.
func rowOf(m lifecycle.Manager) *managerRow {
	if m.Account == "" && len(m.Perhaps) == 0 && !m.Found {
		return nil
	}
	return &managerRow{Account: m.Account, Perhaps: m.Perhaps, Found: m.Found, Of: uuid.NullUUID{UUID: m.Of, Valid: m.Of != lifecycle.ID{}}}
}

func (r *managerRow) text() *string {
	if r == nil {
		return nil
	}
	return jsonText(r)
}

func (r *managerRow) manager() lifecycle.Manager {
	if r == nil {
		return lifecycle.Manager{}
	}
	return lifecycle.Manager{Account: r.Account, Perhaps: r.Perhaps, Found: r.Found, Of: r.Of.UUID}
}

// readManager reads account.manager; nothing is the usual case.
func readManager(data []byte, into *lifecycle.Manager) error {
	if len(data) == 0 {
		return nil
	}
	var r managerRow
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read the manager of an account: %w", err)
	}
	*into = r.manager()
	return nil
}
