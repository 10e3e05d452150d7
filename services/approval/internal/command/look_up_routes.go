package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// LookUpRoutes says who would decide each item of a request of an organization if it
// were submitted now. It is planned as a submitted one is, and nothing is saved.
func (c *Commands) LookUpRoutes(ctx context.Context, organizationID uuid.UUID, r *requestv1.Request) (routes []*requestv1.Route, err error) {
	err = c.DB.InOrganizationRead(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) error {
		in := convert.Submission(r)
		in.RequestID = "" // it is not submitted
		people, err := c.Store.LoadSubmissions(ctx, tx, organizationID, []*store.Submission{in})
		if err != nil {
			return err
		}
		if !in.Known {
			return apierr.Unavailable(copies.ReasonNotKnownYet, fmt.Errorf("requester, beneficiary, an app or one of its people is not known"))
		}
		request := requestOf(in, r, people)
		request.Imagined = true
		routes, err = c.routes(ctx, tx, organizationID, people, request, in.Flows, c.Clock.Now())
		return err
	})
	return routes, err
}

// routes says who would decide each item of a request by flows, which is planned as a
// submitted one is at that time.
func (c *Commands) routes(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, people *lifecycle.People, request lifecycle.Request, flows []lifecycle.Flow, at time.Time) ([]*requestv1.Route, error) {
	request.Items = slices.Clone(request.Items)
	for i := range request.Items { // which may have no ids yet
		request.Items[i].ID = request.Items[i].EntitlementID
	}
	a := loaded{Record: &store.Record{OrganizationID: organizationID, Approval: lifecycle.New(request, flows, at)}}
	steps := make([]*stepOf, 0, len(a.Steps))
	// Many items have the same steps, which ask the same people: a step that asks a large
	// group is resolved once.
	var distinct []*stepOf
	same := make(map[string]*stepOf)
	for _, s := range a.Steps {
		key := fmt.Sprintf("%s %#v", s.AppID, s.Spec)
		if same[key] == nil {
			same[key] = &stepOf{loaded: a, step: s}
			distinct = append(distinct, same[key])
		}
		steps = append(steps, same[key])
	}
	if err := c.resolve(ctx, tx, people, distinct); err != nil {
		return nil, err
	}
	var routes []*requestv1.Route
	for _, it := range request.Items {
		route := &requestv1.Route{Automatic: slices.ContainsFunc(a.Given, func(g lifecycle.Given) bool { return g.ItemID == it.ID })}
		for n, s := range a.Steps {
			if s.ItemID == it.ID {
				route.Steps = append(route.Steps, convert.RouteStep(a.Approval, s, steps[n].resolution))
			}
		}
		routes = append(routes, route)
	}
	return routes, nil
}
