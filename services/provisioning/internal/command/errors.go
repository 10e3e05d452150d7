package command

import (
	"errors"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/services/provisioning/internal/store"
)

// publicErrors are the errors of the API for errors of store.
var publicErrors = map[error]*apierr.Error{
	store.ErrIntegrationNotFound: apierr.NotFound("INTEGRATION_NOT_FOUND", "there is no such integration"),
	store.ErrIntegrationChanged:  apierr.New(codes.Aborted, "INTEGRATION_CHANGED", "somebody else has changed the integration meanwhile, please look at it again"),
	store.ErrIntegrationNameTaken: apierr.Exists("INTEGRATION_NAME_TAKEN", "there is an integration with this name already").
		WithField("name", "INTEGRATION_NAME_TAKEN", "there is an integration with this name already"),
	store.ErrGrantNotFound:     apierr.NotFound("GRANT_NOT_FOUND", "there is no such grant"),
	store.ErrWorkItemNotFound:  apierr.NotFound("WORK_ITEM_NOT_FOUND", "there is no such work item"),
	store.ErrChecklistNotFound: apierr.NotFound("CHECKLIST_NOT_FOUND", "there is no such checklist"),
}

// public returns the error of the API for err.
func public(err error) error {
	if err == nil {
		return nil
	}
	for known, answer := range publicErrors {
		if errors.Is(err, known) {
			return answer.Wrap(err)
		}
	}
	return err
}

var errWholeOrganization = apierr.Denied("NOT_IN_ENVIRONMENT", "only an admin of the whole organization may change how long people have for checklists")

func errChecklistClosed(list uuid.UUID) error {
	return apierr.Precondition("CHECKLIST_CLOSED", "checklist %s is done already", list)
}

var errNotYours = apierr.Denied("NOT_YOURS", "you may list your own, what there is in an app that you run, and what your people have").
	WithField("user_id", "NOT_YOURS", "this is neither you nor one of your people")

func errNotOpen(item uuid.UUID) error {
	return apierr.Precondition("WORK_ITEM_NOT_OPEN", "work item %s is not open any more", item).With("work_item", item.String())
}

func errNotResolved(item uuid.UUID) error {
	return apierr.Precondition("WORK_ITEM_NOT_RESOLVED", "work item %s cannot be reopened: no person has resolved it, or it was resolved before items could be reopened", item).With("work_item", item.String())
}

func errMovedOn(item uuid.UUID, why string) *apierr.Error {
	return apierr.Precondition("WORK_ITEM_MOVED_ON", "work item %s cannot be reopened: %s", item, why).With("work_item", item.String())
}

func errNotRetryable(item uuid.UUID) error {
	return apierr.Precondition("WORK_ITEM_NOT_RETRYABLE", "work item %s has no failed operation to retry", item)
}

func errItemNotFound(field string, item uuid.UUID) error {
	return apierr.InvalidField(field, "WORK_ITEM_NOT_FOUND", "there is no work item %s", item).With("work_item", item.String())
}

func errSettings(field, text string) error {
	return apierr.InvalidField(field, "INTEGRATION_SETTINGS_INVALID", "%s", text)
}

var errEnvironmentNotFound = apierr.InvalidField("environment_id", "ENVIRONMENT_NOT_FOUND", "there is no such environment")
