package convert

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/inbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Approval is an approved request.
type Approval struct {
	// Event is the event that carried it.
	Event         inbox.Event
	Request, User uuid.UUID
	// Revoke means that the request takes away, and Join that a join-flow made it.
	Revoke, Join bool
	// Until is when what is granted ends; nil if it does not.
	Until *time.Time
	Items []ApprovalItem
}

// ApprovalItem is one entitlement of an approved request. Grant is the item of another
// request whose grant alone is to be ended; the nil id: all of the entitlement are.
type ApprovalItem struct{ ID, App, Entitlement, Grant uuid.UUID }

// Key is whose assignment the item is about.
func (a *Approval) Key(i ApprovalItem) store.Key { return store.Key{User: a.User, App: i.App} }

// Approvals reads approval.granted events. An error is an inbox.Failed.
func Approvals(events []inbox.Event) ([]*Approval, error) {
	out := make([]*Approval, len(events))
	for n, ev := range events {
		a, err := approval(ev)
		if err != nil {
			return nil, inbox.Failed(ev, err)
		}
		out[n] = a
	}
	return out, nil
}

func approval(ev inbox.Event) (*Approval, error) {
	m, ok := ev.Message.(*eventv1.ApprovalGranted)
	if !ok {
		return nil, fmt.Errorf("event of type %s holds a %T", ev.Type, ev.Message)
	}
	return approvalOf(ev, m.GetRequest())
}

// approvalOf is what a request that is approved asks for.
func approvalOf(ev inbox.Event, r *requestv1.Request) (*Approval, error) {
	a := &Approval{
		Event:  ev,
		Revoke: r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE,
		Join:   r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN,
	}
	err := parse(map[*uuid.UUID]string{&a.Request: r.GetId(), &a.User: r.GetBeneficiary().GetUserId()})
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if r.GetUntil() != nil {
		t := r.GetUntil().AsTime().Truncate(time.Microsecond)
		a.Until = &t
	}
	for _, i := range r.GetItems() {
		var it ApprovalItem
		err := parse(map[*uuid.UUID]string{&it.ID: i.GetId(), &it.App: i.GetAppId(), &it.Entitlement: i.GetEntitlementId(), &it.Grant: i.GetGrantItemId()})
		if err != nil {
			return nil, fmt.Errorf("read item of request %s: %w", a.Request, err)
		}
		a.Items = append(a.Items, it)
	}
	return a, nil
}

// GiveUp says which items of an approved request were given up.
type GiveUp struct {
	Approval
	// Actor is who did.
	Actor *eventv1.Actor
}

// ReadGiveUp reads a request.give_up_requested event.
func ReadGiveUp(ev inbox.Event, m *eventv1.RequestGiveUpRequested) (*GiveUp, error) {
	a, err := approvalOf(ev, m.GetRequest())
	if err != nil {
		return nil, err
	}
	if a.Revoke {
		return nil, fmt.Errorf("request %s takes access away, and cannot be given up", a.Request)
	}
	all := a.Items
	a.Items = nil
	for _, text := range m.GetItemIds() {
		i := slices.IndexFunc(all, func(i ApprovalItem) bool { return i.ID.String() == text })
		if i < 0 {
			return nil, fmt.Errorf("request %s has no item %q", a.Request, text)
		}
		a.Items = append(a.Items, all[i])
	}
	return &GiveUp{Approval: *a, Actor: m.GetContext().GetActor()}, nil
}

// parse reads ids; an empty one is the nil id.
func parse(ids map[*uuid.UUID]string) error {
	for into, text := range ids {
		if text == "" {
			continue
		}
		var err error
		if *into, err = uuid.Parse(text); err != nil {
			return err //nolint:wrapcheck // callers say what it is of
		}
	}
	return nil
}
