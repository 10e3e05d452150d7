package command

import (
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/batch"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/request/internal/store"
)

// Config is what commands need.
type Config struct {
	DB     *postgres.DB
	Events *outbox.Writer
	Clock  clock.Clock
	// Integrations answers whether an integration works, and whether its app has an
	// entitlement.
	Integrations provisioningv1.IntegrationServiceClient
	// Flows answers who would decide what is not requested yet.
	Flows approvalv1.FlowServiceClient
	// Due runs what is to happen at a time. New registers its handlers.
	Due *due.Queue
	// Quotas are what every organization may have.
	Quotas quota.Organization
	// Progress says whether somebody who is not known may be on their way.
	Progress *copies.Progress
}

// Commands takes commands. It may be used by any number of goroutines.
type Commands struct {
	Config
	// submissions are those that come at the same time to an organization.
	submissions *batch.Queue[uuid.UUID, submission, *store.Request]
	flows       flowCache
}

// New makes Commands.
func New(cfg Config) *Commands {
	c := &Commands{Config: cfg}
	c.submissions = batch.New(c.submitRequests)
	c.Due.Handle(dueRequestEnd, c.expireRequests)
	return c
}

func viewer(c authz.Caller) store.Viewer {
	return store.Viewer{UserID: c.UserID, OrganizationID: c.OrganizationID, All: c.SeesAll(), Works: c.Role == authzv1.Caller_CALLER_ADMIN || c.Role == authzv1.Caller_CALLER_IT_ADMIN}
}

func person(c authz.Caller) store.Person {
	return store.Person{ID: c.UserID, Name: c.Name, Email: c.Email}
}

// notBefore is the later of two times: what follows from something does not
// happen before it, whatever the clocks of two machines say.
func notBefore(t, earliest time.Time) time.Time {
	if t.Before(earliest) {
		return earliest
	}
	return t
}
