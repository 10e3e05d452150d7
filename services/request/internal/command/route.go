package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

// routeTimeout is how long somebody who looks waits for who would decide.
const routeTimeout = 2 * time.Second

// findRoutes asks approval who would decide the items of a preview that would be taken.
// The caller was found to be one who may ask for them. What approval cannot say now is
// left out: it keeps nobody from asking.
func (c *Commands) findRoutes(ctx context.Context, by authz.Caller, s *Submission, l *store.Lookup, environment uuid.UUID, list []Preview, now time.Time) {
	r := &store.Request{
		OrganizationID: by.OrganizationID, EnvironmentID: environment, Kind: s.Kind, Origin: store.OriginUser, Requester: person(by),
		Beneficiary: store.Person{ID: l.Beneficiary.ID, Name: l.Beneficiary.Name, Email: l.Beneficiary.Email}, Until: s.Until, CreateTime: now,
		Justification: s.Justification,
	}
	var taken []int
	for n, p := range list {
		if p.Refusal == "" || p.OverLimit {
			r.Items, taken = append(r.Items, p.Item), append(taken, n)
		}
	}
	if len(taken) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	out, err := c.Flows.LookUpRoutes(limited, &approvalv1.LookUpRoutesRequest{OrganizationId: by.OrganizationID.String(), Request: convert.Request(r)})
	if err != nil || len(out.GetRoutes()) != len(taken) {
		return
	}
	for i, n := range taken {
		if route := out.GetRoutes()[i]; route.GetAutomatic() || len(route.GetSteps()) > 0 {
			if by.Role == authzv1.Caller_CALLER_EXTERNAL {
				withoutAddresses(route)
			}
			list[n].Route = route
		}
	}
}

// withoutAddresses leaves of who would decide what they are called: somebody external, who
// does not look people up, is told no more.
func withoutAddresses(r *requestv1.Route) {
	for _, s := range r.GetSteps() {
		for _, reviewer := range s.GetReviewers() {
			reviewer.GetPerson().Email = ""
		}
	}
}
