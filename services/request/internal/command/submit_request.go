package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// Submission is what somebody requests.
type Submission struct {
	Kind lifecycle.Kind
	// BeneficiaryID is for whom; the nil id: for the caller.
	BeneficiaryID  uuid.UUID
	EntitlementIDs []uuid.UUID
	Justification  string
	Until          *time.Time // nil: permanently
	// ClientRequestID and Fingerprint make a repeated call safe; may be unset.
	ClientRequestID uuid.NullUUID
	Fingerprint     []byte
}

// Preview is an item of a request that was not submitted.
type Preview struct {
	Item *store.Item
	// Refusal is why it would be refused; empty if it would not.
	Refusal lifecycle.Refusal
}

// SubmitRequest submits a request. Its transaction sees the whole organization,
// because a caller of an environment may be a user of the organization and request
// its apps; the statement leaves out what the environment does not see. A call that
// repeats an earlier one, by its client request id, gets the request that the first
// one made.
func (c *Commands) SubmitRequest(ctx context.Context, by authz.Caller, s Submission) (*store.Request, error) {
	r, err := c.submitRequest(ctx, by, s)
	if err == nil {
		return r, nil
	}
	// What is refused now may have been taken before, by the first of two equal
	// calls; then that one is the answer.
	if s.ClientRequestID.Valid {
		if first, lookErr := c.earlierRequest(ctx, by, s); lookErr != nil || first != nil {
			return first, lookErr
		}
	}
	return nil, public(err)
}

func (c *Commands) submitRequest(ctx context.Context, by authz.Caller, s Submission) (r *store.Request, err error) {
	now := c.Clock.Now()
	if err := s.check(by, now); err != nil {
		return nil, err
	}
	// A submission that loses to a concurrent one is tried again, to find that
	// request's id.
	for range 3 {
		err = c.DB.InOrganization(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			beneficiary, candidates, err := s.load(ctx, tx, by, true)
			if err != nil {
				return err
			}
			r = &store.Request{
				ID: id.New(), OrganizationID: by.OrganizationID, Kind: s.Kind, Origin: store.OriginUser,
				Requester:     person(by),
				Beneficiary:   store.Person{ID: beneficiary.ID, Name: beneficiary.Name, Email: beneficiary.Email},
				JoinCount:     beneficiary.JoinCount,
				Justification: s.Justification, Until: s.Until, State: lifecycle.Submitted, CreateTime: now, UpdateTime: now, Version: 1,
			}
			for _, candidate := range candidates {
				if refusal := candidate.Standing().Refuse(s.Kind, s.Until); refusal != "" {
					return refused(refusal, candidate)
				}
				r.Items = append(r.Items, newItem(candidate))
			}
			var mixed int
			if r.EnvironmentID, mixed = environmentOf(beneficiary, candidates); mixed >= 0 {
				return apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", mixed), "ENVIRONMENTS_MIXED",
					"one request is for apps of one environment; please make a request for each")
			}
			return c.insertRequest(ctx, tx, event.CallerActor(by), store.New{Request: r, ClientRequestID: s.ClientRequestID, Fingerprint: s.Fingerprint})
		})
		if !errors.Is(err, store.ErrAlreadyRequested) {
			break
		}
	}
	return r, err
}

// check checks what needs no database, and completes the submission.
func (s *Submission) check(by authz.Caller, now time.Time) error {
	if s.BeneficiaryID == uuid.Nil {
		s.BeneficiaryID = by.UserID
	}
	if by.Role == authzv1.Caller_CALLER_EXTERNAL && s.BeneficiaryID != by.UserID {
		return apierr.Denied("ONLY_FOR_ONESELF", "external users can request for themselves only")
	}
	for i, e := range s.EntitlementIDs {
		if slices.Contains(s.EntitlementIDs[:i], e) {
			return apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_TWICE", "each entitlement is requested once")
		}
	}
	switch {
	case s.Until == nil:
	case s.Kind == lifecycle.Revoke:
		return apierr.InvalidField("until", "ONLY_FOR_GRANT", "a revoke has no end")
	case !s.Until.After(now):
		return apierr.InvalidField("until", "NOT_IN_FUTURE", "must be in the future")
	}
	return nil
}

// load reads what is requested; each entitlement is in the answer, in the order
// given. With lock the beneficiary cannot be removed until the end of tx. What
// the caller's environment does not see, or the beneficiary's cannot have, does
// not exist.
func (s *Submission) load(ctx context.Context, tx *postgres.Tx, by authz.Caller, lock bool) (store.User, []store.Candidate, error) {
	u, candidates, err := store.LoadCandidates(ctx, tx, by.EnvironmentID, s.BeneficiaryID, s.EntitlementIDs, s.Kind, lock)
	switch {
	case err != nil:
		return u, nil, err
	case u.ID == uuid.Nil || u.ID != by.UserID && !by.Scope().Owns(u.EnvironmentID):
		return u, nil, apierr.InvalidField("beneficiary_id", "USER_UNKNOWN", "there is no such user")
	}
	for i, e := range s.EntitlementIDs {
		if !slices.ContainsFunc(candidates, func(c store.Candidate) bool { return c.EntitlementID == e && c.Visible }) {
			return u, nil, apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_UNKNOWN", "there is no such entitlement")
		}
	}
	if u.State != "active" {
		return u, nil, apierr.Precondition("BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State).
			WithField("beneficiary_id", "BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State)
	}
	return u, candidates, nil
}

// environmentOf is the environment of a request: the beneficiary's, or else that
// of the apps. mixed is the first candidate whose app belongs to another one
// than those before it; negative if there is none.
func environmentOf(beneficiary store.User, candidates []store.Candidate) (environment uuid.UUID, mixed int) {
	environment = beneficiary.EnvironmentID
	for i, candidate := range candidates {
		var ok bool
		if environment, ok = scope.Meet(environment, candidate.AppEnvironmentID); !ok {
			return uuid.Nil, i
		}
	}
	return environment, -1
}

// refused is the public error of an entitlement that cannot be requested.
func refused(refusal lifecycle.Refusal, c store.Candidate) error {
	what := c.AppName + ": " + c.Name
	var e *apierr.Error
	request := ""
	switch refusal {
	case lifecycle.AlreadyRequested:
		e, request = apierr.Precondition(string(refusal), "%s has been requested already", what), c.OpenRequest
	case lifecycle.AlreadyHeld:
		e, request = apierr.Precondition(string(refusal), "%s is held already", what), c.HeldBy
	case lifecycle.NothingToRevoke:
		e = apierr.Precondition(string(refusal), "%s is not held", what)
	}
	if request != "" {
		e = e.With("request", request)
	}
	return e.With("entitlement", c.EntitlementID.String())
}

// newItem makes the item of a candidate. How accounts come in an app where that
// was never chosen is manual.
func newItem(c store.Candidate) *store.Item {
	provisioning := c.Provisioning
	if provisioning == "unspecified" {
		provisioning = "manual"
	}
	return &store.Item{
		ID: id.New(), EntitlementID: c.EntitlementID, EntitlementName: c.Name, AppID: c.AppID, AppName: c.AppName,
		State: lifecycle.ItemPending, Provisioning: provisioning,
	}
}

// earlierRequest gives the request that the caller made with the same client
// request id; nil if there is none.
func (c *Commands) earlierRequest(ctx context.Context, by authz.Caller, s Submission) (r *store.Request, err error) {
	err = c.DB.InOrganizationRead(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		first, fingerprint, err := store.ByClientRequestID(ctx, tx, by.UserID, s.ClientRequestID.UUID)
		if err != nil || first == uuid.Nil {
			return err
		}
		if !bytes.Equal(fingerprint, s.Fingerprint) {
			return apierr.Precondition("REQUEST_ID_REUSED", "this request_id was used before, for something else").
				With("request", first.String()).WithField("request_id", "REQUEST_ID_REUSED", "was used before, for something else")
		}
		r, err = store.ByID(ctx, tx, first)
		return public(err)
	})
	return r, err
}

// PreviewRequest says what would become of a submission, item by item.
func (c *Commands) PreviewRequest(ctx context.Context, by authz.Caller, s Submission) (list []Preview, err error) {
	if err := s.check(by, c.Clock.Now()); err != nil {
		return nil, err
	}
	err = c.DB.InOrganizationRead(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		_, candidates, err := s.load(ctx, tx, by, false)
		list = nil
		for _, candidate := range candidates {
			item := newItem(candidate)
			item.ID = uuid.Nil
			list = append(list, Preview{Item: item, Refusal: candidate.Standing().Refuse(s.Kind, s.Until)})
		}
		return err
	})
	return list, err
}

// insertRequest saves a new request and emits it, in one round trip.
func (c *Commands) insertRequest(ctx context.Context, tx *postgres.Tx, by *eventv1.Actor, n store.New) error {
	r := n.Request
	ev := convert.RequestSubmitted(by, r)
	ev.ID = id.New()
	changes := store.NewChanges(r.OrganizationID)
	changes.Insert(n)
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: r.CreateTime, Event: "request.submitted",
		ActorID: convert.ActorUser(by), ActorName: by.GetDisplayName(), Text: submittedText(r),
	})
	changes.Emit(ev)
	return changes.Save(ctx, tx, c.Events, "insert request")
}

// timeLayout is how texts show times.
const timeLayout = "2006-01-02 15:04 UTC"

func submittedText(r *store.Request) string {
	names := make([]string, 0, len(r.Items))
	for _, i := range r.Items {
		names = append(names, i.AppName+": "+i.EntitlementName)
	}
	what := strings.Join(names, ", ")
	if r.Kind == lifecycle.Revoke {
		return "Requested to revoke from " + r.Beneficiary.Name + ": " + what
	}
	text := "Requested for " + r.Beneficiary.Name + ": " + what
	if r.Until != nil {
		text += ", until " + r.Until.UTC().Format(timeLayout)
	}
	return text
}

// JoinMatch is a join-flow that has matched somebody.
type JoinMatch struct {
	OrganizationID uuid.UUID
	FlowID, UserID uuid.UUID
	FlowName       string
	FlowVersion    int32
	// JoinCount is how often the user had joined.
	JoinCount      int32
	EntitlementIDs []uuid.UUID
	Duration       *time.Duration // nil: permanently
	// Time is when it matched.
	Time time.Time
}

// OpenJoinRequest opens the request of a join-flow, once for each flow, user and
// join count, for what the user neither holds nor has requested. It fails with
// inbox.NotYet while the user or an entitlement is not known yet.
func (c *Commands) OpenJoinRequest(ctx context.Context, tx *postgres.Tx, m JoinMatch) error {
	if exists, err := store.JoinRequestExists(ctx, tx, m.FlowID, m.UserID, m.JoinCount); err != nil || exists {
		return err
	}
	slices.SortFunc(m.EntitlementIDs, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	entitlements := slices.Compact(m.EntitlementIDs)
	u, candidates, err := store.LoadCandidates(ctx, tx, uuid.Nil, m.UserID, entitlements, lifecycle.Grant, true)
	if err != nil {
		return err
	}
	switch {
	case u.ID == uuid.Nil || u.JoinCount < m.JoinCount:
		return inbox.NotYet("user %s, who has joined %d times", m.UserID, m.JoinCount)
	case u.JoinCount > m.JoinCount || u.State == "removed":
		return nil // has left since
	case u.State != "active":
		return inbox.NotYet("user %s to be active", m.UserID)
	case len(candidates) < len(entitlements):
		return inbox.NotYet("entitlements of flow %s", m.FlowID)
	}
	now := notBefore(c.Clock.Now(), m.Time.UTC().Truncate(time.Microsecond))
	r := &store.Request{
		ID: id.New(), OrganizationID: m.OrganizationID, Kind: lifecycle.Grant, Origin: store.OriginJoin,
		Beneficiary:   store.Person{ID: u.ID, Name: u.Name, Email: u.Email},
		JoinCount:     m.JoinCount,
		Justification: "Given by the flow " + m.FlowName, State: lifecycle.Submitted,
		FlowID: convert.Nullable(m.FlowID), FlowVersion: m.FlowVersion, CreateTime: now, UpdateTime: now, Version: 1,
	}
	if m.Duration != nil {
		until := now.Add(*m.Duration).Truncate(time.Microsecond)
		r.Until = &until
	}
	r.EnvironmentID = u.EnvironmentID
	for _, candidate := range candidates {
		environment, ok := scope.Meet(r.EnvironmentID, candidate.AppEnvironmentID)
		if !candidate.Visible || !ok || candidate.Standing().Refuse(lifecycle.Grant, r.Until) != "" {
			continue
		}
		r.EnvironmentID = environment
		r.Items = append(r.Items, newItem(candidate))
	}
	if len(r.Items) == 0 {
		return nil
	}
	// Where another replica was faster the insert is refused, and the next try
	// sees its request.
	return c.insertRequest(ctx, tx, convert.System(), store.New{Request: r})
}
