package command

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/postgres"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

// appApprovers is how the reviewers of the built-in default are found.
var appApprovers = convert.FirstStep{Name: "App approvers", Reviewers: "app_approvers"}

// findVacancies says of items that nobody can decide their first step, so that whoever
// asks learns it at once. Approval says the same, with the reason, once it has looked;
// until then this stands. What goes by an admin of the organization in the end, as
// nearly all does, is not looked at.
func findVacancies(ctx context.Context, tx *postgres.Tx, s *Submission, l *store.Lookup, flows rules, environment uuid.UUID, items []*store.Item, now time.Time) error {
	if l.LastResort {
		return nil
	}
	for n, c := range l.Candidates {
		step, approves := flows.firstStep(s, l, c, now)
		if approves {
			continue
		}
		has, err := store.HasReviewer(ctx, tx, store.Step{
			AppID: c.AppID, BeneficiaryID: l.BeneficiaryID, RequesterID: l.RequesterID, EnvironmentID: environment,
			Reviewers: step.Reviewers, UserIDs: convert.ParseIDs(step.UserIDs), GroupIDs: convert.ParseIDs(step.GroupIDs),
		})
		if err != nil {
			return err
		}
		if !has {
			items[n].Vacancy = convert.Vacancy(&requestv1.Vacancy{
				Step: 1, StepName: step.Name, Reason: "nobody is there who could decide",
				Help: flow.Help(step.Reviewers, l.Beneficiary.Name, environment != uuid.Nil),
			})
		}
	}
	return nil
}

// firstStep is who decides a candidate first; approves says that nobody need to: the flow
// approves by itself, as approval takes it.
func (r rules) firstStep(s *Submission, l *store.Lookup, c store.Candidate, now time.Time) (step convert.FirstStep, approves bool) {
	f := r.decide(s, l, c, now).Flow
	switch {
	case f == nil:
		return appApprovers, false
	case !f.AutoApprove:
		return f.FirstStep, false
	case c.AppEnvironmentID == uuid.Nil && f.EnvironmentID != "",
		slices.Contains(f.EditorIDs, l.RequesterID.String()), slices.Contains(f.EditorIDs, l.BeneficiaryID.String()):
		return appApprovers, false
	}
	return convert.FirstStep{}, true
}
