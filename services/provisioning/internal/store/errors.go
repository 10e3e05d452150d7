package store

import (
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
)

// What callers are told.
var (
	ErrIntegrationNotFound = apierr.NotFound("INTEGRATION_NOT_FOUND", "there is no such integration")
	ErrIntegrationChanged  = apierr.New(codes.Aborted, "INTEGRATION_CHANGED", "somebody else changed the integration meanwhile, please look at it again")
	ErrGrantNotFound       = apierr.NotFound("GRANT_NOT_FOUND", "there is no such grant")
	ErrWorkItemNotFound    = apierr.NotFound("WORK_ITEM_NOT_FOUND", "there is no such work item")
	ErrChecklistNotFound   = apierr.NotFound("CHECKLIST_NOT_FOUND", "there is no such checklist")
)
