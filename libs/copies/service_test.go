package copies_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

var noMigrations = fstest.MapFS{"00001_nothing.sql": {Data: []byte("-- +goose Up\nselect 1;\n")}}

// A service with all kinds of copies: events of every kind become rows, once,
// with what follows from them in the same transaction, and only a service may
// have the copies rebuilt.
func TestServiceWithCopies(t *testing.T) {
	t.Parallel()
	owner := &fakeOwner{take: func() []*opsv1.StreamSnapshotResponse { return nil }}
	run := func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		cfg.ClientID, cfg.ClientSecret = "audit", "secret"
		b, err := backend.Open(ctx, "identity-sync", cfg, noMigrations, log, copies.Schema(copies.All)...)
		if err != nil {
			return err
		}
		defer b.Close(ctx)
		conn, err := b.Dial("identity-sync", cfg.IdentityAddr)
		if err != nil {
			return err
		}
		defer conn.Close()
		c, err := copies.New(copies.Config{
			Service: "identity-sync", Kinds: copies.All, DB: b.DB, Bus: b.Bus, IdentitySync: conn, Request: conn, Provisioning: conn, Log: log,
			// Whoever has left is told of: an event for each.
			Changed: func(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
				for _, u := range changes.Users {
					if !u.Left() {
						continue
					}
					if err := b.Events.Add(ctx, tx, outbox.Event{
						OrganizationID: changes.OrganizationID, AggregateID: u.ID,
						Message: &eventv1.RoleChanged{Context: &eventv1.Context{Actor: event.SystemActor("identity-sync")}, User: u.After},
					}); err != nil {
						return err
					}
				}
				return nil
			},
		})
		if err != nil {
			return err
		}
		var h inbox.Handlers
		c.Register(&h)
		return b.Run(ctx, lis, backend.Spec{Register: func(grpc.ServiceRegistrar) {}, Handlers: &h, Copies: c})
	}
	h := servicetest.StartWith(t, noMigrations, copies.Schema(copies.All), run,
		func(s grpc.ServiceRegistrar) { opsv1.RegisterSnapshotServiceServer(s, owner) })

	org, user, group, app, entitlement, grant, environment := id.New(), id.New(), id.New(), id.New(), id.New(), id.New(), id.New()
	ada := &identityv1.User{
		Id: user.String(), UserName: "ada", State: identityv1.UserState_USER_STATE_ACTIVE, Kind: identityv1.UserKind_USER_KIND_EMPLOYEE,
		Role: identityv1.Role_ROLE_IT_ADMIN, JoinCount: 1, Version: 1, EnvironmentId: environment.String(),
	}
	h.Publish(t, org, environment, &eventv1.EnvironmentCreated{
		Environment: &identityv1.Environment{Id: environment.String(), Name: "Corp", Version: 1},
	})
	h.Publish(t, org, user, &eventv1.UserJoined{User: ada})
	h.Publish(t, org, group, &eventv1.GroupMemberAdded{
		Group: &identityv1.Group{Id: group.String(), DisplayName: "Staff", Version: 2}, Member: &identityv1.Person{UserId: user.String()},
	})
	h.Publish(t, org, app, &eventv1.AppCreated{App: &requestv1.App{
		Id: app.String(), Name: "Chat", AdminIds: []string{user.String()}, Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL,
		DeprovisioningAction: requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE, OfferedToAllEnvironments: true, OnlyByFlow: true, Category: "Talk", Version: 1,
	}})
	h.Publish(t, org, entitlement, &eventv1.EntitlementCreated{Entitlement: &requestv1.Entitlement{
		Id: entitlement.String(), AppId: app.String(), Name: "Account", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT, Risk: requestv1.EntitlementRisk_ENTITLEMENT_RISK_HIGH, Version: 1,
	}})
	h.Publish(t, org, grant, &eventv1.GrantCreated{Grant: &provisioningv1.Grant{
		Id: grant.String(), User: &identityv1.Person{UserId: user.String()}, AppId: app.String(), EntitlementId: entitlement.String(),
		State: provisioningv1.GrantState_GRANT_STATE_PENDING, Version: 1,
	}})
	left := &eventv1.UserRemoved{Context: &eventv1.Context{Version: 2}, User: ada}
	first := h.Publish(t, org, user, left)
	h.PublishAgain(t, first, org, user, left)

	if said := servicetest.Said[*eventv1.RoleChanged](t, h, "identity-sync"); len(said) != 1 || said[0].GetUser().GetUserName() != "ada" {
		t.Errorf("of who has left was said: %v", said)
	}
	for query, want := range map[string]string{
		`select state || role || kind || environment_id || version from user_copy where removed`:                                                                                      "removedit_adminemployee" + environment.String() + "2",
		`select name || (id = environment_id) from environment_copy`:                                                                                                                  "Corptrue",
		`select g.display_name || m.removed from group_copy g join group_member_copy m on m.group_id = g.id`:                                                                          "Stafffalse",
		`select provisioning || deprovisioning_action || account_adoption || admin_ids[1] || offered_to_all_environments || only_by_flow || category || environment_id from app_copy`: "manualdisableunspecified" + user.String() + "truetrueTalk" + uuid.Nil.String(),
		`select name || kind || risk from entitlement_copy where app_id is not null`:                                                                                                  "Accountaccounthigh",
		`select state || end_reason || removed from grant_copy where until is null`:                                                                                                   "pendingunspecifiedfalse",
	} {
		var got string
		err := h.DB.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, query).Scan(&got)
		})
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", query, got, err, want)
		}
	}

	rebuild := func(conn grpc.ClientConnInterface) error {
		_, err := opsv1.NewCopyServiceClient(conn).RebuildCopies(t.Context(), &opsv1.RebuildCopiesRequest{})
		return err
	}
	if err := rebuild(h.Conn(t, rpctest.User(authzv1.Caller_CALLER_ADMIN))); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an admin has copies rebuilt: %v", err)
	}
	// The owner has forgotten the group, and nobody has said so.
	if err := rebuild(h.Conn(t, rpctest.Service("operator"))); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the membership is over", func() bool {
		var over bool
		err := h.DB.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `select g.removed and m.removed from group_copy g join group_member_copy m on m.group_id = g.id`).Scan(&over)
		})
		return err == nil && over
	})
}
