package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/batch"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/telemetry"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
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
	// Fields are what is filled in, by key.
	Fields map[string]string
	// Assigned says that an admin assigns it: nobody is asked to decide it, nor for fields.
	Assigned bool
	// BundleIDs are the bundles of which it asks for what the beneficiary does not have.
	BundleIDs []uuid.UUID
	// fromBundle are the entitlements that came with bundles.
	fromBundle map[uuid.UUID]store.Bundle
	// ClientRequestID and Fingerprint make a repeated call safe; may be unset.
	ClientRequestID uuid.NullUUID
	Fingerprint     []byte
}

// Preview is an item of a request that was not submitted.
type Preview struct {
	Item *store.Item
	// Refusal is why it would be refused; empty if it would not.
	Refusal lifecycle.Refusal
	// OverLimit says that the refusal is of a limit of the flow that would decide it.
	OverLimit bool
	// First is the id of the request by which it is held or requested already, if the
	// caller may see that.
	First string
	// Route is who would decide it; nil if that is not known.
	Route *requestv1.Route
	// Limits are those of the flow that would decide it; nil for none.
	Limits *requestv1.ItemLimits
}

// SubmitRequest submits a request. Its transaction sees the whole organization,
// because a caller of an environment may be a user of the organization and request
// its apps; the statement leaves out what the environment does not see. A call that
// repeats an earlier one, by its client request id, gets the request that the first
// one made.
func (c *Commands) SubmitRequest(ctx context.Context, by authz.Caller, s Submission) (*store.Request, error) {
	var r *store.Request
	err := c.forKnown(ctx, by, s.BeneficiaryID, func() (err error) {
		r, err = c.submitRequest(ctx, by, s)
		return err
	})
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

const reasonUserUnknown = "USER_UNKNOWN"

// forKnown does something for a beneficiary, the nil id for the caller, and does it
// again if that is a user of whom this service had not heard: whoever has just
// come can act and be acted for (B-USR-21). The caller exists, and is never called
// unknown.
func (c *Commands) forKnown(ctx context.Context, by authz.Caller, beneficiary uuid.UUID, do func() error) error {
	if beneficiary == uuid.Nil {
		beneficiary = by.UserID
	}
	who := copies.IDs{copies.Users: {beneficiary}}
	err := copies.WhenKnown(ctx, c.DB, c.Progress, by.OrganizationID, who, do, reasonUserUnknown)
	if beneficiary == by.UserID && apierr.HasReason(err, reasonUserUnknown) {
		return copies.NotKnownYet(who)
	}
	return err
}

func (c *Commands) submitRequest(ctx context.Context, by authz.Caller, s Submission) (r *store.Request, err error) {
	now := c.Clock.Now()
	if err := s.check(by, now); err != nil {
		return nil, err
	}
	if err := c.expand(ctx, by, &s); err != nil {
		return nil, err
	}
	// A submission that loses to a concurrent one is tried again, to find that
	// request's id.
	for range 3 {
		r, err = c.submissions.Do(ctx, by.OrganizationID, submission{s, by, now})
		if !errors.Is(err, store.ErrAlreadyRequested) {
			break
		}
	}
	return r, err
}

// submission is what a caller requests, and when.
type submission struct {
	Submission
	by  authz.Caller
	now time.Time
}

// submitRequests takes requests that come at the same time.
func (c *Commands) submitRequests(ctx context.Context, organization uuid.UUID, items []*batch.Item[submission, *store.Request]) error {
	return c.DB.InOrganization(ctx, organization, func(ctx context.Context, tx *postgres.Tx) error {
		lookups := make([]*store.Lookup, len(items))
		for n, item := range items {
			lookups[n] = item.Command.lookup(item.Command.by)
		}
		read, take := c.flows.read(organization)
		if err := store.LoadCandidates(ctx, tx, true, read, lookups...); err != nil {
			return err
		}
		flows, err := take()
		if err != nil {
			return err
		}
		changes := store.NewChanges(organization)
		taken := make(requested)
		more := make(map[uuid.UUID]int) // requests for access of this transaction by environment
		all := 0
		for _, n := range byEnvironment(lookups) {
			item := items[n]
			if item.Result, item.Err = item.Command.request(lookups[n], flows, taken); item.Err != nil {
				continue
			}
			environment := item.Result.EnvironmentID
			if item.Result.Kind == lifecycle.Grant {
				if err := c.checkOpenRequests(ctx, tx, organization, all+1, map[uuid.UUID]int{environment: more[environment] + 1}); err != nil {
					if !apierr.HasReason(err, quota.Reason) {
						return err
					}
					item.Result, item.Err = nil, err
					continue
				}
				more[environment]++
				all++
			}
			taken.add(item.Result)
			changes.Cause(telemetry.Traceparent(item.Context))
			insertRequest(changes, event.CallerActor(item.Command.by), store.New{
				Request: item.Result, ClientRequestID: item.Command.ClientRequestID, Fingerprint: item.Command.Fingerprint,
			})
			// After the event: approval says this of the request, and not the request itself.
			err = findVacancies(ctx, tx, &item.Command.Submission, lookups[n], flows, environment, item.Result.Items, item.Command.now)
			if err != nil {
				return err
			}
		}
		if err := c.awaitEnds(tx, postgres.Column(items, func(i *batch.Item[submission, *store.Request]) *store.Request { return i.Result })...); err != nil {
			return err
		}
		return changes.Save(ctx, tx, c.Events, "insert requests")
	})
}

// byEnvironment are the places of the lookups in the order of their environments, and
// within one in their own: the turns of environments, which count what is open there, are
// taken in one order, so that two transactions do not wait for each other.
func byEnvironment(lookups []*store.Lookup) []int {
	environments, order := make([]uuid.UUID, len(lookups)), make([]int, len(lookups))
	for n, l := range lookups {
		order[n] = n
		environments[n], _ = environmentOf(l.Beneficiary, l.Candidates)
	}
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare(environments[a][:], environments[b][:]) })
	return order
}

// requested are open requests of the same transaction, by what they ask for.
type requested map[requestedItem]*store.Request

type requestedItem struct {
	beneficiary, entitlement uuid.UUID
	kind                     lifecycle.Kind
}

func (q requested) add(r *store.Request) {
	for _, i := range r.Items {
		q[requestedItem{r.Beneficiary.ID, i.EntitlementID, r.Kind}] = r
	}
}

// see adds to candidates what the transaction has requested since they were read.
func (q requested) see(l *store.Lookup) {
	for n, c := range l.Candidates {
		if r, ok := q[requestedItem{l.BeneficiaryID, c.EntitlementID, l.Kind}]; ok {
			l.Candidates[n].OpenRequest = r.ID.String()
			l.Candidates[n].SeesOpenRequest = slices.Contains([]uuid.UUID{r.Requester.ID, r.Beneficiary.ID}, l.RequesterID)
		}
	}
}

// request makes the request of a submission, unless the rules refuse it.
func (s submission) request(l *store.Lookup, flows rules, taken requested) (*store.Request, error) {
	if err := s.found(s.by, l, flows, s.now); err != nil {
		return nil, err
	}
	taken.see(l)
	r := &store.Request{
		ID: id.New(), OrganizationID: s.by.OrganizationID, Kind: s.Kind, Origin: store.OriginUser,
		Requester:     person(s.by),
		Beneficiary:   store.Person{ID: l.Beneficiary.ID, Name: l.Beneficiary.Name, Email: l.Beneficiary.Email},
		JoinCount:     l.Beneficiary.JoinCount,
		Justification: s.Justification, Until: s.Until, State: lifecycle.Submitted, CreateTime: s.now, UpdateTime: s.now, Version: 1,
	}
	filled := make(fields)
	var asked []store.Candidate
	var left *apierr.Error
	for _, candidate := range l.Candidates {
		decision := flows.decide(&s.Submission, l, candidate, s.now)
		refusal := refuse(&s.Submission, candidate, decision)
		switch {
		case refusal == "":
			r.Items, asked = append(r.Items, s.item(candidate)), append(asked, candidate)
			r.Fields = filled.add(r.Fields, s.Fields, decision.Flow)
		case s.skips(candidate, refusal):
			filled.add(nil, nil, decision.Flow) // its fields are no unknown ones
			if left == nil {
				left = s.refused(refusal, candidate, decision.Over)
			}
		default:
			return nil, s.refused(refusal, candidate, decision.Over)
		}
	}
	if len(r.Items) == 0 && left != nil {
		return nil, left // all of it is held or requested
	}
	if err := filled.known(s.Fields); err != nil {
		return nil, err
	}
	l.Candidates = asked
	var mixed int
	if r.EnvironmentID, mixed = environmentOf(l.Beneficiary, l.Candidates); mixed >= 0 {
		return nil, apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", mixed), "ENVIRONMENTS_MIXED",
			"one request is for apps of one environment; please make a request for each")
	}
	return r, nil
}

// check checks what needs no database, and completes the submission.
func (s *Submission) check(by authz.Caller, now time.Time) error {
	if s.BeneficiaryID == uuid.Nil {
		s.BeneficiaryID = by.UserID
	}
	if (by.Role == authzv1.Caller_CALLER_EXTERNAL || by.Role == authzv1.Caller_CALLER_RISK_MANAGER) && s.BeneficiaryID != by.UserID {
		return apierr.Denied("ONLY_FOR_ONESELF", "external users and risk managers can request for themselves only")
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

// lookup asks for what is requested, as the caller's environment sees it.
func (s *Submission) lookup(by authz.Caller) *store.Lookup {
	return &store.Lookup{
		EnvironmentID: by.EnvironmentID, RequesterID: by.UserID, BeneficiaryID: s.BeneficiaryID, Kind: s.Kind, EntitlementIDs: s.EntitlementIDs,
	}
}

// found says whether what is requested exists, and may be requested by the caller.
// What the caller's environment does not see, or the beneficiary's cannot have,
// does not exist. Nothing is said of what the beneficiary holds to somebody who
// may not request it.
func (s *Submission) found(by authz.Caller, l *store.Lookup, flows rules, now time.Time) error {
	u := l.Beneficiary
	if u.ID == uuid.Nil || u.ID != by.UserID && !by.Scope().Owns(u.EnvironmentID) {
		return apierr.InvalidField("beneficiary_id", reasonUserUnknown, "there is no such user")
	}
	if s.leaveOut(by, l, flows); len(s.EntitlementIDs) == 0 {
		return apierr.InvalidField("bundle_ids[0]", "BUNDLE_UNKNOWN", "nothing of this bundle is for this person")
	}
	for i, e := range s.EntitlementIDs {
		if !slices.ContainsFunc(l.Candidates, func(c store.Candidate) bool {
			return c.EntitlementID == e && c.Visible && flows.letIn(by, s.Kind, l.Beneficiary, c)
		}) {
			return apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_UNKNOWN", "there is no such entitlement")
		}
	}
	for _, c := range l.Candidates {
		switch {
		case flows.mayAsk(by, l, c, flows.decide(s, l, c, now)):
		case u.ID == by.UserID:
			return errNotForOneself.With("entitlement", c.EntitlementID.String())
		default:
			return errNotForOthers
		}
	}
	// Last, so that whoever may not ask for others is not told what they hold.
	for i, e := range s.EntitlementIDs {
		if slices.ContainsFunc(l.Candidates, func(c store.Candidate) bool { return c.EntitlementID == e && hidden(by, c) }) {
			return apierr.InvalidField(fmt.Sprintf("entitlement_ids[%d]", i), "ENTITLEMENT_UNKNOWN", "there is no such entitlement")
		}
	}
	if u.State != "active" {
		return apierr.Precondition("BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State).
			WithField("beneficiary_id", "BENEFICIARY_NOT_ACTIVE", "%s is %s", u.Name, u.State)
	}
	return nil
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

// refused is the public error of an entitlement that cannot be requested; over are the
// limits that it is over.
func refused(refusal lifecycle.Refusal, c store.Candidate, over []flow.Excess) *apierr.Error {
	what := c.AppName + ": " + c.Name
	var e *apierr.Error
	switch refusal {
	case lifecycle.AlreadyRequested:
		e = apierr.Precondition(string(refusal), "%s has been requested already", what)
	case lifecycle.AlreadyHeld:
		e = apierr.Precondition(string(refusal), "%s is held already", what)
	case lifecycle.ConditionFailed:
		e = apierr.Precondition(string(refusal), "%s cannot be requested now: the condition of the flow that would decide it cannot be evaluated; its admins can mend that", what)
	case lifecycle.NotForBeneficiary:
		e = apierr.Precondition(string(refusal), "%s is not given to this person: a flow keeps it to others", what).
			WithField("beneficiary_id", string(refusal), "%s is not given to this person", what)
	case lifecycle.NotCovered:
		e = apierr.Precondition(string(refusal), "%s can be requested only where a flow says so, and none does for this person", what)
	case lifecycle.Unlisted:
		e = apierr.Precondition(string(refusal), "%s is not in the catalog: its access is given by admins, and not requested", c.AppName)
	case lifecycle.NotDescribed:
		e = apierr.Precondition(string(refusal), "nobody has said what %s opens: it can be requested once its description does", what)
	case lifecycle.NothingToRevoke:
		e = apierr.Precondition(string(refusal), "%s is not held", what)
	}
	if e == nil {
		e = overLimits(refusal, what, over)
	}
	return e.With("entitlement", c.EntitlementID.String())
}

// refused is the error of an entitlement of the submission, with the field that names it
// where that says more.
func (s submission) refused(refusal lifecycle.Refusal, c store.Candidate, over []flow.Excess) *apierr.Error {
	e := refused(refusal, c, over)
	if n := slices.Index(s.EntitlementIDs, c.EntitlementID); n >= 0 && refusal == lifecycle.NotDescribed {
		e = e.WithField(fmt.Sprintf("entitlement_ids[%d]", n), string(refusal), "nobody has said what this opens")
	}
	if request := first(s.by, refusal, c); request != "" {
		e = e.With("request", request)
	}
	return e
}

// overLimits is the public error of what is over limits; each field that is over one is
// named.
func overLimits(refusal lifecycle.Refusal, what string, over []flow.Excess) *apierr.Error {
	var e *apierr.Error
	for _, o := range over {
		text := what + " can be requested " + o.Text
		switch {
		case e == nil && o.Path == "":
			e = apierr.Precondition(string(refusal), "%s", text)
		case e == nil:
			e = apierr.InvalidField(o.Path, string(refusal), "%s", text)
		case o.Path != "":
			e = e.WithField(o.Path, string(o.Refusal), "%s", text)
		}
		for k, v := range o.Metadata {
			e = e.With(k, v)
		}
	}
	if e == nil { // a refusal that has no words here
		e = apierr.Precondition(string(refusal), "%s cannot be requested", what)
	}
	return e
}

// fields are the keys that flows ask for.
type fields map[string]bool

// add adds to a request what is filled in for the fields of a flow.
func (f fields) add(to store.Fields, values map[string]string, by *convert.Flow) store.Fields {
	if by == nil {
		return to
	}
	for _, x := range by.Fields {
		value := strings.TrimSpace(values[x.Key])
		if value != "" && !slices.ContainsFunc(to, func(o store.Field) bool { return o.Key == x.Key }) {
			to = append(to, store.Field{Key: x.Key, Label: x.Label, Value: value})
		}
		f[x.Key] = true
	}
	return to
}

// known refuses a value for which no flow asks.
func (f fields) known(values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !f[key] {
			return apierr.InvalidField(fmt.Sprintf("fields[%q]", key), "FIELD_UNKNOWN", "no flow that decides about this asks for it")
		}
	}
	return nil
}

// first is the request by which something is held or requested already, where the caller
// may see it; empty for none.
func first(by authz.Caller, refusal lifecycle.Refusal, c store.Candidate) string {
	switch {
	case refusal == lifecycle.AlreadyRequested && (by.SeesAll() || c.SeesOpenRequest):
		return c.OpenRequest
	case refusal == lifecycle.AlreadyHeld && (by.SeesAll() || c.SeesHeldBy):
		return c.HeldBy
	}
	return ""
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
		State: lifecycle.ItemPending, Provisioning: provisioning, Facts: convert.Facts(c),
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
	err = c.forKnown(ctx, by, s.BeneficiaryID, func() (err error) {
		list, err = c.previewRequest(ctx, by, s)
		return err
	})
	return list, err
}

func (c *Commands) previewRequest(ctx context.Context, by authz.Caller, s Submission) (list []Preview, err error) {
	var l *store.Lookup
	var environment uuid.UUID
	if err := c.expand(ctx, by, &s); err != nil {
		return nil, err
	}
	now := c.Clock.Now()
	err = c.DB.InOrganizationRead(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		l = s.lookup(by)
		read, take := c.flows.read(by.OrganizationID)
		if err := store.LoadCandidates(ctx, tx, false, read, l); err != nil {
			return err
		}
		flows, err := take()
		if err != nil {
			return err
		}
		// What somebody may not ask for themselves is refused by itself, among others: it
		// tells them nothing that they do not know.
		if err := s.found(by, l, flows, now); err != nil && !apierr.HasReason(err, string(lifecycle.NotForOneself)) {
			return err
		}
		list = nil
		for _, candidate := range l.Candidates {
			item := s.item(candidate)
			item.ID = uuid.Nil
			decision := flows.decide(&s, l, candidate, now)
			refusal := refuse(&s, candidate, decision)
			if !flows.mayAsk(by, l, candidate, decision) {
				refusal = lifecycle.NotForOneself
			}
			list = append(list, Preview{Item: item, Refusal: refusal, First: first(by, refusal, candidate), OverLimit: len(decision.Over) > 0 && refusal == lifecycle.Refusal(decision.Refusal), Limits: convert.Limits(s.Kind, decision)})
		}
		environment, _ = environmentOf(l.Beneficiary, l.Candidates)
		items := postgres.Column(list, func(p Preview) *store.Item { return p.Item })
		return findVacancies(ctx, tx, &s, l, flows, environment, items, now)
	})
	if err != nil {
		return nil, err
	}
	c.findRoutes(ctx, by, &s, l, environment, list, now)
	return list, nil
}

// insertRequest adds a new request and its event.
func insertRequest(changes *store.Changes, by *eventv1.Actor, n store.New) {
	r := n.Request
	ev := convert.RequestSubmitted(by, r)
	ev.ID = id.New()
	changes.Insert(n)
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: r.CreateTime, Event: submitted,
		ActorID: convert.ActorUser(by), ActorName: by.GetDisplayName(), Text: submittedText(r),
	})
	changes.Emit(ev)
}

// submitted is the event of the first entry of a timeline, which names all items.
const submitted = "request.submitted"

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
