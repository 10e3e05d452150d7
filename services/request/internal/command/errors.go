package command

import (
	"errors"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// public is the public error of what store refuses.
func public(err error) error {
	switch {
	case errors.Is(err, store.ErrAppNotFound):
		return apierr.NotFound("APP_NOT_FOUND", "there is no such app")
	case errors.Is(err, store.ErrConversationNotFound):
		return apierr.NotFound("CONVERSATION_NOT_FOUND", "there is no such conversation")
	case errors.Is(err, store.ErrAppChanged):
		return apierr.New(codes.Aborted, "APP_CHANGED", "somebody else has just changed this app; please look again")
	case errors.Is(err, store.ErrAppNameTaken):
		return apierr.Exists("APP_NAME_TAKEN", "there is an app of this name").WithField("name", "APP_NAME_TAKEN", "there is an app of this name")
	case errors.Is(err, store.ErrEntitlementNameTaken):
		return entitlementNameTaken("")
	case errors.Is(err, store.ErrBundleNotFound):
		return apierr.NotFound("BUNDLE_NOT_FOUND", "there is no such bundle")
	case errors.Is(err, store.ErrBundleNameTaken):
		return apierr.Exists("BUNDLE_NAME_TAKEN", "there is a bundle of this name").WithField("name", "BUNDLE_NAME_TAKEN", "there is a bundle of this name")
	case errors.Is(err, store.ErrSSOAppUnknown):
		return apierr.InvalidField("sso_app_id", "SSO_APP_UNKNOWN", "there is no such app of the same owner")
	case errors.Is(err, store.ErrEntitlementNotFound):
		return apierr.NotFound("ENTITLEMENT_NOT_FOUND", "there is no such entitlement")
	case errors.Is(err, store.ErrIntegrationMissing):
		return apierr.InvalidField("integration_id", "INTEGRATION_MISSING", "an automatic app needs an integration")
	case errors.Is(err, store.ErrRequestNotFound):
		return apierr.NotFound("REQUEST_NOT_FOUND", "there is no such request")
	case errors.Is(err, store.ErrAlreadyRequested):
		return apierr.Precondition("ALREADY_REQUESTED", "this has been requested already")
	}
	return err
}

// entitlementNameTaken is the error of a name that the app has given; in says where it is in
// the request.
func entitlementNameTaken(in string) *apierr.Error {
	return apierr.Exists("ENTITLEMENT_NAME_TAKEN", "the app has an entitlement of this name").
		WithField(in+"name", "ENTITLEMENT_NAME_TAKEN", "the app has an entitlement of this name")
}

// errNotForOthers refuses what would also tell what somebody else holds.
var errNotForOthers = apierr.Denied("NOT_FOR_OTHERS", "for somebody else only those make requests whom the flow lets, or where it says nothing their managers, the admins of the apps, IT admins and admins").
	WithField("beneficiary_id", "NOT_FOR_OTHERS", "you do not make this request for them")

var errNotForOneself = apierr.Denied(string(lifecycle.NotForOneself), "this is not asked for by oneself: others ask for it")

var errAppOfOrganization = apierr.Denied("APP_OF_ORGANIZATION", "this app belongs to the organization, and an environment does not change it")
