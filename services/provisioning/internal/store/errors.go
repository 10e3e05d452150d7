package store

import "errors"

// What is not there, as far as the transaction sees, or in the way.
var (
	ErrIntegrationNotFound  = errors.New("no such integration")
	ErrIntegrationChanged   = errors.New("the integration has been changed by somebody else")
	ErrIntegrationNameTaken = errors.New("the name of the integration is taken")
	ErrGrantNotFound        = errors.New("no such grant")
	ErrWorkItemNotFound     = errors.New("no such work item")
	ErrChecklistNotFound    = errors.New("no such checklist")
)
