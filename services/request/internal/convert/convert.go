// Package convert turns the service's values into protos, and protos into the
// service's values. It decides nothing.
package convert

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/resource"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// ID is an id as the API shows it; the nil id is empty.
func ID(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// IDs are ids as the API shows them.
func IDs(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// Nullable is an id that may be unset, which the nil id is.
func Nullable(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Person is a person as the API shows them; nil for nobody.
func Person(p store.Person) *identityv1.Person {
	if p.ID == uuid.Nil {
		return nil
	}
	return &identityv1.Person{UserId: p.ID.String(), DisplayName: p.Name, Email: p.Email}
}

// App is an app as the API shows it.
func App(a store.App) *requestv1.App {
	return &requestv1.App{
		Id: a.ID.String(), OrganizationId: a.OrganizationID.String(), EnvironmentId: ID(a.EnvironmentID),
		Name: a.Name, Description: a.Description,
		OwnerId: ID(a.OwnerID.UUID), AdminIds: IDs(a.AdminIDs), ApproverIds: IDs(a.ApproverIDs),
		Provisioning:             enum.Value[requestv1.ProvisioningSupport](a.Provisioning),
		IntegrationId:            ID(a.IntegrationID.UUID),
		DeprovisioningAction:     enum.Value[requestv1.DeprovisioningAction](a.DeprovisioningAction),
		AccountAdoption:          enum.Value[requestv1.AccountAdoption](a.AccountAdoption),
		OfferedToAllEnvironments: a.OfferedToAllEnvironments, OfferedEnvironmentIds: IDs(a.OfferedEnvironmentIDs),
		OnlyByFlow: a.OnlyByFlow, Icon: a.Icon, GoneUserIds: IDs(a.GoneUserIDs),
		Category: a.Category, Tags: a.Tags, SsoAppId: ID(a.SSOAppID.UUID), Instructions: a.Instructions,
		CatalogState: enum.Value[requestv1.CatalogState](a.CatalogState),
		CreateTime:   timestamppb.New(a.CreateTime), UpdateTime: timestamppb.New(a.UpdateTime), Version: a.Version,
		Etag: resource.ETag(a.ID.String(), a.Version), DeleteTime: timestamp(a.DeleteTime),
	}
}

// Entitlement is an entitlement as the API shows it.
func Entitlement(e store.Entitlement) *requestv1.Entitlement {
	return &requestv1.Entitlement{
		Id: e.ID.String(), OrganizationId: e.OrganizationID.String(), EnvironmentId: ID(e.EnvironmentID), AppId: e.AppID.String(),
		Name: e.Name, Description: e.Description, Kind: enum.Value[requestv1.EntitlementKind](e.Kind), Ref: e.Ref,
		Risk:       enum.Value[requestv1.EntitlementRisk](e.Risk),
		CreateTime: timestamppb.New(e.CreateTime), Version: e.Version, Etag: resource.ETag(e.ID.String(), e.Version), DeleteTime: timestamp(e.DeleteTime),
	}
}

// Found is an app that was found, as the API shows it.
func Found(f *store.Found) *requestv1.CatalogApp {
	out := &requestv1.CatalogApp{
		App: App(f.App), Held: len(f.Held) > 0, Requested: len(f.Requested) > 0, Requestable: f.Requestable,
		HeldItems: foundItems(f.Held), RequestedItems: foundItems(f.Requested),
	}
	for _, e := range f.Matches {
		out.Matches = append(out.Matches, Entitlement(e))
	}
	for _, risk := range f.Risks {
		out.Risks = append(out.Risks, enum.Value[requestv1.EntitlementRisk](risk))
	}
	return out
}

func foundItems(list []store.FoundItem) []*requestv1.CatalogItem {
	var out []*requestv1.CatalogItem
	for _, i := range list {
		out = append(out, &requestv1.CatalogItem{EntitlementId: i.EntitlementID.String(), EntitlementName: i.Name, RequestId: ID(i.RequestID.UUID), Until: timestamp(i.Until)})
	}
	return out
}

// Bundle is a bundle as the API shows it.
func Bundle(b store.Bundle) *requestv1.Bundle {
	out := &requestv1.Bundle{
		Id: b.ID.String(), OrganizationId: b.OrganizationID.String(), EnvironmentId: ID(b.EnvironmentID), Name: b.Name, Description: b.Description,
		EntitlementIds: IDs(b.EntitlementIDs), CreateTime: timestamppb.New(b.CreateTime), UpdateTime: timestamppb.New(b.UpdateTime), Version: b.Version,
		Etag: resource.ETag(b.ID.String(), b.Version), DeleteTime: timestamp(b.DeleteTime),
	}
	here := make(map[uuid.UUID]bool, len(b.Items))
	for _, i := range b.Items {
		here[i.EntitlementID] = !i.Gone
		out.Items = append(out.Items, &requestv1.BundleItem{
			EntitlementId: i.EntitlementID.String(), EntitlementName: i.Name, AppId: i.AppID.String(), AppName: i.AppName, Risk: enum.Value[requestv1.EntitlementRisk](i.Risk),
		})
	}
	for _, id := range b.EntitlementIDs {
		if !here[id] {
			out.GoneIds = append(out.GoneIds, id.String())
		}
	}
	return out
}

// CreatedBundle is the answer to who has made a bundle.
func CreatedBundle(b store.Bundle) *requestv1.CreateBundleResponse {
	return &requestv1.CreateBundleResponse{Bundle: Bundle(b)}
}

// CreatedApp is the answer to who has made an app.
func CreatedApp(a store.App, account store.Entitlement) *requestv1.CreateAppResponse {
	return &requestv1.CreateAppResponse{App: App(a), Account: Entitlement(account)}
}

// CreatedEntitlement is the answer to who has made an entitlement.
func CreatedEntitlement(e store.Entitlement) *requestv1.CreateEntitlementResponse {
	return &requestv1.CreateEntitlementResponse{Entitlement: Entitlement(e)}
}

// CreatedEntitlements is the answer to who has made several.
func CreatedEntitlements(list []store.Entitlement) *requestv1.BatchCreateEntitlementsResponse {
	out := &requestv1.BatchCreateEntitlementsResponse{}
	for _, e := range list {
		out.Entitlements = append(out.Entitlements, Entitlement(e))
	}
	return out
}

// AddedComment is the answer to who has commented.
func AddedComment(c store.Comment) *requestv1.AddCommentResponse {
	return &requestv1.AddCommentResponse{Comment: Comment(c)}
}

// AssignedAccess is the answer to who has assigned access.
func AssignedAccess(requests []*store.Request, skipped []*requestv1.SkippedAssignment) *requestv1.AssignAccessResponse {
	out := &requestv1.AssignAccessResponse{Skipped: skipped}
	for _, r := range requests {
		out.Requests = append(out.Requests, RequestPart(r))
	}
	return out
}

// RequestPart is what of a request the API shows to its viewer.
func RequestPart(r *store.Request) *requestv1.Request {
	part, hidden := r.Part()
	out := Request(part)
	out.HiddenItemCount = int32(hidden) //nolint:gosec // a request has at most 50 items
	items := make([]lifecycle.Progress, len(part.Items))
	for n, i := range part.Items {
		state := i.State
		if r.Origin == store.OriginAssignment && state == lifecycle.ItemPending {
			state = lifecycle.ItemApproved // nobody is asked about what is assigned
		}
		items[n] = lifecycle.ProgressOfItem(state, i.Review)
	}
	p, percent := lifecycle.ProgressOf(r.State, items...)
	out.Progress = progress(p, percent)
	if mine := r.Mine; mine.Done+mine.Open > 0 {
		p := lifecycle.Progress{Done: mine.Done, Needed: mine.Done + mine.Open}
		out.MyProgress = progress(p, p.Percent())
	}
	for _, kind := range r.Mine.Required {
		out.RequiredActions = append(out.RequiredActions, enum.Value[requestv1.RequiredAction](kind))
	}
	slices.Sort(out.RequiredActions)
	return out
}

func progress(p lifecycle.Progress, percent int) *requestv1.Progress {
	return &requestv1.Progress{DoneActions: int32(p.Done), NeededActions: int32(p.Needed), Percent: int32(percent)} //nolint:gosec // a step has as many reviewers at most as an organization has people
}

// Request is a request whole, as events show it.
func Request(r *store.Request) *requestv1.Request {
	out := &requestv1.Request{
		Id: r.ID.String(), OrganizationId: r.OrganizationID.String(), EnvironmentId: ID(r.EnvironmentID),
		Kind: enum.Value[requestv1.RequestKind](string(r.Kind)), Origin: enum.Value[requestv1.RequestOrigin](r.Origin),
		Requester: Person(r.Requester), Beneficiary: Person(r.Beneficiary),
		Items: make([]*requestv1.RequestItem, 0, len(r.Items)), Justification: r.Justification, Until: timestamp(r.Until),
		State: enum.Value[requestv1.RequestState](string(r.State)), ClosingReason: r.ClosingReason, ClosedBy: Person(r.ClosedBy),
		FlowId: ID(r.FlowID.UUID), FlowVersion: r.FlowVersion,
		CreateTime: timestamppb.New(r.CreateTime), UpdateTime: timestamppb.New(r.UpdateTime), CloseTime: timestamp(r.CloseTime), Version: r.Version,
		Expired: r.Expired,
	}
	for _, f := range r.Fields {
		out.Fields = append(out.Fields, &requestv1.RequestField{Key: f.Key, Label: f.Label, Value: f.Value})
	}
	for _, i := range r.Items {
		item := Item(i)
		out.Items = append(out.Items, item)
		out.WaitsForReviewer = out.WaitsForReviewer || item.GetVacancy() != nil
	}
	return out
}

// Item is an item of a request as the API shows it.
func Item(i *store.Item) *requestv1.RequestItem {
	out := &requestv1.RequestItem{}
	if err := proto.Unmarshal(i.Facts, out); err != nil {
		out.Reset() // without them it is the same request
	}
	proto.Merge(out, &requestv1.RequestItem{
		Id: ID(i.ID), EntitlementId: i.EntitlementID.String(), EntitlementName: i.EntitlementName, AppId: i.AppID.String(), AppName: i.AppName,
		State: enum.Value[requestv1.ItemState](string(i.State)), Provisioning: enum.Value[requestv1.ProvisioningSupport](i.Provisioning),
	})
	out.ClosingReason, out.NotInPlace = i.ClosingReason, i.NotInPlace
	out.BundleId, out.BundleName = ID(i.BundleID.UUID), i.BundleName
	if i.GrantItemID.Valid {
		out.GrantItemId = i.GrantItemID.UUID.String()
	}
	if i.State == lifecycle.ItemPending && i.Vacancy != nil {
		out.Vacancy = &requestv1.Vacancy{}
		if err := proto.Unmarshal(i.Vacancy, out.Vacancy); err != nil {
			out.Vacancy = &requestv1.Vacancy{Reason: "nobody can decide"} // that much is known
		}
	}
	out.GiveUp = ReadGiveUp(i)
	return out
}

// Facts is how it is stored what the catalog says of a candidate; nil for nothing.
func Facts(c store.Candidate) []byte {
	facts := &requestv1.RequestItem{
		AppCategory: c.Category, AppTags: c.Tags, EntitlementKind: enum.Value[requestv1.EntitlementKind](c.EntitlementKind),
		EntitlementRisk: enum.Value[requestv1.EntitlementRisk](c.Risk),
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(facts)
	if err != nil { // a name that is no UTF-8, which the database does not keep
		return nil
	}
	return data
}

// GiveUp is how it is stored that somebody gives up an item.
func GiveUp(by store.Person, reason string, at time.Time) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&requestv1.GiveUp{By: Person(by), Reason: reason, Time: timestamppb.New(at)})
	if err != nil {
		return nil, fmt.Errorf("encode who gives up: %w", err)
	}
	return data, nil
}

// ReadGiveUp is who has given up an item; nil if nobody has.
func ReadGiveUp(i *store.Item) *requestv1.GiveUp {
	if i.GiveUp == nil {
		return nil
	}
	out := &requestv1.GiveUp{}
	if err := proto.Unmarshal(i.GiveUp, out); err != nil {
		return &requestv1.GiveUp{} // that much is known
	}
	return out
}

// Vacancy is how a vacancy is stored; nil is none.
func Vacancy(v *requestv1.Vacancy) []byte {
	if v == nil {
		return nil
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
	if err != nil || len(data) == 0 {
		return []byte{}
	}
	return data
}

// RequestState is the word of a state; empty for unspecified.
func RequestState(s requestv1.RequestState) lifecycle.State {
	if s == requestv1.RequestState_REQUEST_STATE_UNSPECIFIED {
		return ""
	}
	return lifecycle.State(enum.Word(s))
}

// Comment is a comment as the API shows it.
func Comment(c store.Comment) *requestv1.Comment {
	return &requestv1.Comment{
		Id: c.ID.String(), RequestId: c.RequestID.String(), Author: Person(c.Author), Text: c.Text, CreateTime: timestamppb.New(c.CreateTime),
	}
}

// TimelineEntry is an entry of a timeline as the API shows it.
func TimelineEntry(e store.TimelineEntry) *requestv1.TimelineEntry {
	return &requestv1.TimelineEntry{
		EventId: e.EventID.String(), Time: timestamppb.New(e.Time), Event: e.Event, Text: e.Text,
		Actor: &identityv1.Person{UserId: e.ActorID, DisplayName: e.ActorName},
	}
}

// Conversation is a conversation as the API shows it.
func Conversation(c store.Conversation) *requestv1.Conversation {
	return &requestv1.Conversation{
		Id: c.ID.String(), OrganizationId: c.OrganizationID.String(), EnvironmentId: ID(c.EnvironmentID), AppId: c.AppID.String(), AppName: c.AppName,
		Asker: Person(c.Asker), State: enum.Value[requestv1.ConversationState](c.State), Opening: c.Opening, MessageCount: c.MessageCount,
		CreateTime: timestamppb.New(c.CreateTime), UpdateTime: timestamppb.New(c.UpdateTime), Version: c.Version, ClosingReason: c.ClosingReason,
	}
}

// CreatedConversation is the answer to who has begun a conversation.
func CreatedConversation(c store.Conversation) *requestv1.CreateConversationResponse {
	return &requestv1.CreateConversationResponse{Conversation: Conversation(c)}
}

// Message is what was said in a conversation, as the API shows it.
func Message(m store.Message) *requestv1.Message {
	return &requestv1.Message{
		Id: m.ID.String(), ConversationId: m.ConversationID.String(), Author: Person(m.Author), Text: m.Text, CreateTime: timestamppb.New(m.CreateTime),
	}
}

// AddedMessage is the answer to who has said something in a conversation.
func AddedMessage(m store.Message) *requestv1.AddMessageResponse {
	return &requestv1.AddMessageResponse{Message: Message(m)}
}
