package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/store"
)

// CopiesChanged does what follows from changes of copies. What users hold ends
// if they have left; so does what they held before, if they turn out to have
// left and come back, and what was deleted, alone or with its app. It is held while
// they are suspended, and put back once they are active again. If the accounts of an
// app come and go in another way from now on, all of them are reconciled. A changed
// profile or manager is brought into the accounts that are there, and what an app calls an
// entitlement into what is being done about it. Each account is handled by itself, so that
// one whose rows cannot be saved keeps access in no other. Where nothing is known
// of what was there before, everything is reconciled.
func (e *Engine) CopiesChanged(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
	var users, managed, managers, renamed, changed, entitlements, apps []uuid.UUID
	var profiles []string
	for _, u := range changes.Users {
		if u.Before == nil || u.Left() || u.Before.GetState() != u.After.GetState() || !u.WasRemoved && u.Before.GetJoinCount() < u.After.GetJoinCount() {
			users = append(users, u.ID)
		} else {
			if profile := profileOf(u.After); profile != profileOf(u.Before) {
				renamed, profiles = append(renamed, u.ID), append(profiles, profile)
			}
			if u.Before.GetManagerId() != u.After.GetManagerId() {
				managed = append(managed, u.ID)
			}
		}
		if u.Before == nil || u.WasRemoved != u.Removed {
			managers = append(managers, u.ID)
		}
	}
	for _, a := range changes.Apps {
		if a.Before == nil || a.Left() || a.Before.GetProvisioning() != a.After.GetProvisioning() || a.Before.GetIntegrationId() != a.After.GetIntegrationId() ||
			a.Before.GetAccountAdoption() != a.After.GetAccountAdoption() || a.Before.GetDeprovisioningAction() != a.After.GetDeprovisioningAction() {
			changed = append(changed, a.ID)
		}
	}
	for _, ent := range changes.Entitlements {
		called := ent.Before != nil && (ent.Before.GetRef() != ent.After.GetRef() || ent.Before.GetKind() != ent.After.GetKind())
		if app, err := uuid.Parse(ent.After.GetAppId()); err == nil && (ent.Left() || called) {
			entitlements, apps = append(entitlements, ent.ID), append(apps, app)
		}
	}
	now := e.clock.Now()
	if len(entitlements) > 0 {
		if err := store.ReconcileHolders(ctx, tx, dueReconcile, apps, entitlements, now); err != nil {
			return err
		}
		tx.AfterCommit(e.due.Wake)
		for _, app := range apps {
			if err := e.checkSettingsLater(tx, changes.OrganizationID, app); err != nil {
				return err
			}
		}
	}
	if len(users) > 0 {
		if err := store.ReconcileUsers(ctx, tx, dueReconcile, users, now); err != nil {
			return err
		}
		tx.AfterCommit(e.due.Wake)
	}
	if len(renamed) > 0 {
		if err := store.ReconcileProfiles(ctx, tx, dueReconcile, renamed, profiles, now); err != nil {
			return err
		}
		tx.AfterCommit(e.due.Wake)
	}
	if err := e.managersChanged(ctx, tx, changes.OrganizationID, managed, managers); err != nil {
		return err
	}
	if len(changed) == 0 {
		return nil
	}
	if err := store.ReconcileApps(ctx, tx, dueReconcile, changed, now); err != nil {
		return err
	}
	tx.AfterCommit(e.due.Wake)
	for _, app := range changed {
		if err := e.checkSettingsLater(tx, changes.OrganizationID, app); err != nil {
			return err
		}
	}
	return nil
}

// managersChanged has the accounts of users whose manager has changed reconciled, and those
// of the users who report to managers who have left, or come back.
func (e *Engine) managersChanged(ctx context.Context, tx *postgres.Tx, org uuid.UUID, managed, managers []uuid.UUID) error {
	now := e.clock.Now()
	if len(managed) > 0 {
		if err := store.ReconcileManaged(ctx, tx, dueReconcile, managed, now); err != nil {
			return err
		}
		var again []due.Item
		for _, u := range managed {
			again = append(again, due.Item{Kind: dueManaged, Key: u, OrganizationID: org, Time: now.Add(e.timing.SettingsCheck)})
		}
		if err := e.due.Add(tx, again...); err != nil {
			return err //nolint:wrapcheck // it says what it does
		}
		tx.AfterCommit(e.due.Wake)
	}
	if len(managers) == 0 {
		return nil
	}
	tx.AfterCommit(e.due.Wake)
	return store.AwaitReportsOfUsers(ctx, tx, dueReports, managers, now)
}

// profileOf is the fingerprint of what apps are told of a user.
func profileOf(u *identityv1.User) string {
	return connector.Person{
		UserName: u.GetUserName(), Email: u.GetEmail(), GivenName: u.GetGivenName(), FamilyName: u.GetFamilyName(),
		DisplayName: u.GetDisplayName(), Title: u.GetTitle(), Department: u.GetDepartment(),
	}.Fingerprint()
}
