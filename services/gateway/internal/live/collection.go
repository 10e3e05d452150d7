package live

import (
	"math/bits"
	"slices"
)

// Collection is a collection of the API, as its path under /v1 names it.
type Collection string

// The collections of which pages show something.
const (
	accounts          Collection = "accounts"
	apiTokens         Collection = "apiTokens"
	apps              Collection = "apps"
	auditEntries      Collection = "auditEntries"
	bundles           Collection = "bundles"
	checklists        Collection = "checklists"
	checklistSettings Collection = "checklistSettings"
	conversations     Collection = "conversations"
	delegations       Collection = "delegations"
	environments      Collection = "environments"
	flows             Collection = "flows"
	grants            Collection = "grants"
	groups            Collection = "groups"
	identityProviders Collection = "identityProviders"
	integrations      Collection = "integrations"
	me                Collection = "me"
	organization      Collection = "organization"
	parkedEvents      Collection = "parkedEvents"
	requests          Collection = "requests"
	sessions          Collection = "sessions"
	sources           Collection = "sources"
	tasks             Collection = "tasks"
	users             Collection = "users"
	workItems         Collection = "workItems"
	workingTime       Collection = "workingTime"
)

// all are the collections, in the order of their bits.
var all = []Collection{
	accounts, apiTokens, apps, auditEntries, bundles, checklists, checklistSettings, conversations, delegations, environments, flows, grants, groups, identityProviders,
	integrations, me, organization, parkedEvents, requests, sessions, sources, tasks, users, workItems, workingTime,
}

// set is a set of collections.
type set uint32

func setOf(collections ...Collection) set {
	var s set
	for _, c := range collections {
		s |= 1 << slices.Index(all, c)
	}
	return s
}

// everything is what may have changed when events were missed.
var everything = setOf(all...)

// personal are the collections of which members see what is theirs, and outside those of
// which external people do; the others are for roles that see all of a scope.
var (
	personal = setOf(accounts, apiTokens, apps, bundles, conversations, delegations, grants, groups, me, organization, requests, sessions, tasks, users, workItems)
	outside  = personal &^ setOf(groups, users, workItems)
)

// names are the collections of a set, by name.
func (s set) names() []Collection {
	out := make([]Collection, 0, bits.OnesCount32(uint32(s)))
	for i, c := range all {
		if s&(1<<i) != 0 {
			out = append(out, c)
		}
	}
	return out
}

// change is what shows of something else after an event.
type change struct {
	// own are collections of the service that says it, which has it already; copied are
	// those of services that must hear of it first.
	own, copied set
}

// changes are those of the events of an aggregate.
var changes = map[string]change{
	"account":            {own: setOf(accounts, grants)},
	"api_token":          {own: setOf(apiTokens)},
	"app":                {own: setOf(apps, bundles), copied: setOf(integrations)},
	"approval":           {own: setOf(tasks), copied: setOf(requests)},
	"bundle":             {own: setOf(bundles)},
	"call":               {},
	"checklist":          {own: setOf(checklists, workItems)},
	"checklist_settings": {own: setOf(checklistSettings)},
	"comment":            {own: setOf(requests)},
	"conversation":       {own: setOf(conversations)},
	"delegation":         {own: setOf(delegations, tasks)},
	"entitlement":        {own: setOf(apps, bundles)},
	"environment":        {own: setOf(environments)},
	"flow":               {own: setOf(flows)},
	"grant":              {own: setOf(grants, accounts), copied: setOf(requests)},
	"group":              {own: setOf(groups)},
	"identity_provider":  {own: setOf(identityProviders)},
	"integration":        {own: setOf(integrations), copied: setOf(apps)},
	"organization":       {own: setOf(organization, me)},
	"report":             {},
	"request":            {own: setOf(requests), copied: setOf(tasks)},
	"revocation":         {copied: setOf(requests)},
	"role":               {own: setOf(users, me)},
	"session":            {own: setOf(sessions)},
	"sign_in":            {},
	"sign_in_link":       {},
	"source":             {own: setOf(sources)},
	"task":               {own: setOf(tasks), copied: setOf(requests)},
	"user":               {own: setOf(users, groups, me, sources)},
	"user_identity":      {own: setOf(users)},
	"work_item":          {own: setOf(workItems, checklists, grants, accounts), copied: setOf(requests)},
	"working_time":       {own: setOf(workingTime)},
}

// changeOf is what an event of an aggregate changes: everything is in the audit log, too.
func changeOf(aggregate string) change {
	c := changes[aggregate]
	c.copied |= setOf(auditEntries)
	return c
}

// access are the aggregates after whose events a viewer whom they name may be somebody
// else, or nobody: role, state, session.
var access = map[string]bool{"user": true, "role": true, "session": true, "organization": true}
