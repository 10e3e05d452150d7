package grpcapi

import (
	"cmp"
	"context"
	"net/url"
	"slices"

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
	"gatehouse.dev/services/identity-sync/internal/openid"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// What finds a user whose identity comes for the first time, unless said otherwise.
const (
	defaultClaim = "sub"
	defaultField = "external_id"
)

// CreateIdentityProvider makes an identity provider.
func (s *Server) CreateIdentityProvider(ctx context.Context, req *identityv1.CreateIdentityProviderRequest) (*identityv1.CreateIdentityProviderResponse, error) {
	called, err := name("name", req.GetName())
	if err != nil {
		return nil, err
	}
	in := command.NewIdentityProvider{
		Name: called, Issuer: req.GetIssuer(), ClientID: req.GetClientId(), ClientSecret: req.GetClientSecret(),
		UserClaim: cmp.Or(req.GetUserClaim(), defaultClaim), UserField: defaultField, StepUpACR: []string{}, Scopes: []string{"profile", "email"},
		SignOut: req.GetSignOutAtProvider(),
	}
	if f := req.GetUserField(); f != identityv1.UserField_USER_FIELD_UNSPECIFIED {
		in.UserField = enum.Word(f)
	}
	if len(req.GetStepUpAcrValues()) > 0 {
		in.StepUpACR = req.GetStepUpAcrValues()
	}
	if len(req.GetScopes()) > 0 {
		in.Scopes = slices.DeleteFunc(slices.Clone(req.GetScopes()), func(s string) bool { return s == "openid" })
	}
	if req.GetSourceId() != "" {
		source, err := id.Parse("source_id", req.GetSourceId())
		if err != nil {
			return nil, err
		}
		in.SourceID = &source
	}
	out, _, err := idempotency.Do(ctx, s.cfg.Answers, req, func(ctx context.Context) (*identityv1.CreateIdentityProviderResponse, error) {
		p, err := s.cfg.SignIns.CreateIdentityProvider(ctx, authz.Must(ctx), in)
		if err != nil {
			return nil, err
		}
		return &identityv1.CreateIdentityProviderResponse{IdentityProvider: convert.IdentityProvider(p)}, nil
	})
	return out, err
}

// GetIdentityProvider shows an identity provider.
func (s *Server) GetIdentityProvider(ctx context.Context, req *identityv1.GetIdentityProviderRequest) (*identityv1.GetIdentityProviderResponse, error) {
	pid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	p, err := s.cfg.SignIns.IdentityProvider(ctx, authz.Must(ctx).Scope(), pid)
	if err != nil {
		return nil, err
	}
	return &identityv1.GetIdentityProviderResponse{IdentityProvider: convert.IdentityProvider(p)}, nil
}

// ListIdentityProviders lists identity providers.
func (s *Server) ListIdentityProviders(ctx context.Context, req *identityv1.ListIdentityProvidersRequest) (*identityv1.ListIdentityProvidersResponse, error) {
	list, next, err := s.cfg.SignIns.IdentityProviders(ctx, authz.Must(ctx).Scope(), req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListIdentityProvidersResponse{IdentityProviders: convert.List(list, convert.IdentityProvider), NextPageToken: next}, nil
}

// UpdateIdentityProvider changes an identity provider.
func (s *Server) UpdateIdentityProvider(ctx context.Context, req *identityv1.UpdateIdentityProviderRequest) (*identityv1.UpdateIdentityProviderResponse, error) {
	pid, err := id.Parse("identity_provider.id", req.GetIdentityProvider().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*identityv1.IdentityProvider]{
		Field: "identity_provider", Resource: req.GetIdentityProvider(), Mask: req.GetUpdateMask(), Rules: &identityv1.CreateIdentityProviderRequest{},
		Fields: []string{"name", "issuer", "client_id", "client_secret", "user_claim", "user_field", "step_up_acr_values", "state", "sign_out_at_provider"},
	}
	var secret *string
	if u.Names("client_secret") {
		secret = new(req.GetIdentityProvider().GetClientSecret())
	}
	p, err := s.cfg.SignIns.UpdateIdentityProvider(ctx, authz.Must(ctx), pid, secret, func(before command.IdentityProvider) (command.ProviderChange, error) {
		m, err := u.Apply(convert.IdentityProvider(before))
		if err != nil {
			return command.ProviderChange{}, err
		}
		after := command.ProviderChange{
			Issuer: m.GetIssuer(), ClientID: m.GetClientId(), UserClaim: cmp.Or(m.GetUserClaim(), defaultClaim), UserField: defaultField,
			StepUpACR: append([]string{}, m.GetStepUpAcrValues()...), SignOut: m.GetSignOutAtProvider(),
		}
		if after.Name, err = name("identity_provider.name", m.GetName()); err != nil {
			return after, err
		}
		if f := m.GetUserField(); f != identityv1.UserField_USER_FIELD_UNSPECIFIED {
			after.UserField = enum.Word(f)
		}
		switch state := m.GetState(); state {
		case identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_DISABLED, identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_ENABLED:
			after.State = enum.Word(state)
		default:
			return after, apierr.InvalidField("identity_provider.state", "VALUE_UNKNOWN", "an identity provider is enabled or disabled")
		}
		return after, nil
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &identityv1.UpdateIdentityProviderResponse{IdentityProvider: convert.IdentityProvider(p)}, nil
}

// DeleteIdentityProvider removes an identity provider.
func (s *Server) DeleteIdentityProvider(ctx context.Context, req *identityv1.DeleteIdentityProviderRequest) (*identityv1.DeleteIdentityProviderResponse, error) {
	pid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.SignIns.DeleteIdentityProvider(ctx, authz.Must(ctx), pid); err != nil {
		return nil, err
	}
	return &identityv1.DeleteIdentityProviderResponse{}, nil
}

// CheckIdentityProvider says what is wrong with an identity provider.
func (s *Server) CheckIdentityProvider(ctx context.Context, req *identityv1.CheckIdentityProviderRequest) (*identityv1.CheckIdentityProviderResponse, error) {
	pid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	problems, err := s.cfg.SignIns.CheckIdentityProvider(ctx, authz.Must(ctx).Scope(), pid)
	if err != nil {
		return nil, err
	}
	return &identityv1.CheckIdentityProviderResponse{Problems: problems}, nil
}

// ListUserIdentities lists the identities of a user.
func (s *Server) ListUserIdentities(ctx context.Context, req *identityv1.ListUserIdentitiesRequest) (*identityv1.ListUserIdentitiesResponse, error) {
	uid, err := id.Parse("user_id", req.GetUserId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.cfg.SignIns.UserIdentities(ctx, authz.Must(ctx).Scope(), uid, req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListUserIdentitiesResponse{UserIdentities: convert.List(list, convert.UserIdentity), NextPageToken: next}, nil
}

// DeleteUserIdentity takes an identity from its user.
func (s *Server) DeleteUserIdentity(ctx context.Context, req *identityv1.DeleteUserIdentityRequest) (*identityv1.DeleteUserIdentityResponse, error) {
	iid, err := id.Parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.SignIns.DeleteUserIdentity(ctx, authz.Must(ctx), iid); err != nil {
		return nil, err
	}
	return &identityv1.DeleteUserIdentityResponse{}, nil
}

// ListSignInOptions lists where people of an organization sign in.
func (s *Server) ListSignInOptions(ctx context.Context, req *identityv1.ListSignInOptionsRequest) (*identityv1.ListSignInOptionsResponse, error) {
	list, err := s.cfg.SignIns.SignInOptions(ctx, req.GetOrganization())
	if err != nil {
		return nil, err
	}
	return &identityv1.ListSignInOptionsResponse{Options: convert.List(list, convert.SignInOption)}, nil
}

// absolute checks where the browser is to come back to.
func absolute(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return apierr.InvalidField(field, "URL_INVALID", "%s is not an absolute URL", field)
	}
	return nil
}

// StartSignIn begins a sign-in.
func (s *Server) StartSignIn(ctx context.Context, req *identityv1.StartSignInRequest) (*identityv1.StartSignInResponse, error) {
	pid, err := id.Parse("identity_provider_id", req.GetIdentityProviderId())
	if err != nil {
		return nil, err
	}
	if err := absolute("redirect_uri", req.GetRedirectUri()); err != nil {
		return nil, err
	}
	begun, err := s.cfg.SignIns.StartSignIn(ctx, command.BeginSignIn{
		Provider: pid, RedirectURI: req.GetRedirectUri(), ReturnTo: req.GetReturnTo(), LoginHint: req.GetLoginHint(),
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.StartSignInResponse{AuthorizationUrl: begun.URL, Attempt: begun.Attempt}, nil
}

// StartConfirmation sends somebody who is signed in to an identity provider again.
func (s *Server) StartConfirmation(ctx context.Context, req *identityv1.StartConfirmationRequest) (*identityv1.StartConfirmationResponse, error) {
	in := command.BeginSignIn{RedirectURI: req.GetRedirectUri(), ReturnTo: req.GetReturnTo()}
	if err := absolute("redirect_uri", req.GetRedirectUri()); err != nil {
		return nil, err
	}
	begin := s.cfg.SignIns.StartStepUp
	switch req.GetPurpose() {
	case identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_LINK:
		begin = s.cfg.SignIns.StartLink
	case identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_TEST:
		begin = s.cfg.SignIns.StartTest
	}
	stepUp := req.GetPurpose() == identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP
	if req.GetIdentityProviderId() != "" || !stepUp {
		var err error
		if in.Provider, err = id.Parse("identity_provider_id", req.GetIdentityProviderId()); err != nil {
			return nil, err
		}
	}
	begun, err := begin(ctx, authz.Must(ctx), in)
	if err != nil {
		return nil, err
	}
	return &identityv1.StartConfirmationResponse{AuthorizationUrl: begun.URL, Attempt: begun.Attempt}, nil
}

// FinishSignIn ends a sign-in.
func (s *Server) FinishSignIn(ctx context.Context, req *identityv1.FinishSignInRequest) (*identityv1.FinishSignInResponse, error) {
	pid, err := id.Parse("identity_provider_id", req.GetIdentityProviderId())
	if err != nil {
		return nil, err
	}
	token, hash := secret.New(secret.Session)
	done, err := s.cfg.SignIns.FinishSignIn(ctx, command.FinishSignIn{
		Provider: pid, Attempt: req.GetAttempt(), State: req.GetState(), Session: newSession(ctx, hash),
		Reply: openid.Reply{Code: req.GetCode(), Issuer: req.GetIssuer(), Error: req.GetError()},
	})
	if err != nil {
		return nil, err
	}
	out := &identityv1.FinishSignInResponse{ReturnTo: done.ReturnTo, Confirmed: done.Confirmed, User: convert.UserOrNone(done.User)}
	if done.Session != nil {
		out.Token, out.ExpireTime = token, timestamppb.New(done.Session.ExpireTime)
	}
	if t := done.Test; t != nil {
		out.Test = &identityv1.SignInTest{Problems: t.Problems, Subject: t.Identity.Subject, UserClaim: t.ClaimOfUser, Acr: t.Identity.ACR, User: convert.UserOrNone(t.WouldBe)}
		if at := t.Identity.AuthTime; !at.IsZero() {
			out.Test.AuthTime = timestamppb.New(at)
		}
	}
	return out, nil
}

// RedeemSignInLink signs in with a one-time link.
func (s *Server) RedeemSignInLink(ctx context.Context, req *identityv1.RedeemSignInLinkRequest) (*identityv1.RedeemSignInLinkResponse, error) {
	kind, link, ok := secret.Parse(req.GetSecret())
	if !ok || kind != secret.Link {
		return nil, command.ErrLinkInvalid
	}
	token, hash := secret.New(secret.Session)
	u, session, err := s.cfg.Commands.RedeemSignInLink(ctx, link, newSession(ctx, hash))
	if err != nil {
		return nil, err
	}
	return &identityv1.RedeemSignInLinkResponse{Token: token, ExpireTime: timestamppb.New(session.ExpireTime), User: convert.User(u)}, nil
}

// EndSessionsByProvider ends the sessions that a logout token names.
func (s *Server) EndSessionsByProvider(ctx context.Context, req *identityv1.EndSessionsByProviderRequest) (*identityv1.EndSessionsByProviderResponse, error) {
	pid, err := id.Parse("identity_provider_id", req.GetIdentityProviderId())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.SignIns.EndSessionsByProvider(ctx, pid, req.GetLogoutToken()); err != nil {
		return nil, err
	}
	return &identityv1.EndSessionsByProviderResponse{}, nil
}
