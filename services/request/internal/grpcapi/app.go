package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
)

// Register registers the API.
func Register(s grpc.ServiceRegistrar, c *command.Commands) {
	requestv1.RegisterAppServiceServer(s, appService{commands: c})
	requestv1.RegisterRequestServiceServer(s, requestService{commands: c})
}

type appService struct {
	requestv1.UnimplementedAppServiceServer
	commands *command.Commands
}

func (s appService) CreateApp(ctx context.Context, in *requestv1.CreateAppRequest) (*requestv1.CreateAppResponse, error) {
	f := fields{}
	app := command.App{
		EnvironmentID: f.id("environment_id", in.GetEnvironmentId()),
		Name:          strings.TrimSpace(in.GetName()), Description: in.GetDescription(),
		OwnerID: convert.Nullable(f.id("owner_id", in.GetOwnerId())), AdminIDs: f.ids("admin_ids", in.GetAdminIds(), maxPeople), ApproverIDs: f.ids("approver_ids", in.GetApproverIds(), maxPeople),
		Provisioning: enum.Word(in.GetProvisioning()), IntegrationID: convert.Nullable(f.id("integration_id", in.GetIntegrationId())),
		DeprovisioningAction:     enum.Word(in.GetDeprovisioningAction()),
		OfferedToAllEnvironments: in.GetOfferedToAllEnvironments(), OfferedEnvironmentIDs: f.ids("offered_environment_ids", in.GetOfferedEnvironmentIds(), maxEnvironments),
	}
	if f.err != nil {
		return nil, f.err
	}
	app, account, err := s.commands.CreateApp(ctx, authz.Must(ctx), app)
	if err != nil {
		return nil, err
	}
	return &requestv1.CreateAppResponse{App: convert.App(app), Account: convert.Entitlement(account)}, nil
}

func (s appService) GetApp(ctx context.Context, in *requestv1.GetAppRequest) (*requestv1.GetAppResponse, error) {
	appID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	a, err := s.commands.GetApp(ctx, authz.Must(ctx), appID)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetAppResponse{App: convert.App(a)}, nil
}

func (s appService) ListApps(ctx context.Context, in *requestv1.ListAppsRequest) (*requestv1.ListAppsResponse, error) {
	apps, next, err := s.commands.ListApps(ctx, authz.Must(ctx), in.GetQuery(), in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListAppsResponse{Apps: each(apps, convert.App), NextPageToken: next}, nil
}

func (s appService) UpdateApp(ctx context.Context, in *requestv1.UpdateAppRequest) (*requestv1.UpdateAppResponse, error) {
	appID, err := id.Parse("app.id", in.GetApp().GetId())
	if err != nil {
		return nil, err
	}
	a, err := s.commands.UpdateApp(ctx, authz.Must(ctx), appID, func(a *command.App) ([]string, error) {
		return update(a, in.GetApp(), in.GetUpdateMask().GetPaths())
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.UpdateAppResponse{App: convert.App(a)}, nil
}

// update sets the fields of the paths, under the rules of CreateApp, and names
// those that have another value now.
func update(a *command.App, in *requestv1.App, paths []string) (changed []string, err error) {
	if len(paths) == 0 {
		return nil, apierr.InvalidField("update_mask", "UPDATE_MASK_EMPTY", "name at least one field to change")
	}
	f := fields{in: "app."}
	for _, p := range paths {
		if p != "id" && !slices.ContainsFunc(setters, func(s setter) bool { return s.field == p }) { // id is in the body beside the fields, over REST
			return nil, apierr.InvalidField("update_mask", "FIELD_NOT_CHANGEABLE", "the field %q cannot be changed", p)
		}
	}
	for _, s := range setters {
		if slices.Contains(paths, s.field) && s.set(&f, s.field, a, in) {
			changed = append(changed, s.field)
		}
	}
	return changed, f.err
}

// setter sets a field, and says whether that changed it.
type setter struct {
	field string
	set   func(f *fields, field string, a *command.App, in *requestv1.App) (changed bool)
}

// setters are those of the fields that can be changed.
var setters = []setter{
	{"name", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.Name, f.text(field, strings.TrimSpace(in.GetName()), 200))
	}},
	{"description", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.Description, f.text(field, in.GetDescription(), 2000))
	}},
	{"owner_id", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.OwnerID, convert.Nullable(f.id(field, in.GetOwnerId())))
	}},
	{"admin_ids", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return setList(&a.AdminIDs, f.ids(field, in.GetAdminIds(), maxPeople))
	}},
	{"approver_ids", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return setList(&a.ApproverIDs, f.ids(field, in.GetApproverIds(), maxPeople))
	}},
	{"provisioning", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.Provisioning, word(f, field, in.GetProvisioning(), requestv1.ProvisioningSupport_name))
	}},
	{"integration_id", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.IntegrationID, convert.Nullable(f.id(field, in.GetIntegrationId())))
	}},
	{"deprovisioning_action", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return set(&a.DeprovisioningAction, word(f, field, in.GetDeprovisioningAction(), requestv1.DeprovisioningAction_name))
	}},
	{"offered_to_all_environments", func(_ *fields, _ string, a *command.App, in *requestv1.App) bool {
		return set(&a.OfferedToAllEnvironments, in.GetOfferedToAllEnvironments())
	}},
	{"offered_environment_ids", func(f *fields, field string, a *command.App, in *requestv1.App) bool {
		return setList(&a.OfferedEnvironmentIDs, f.ids(field, in.GetOfferedEnvironmentIds(), maxEnvironments))
	}},
}

const (
	maxPeople       = 50
	maxEnvironments = 1000
)

func set[T comparable](to *T, v T) (changed bool) {
	changed = *to != v
	*to = v
	return changed
}

func setList(to *[]uuid.UUID, v []uuid.UUID) (changed bool) {
	changed = !slices.Equal(*to, v)
	*to = v
	return changed
}

// fields reads fields of a call; err is that of the first that is wrong.
type fields struct {
	in  string // where the fields are
	err error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// text is a text of at most so many characters.
func (f *fields) text(field, s string, most int) string {
	if utf8.RuneCountInString(s) > most {
		f.fail(apierr.InvalidField(f.in+field, "TOO_LONG", "at most %d characters", most))
	}
	return s
}

// id is an id; an empty one is the nil id.
func (f *fields) id(field, s string) uuid.UUID {
	if s == "" {
		return uuid.Nil
	}
	u, err := id.Parse(f.in+field, s)
	if err != nil {
		f.fail(err)
	}
	return u
}

// ids are at most so many ids, each once, in the order given.
func (f *fields) ids(field string, list []string, most int) []uuid.UUID {
	out := make([]uuid.UUID, 0, len(list))
	for i, s := range list {
		u, err := id.Parse(fmt.Sprintf("%s%s[%d]", f.in, field, i), s)
		if err != nil {
			f.fail(err)
		}
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	if len(out) > most {
		f.fail(apierr.InvalidField(f.in+field, "TOO_LONG", "at most %d entries", most))
	}
	return out
}

// word is the word of an enum's value, one of names.
func word[E enum.Enum](f *fields, field string, v E, names map[int32]string) string {
	if _, ok := names[int32(v)]; !ok {
		f.fail(apierr.InvalidField(f.in+field, "VALUE_UNKNOWN", "there is no such value"))
	}
	return enum.Word(v)
}

func (s appService) CreateEntitlement(ctx context.Context, in *requestv1.CreateEntitlementRequest) (*requestv1.CreateEntitlementResponse, error) {
	appID, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	e, err := s.commands.CreateEntitlement(ctx, authz.Must(ctx), command.Entitlement{
		AppID: appID, Name: strings.TrimSpace(in.GetName()), Description: in.GetDescription(), Kind: enum.Word(in.GetKind()), Ref: in.GetRef(),
	})
	if err != nil {
		return nil, err
	}
	return &requestv1.CreateEntitlementResponse{Entitlement: convert.Entitlement(e)}, nil
}

func (s appService) ListEntitlements(ctx context.Context, in *requestv1.ListEntitlementsRequest) (*requestv1.ListEntitlementsResponse, error) {
	appID, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.commands.ListEntitlements(ctx, authz.Must(ctx), appID, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListEntitlementsResponse{Entitlements: each(list, convert.Entitlement), NextPageToken: next}, nil
}

// each converts the rows of a page.
func each[T, M any](rows []T, convert func(T) M) []M {
	list := make([]M, len(rows))
	for i, r := range rows {
		list[i] = convert(r)
	}
	return list
}
