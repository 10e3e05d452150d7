package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// errFlowChanged says that the flow was changed since it was read.
var errFlowChanged = apierr.New(codes.Aborted, "FLOW_CHANGED", "somebody else has just changed this flow; please look again")

var errTaskNotFound = apierr.NotFound("TASK_NOT_FOUND", "there is no such task of yours")

// itemsError is the public error of the items that were named for a task, or were not.
func itemsError(err error) error {
	var other *lifecycle.ItemError
	switch {
	case errors.Is(err, lifecycle.ErrItemsNotNamed):
		return apierr.InvalidField("item_ids", "ITEMS_NOT_NAMED", "the task is about several items; name those that you have seen and mean")
	case errors.As(err, &other):
		return apierr.InvalidField(fmt.Sprintf("item_ids[%d]", other.Place), "ITEM_NOT_IN_TASK", "the task is not about this item, or is not any more")
	}
	return err
}

// taskChanged is the public error of a decision about what is not as it was shown.
func taskChanged(changes []lifecycle.Change, etag string) error {
	var what, texts []string
	for _, c := range changes {
		if !slices.Contains(what, c.What) {
			what = append(what, c.What)
		}
		texts = append(texts, c.Text)
	}
	const most = 10 // what is said of it
	if more := len(texts) - most; more > 0 {
		texts = append(texts[:most], fmt.Sprintf("and %d more", more))
	}
	return apierr.New(codes.Aborted, "TASK_CHANGED", "this has changed since it was shown: %s", strings.Join(texts, "; ")).
		With("what", strings.Join(what, ",")).With("changes", strings.Join(texts, "\n")).With("etag", etag)
}

// Reasons why what is asked of a reviewer is asked no more.
const (
	reasonNotEligible = "REVIEWER_NOT_ELIGIBLE"
	reasonNotActive   = "BENEFICIARY_NOT_ACTIVE"
	reasonExpired     = "REQUEST_EXPIRED"
)

var errBeneficiaryNotActive = apierr.Precondition(reasonNotActive,
	"the person whom this is for is not active: nothing is decided for them until they are")

// taskError is the public error of a command on a task.
func taskError(err error) error {
	var ended *lifecycle.EndedError
	switch {
	case errors.Is(err, lifecycle.ErrUnknownTask):
		return errTaskNotFound
	case errors.Is(err, lifecycle.ErrIsParty):
		return apierr.Precondition("REVIEWER_CONCERNED", "requester and beneficiary, and who answers for them, do not decide the request")
	case errors.Is(err, lifecycle.ErrExpired):
		return apierr.Precondition(reasonExpired, "access was asked for until a time that has passed, or had to be decided by one: nothing is left to decide")
	case errors.Is(err, lifecycle.ErrNotEligible):
		return apierr.Precondition(reasonNotEligible, "you are no longer among those who decide this; those who are will be asked")
	case errors.As(err, &ended):
		t := ended.Task
		by := t.EndedBy.Name
		if by == "" {
			by = "Gatehouse"
		}
		return apierr.Precondition("TASK_ALREADY_DECIDED", "this task is %s already, by %s", t.State, by).
			With("state", string(t.State)).With("decided_by", by).With("decided_time", t.EndTime.UTC().Format(time.RFC3339Nano))
	}
	return err
}

// flowError is the public error of a command on a flow named name.
func flowError(err error, name string) error {
	switch {
	case errors.Is(err, store.ErrFlowNotFound):
		return apierr.NotFound("FLOW_NOT_FOUND", "there is no such flow")
	case errors.Is(err, store.ErrFlowReadOnly):
		return apierr.New(codes.PermissionDenied, "FLOW_OF_ORGANIZATION", "this flow belongs to the organization, and an environment does not change it")
	case errors.Is(err, store.ErrFlowNameTaken):
		return apierr.Exists("FLOW_NAME_TAKEN", "there is a flow named %q already", name).
			WithField("flow.name", "FLOW_NAME_TAKEN", "there is a flow of this name").Wrap(err)
	}
	return err
}

// invalidFlow names the fields of a flow that are wrong.
func invalidFlow(problems []lifecycle.Problem) error {
	var e *apierr.Error
	for _, p := range problems {
		field := "flow." + p.Field
		if p.Field == environmentField {
			field = p.Field
		}
		if e == nil {
			e = apierr.InvalidField(field, p.Reason, "%s", p.Text)
		} else {
			e = e.WithField(field, p.Reason, "%s", p.Text)
		}
	}
	return e
}
