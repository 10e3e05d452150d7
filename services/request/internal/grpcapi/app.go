package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/store"
)

// Apps answers AppService.
type Apps struct {
	requestv1.UnimplementedAppServiceServer

	DB     *postgres.DB
	Events *outbox.Writer
	Clock  clock.Clock
	// Integrations answers whether an integration works: the one question that
	// this service asks another.
	Integrations provisioningv1.IntegrationServiceClient
}

// CreateApp implements AppService.
func (s *Apps) CreateApp(ctx context.Context, in *requestv1.CreateAppRequest) (*requestv1.CreateAppResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c, now := authz.Must(ctx), timestamppb.New(s.Clock.Now())
	app := &requestv1.App{
		Id: id.New().String(), OrganizationId: c.OrganizationID.String(), Name: strings.TrimSpace(in.GetName()), Description: in.GetDescription(),
		OwnerId: strings.ToLower(in.GetOwnerId()), AdminIds: unique(in.GetAdminIds()), ApproverIds: unique(in.GetApproverIds()),
		Provisioning: in.GetProvisioning(), IntegrationId: strings.ToLower(in.GetIntegrationId()), DeprovisioningAction: in.GetDeprovisioningAction(),
		CreateTime: now, UpdateTime: now, Version: 1,
	}
	if err := noEnvironment(in, ""); err != nil {
		return nil, err
	}
	if err := s.check(ctx, app, "", true); err != nil {
		return nil, err
	}
	account := &requestv1.Entitlement{
		Id: id.New().String(), OrganizationId: app.GetOrganizationId(), AppId: app.GetId(), Name: "account",
		Description: "An account in " + app.GetName(), Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT, CreateTime: now, Version: 1,
	}
	err := s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		if err := checkPeople(ctx, tx, "", nil, app); err != nil {
			return err
		}
		if err := store.InsertApp(ctx, tx, app, account); err != nil {
			return err
		}
		about := &eventv1.Context{Actor: event.CallerActor(c), AppId: app.GetId(), Version: 1}
		return s.Events.Add(ctx, tx,
			newEvent(c, app.GetId(), now, &eventv1.AppCreated{Context: about, App: app}),
			newEvent(c, account.GetId(), now, &eventv1.EntitlementCreated{Context: about, Entitlement: account, AppName: app.GetName()}))
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.CreateAppResponse{App: app, Account: account}, nil
}

// check checks what the fields must be together. in says where they stand in
// the request; integration, whether provisioning is to be asked for it.
func (s *Apps) check(ctx context.Context, a *requestv1.App, in string, integration bool) error {
	if a.GetName() == "" {
		return apierr.InvalidField(in+"name", "NAME_EMPTY", "the name must not be empty")
	}
	if a.GetProvisioning() != requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC {
		return nil
	}
	if a.GetIntegrationId() == "" {
		return apierr.InvalidField(in+"integration_id", "INTEGRATION_MISSING", "an automatic app needs an integration")
	}
	if !integration {
		return nil
	}
	why := ""
	r, err := s.Integrations.GetIntegration(ctx, &provisioningv1.GetIntegrationRequest{Id: a.GetIntegrationId()})
	err = apierr.FromCall(err)
	switch {
	case apierr.HasReason(err, "INTEGRATION_NOT_FOUND"):
		why = "there is no such integration"
	case err != nil:
		return err
	case r.GetIntegration().GetState() == provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING:
		return nil
	case r.GetIntegration().GetState() == provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING:
		why = "its last test failed: " + r.GetIntegration().GetStateDetail()
	default:
		why = "it has not been tested"
	}
	return apierr.Precondition("INTEGRATION_NOT_WORKING", "an app can be automatic only with a working integration: %s", why).
		WithField(in+"integration_id", "INTEGRATION_NOT_WORKING", "%s", why)
}

// checkPeople refuses owners, admins and approvers who are nobody here, besides
// those that the app had before: who has left since does not keep others from
// changing it.
func checkPeople(ctx context.Context, tx *postgres.Tx, in string, before, a *requestv1.App) error {
	type person struct{ field, id string }
	var people []person
	var ids []string
	add := func(field, id string, had bool) {
		if id != "" && !had {
			people = append(people, person{field, id})
			ids = append(ids, id)
		}
	}
	add("owner_id", a.GetOwnerId(), a.GetOwnerId() == before.GetOwnerId())
	for i, p := range a.GetAdminIds() {
		add(fmt.Sprintf("admin_ids[%d]", i), p, slices.Contains(before.GetAdminIds(), p))
	}
	for i, p := range a.GetApproverIds() {
		add(fmt.Sprintf("approver_ids[%d]", i), p, slices.Contains(before.GetApproverIds(), p))
	}
	if len(people) == 0 {
		return nil
	}
	unknown, err := store.UnknownPeople(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, p := range people {
		if slices.Contains(unknown, p.id) {
			return apierr.InvalidField(in+p.field, "USER_UNKNOWN", "there is no such user: %s", p.id)
		}
	}
	return nil
}

// GetApp implements AppService.
func (s *Apps) GetApp(ctx context.Context, in *requestv1.GetAppRequest) (*requestv1.GetAppResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	out := &requestv1.GetAppResponse{}
	err := s.DB.InOrganizationRead(ctx, authz.Must(ctx).OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		out.App, err = store.App(ctx, tx, in.GetId())
		return err
	})
	return out, err
}

// ListApps implements AppService.
func (s *Apps) ListApps(ctx context.Context, in *requestv1.ListAppsRequest) (*requestv1.ListAppsResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	after, err := nameKeys(in.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(in.GetPageSize())
	out := &requestv1.ListAppsResponse{}
	err = s.DB.InOrganizationRead(ctx, authz.Must(ctx).OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		apps, err := store.Apps(ctx, tx, authz.Must(ctx).OrganizationID, in.GetQuery(), after, size+1)
		out.Apps, out.NextPageToken = cut(apps, size, func(a *requestv1.App) string { return page.Encode(a.GetName(), a.GetId()) })
		return err
	})
	return out, err
}

// UpdateApp implements AppService.
func (s *Apps) UpdateApp(ctx context.Context, in *requestv1.UpdateAppRequest) (out *requestv1.UpdateAppResponse, err error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	if err := noEnvironment(in.GetApp(), "app."); err != nil {
		return nil, err
	}
	for range 5 {
		// Whoever changes other fields at the same time is no hindrance.
		if out, err = s.update(ctx, in); !errors.Is(err, store.ErrAppChanged) {
			break
		}
	}
	return out, err
}

// update changes an app unless somebody else does at the same moment.
func (s *Apps) update(ctx context.Context, in *requestv1.UpdateAppRequest) (*requestv1.UpdateAppResponse, error) {
	c := authz.Must(ctx)
	appID, err := id.Parse("app.id", in.GetApp().GetId())
	if err != nil {
		return nil, err
	}
	var before *requestv1.App
	err = s.DB.InOrganizationRead(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		before, err = store.App(ctx, tx, appID.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	app := proto.CloneOf(before)
	if err := apply(app, in.GetApp(), in.GetUpdateMask().GetPaths()); err != nil {
		return nil, err
	}
	changed := changedFields(before, app)
	if len(changed) == 0 {
		return &requestv1.UpdateAppResponse{App: before}, nil
	}
	// The question to provisioning comes before the transaction.
	if err := s.check(ctx, app, "app.", slices.Contains(changed, "provisioning") || slices.Contains(changed, "integration_id")); err != nil {
		return nil, err
	}
	now := timestamppb.New(s.Clock.Now())
	app.UpdateTime, app.Version = now, before.GetVersion()+1
	err = s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		if err := checkPeople(ctx, tx, "app.", before, app); err != nil {
			return err
		}
		if err := store.UpdateApp(ctx, tx, app); err != nil {
			return err
		}
		return s.Events.Add(ctx, tx, newEvent(c, app.GetId(), now, &eventv1.AppUpdated{
			Context: &eventv1.Context{Actor: event.CallerActor(c), AppId: app.GetId(), Version: app.GetVersion()}, App: app, ChangedFields: changed,
		}))
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.UpdateAppResponse{App: app}, nil
}

// apply sets the named fields, under the rules of CreateApp.
func apply(a, in *requestv1.App, paths []string) error {
	if len(paths) == 0 {
		return apierr.InvalidField("update_mask", "UPDATE_MASK_EMPTY", "name at least one field to change")
	}
	tooLong := func(field string, most int) error {
		return apierr.InvalidField("app."+field, "TOO_LONG", "at most %d characters or entries", most)
	}
	for _, p := range paths {
		switch p {
		case "id": // in the body beside the fields, over REST
		case "name":
			if a.Name = strings.TrimSpace(in.GetName()); utf8.RuneCountInString(a.GetName()) > 200 {
				return tooLong(p, 200)
			}
		case "description":
			if a.Description = in.GetDescription(); utf8.RuneCountInString(a.GetDescription()) > 2000 {
				return tooLong(p, 2000)
			}
		case "owner_id":
			a.OwnerId = strings.ToLower(in.GetOwnerId())
		case "admin_ids":
			if a.AdminIds = unique(in.GetAdminIds()); len(a.GetAdminIds()) > 50 {
				return tooLong(p, 50)
			}
		case "approver_ids":
			if a.ApproverIds = unique(in.GetApproverIds()); len(a.GetApproverIds()) > 50 {
				return tooLong(p, 50)
			}
		case "provisioning":
			a.Provisioning = in.GetProvisioning()
		case "integration_id":
			a.IntegrationId = strings.ToLower(in.GetIntegrationId())
		case "deprovisioning_action":
			a.DeprovisioningAction = in.GetDeprovisioningAction()
		default:
			return apierr.InvalidField("update_mask", "FIELD_NOT_CHANGEABLE", "the field %q cannot be changed", p)
		}
	}
	for field, v := range map[string]string{"owner_id": a.GetOwnerId(), "integration_id": a.GetIntegrationId()} {
		if v == "" {
			continue
		}
		if _, err := id.Parse("app."+field, v); err != nil {
			return err
		}
	}
	for field, ids := range map[string][]string{"admin_ids": a.GetAdminIds(), "approver_ids": a.GetApproverIds()} {
		for i, v := range ids {
			if _, err := id.Parse(fmt.Sprintf("app.%s[%d]", field, i), v); err != nil {
				return err
			}
		}
	}
	if _, ok := requestv1.ProvisioningSupport_name[int32(a.GetProvisioning())]; !ok {
		return apierr.InvalidField("app.provisioning", "VALUE_UNKNOWN", "there is no such provisioning support")
	}
	if _, ok := requestv1.DeprovisioningAction_name[int32(a.GetDeprovisioningAction())]; !ok {
		return apierr.InvalidField("app.deprovisioning_action", "VALUE_UNKNOWN", "there is no such account ending")
	}
	return nil
}

// changedFields names the fields that differ.
func changedFields(a, b *requestv1.App) []string {
	var out []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"name", a.GetName() == b.GetName()},
		{"description", a.GetDescription() == b.GetDescription()},
		{"owner_id", a.GetOwnerId() == b.GetOwnerId()},
		{"admin_ids", slices.Equal(a.GetAdminIds(), b.GetAdminIds())},
		{"approver_ids", slices.Equal(a.GetApproverIds(), b.GetApproverIds())},
		{"provisioning", a.GetProvisioning() == b.GetProvisioning()},
		{"integration_id", a.GetIntegrationId() == b.GetIntegrationId()},
		{"deprovisioning_action", a.GetDeprovisioningAction() == b.GetDeprovisioningAction()},
	} {
		if !f.same {
			out = append(out, f.name)
		}
	}
	return out
}

// CreateEntitlement implements AppService.
func (s *Apps) CreateEntitlement(ctx context.Context, in *requestv1.CreateEntitlementRequest) (*requestv1.CreateEntitlementResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	c, now := authz.Must(ctx), timestamppb.New(s.Clock.Now())
	e := &requestv1.Entitlement{
		Id: id.New().String(), OrganizationId: c.OrganizationID.String(), AppId: in.GetAppId(), Name: strings.TrimSpace(in.GetName()),
		Description: in.GetDescription(), Kind: in.GetKind(), Ref: in.GetRef(), CreateTime: now, Version: 1,
	}
	if e.GetName() == "" {
		return nil, apierr.InvalidField("name", "NAME_EMPTY", "the name must not be empty")
	}
	err := s.DB.InOrganization(ctx, c.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		app, err := store.App(ctx, tx, in.GetAppId())
		if err != nil {
			return err
		}
		e.AppId = app.GetId()
		if err := store.InsertEntitlement(ctx, tx, e); err != nil {
			return err
		}
		return s.Events.Add(ctx, tx, newEvent(c, e.GetId(), now, &eventv1.EntitlementCreated{
			Context: &eventv1.Context{Actor: event.CallerActor(c), AppId: app.GetId(), Version: 1}, Entitlement: e, AppName: app.GetName(),
		}))
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.CreateEntitlementResponse{Entitlement: e}, nil
}

// ListEntitlements implements AppService.
func (s *Apps) ListEntitlements(ctx context.Context, in *requestv1.ListEntitlementsRequest) (*requestv1.ListEntitlementsResponse, error) {
	if err := wholeOrganization(ctx); err != nil {
		return nil, err
	}
	after, err := nameKeys(in.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(in.GetPageSize())
	out := &requestv1.ListEntitlementsResponse{}
	err = s.DB.InOrganizationRead(ctx, authz.Must(ctx).OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := store.App(ctx, tx, in.GetAppId()); err != nil {
			return err
		}
		es, err := store.Entitlements(ctx, tx, in.GetAppId(), after, size+1)
		out.Entitlements, out.NextPageToken = cut(es, size, func(e *requestv1.Entitlement) string { return page.Encode(e.GetName(), e.GetId()) })
		return err
	})
	return out, err
}

// nameKeys reads the page token of a list by name.
func nameKeys(token string) ([]string, error) {
	keys, err := page.Decode(token, 2)
	if err != nil || keys == nil {
		return nil, err
	}
	_, err = id.Parse("page_token", keys[1])
	return keys, err
}

// cut takes the extra row off a page and makes the token of the next one.
func cut[T any](rows []T, size int, token func(T) string) ([]T, string) {
	if len(rows) <= size {
		return rows, ""
	}
	return rows[:size], token(rows[size-1])
}

// unique gives ids in the form the database keeps them in, each once, in the
// order given.
func unique(ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, i := range ids {
		if i = strings.ToLower(i); !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// newEvent makes an event of the caller's organization.
func newEvent(c authz.Caller, aggregateID string, at *timestamppb.Timestamp, m proto.Message) outbox.Event {
	aid, _ := id.Parse("id", aggregateID) // made here or read from a uuid column
	return outbox.Event{OrganizationID: c.OrganizationID, AggregateID: aid, Time: at.AsTime(), Message: m}
}
