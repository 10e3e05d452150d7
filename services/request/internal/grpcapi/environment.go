package grpcapi

import (
	"context"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// The catalog and requests belong to whole organizations: this service does not
// keep environments apart. Callers of an environment are therefore refused, and
// so is an app that is to belong to one or be offered to one.

var errEnvironment = apierr.Denied("ENVIRONMENT_NOT_SERVED", "the catalog and requests are not open to people whose role is held in one environment")

// wholeOrganization refuses a caller whose role is held in one environment.
func wholeOrganization(ctx context.Context) error {
	if !authz.Must(ctx).Scope().Whole() {
		return errEnvironment
	}
	return nil
}

// offers is what CreateAppRequest and App say of environments.
type offers interface {
	GetEnvironmentId() string
	GetOfferedToAllEnvironments() bool
	GetOfferedEnvironmentIds() []string
}

var _, _ offers = (*requestv1.CreateAppRequest)(nil), (*requestv1.App)(nil)

// noEnvironment refuses an app that is to belong to an environment or be offered
// to one. in says where the fields stand in the request.
func noEnvironment(a offers, in string) error {
	field := ""
	switch {
	case a.GetEnvironmentId() != "":
		field = "environment_id"
	case a.GetOfferedToAllEnvironments():
		field = "offered_to_all_environments"
	case len(a.GetOfferedEnvironmentIds()) > 0:
		field = "offered_environment_ids"
	default:
		return nil
	}
	return apierr.InvalidField(in+field, "ENVIRONMENT_NOT_SERVED", "apps belong to the organization, and cannot be offered to environments")
}
