package command

import (
	"errors"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/username"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// Errors that callers read.
var (
	errOrganizationNotFound = apierr.NotFound("ORGANIZATION_NOT_FOUND", "there is no such organization")
	errUserNotFound         = apierr.NotFound("USER_NOT_FOUND", "there is no such user")
	errGroupNotFound        = apierr.NotFound("GROUP_NOT_FOUND", "there is no such group")
	errEnvironmentNotFound  = apierr.NotFound("ENVIRONMENT_NOT_FOUND", "there is no such environment")
	errSourceNotFound       = apierr.NotFound("SOURCE_NOT_FOUND", "there is no such source")
	errTokenNotFound        = apierr.NotFound("API_TOKEN_NOT_FOUND", "there is no such API token")
	errLastAdmin            = apierr.Precondition("LAST_ADMIN", "this is the organization's last admin: make somebody else an admin first")
	errRoleProtected        = apierr.Precondition("ROLE_PROTECTED", "userName, externalId and e-mail of somebody with a role in Gatehouse are not changed by a source: an admin takes the role away, and gives it again afterwards")
	errRoleEnvironment      = apierr.InvalidField("role_environment_id", "ROLE_ENVIRONMENT", "a user of an environment holds a role there and nowhere else")
	errUserOfSource         = apierr.Precondition("USER_OF_SOURCE", "a source owns this user, and says who leaves: remove the user there, or delete the source")
	errUserNameTaken        = apierr.Exists("USER_NAME_TAKEN", "somebody has that userName").WithField("user_name", "USER_NAME_TAKEN", "somebody has that userName")
	errUserNameUnowned      = apierr.Exists("USER_NAME_TAKEN", "somebody has that userName whom no source owns: an admin can hand them over to this source (POST /v1/sources/{id}:handOverUsers), which then finds them by userName")
	errUserNameElsewhere    = apierr.Exists("USER_NAME_TAKEN", "somebody has that userName whom another source, or nobody that is a person, brings: an admin can have them leave there, and then this source brings them as somebody new")
	errUserRemoved          = apierr.Precondition("USER_REMOVED", "the user has been removed")
	errAccountableUser      = apierr.InvalidField("accountable_user_id", "ACCOUNTABLE_USER_UNFIT",
		"the accountable user must be an active employee or external of the same environment or of the organization")
	errSignInNameInvalid = apierr.InvalidField("organization.sign_in_name", "SIGN_IN_NAME_INVALID",
		"a sign-in name has letters a to z and digits, with single hyphens between them")
	// errWholeOrganization refuses an admin of an environment who changes the
	// organization or environments.
	errWholeOrganization = apierr.Denied("NOT_IN_ENVIRONMENT", "only an admin of the whole organization may change it and its environments")

	errSessionRequired = apierr.Denied("SESSION_REQUIRED", "an API token makes no API token: sign in to make one")
	errNotYourSessions = apierr.Denied("NOT_YOUR_SESSIONS", "only an admin may see the sessions of others")

	// ErrTokenInvalid is the one error of a token that is invalid, whatever the
	// reason.
	ErrTokenInvalid = apierr.Unauthenticated("TOKEN_INVALID", "the token is not valid")
)

// checkUserName refuses a user name that is not what it looks like.
func checkUserName(field, value string) error {
	if fault := username.Fault(value); fault != "" {
		return apierr.InvalidField(field, "USER_NAME_INVALID", "%s %s", field, fault)
	}
	return nil
}

// signInNameUnique is the constraint by which sign-in names are unique.
const signInNameUnique = "organization_sign_in_name_unique"

// constraints are the refusals of the database that callers can do something
// about.
var constraints = map[string]*apierr.Error{
	"users_user_name_unique":        errUserNameTaken,
	"users_user_name_form_unique":   errUserNameTaken,
	signInNameUnique:                apierr.Exists("SIGN_IN_NAME_TAKEN", "another organization has that sign-in name").WithField("organization.sign_in_name", "SIGN_IN_NAME_TAKEN", "another organization has that sign-in name"),
	"environment_name_unique":       apierr.Exists("ENVIRONMENT_NAME_TAKEN", "another environment has that name").WithField("name", "ENVIRONMENT_NAME_TAKEN", "another environment has that name"),
	"identity_provider_name_unique": apierr.Exists("IDENTITY_PROVIDER_NAME_TAKEN", "another identity provider has that name").WithField("name", "IDENTITY_PROVIDER_NAME_TAKEN", "another identity provider has that name"),
	"user_identity_subject_unique":  errIdentityTaken,
	"user_identity_user_unique":     errIdentityTaken,
	"source_name_unique":            apierr.Exists("SOURCE_NAME_TAKEN", "another source has that name").WithField("name", "SOURCE_NAME_TAKEN", "another source has that name"),
}

// public gives callers what they may read of an error.
func public(err error) error {
	if name, ok := postgres.Constraint(err); ok {
		if e := constraints[name]; e != nil {
			return e.Wrap(err)
		}
	}
	switch {
	case errors.Is(err, lifecycle.ErrLastAdmin):
		return errLastAdmin.Wrap(err)
	case errors.Is(err, lifecycle.ErrRoleProtected):
		return errRoleProtected.Wrap(err)
	case errors.Is(err, lifecycle.ErrRemoved):
		return errUserRemoved.Wrap(err)
	case errors.Is(err, lifecycle.ErrRoleEnvironment):
		return errRoleEnvironment.Wrap(err)
	}
	return err
}
