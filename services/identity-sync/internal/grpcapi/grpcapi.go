// Package grpcapi is identity-sync's gRPC API: it translates a call into one
// command, and its result into the answer. Who may call what is declared in
// the protos and enforced before; so are the rules on single fields.
package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/resource"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/command"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/exchange"
	"gatehouse.dev/services/identity-sync/internal/keyring"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

const (
	// maxUserAgent bounds what is kept of a user agent, in characters.
	maxUserAgent = 200
	// devPeople is how many people the development sign-in shows.
	devPeople = 200
)

// Config is what the API stands on.
type Config struct {
	Commands  *command.Commands
	SignIns   *command.SignIns
	Answers   *idempotency.Answers
	Exchanger exchange.Exchanger
	Ring      *keyring.Ring
	// AllowSignUp lets anybody make an organization.
	AllowSignUp bool
	// DevSignIn lets anybody sign in as anybody.
	DevSignIn bool
}

// Server serves every RPC of gatehouse.identity.v1.
type Server struct {
	identityv1.UnimplementedOrganizationServiceServer
	identityv1.UnimplementedEnvironmentServiceServer
	identityv1.UnimplementedUserServiceServer
	identityv1.UnimplementedGroupServiceServer
	identityv1.UnimplementedSourceServiceServer
	identityv1.UnimplementedApiTokenServiceServer
	identityv1.UnimplementedSessionServiceServer
	identityv1.UnimplementedTokenServiceServer
	identityv1.UnimplementedIdentityProviderServiceServer
	identityv1.UnimplementedSignInServiceServer

	cfg Config
}

// Register puts the API on a server.
func Register(s grpc.ServiceRegistrar, cfg Config) {
	srv := &Server{cfg: cfg}
	identityv1.RegisterOrganizationServiceServer(s, srv)
	identityv1.RegisterEnvironmentServiceServer(s, srv)
	identityv1.RegisterUserServiceServer(s, srv)
	identityv1.RegisterGroupServiceServer(s, srv)
	identityv1.RegisterSourceServiceServer(s, srv)
	identityv1.RegisterApiTokenServiceServer(s, srv)
	identityv1.RegisterSessionServiceServer(s, srv)
	identityv1.RegisterTokenServiceServer(s, srv)
	identityv1.RegisterIdentityProviderServiceServer(s, srv)
	identityv1.RegisterSignInServiceServer(s, srv)
}

// name reads a name: something to see.
func name(field, value string) (string, error) {
	if value = strings.TrimSpace(value); value == "" {
		return "", apierr.InvalidField(field, "BLANK", "%s must not be blank", field)
	}
	return value, nil
}

// plainID is an id that was checked to be a UUID, in its plain form; empty stays
// empty.
func plainID(text string) string {
	if u, err := uuid.Parse(text); err == nil {
		return u.String()
	}
	return text
}

// SignUp makes an organization and signs its first admin in.
func (s *Server) SignUp(ctx context.Context, req *identityv1.SignUpRequest) (*identityv1.SignUpResponse, error) {
	if !s.cfg.AllowSignUp {
		return nil, apierr.Precondition("SIGN_UP_CLOSED", "sign-up is closed here: ask an admin to let you in")
	}
	organization, err := name("organization_name", req.GetOrganizationName())
	if err != nil {
		return nil, err
	}
	display, err := name("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	email, err := name("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.DoFounding(ctx, s.cfg.Answers, req, func(ctx context.Context, id uuid.UUID) (*identityv1.SignUpResponse, error) {
		token, hash := secret.New(secret.Session)
		o, u, err := s.cfg.Commands.SignUp(ctx, command.SignUp{
			ID: id, OrganizationName: organization, Email: email, DisplayName: display,
			Session: newSession(ctx, hash),
		})
		if err != nil {
			return nil, err
		}
		return &identityv1.SignUpResponse{Organization: convert.Organization(o), User: convert.User(u), Token: token}, nil
	})
	return out, err
}

// GetOrganization shows the caller's organization.
func (s *Server) GetOrganization(ctx context.Context, _ *identityv1.GetOrganizationRequest) (*identityv1.GetOrganizationResponse, error) {
	o, err := s.cfg.Commands.Organization(ctx, authz.Must(ctx).OrganizationID)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetOrganizationResponse{Organization: convert.Organization(o)}, nil
}

// UpdateOrganization changes the caller's organization.
func (s *Server) UpdateOrganization(ctx context.Context, req *identityv1.UpdateOrganizationRequest) (*identityv1.UpdateOrganizationResponse, error) {
	u := resource.Update[*identityv1.Organization]{
		Field: "organization", Resource: req.GetOrganization(), Mask: req.GetUpdateMask(),
		Fields: []string{"name", "sign_in_name", "remove_suspended_after"},
	}
	o, err := s.cfg.Commands.UpdateOrganization(ctx, authz.Must(ctx), func(before command.Organization) (settings command.OrganizationSettings, err error) {
		m, err := u.Apply(convert.Organization(before))
		if err != nil {
			return settings, err
		}
		settings.SignInName = m.GetSignInName()
		var whole bool
		if settings.RemoveSuspendedAfterDays, whole = convert.Days(m.GetRemoveSuspendedAfter()); !whole {
			return settings, apierr.InvalidField("organization.remove_suspended_after", "NOT_WHOLE_DAYS", "must be a whole number of days")
		}
		settings.Name, err = name("organization.name", m.GetName())
		return settings, err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.UpdateOrganizationResponse{Organization: convert.Organization(o)}, nil
}

// GetMe shows the caller.
func (s *Server) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	c := authz.Must(ctx)
	u, o, err := s.cfg.Commands.UserAndOrganization(ctx, c.OrganizationID, c.UserID)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetMeResponse{User: convert.User(u), Organization: convert.Organization(o)}, nil
}

// userState is the word of a state; empty for unspecified.
func userState(s identityv1.UserState) string {
	if s == identityv1.UserState_USER_STATE_UNSPECIFIED {
		return ""
	}
	return enum.Word(s)
}

// ListUsers lists people.
func (s *Server) ListUsers(ctx context.Context, req *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	list, next, err := s.cfg.Commands.Users(ctx, authz.Must(ctx).Scope(), req.GetQuery(), userState(req.GetState()), req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListUsersResponse{Users: convert.List(list, convert.User), NextPageToken: next}, nil
}

// GetUser shows one person.
func (s *Server) GetUser(ctx context.Context, req *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	uid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	u, err := s.cfg.Commands.User(ctx, authz.Must(ctx).Scope(), uid)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetUserResponse{User: convert.User(u)}, nil
}

// CreateUser makes a service or an agent.
func (s *Server) CreateUser(ctx context.Context, req *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error) {
	in := command.NewUser{Kind: enum.Word(req.GetKind()), EnvironmentID: plainID(req.GetEnvironmentId())}
	var err error
	if in.UserName, err = name("user_name", req.GetUserName()); err != nil {
		return nil, err
	}
	if in.DisplayName, err = name("display_name", req.GetDisplayName()); err != nil {
		return nil, err
	}
	if in.Purpose, err = name("purpose", req.GetPurpose()); err != nil {
		return nil, err
	}
	if in.AccountableUserID, err = id.Parse("accountable_user_id", req.GetAccountableUserId()); err != nil {
		return nil, err
	}
	if err := req.GetEndTime().CheckValid(); err != nil {
		return nil, apierr.InvalidField("end_time", "INVALID_TIME", "end_time is not a time")
	}
	in.EndTime = req.GetEndTime().AsTime().Truncate(time.Microsecond)
	out, _, err := idempotency.Do(ctx, s.cfg.Answers, req, func(ctx context.Context) (*identityv1.CreateUserResponse, error) {
		u, err := s.cfg.Commands.CreateUser(ctx, authz.Must(ctx), in)
		if err != nil {
			return nil, err
		}
		return &identityv1.CreateUserResponse{User: convert.User(u)}, nil
	})
	return out, err
}

// SetUserRole changes a role.
func (s *Server) SetUserRole(ctx context.Context, req *identityv1.SetUserRoleRequest) (*identityv1.SetUserRoleResponse, error) {
	uid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	u, err := s.cfg.Commands.SetRole(ctx, authz.Must(ctx), uid, lifecycle.Role(enum.Word(req.GetRole())), plainID(req.GetRoleEnvironmentId()))
	if err != nil {
		return nil, err
	}
	return &identityv1.SetUserRoleResponse{User: convert.User(u)}, nil
}

// DeleteUser has a user leave.
func (s *Server) DeleteUser(ctx context.Context, req *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	uid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	u, err := s.cfg.Commands.DeleteUser(ctx, authz.Must(ctx), uid)
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteUserResponse{User: convert.User(u)}, nil
}

// ListGroups lists groups.
func (s *Server) ListGroups(ctx context.Context, req *identityv1.ListGroupsRequest) (*identityv1.ListGroupsResponse, error) {
	list, next, err := s.cfg.Commands.Groups(ctx, authz.Must(ctx).Scope(), req.GetQuery(), req)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListGroupsResponse{NextPageToken: next}
	for _, g := range list {
		out.Groups = append(out.Groups, convert.Group(g))
	}
	return out, nil
}

// ListGroupMembers lists the people in a group.
func (s *Server) ListGroupMembers(ctx context.Context, req *identityv1.ListGroupMembersRequest) (*identityv1.ListGroupMembersResponse, error) {
	gid, err := id.Parse("group_id", req.GetGroupId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.cfg.Commands.GroupMembers(ctx, authz.Must(ctx).Scope(), gid, req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListGroupMembersResponse{Users: convert.List(list, convert.User), NextPageToken: next}, nil
}

// CreateSource makes a source.
func (s *Server) CreateSource(ctx context.Context, req *identityv1.CreateSourceRequest) (*identityv1.CreateSourceResponse, error) {
	called, err := name("name", req.GetName())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.cfg.Answers, req, func(ctx context.Context) (*identityv1.CreateSourceResponse, error) {
		token, hash := secret.New(secret.Source)
		src, err := s.cfg.Commands.CreateSource(ctx, authz.Must(ctx), plainID(req.GetEnvironmentId()), called, enum.Word(req.GetKind()), hash)
		if err != nil {
			return nil, err
		}
		return &identityv1.CreateSourceResponse{Source: convert.Source(src), Token: token}, nil
	})
	return out, err
}

// ListSources lists the sources.
func (s *Server) ListSources(ctx context.Context, req *identityv1.ListSourcesRequest) (*identityv1.ListSourcesResponse, error) {
	list, next, err := s.cfg.Commands.Sources(ctx, authz.Must(ctx).Scope(), req)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListSourcesResponse{NextPageToken: next}
	for _, src := range list {
		out.Sources = append(out.Sources, convert.Source(src))
	}
	return out, nil
}

// UpdateSource renames a source.
func (s *Server) UpdateSource(ctx context.Context, req *identityv1.UpdateSourceRequest) (*identityv1.UpdateSourceResponse, error) {
	sid, err := id.Parse("source.id", req.GetSource().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*identityv1.Source]{
		Field: "source", Resource: req.GetSource(), Mask: req.GetUpdateMask(), Fields: []string{"name"}, Rules: &identityv1.CreateSourceRequest{},
	}
	src, err := s.cfg.Commands.UpdateSource(ctx, authz.Must(ctx), sid, func(before command.Source) (after command.Source, changed []string, err error) {
		m, err := u.Apply(convert.Source(before))
		if err != nil {
			return before, nil, err
		}
		after = before
		if after.Name, err = name("source.name", m.GetName()); err != nil {
			return before, nil, err
		}
		return after, u.Changed(convert.Source(before), convert.Source(after)), nil
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &identityv1.UpdateSourceResponse{Source: convert.Source(src)}, nil
}

// DeleteSource deletes a source.
func (s *Server) DeleteSource(ctx context.Context, req *identityv1.DeleteSourceRequest) (*identityv1.DeleteSourceResponse, error) {
	sid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Commands.DeleteSource(ctx, authz.Must(ctx), sid, command.SourceDeletion{
		ETag: req.GetEtag(), Keep: req.GetUsers() == identityv1.SourceUsers_SOURCE_USERS_KEEP, Remove: req.GetUsers() == identityv1.SourceUsers_SOURCE_USERS_REMOVE,
	}); err != nil {
		return nil, err
	}
	return &identityv1.DeleteSourceResponse{}, nil
}

// HandOverUsers gives a source people whom none owns.
func (s *Server) HandOverUsers(ctx context.Context, req *identityv1.HandOverUsersRequest) (*identityv1.HandOverUsersResponse, error) {
	sid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if (len(req.GetUsers()) == 0) == (strings.TrimSpace(req.GetFilter()) == "") {
		return nil, apierr.InvalidField("users", "HAND_OVER_NOBODY", "say who is handed over: either users or a filter")
	}
	in := command.HandOver{Filter: &identityv1.ListUsersRequest{Filter: req.GetFilter(), PageSize: maxHandOver}, Preview: req.GetValidateOnly()}
	for i, u := range req.GetUsers() {
		uid, err := id.Parse(fmt.Sprintf("users[%d].user_id", i), u.GetUserId())
		if err != nil {
			return nil, err
		}
		in.Users = append(in.Users, command.UserHandOver{UserID: uid, ExternalID: u.GetExternalId()})
	}
	users, more, err := s.cfg.Commands.HandOverUsers(ctx, authz.Must(ctx), sid, in)
	if err != nil {
		return nil, err
	}
	return &identityv1.HandOverUsersResponse{Users: convert.List(users, convert.User), More: more}, nil
}

// maxHandOver is how many people are handed over in a call.
const maxHandOver = 200

// RotateSourceToken replaces a source's token.
func (s *Server) RotateSourceToken(ctx context.Context, req *identityv1.RotateSourceTokenRequest) (*identityv1.RotateSourceTokenResponse, error) {
	sid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	token, hash := secret.New(secret.Source)
	if err := s.cfg.Commands.RotateSourceToken(ctx, authz.Must(ctx), sid, hash); err != nil {
		return nil, err
	}
	return &identityv1.RotateSourceTokenResponse{Token: token}, nil
}

// CreateApiToken makes an API token of the caller's.
func (s *Server) CreateApiToken(ctx context.Context, req *identityv1.CreateApiTokenRequest) (*identityv1.CreateApiTokenResponse, error) { //nolint:revive // as generated
	called, err := name("name", req.GetName())
	if err != nil {
		return nil, err
	}
	if err := req.GetExpireTime().CheckValid(); err != nil {
		return nil, apierr.InvalidField("expire_time", "INVALID_TIME", "expire_time is not a time")
	}
	all := authz.Scopes()
	for i, scope := range req.GetScopes() {
		if !slices.Contains(all, scope) {
			return nil, apierr.InvalidField(fmt.Sprintf("scopes[%d]", i), "SCOPE_UNKNOWN", "there is no scope %q; there are %s", scope, strings.Join(all, ", "))
		}
	}
	var user uuid.UUID
	if req.GetUserId() != "" {
		if user, err = id.Parse("user_id", req.GetUserId()); err != nil {
			return nil, err
		}
	}
	out, _, err := idempotency.Do(ctx, s.cfg.Answers, req, func(ctx context.Context) (*identityv1.CreateApiTokenResponse, error) {
		token, hash := secret.New(secret.APIToken)
		t, err := s.cfg.Commands.CreateAPIToken(ctx, authz.Must(ctx), command.NewAPIToken{
			UserID: user, Name: called, ReadOnly: req.GetReadOnly(), Scopes: req.GetScopes(), Prefix: secret.Prefix(token), Hash: hash,
			ExpireTime: req.GetExpireTime().AsTime().Truncate(time.Microsecond),
		})
		if err != nil {
			return nil, err
		}
		return &identityv1.CreateApiTokenResponse{ApiToken: convert.APIToken(t), Token: token}, nil
	})
	return out, err
}

// ListApiTokens lists API tokens.
func (s *Server) ListApiTokens(ctx context.Context, req *identityv1.ListApiTokensRequest) (*identityv1.ListApiTokensResponse, error) { //nolint:revive // as generated
	list, next, err := s.cfg.Commands.APITokens(ctx, authz.Must(ctx), req)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListApiTokensResponse{NextPageToken: next}
	for _, t := range list {
		out.ApiTokens = append(out.ApiTokens, convert.APIToken(t))
	}
	return out, nil
}

// RevokeApiToken ends an API token.
func (s *Server) RevokeApiToken(ctx context.Context, req *identityv1.RevokeApiTokenRequest) (*identityv1.RevokeApiTokenResponse, error) { //nolint:revive // as generated
	tid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	t, err := s.cfg.Commands.RevokeAPIToken(ctx, authz.Must(ctx), tid)
	if err != nil {
		return nil, err
	}
	return &identityv1.RevokeApiTokenResponse{ApiToken: convert.APIToken(t)}, nil
}

var errDevSignInOff = apierr.Precondition("DEV_SIGN_IN_OFF", "the development sign-in is off here")

// ListDevPeople lists whom one may sign in as.
func (s *Server) ListDevPeople(ctx context.Context, _ *identityv1.ListDevPeopleRequest) (*identityv1.ListDevPeopleResponse, error) {
	if !s.cfg.DevSignIn {
		return nil, errDevSignInOff
	}
	list, err := s.cfg.Commands.DevUsers(ctx, devPeople)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListDevPeopleResponse{Users: convert.List(list, convert.User)}, nil
}

// DevSignIn signs in as anybody.
func (s *Server) DevSignIn(ctx context.Context, req *identityv1.DevSignInRequest) (*identityv1.DevSignInResponse, error) {
	if !s.cfg.DevSignIn {
		return nil, errDevSignInOff
	}
	who, err := name("user_name", req.GetUserName())
	if err != nil {
		return nil, err
	}
	token, hash := secret.New(secret.Session)
	u, err := s.cfg.Commands.DevSignIn(ctx, who, req.GetOrganization(), newSession(ctx, hash))
	if err != nil {
		return nil, err
	}
	return &identityv1.DevSignInResponse{Token: token, User: convert.User(u)}, nil
}

// newSession is a session with a token of the hash, for whoever calls.
func newSession(ctx context.Context, hash secret.Hash) command.NewSession {
	agent := ""
	// What the gateway was called with comes before the gateway itself.
	for _, key := range []string{"gatehouse-user-agent", "user-agent"} {
		if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
			agent = values[0]
			break
		}
	}
	agent = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(agent, ""))
	if runes := []rune(agent); len(runes) > maxUserAgent {
		agent = string(runes[:maxUserAgent])
	}
	return command.NewSession{Hash: hash, UserAgent: agent}
}

// ListSessions lists sessions.
func (s *Server) ListSessions(ctx context.Context, req *identityv1.ListSessionsRequest) (*identityv1.ListSessionsResponse, error) {
	caller := authz.Must(ctx)
	user := uuid.Nil
	if req.GetUserId() != "" {
		var err error
		if user, err = id.Parse("user_id", req.GetUserId()); err != nil {
			return nil, err
		}
	}
	list, next, err := s.cfg.Commands.Sessions(ctx, caller, user, req)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListSessionsResponse{NextPageToken: next}
	for _, one := range list {
		out.Sessions = append(out.Sessions, convert.Session(one, one.ID == caller.CredentialID))
	}
	return out, nil
}

// EndSession ends a session.
func (s *Server) EndSession(ctx context.Context, req *identityv1.EndSessionRequest) (*identityv1.EndSessionResponse, error) {
	session, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Commands.EndSession(ctx, authz.Must(ctx), session); err != nil {
		return nil, err
	}
	return &identityv1.EndSessionResponse{}, nil
}

// SignOut ends the session that the caller's token was exchanged for.
func (s *Server) SignOut(ctx context.Context, req *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	c := authz.Must(ctx)
	if req.GetPostLogoutRedirectUri() != "" {
		if err := absolute("post_logout_redirect_uri", req.GetPostLogoutRedirectUri()); err != nil {
			return nil, err
		}
	}
	if c.CredentialID == uuid.Nil {
		return &identityv1.SignOutResponse{}, nil
	}
	address, err := s.cfg.SignIns.SignOut(ctx, c, command.SignOut{RedirectURI: req.GetPostLogoutRedirectUri(), State: req.GetState()})
	if err != nil {
		return nil, err
	}
	return &identityv1.SignOutResponse{EndSessionUrl: address}, nil
}

// ExchangeClientSecret gives a signed token to a service.
func (s *Server) ExchangeClientSecret(ctx context.Context, req *identityv1.ExchangeClientSecretRequest) (*identityv1.ExchangeClientSecretResponse, error) {
	token, expires, err := s.cfg.Exchanger.ExchangeService(ctx, req.GetClientId(), req.GetClientSecret(), req.GetAudience())
	if err != nil {
		return nil, err
	}
	return &identityv1.ExchangeClientSecretResponse{AccessToken: token, ExpireTime: timestamppb.New(expires)}, nil
}

// ExchangeToken gives signed tokens for a secret.
func (s *Server) ExchangeToken(ctx context.Context, req *identityv1.ExchangeTokenRequest) (*identityv1.ExchangeTokenResponse, error) {
	signed, expires, err := s.cfg.Exchanger.Exchange(ctx, req.GetToken(), req.GetAudiences(), req.GetBackground())
	if err != nil {
		return nil, err
	}
	tokens := make(map[string]string, len(signed))
	for i, token := range signed {
		tokens[req.GetAudiences()[i]] = token
	}
	return &identityv1.ExchangeTokenResponse{AccessToken: signed[0], AccessTokens: tokens, ExpireTime: timestamppb.New(expires)}, nil
}

// GetKeys gives the public keys.
func (s *Server) GetKeys(ctx context.Context, _ *identityv1.GetKeysRequest) (*identityv1.GetKeysResponse, error) {
	b, err := s.cfg.Ring.JSON(ctx)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetKeysResponse{Jwks: string(b)}, nil
}
