package demo

import "time"

// This file is the company: who works there, what they get into, and what has happened so
// far. load_company.go loads it.
//
// Names of apps and of what is in them hold neither "Tidepool" nor "Press", and no
// description does: the README's walk finds its apps by these words. No name comes behind
// "Tidepool Chat" either: the program in docs/go-service.md requests the last app.

// person is one of the company. Who is named by name alone has the user name
// name@demo.example.
type person struct{ name, given, family, title, department, manager string }

// companyPeople come by SCIM, from a source of their own; managers stand above those who
// report to them.
var companyPeople = []person{
	{"emmy", "Emmy", "Noether", "Managing Director", "Management", ""},

	{"luca", "Luca", "Pacioli", "Head of Finance", "Finance", "emmy"},
	{"abigail", "Abigail", "Adams", "Controller", "Finance", "luca"},
	{"jakob", "Jakob", "Fugger", "Treasurer", "Finance", "luca"},
	{"hetty", "Hetty", "Green", "Investments", "Finance", "luca"},
	{"maggie", "Maggie", "Walker", "Accountant", "Finance", "abigail"},
	{"leonardo", "Leonardo", "Pisano", "Accountant", "Finance", "abigail"},
	{"gresham", "Thomas", "Gresham", "Accountant", "Finance", "abigail"},
	{"daniel", "Daniel", "Bernoulli", "Risk Manager", "Finance", "luca"},

	{"charles", "Charles", "Babbage", "Head of Platform", "Engineering", "emmy"},
	{"nikola", "Nikola", "Tesla", "IT Lead", "Engineering", "charles"},
	{"hertha", "Hertha", "Ayrton", "Site Reliability Engineer", "Engineering", "nikola"},
	{"george", "George", "Boole", "Engineer", "Engineering", "charles"},
	{"emilie", "Émilie", "du Châtelet", "Engineer", "Engineering", "charles"},
	{"sofia", "Sofia", "Kovalevskaya", "Engineer", "Engineering", "charles"},
	{"henrietta", "Henrietta", "Leavitt", "Data Engineer", "Engineering", "charles"},
	{"annie", "Annie", "Cannon", "Data Engineer", "Engineering", "charles"},
	{"william", "William", "Morris", "Designer", "Engineering", "charles"},

	{"josiah", "Josiah", "Wedgwood", "Head of Sales", "Sales", "emmy"},
	{"marco", "Marco", "Polo", "Account Manager", "Sales", "josiah"},
	{"ibn", "Ibn", "Battuta", "Account Manager", "Sales", "josiah"},
	{"barbe", "Barbe", "Ponsardin", "Account Manager", "Sales", "josiah"},
	{"amelia", "Amelia", "Earhart", "Field Sales", "Sales", "josiah"},
	{"bessie", "Bessie", "Coleman", "Field Sales", "Sales", "josiah"},
	{"ernest", "Ernest", "Shackleton", "Field Sales", "Sales", "josiah"},
	{"nellie", "Nellie", "Bly", "New Markets", "Sales", "josiah"},
	{"aaron", "Aaron", "Ward", "Mail Order", "Sales", "josiah"},
	{"ida", "Ida", "Tarbell", "Market Research", "Sales", "josiah"},

	{"jane", "Jane", "Addams", "Head of People", "People", "emmy"},
	{"mary", "Mary", "Follett", "People Partner", "People", "jane"},
	{"octavia", "Octavia", "Hill", "People Partner", "People", "jane"},
	{"maria", "Maria", "Montessori", "Learning", "People", "jane"},
	{"booker", "Booker", "Washington", "Learning", "People", "jane"},
	{"frances", "Frances", "Willard", "Recruiter", "People", "jane"},
	{"horace", "Horace", "Mann", "Recruiter", "People", "jane"},

	{"clara", "Clara", "Barton", "Head of Support", "Support", "emmy"},
	{"edith", "Edith", "Cavell", "Team Lead", "Support", "clara"},
	{"samuel", "Samuel", "Morse", "Support Engineer", "Support", "clara"},
	{"guglielmo", "Guglielmo", "Marconi", "Support Engineer", "Support", "edith"},
	{"elizabeth", "Elizabeth", "Blackwell", "Support Engineer", "Support", "edith"},
	{"alexander", "Alexander", "Bell", "Telephone", "Support", "edith"},
	{"emma", "Emma", "Nutt", "Telephone", "Support", "edith"},
	{"louis", "Louis", "Braille", "Accessibility", "Support", "clara"},
	{"ignaz", "Ignaz", "Semmelweis", "Quality", "Support", "clara"},

	{"florence", "Florence", "Nightingale", "Head of Operations", "Operations", "emmy"},
	{"robert", "Robert", "Stephenson", "Warehouse Manager", "Operations", "florence"},
	{"isambard", "Isambard", "Brunel", "Facilities", "Operations", "florence"},
	{"elisha", "Elisha", "Otis", "Facilities", "Operations", "isambard"},
	{"henry", "Henry", "Gantt", "Planner", "Operations", "florence"},
	{"agnes", "Agnes", "Pockels", "Quality", "Operations", "florence"},
	{"james", "James", "Watt", "Maintenance", "Operations", "robert"},
	{"sarah", "Sarah", "Guppy", "Maintenance", "Operations", "robert"},
	{"rudolf", "Rudolf", "Diesel", "Maintenance", "Operations", "robert"},
	{"thaddeus", "Thaddeus", "Lowe", "Logistics", "Operations", "florence"},

	{"jules", "Jules", "Verne", "Writer", "External", "josiah"},
}

// companyRoles are what people may do in Gatehouse above a member, or below.
var companyRoles = []struct{ name, role string }{
	{"nikola", "ROLE_IT_ADMIN"},
	{"daniel", "ROLE_RISK_MANAGER"},
	{"jules", "ROLE_EXTERNAL"},
}

// companyGroups are those of the directory. One of a department holds all its people.
var companyGroups = []struct {
	name, department string // everybody but externals, if there is neither department nor members
	members          []string
}{
	{name: "Company"},
	{name: "Customer support", department: "Support"},
	{name: "Finance", department: "Finance"},
	{name: "Operations", department: "Operations"},
	{name: "People team", department: "People"},
	{name: "Product engineering", department: "Engineering"},
	{name: "Sales", department: "Sales"},
	{name: "Payment approvers", members: []string{"abigail", "hetty", "jakob", "luca"}},
	{name: "Key keepers", members: []string{"nikola"}},
}

// programs are the services and agents, and the API token of each.
var programs = []struct{ kind, name, display, accountable, purpose, token, scope string }{
	{"USER_KIND_SERVICE", "crm-sync", "CRM sync", "josiah", "Brings new customers into the CRM every night", "nightly sync", "apps:read"},
	{"USER_KIND_AGENT", "release-agent", "Release agent", "charles", "Asks for the rights that a release needs, and gives them back", "release pipeline", "requests:write"},
}

// tenants are the demo app's tenants beside the chat, which is at its root.
var tenants = []struct {
	name, path string
	groups     []string
	licences   int
}{
	{name: "Foundry Code", path: "/code", groups: []string{"Developers", "Release managers"}},
	{name: "Harbour CRM", path: "/crm", groups: []string{"Account managers", "Reports", "Sales team"}},
	{name: "Loom Design", path: "/design", groups: []string{"Editors"}, licences: 6},
}

// companyApp is an app. One of the name of a tenant is automatic.
type companyApp struct {
	name, icon, description string
	category, instructions  string
	tags                    []string
	owner                   string
	admins, approvers       []string
	none                    bool // one shared account; else, without a tenant, people make the accounts
	onlyByFlow              bool
	entitlements            []companyEntitlement
}

type companyEntitlement struct{ name, kind, ref, description string }

// companyRisks are how much harm can be done with what apps give; of the rest nobody has
// judged it.
var companyRisks = map[what]string{
	{"Foundry Code", "Developers"}:       "ENTITLEMENT_RISK_MEDIUM",
	{"Foundry Code", "Release managers"}: "ENTITLEMENT_RISK_HIGH",
	{"Foundry Code", "Administrator"}:    "ENTITLEMENT_RISK_CRITICAL",
	{"Harbour CRM", "Reports"}:           "ENTITLEMENT_RISK_LOW",
	{"Harbour CRM", "Sales team"}:        "ENTITLEMENT_RISK_MEDIUM",
	{"Northbank", "Statements"}:          "ENTITLEMENT_RISK_MEDIUM",
	{"Northbank", "Make payments"}:       "ENTITLEMENT_RISK_HIGH",
	{"Northbank", "Release payments"}:    "ENTITLEMENT_RISK_CRITICAL",
	{"Keyring Vault", "Root keys"}:       "ENTITLEMENT_RISK_CRITICAL",
	{"Keyring Vault", "Build machines"}:  "ENTITLEMENT_RISK_HIGH",
	{"Switchboard", "Recordings"}:        "ENTITLEMENT_RISK_HIGH",
}

const (
	role    = "ENTITLEMENT_KIND_ROLE"
	group   = "ENTITLEMENT_KIND_GROUP"
	license = "ENTITLEMENT_KIND_LICENSE"
)

var companyApps = []companyApp{
	{
		name: "Foundry Code", icon: "code", description: "Where the software is written, reviewed and released.",
		category: "Engineering", tags: []string{"git", "reviews", "releases"},
		instructions: "Sign in at code.demo.example with your company password, then add your public key under Settings.",
		owner:        "charles", admins: []string{"nikola"}, approvers: []string{"nikola"},
		entitlements: []companyEntitlement{
			{"Developers", group, "Developers", "Reads and writes every repository."},
			{"Release managers", group, "Release managers", "Brings a version to customers."},
			{"Administrator", role, "administrator", "Sets up repositories and rights."},
		},
	},
	{
		name: "Harbour CRM", icon: "crm", description: "Customers, offers and what was agreed with them.",
		category: "Sales", tags: []string{"customers", "offers"},
		owner: "josiah", admins: []string{"ibn"}, approvers: []string{"josiah"},
		entitlements: []companyEntitlement{
			{"Account managers", group, "Account managers", "Owns customers and makes offers."},
			{"Reports", group, "Reports", "Sees the figures of every quarter."},
			{"Sales team", group, "Sales team", "Sees every customer."},
		},
	},
	{
		name: "Loom Design", icon: "design", description: "Drawings of everything we make. Six licences.",
		category: "Engineering", tags: []string{"drawings"},
		instructions: "The licence is yours once the editor shows your name at the top right.",
		owner:        "charles", admins: []string{"william"}, approvers: []string{"william"},
		entitlements: []companyEntitlement{{"Editors", group, "Editors", "Draws; everybody else looks."}},
	},
	{
		name: "Beacon Tickets", icon: "tickets", description: "What customers ask, and who answers.",
		category: "Support", tags: []string{"customers", "help desk"},
		owner: "clara", admins: []string{"edith"}, approvers: []string{"clara"},
		entitlements: []companyEntitlement{
			{"Agent", role, "agent", "Answers customers."},
			{"Queue lead", role, "lead", "Says who answers what."},
		},
	},
	{
		name: "Northbank", icon: "bank", description: "The company's accounts at the bank.",
		category: "Finance", tags: []string{"money", "payments"},
		instructions: "The bank sends a card reader to your desk; bring it and your pass to the first sign-in.",
		owner:        "luca", admins: []string{"jakob"}, approvers: []string{"luca"}, onlyByFlow: true,
		entitlements: []companyEntitlement{
			{"Statements", role, "statements", "Sees what came and went."},
			{"Make payments", role, "maker", "Writes payments; somebody else releases them."},
			{"Release payments", role, "releaser", "Releases payments that somebody else wrote."},
		},
	},
	{
		name: "Stacks Warehouse", icon: "warehouse", description: "What is in stock, where, and what leaves today.",
		category: "Operations", tags: []string{"stock"},
		owner: "florence", admins: []string{"robert"}, approvers: []string{"robert"},
		entitlements: []companyEntitlement{
			{"Stock keeper", role, "keeper", "Books what comes and goes."},
			{"Stocktaking", role, "stocktaking", "Corrects what the shelves show."},
		},
	},
	{
		name: "Roadbook Travel", icon: "travel", description: "Books trains, flights and hotels on the company's account.",
		category: "Operations", tags: []string{"trips", "hotels"},
		owner: "florence", admins: []string{"thaddeus"}, approvers: []string{"florence"},
		entitlements: []companyEntitlement{{"Book for others", role, "arranger", "Books trips of colleagues."}},
	},
	{
		name: "Switchboard", icon: "phone", description: "Telephone numbers and who answers them.",
		category: "Support", tags: []string{"telephone"},
		owner: "clara", admins: []string{"alexander"}, approvers: []string{"clara"},
		entitlements: []companyEntitlement{{"Recordings", role, "recordings", "Listens to recorded calls."}},
	},
	{
		name: "Keyring Vault", icon: "key", description: "Passwords of machines. Opened by a flow alone, and looked at afterwards.",
		category: "Security", tags: []string{"passwords", "keys"},
		instructions: "Install the vault on your own computer; its first start asks for the code that its keepers hand you.",
		owner:        "charles", admins: []string{"nikola"}, approvers: []string{"nikola"}, onlyByFlow: true,
		entitlements: []companyEntitlement{
			{"Build machines", role, "build", "Passwords of what builds our software."},
			{"Root keys", role, "root", "The keys that all others hang on."},
		},
	},
	{name: "Atlas Wiki", icon: "wiki", category: "Communication", description: "How we do things, written by everybody.", owner: "jane", admins: []string{"mary"}, approvers: []string{"mary"}, none: true},
	{name: "Lantern Learning", icon: "learn", category: "People", tags: []string{"courses"}, description: "Courses, from first aid to double-entry bookkeeping.", owner: "jane", admins: []string{"maria"}, approvers: []string{"maria"}, none: true},
}

// companyBundles are what is requested as one.
var companyBundles = []struct {
	name, description string
	things            []what
}{
	{"First day in engineering", "What everybody who writes software needs.", []what{account("Foundry Code"), {"Foundry Code", "Developers"}, account("Loom Design")}},
	{"First day in sales", "Customers, and a way to travel to them.", []what{account("Harbour CRM"), {"Harbour CRM", "Sales team"}, account("Roadbook Travel")}},
	{"Answering customers", "Tickets and the telephone.", []what{account("Beacon Tickets"), {"Beacon Tickets", "Agent"}, account("Switchboard")}},
}

// what names an entitlement: its app, and its name; "account" is the account.
type what struct{ app, entitlement string }

func account(app string) what { return what{app, "account"} }

// step is one of a flow, decided by the first of these that is set.
type step struct {
	name, reviewers, group string
	count                  int // of the group; one is enough if 0
}

var (
	byManager   = step{name: "Manager", reviewers: "REVIEWER_KIND_MANAGER"}
	byApprovers = step{name: "App approver", reviewers: "REVIEWER_KIND_APP_APPROVERS"}
	byOwner     = step{name: "App owner", reviewers: "REVIEWER_KIND_APP_OWNER"}
)

type companyFlow struct {
	name        string
	joiners     string // a group, whose people get it when they join; empty: it is for requests
	audience    string // a group; empty: everybody
	kind        string // of requests; empty: both
	apps        []string
	things      []what
	steps       []step // none: it approves by itself
	priority    int
	maxDuration time.Duration
	condition   string
	distinct    bool
	// justification is how many characters it has at least.
	justification int
	fields        []object
}

const (
	kindGrant  = "REQUEST_KIND_GRANT"
	kindRevoke = "REQUEST_KIND_REVOKE"
)

var companyFlows = []companyFlow{
	{name: "First day", joiners: "Company", things: []what{account("Tidepool Chat"), account("Atlas Wiki"), account("Lantern Learning")}},
	{name: "First day in engineering", joiners: "Product engineering", things: []what{account("Foundry Code"), {"Foundry Code", "Developers"}}},
	{name: "First day in support", joiners: "Customer support", things: []what{account("Beacon Tickets"), {"Beacon Tickets", "Agent"}}},
	{name: "CRM for sales", audience: "Sales", kind: kindGrant, apps: []string{"Harbour CRM"}, priority: 10},
	{name: "CRM for others", kind: kindGrant, apps: []string{"Harbour CRM"}, steps: []step{byManager, byApprovers}},
	{name: "Releases", kind: kindGrant, things: []what{{"Foundry Code", "Release managers"}, {"Foundry Code", "Administrator"}}, steps: []step{byManager, byApprovers}},
	{name: "The bank", kind: kindGrant, apps: []string{"Northbank"}, steps: []step{byManager, {name: "Two of finance", group: "Payment approvers", count: 2}}},
	{name: "The manager decides", kind: kindGrant, apps: []string{"Loom Design", "Switchboard", "Stacks Warehouse"}, steps: []step{byManager}},
	{
		name: "Travel, up to three months", kind: kindGrant, apps: []string{"Roadbook Travel"}, steps: []step{byManager}, maxDuration: 92 * day,
		justification: 10, fields: []object{
			{"key": "reason", "label": "What for", "kind": "FLOW_FIELD_KIND_CHOICE", "options": []string{"A customer", "A fair", "Training"}},
			{"key": "cost_centre", "label": "Cost centre", "help": "Of the team that pays, such as 4711.", "kind": "FLOW_FIELD_KIND_NUMBER"},
		},
	},
	{
		name: "Payments of externals", kind: kindGrant, apps: []string{"Northbank"}, priority: 20, condition: `beneficiary.kind == "external" && entitlement.name != "Statements"`, distinct: true,
		steps: []step{byManager, {name: "Manager's manager", reviewers: "REVIEWER_KIND_MANAGERS_MANAGER"}, {name: "Two of finance", group: "Payment approvers", count: 2}},
	},
	{name: "The vault", kind: kindGrant, apps: []string{"Keyring Vault"}, steps: []step{{name: "Key keeper", group: "Key keepers"}}},
	{name: "Giving back", kind: kindRevoke, apps: []string{"Beacon Tickets", "Foundry Code", "Harbour CRM", "Loom Design", "Northbank", "Switchboard"}, steps: []step{byOwner}},
}

const day = 24 * time.Hour

// assignment is what Ada, as an admin, has given to people without being asked. Its
// reason tells it from others.
type assignment struct {
	reason string
	to     []string
	things []what
	lasts  time.Duration // 0: for good
	// inPlace waits until everybody has it: what comes later depends on it.
	inPlace bool
}

var assignments = []assignment{
	{reason: "The six who draw", to: []string{"william", "josiah", "jane", "robert", "maria", "jules"}, things: []what{account("Loom Design"), {"Loom Design", "Editors"}}, inPlace: true},
	{reason: "Everybody in sales works with it", to: []string{"marco", "ibn", "barbe", "amelia", "bessie", "ernest", "nellie", "aaron", "josiah"}, things: []what{account("Harbour CRM"), {"Harbour CRM", "Sales team"}}, inPlace: true},
	{reason: "Finance keeps the accounts", to: []string{"luca", "abigail", "jakob", "hetty", "maggie", "leonardo"}, things: []what{account("Northbank"), {"Northbank", "Statements"}}},
	{reason: "The warehouse", to: []string{"robert", "henry", "agnes", "james", "sarah", "rudolf"}, things: []what{account("Stacks Warehouse"), {"Stacks Warehouse", "Stock keeper"}}},
	{reason: "A number of their own", to: []string{"clara", "edith", "alexander", "emma", "josiah", "horace", "thaddeus", "ida", "guglielmo"}, things: []what{account("Switchboard")}},
	{reason: "Looks after the balloons' parts", to: []string{"thaddeus"}, things: []what{account("Stacks Warehouse")}},
	{reason: "For the quarterly report", to: []string{"grace", "jane", "florence"}, things: []what{{"Harbour CRM", "Reports"}}, lasts: 21 * time.Hour},
	{reason: "Cover while two colleagues are away", to: []string{"annie", "henrietta"}, things: []what{{"Foundry Code", "Administrator"}}, lasts: 6 * day},
	{reason: "Writes the anniversary book", to: []string{"jules"}, things: []what{account("Atlas Wiki")}, lasts: 60 * day},
	{reason: "A look at one figure", to: []string{"octavia"}, things: []what{{"Harbour CRM", "Reports"}}, lasts: 40 * time.Second},
}

// chore is what was done by hand: items of an app that were resolved, for all who have
// some but for those left.
type chore struct {
	by, app, note string
	left          []string
}

var chores = []chore{
	{by: "nikola", app: "Northbank", note: "Asked the bank by letter; the bank answered.", left: []string{"leonardo"}},
	{by: "nikola", app: "Stacks Warehouse", note: "Made at the desk in hall 2.", left: []string{"sarah", "rudolf"}},
	{by: "nikola", app: "Beacon Tickets", note: "Made, and shown how it works.", left: []string{"louis", "ignaz"}},
	{by: "nikola", app: "Switchboard", note: "Number given.", left: []string{"guglielmo"}},
}

// question is what somebody asked those who run an app, and what was said since.
type question struct {
	by, app, text string
	said          []line
}

// line is what somebody said.
type line struct{ by, text string }

var questions = []question{
	{by: "sofia", app: "Lantern Learning", text: "Is there a course about partial differential equations, and who may add one?"},
	{by: "hedy", app: "Foundry Code", text: "Which role do I need to tag a release?", said: []line{{"charles", "Release managers. Ask for it for a week, that is enough."}, {"hedy", "Thank you!"}, {"charles", "You are welcome. Ada looks at the tags on Friday."}}},
}

// absence is when somebody will be away, and who decides for them then.
type absence struct {
	by, to, reason string
	in, lasts      time.Duration
}

var absences = []absence{
	{by: "mary", to: "jane", reason: "Two weeks in the Alps", in: 20 * 24 * time.Hour, lasts: 14 * 24 * time.Hour},
}

// story is one request, made by somebody, and what became of it. Its reason tells it from
// others.
type story struct {
	reason string
	by     string
	whom   string // by, if empty
	revoke bool
	things []what
	lasts  time.Duration // 0: for good
	acts   []act
}

// act is what somebody did about a request; the first that is set. Acts come one after
// the other.
type act struct {
	by      string
	approve bool
	deny    string // why
	cancel  string // why
	giveUp  string // why, once an item has failed
	say     string // a comment, also with an approval
	resolve string // a note: the items that ask people for it are done
	failed  bool   // nobody does anything: an item has failed
}

var stories = []story{
	// Waiting for the first step.
	{reason: "I prepare the release of December", by: "alan", things: []what{account("Foundry Code"), {"Foundry Code", "Release managers"}}, acts: []act{{by: "alan", say: "The freeze begins on Friday, so before that if possible."}}},
	{reason: "To draw the new lock myself", by: "hedy", things: []what{account("Loom Design"), {"Loom Design", "Editors"}}},
	// She has no manager, and whoever runs the app leaves: admins are asked in their place.
	{reason: "I visit our suppliers in the north", by: "emmy", things: []what{account("Roadbook Travel"), {"Roadbook Travel", "Book for others"}}, lasts: 60 * day},
	// Waiting for the second.
	{reason: "Releases while Alan is away", by: "sofia", things: []what{{"Foundry Code", "Release managers"}}, lasts: 14 * day, acts: []act{{by: "charles", approve: true, say: "She has done it before."}}},
	{reason: "I write the payments from January on", by: "maggie", things: []what{{"Northbank", "Make payments"}}, acts: []act{
		{by: "abigail", approve: true, say: "As agreed."}, {by: "jakob", approve: true, say: "One more of us, please."},
	}},
	{reason: "Support should know what was promised", by: "clara", things: []what{account("Harbour CRM"), {"Harbour CRM", "Sales team"}, {"Harbour CRM", "Reports"}}, acts: []act{{by: "emmy", approve: true}}},
	// Nobody can decide: Ada asks, and the only keeper of keys would get it.
	{reason: "The root keys need a second pair of eyes", by: "ada", whom: "nikola", things: []what{account("Keyring Vault"), {"Keyring Vault", "Root keys"}}},
	// Done.
	{reason: "I take over the customers in the east", by: "marco", things: []what{{"Harbour CRM", "Account managers"}, {"Harbour CRM", "Reports"}}},
	{reason: "Calls of customers who complained", by: "samuel", things: []what{account("Switchboard"), {"Switchboard", "Recordings"}}, lasts: 90 * day, acts: []act{
		{by: "clara", approve: true, say: "Three months are enough."}, {by: "nikola", resolve: "Set up, and told that calls are confidential."},
	}},
	{reason: "Hotfix of tonight", by: "george", things: []what{{"Foundry Code", "Release managers"}}, lasts: 20 * time.Hour, acts: []act{
		{by: "charles", approve: true}, {by: "nikola", say: "Until tomorrow, then it goes by itself."}, {by: "nikola", approve: true},
	}},
	{reason: "I keep the passwords of the build machines", by: "sofia", things: []what{account("Keyring Vault"), {"Keyring Vault", "Build machines"}}, acts: []act{
		{by: "nikola", approve: true}, {by: "nikola", resolve: "Made with her at the desk."},
	}},
	// Approved, and a person has still to do it.
	{reason: "The tour through the south", by: "amelia", things: []what{account("Roadbook Travel")}, lasts: 45 * day, acts: []act{{by: "josiah", approve: true, say: "Bring orders home."}}},
	// Denied, at the first step and at the second.
	{reason: "To pay our agents abroad without waiting", by: "amelia", things: []what{account("Northbank"), {"Northbank", "Make payments"}}, acts: []act{{by: "josiah", deny: "Sales sells. Finance pays."}}},
	{reason: "I could release my own changes", by: "george", things: []what{{"Foundry Code", "Administrator"}}, acts: []act{
		{by: "charles", approve: true}, {by: "nikola", deny: "Nobody releases what nobody else has read."},
	}},
	// Taken back.
	{reason: "For the exhibition", by: "marco", things: []what{account("Roadbook Travel")}, lasts: 10 * day, acts: []act{{by: "marco", cancel: "The exhibition was called off."}}},
	// Partly done: one app gives it, the other's people do not.
	{reason: "Offers and payments in one hand", by: "josiah", things: []what{{"Harbour CRM", "Account managers"}, {"Northbank", "Statements"}}, acts: []act{{by: "emmy", deny: "Ask Luca for the figures instead."}}},
	// It fails: all licences are in use. One was given up.
	{reason: "To comment on drawings", by: "sofia", things: []what{account("Loom Design")}, acts: []act{{by: "charles", approve: true}, {failed: true}, {by: "nikola", say: "All six licences are in use. I ask for a seventh."}}},
	{reason: "One look at the prototype", by: "samuel", things: []what{account("Loom Design")}, acts: []act{{by: "clara", approve: true}, {by: "samuel", giveUp: "Somebody has sent me a picture instead."}}},
	// Access that is to go, or has gone.
	{reason: "I do not look at it any more", by: "hertha", revoke: true, things: []what{{"Foundry Code", "Developers"}}, acts: []act{{by: "charles", approve: true, say: "Thank you for saying so."}}},
	{reason: "She has moved to another team", by: "clara", whom: "edith", revoke: true, things: []what{account("Switchboard")}},
}

// departures are who has left, and who is away, after all of the above.
var departures = []struct {
	name string
	away bool   // suspended; else removed
	note string // what was to be done by hand is done, if it says how
}{
	{name: "thaddeus"},
	{name: "ida", note: "Number taken back, shared passwords changed."},
	{name: "horace", away: true},
}
