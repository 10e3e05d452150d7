import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import type { QueryClient } from "@tanstack/react-query";
import { oneOf, workItemKinds, workItemStates } from "@/api/kinds";
import { checklistSearch } from "@/routes/admin/checklists/search";
import { peopleSearch } from "@/routes/admin/people/search";
import { type AuditFilters, dayOf } from "@/routes/admin/audit/filters";
import { isState, type RequestFilters } from "@/routes/admin/requests/filters";
import { Home } from "@/routes/home/Home";
import { NotFound } from "@/routes/not-found/NotFound";
import { Shell } from "@/routes/shell/Shell";
import { Welcome } from "@/routes/welcome/Welcome";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ notFoundComponent: NotFound });

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  validateSearch: (search): { to?: string; failed?: true } => ({ to: text(search.to), ...(search.failed ? { failed: true } : {}) }),
  component: Welcome,
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: ({ location }) => {
    if (!hasSession()) throw redirect({ to: "/welcome", search: { to: location.href }, replace: true });
  },
  component: Shell,
});

const home = createRoute({ getParentRoute: () => shell, path: "/", component: Home });

const catalog = createRoute({
  getParentRoute: () => shell,
  path: "/catalog",
  validateSearch: (search) => set({ q: text(search.q), category: text(search.category), tag: text(search.tag) }),
  component: lazyRouteComponent(() => import("@/routes/catalog/Catalog"), "Catalog"),
});

const catalogApp = createRoute({
  getParentRoute: () => shell,
  path: "/catalog/$id",
  component: lazyRouteComponent(() => import("@/routes/catalog/CatalogApp"), "CatalogApp"),
});

const ask = createRoute({
  getParentRoute: () => shell,
  path: "/ask",
  validateSearch: (search) => set({ app: text(search.app), bundle: text(search.bundle) }),
  component: lazyRouteComponent(() => import("@/routes/ask/Ask"), "Ask"),
});

const requests = createRoute({
  getParentRoute: () => shell,
  path: "/requests",
  validateSearch: (search): { closed?: true } => (search.closed ? { closed: true } : {}),
  component: lazyRouteComponent(() => import("@/routes/requests/Requests"), "Requests"),
});

const request = createRoute({
  getParentRoute: () => shell,
  path: "/requests/$id",
  component: lazyRouteComponent(() => import("@/routes/request/Request"), "Request"),
});

const questions = createRoute({
  getParentRoute: () => shell,
  path: "/questions",
  validateSearch: (search): { answer?: true } => (search.answer ? { answer: true } : {}),
  component: lazyRouteComponent(() => import("@/routes/questions/Questions"), "Questions"),
});

const question = createRoute({
  getParentRoute: () => shell,
  path: "/questions/$id",
  component: lazyRouteComponent(() => import("@/routes/questions/Question"), "Question"),
});

const delegations = createRoute({
  getParentRoute: () => shell,
  path: "/delegations",
  validateSearch: (search): { all?: true } => (search.all ? { all: true } : {}),
  component: lazyRouteComponent(() => import("@/routes/delegations/Delegations"), "Delegations"),
});

const access = createRoute({
  getParentRoute: () => shell,
  path: "/access",
  component: lazyRouteComponent(() => import("@/routes/access/Access"), "Access"),
});

const tasks = createRoute({
  getParentRoute: () => shell,
  path: "/tasks",
  component: lazyRouteComponent(() => import("@/routes/tasks/Tasks"), "Tasks"),
});

const tickets = createRoute({
  getParentRoute: () => shell,
  path: "/tasks/$view",
  validateSearch: (search) => set({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/tasks/Tickets"), "Tickets"),
});

const team = createRoute({
  getParentRoute: () => shell,
  path: "/team",
  component: lazyRouteComponent(() => import("@/routes/team/Team"), "Team"),
});

const member = createRoute({
  getParentRoute: () => shell,
  path: "/team/$id",
  component: lazyRouteComponent(() => import("@/routes/team/Team"), "Member"),
});

const admin = createRoute({
  getParentRoute: () => shell,
  path: "/admin",
  component: lazyRouteComponent(() => import("@/routes/admin/Admin"), "Admin"),
});

const overview = createRoute({
  getParentRoute: () => admin,
  path: "/",
  component: lazyRouteComponent(() => import("@/routes/admin/overview/Overview"), "Overview"),
});

const checklists = createRoute({
  getParentRoute: () => admin,
  path: "/checklists",
  validateSearch: checklistSearch,
  component: lazyRouteComponent(() => import("@/routes/admin/checklists/Checklists"), "Checklists"),
});

const checklist = createRoute({
  getParentRoute: () => admin,
  path: "/checklists/$id",
  component: lazyRouteComponent(() => import("@/routes/admin/checklists/Checklist"), "Checklist"),
});

const workItems = createRoute({
  getParentRoute: () => admin,
  path: "/work-items",
  validateSearch: (search) =>
    set({
      kind: oneOf(search.kind, workItemKinds),
      app: text(search.app),
      user: text(search.user),
      state: oneOf(search.state, workItemStates),
    }),
  component: lazyRouteComponent(() => import("@/routes/admin/work-items/WorkItems"), "WorkItems"),
});

const people = createRoute({
  getParentRoute: () => admin,
  path: "/people",
  validateSearch: peopleSearch,
  component: lazyRouteComponent(() => import("@/routes/admin/people/People"), "People"),
});

const person = createRoute({
  getParentRoute: () => admin,
  path: "/people/$id",
  component: lazyRouteComponent(() => import("@/routes/admin/people/Person"), "Person"),
});

const assign = createRoute({
  getParentRoute: () => admin,
  path: "/assign",
  validateSearch: (search): { person?: string } => ({ person: text(search.person) }),
  component: lazyRouteComponent(() => import("@/routes/admin/assign/Assign"), "Assign"),
});

const groups = createRoute({
  getParentRoute: () => admin,
  path: "/groups",
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/admin/groups/Groups"), "Groups"),
});

const group = createRoute({
  getParentRoute: () => admin,
  path: "/groups/$id",
  component: lazyRouteComponent(() => import("@/routes/admin/groups/Group"), "Group"),
});

const environments = createRoute({
  getParentRoute: () => admin,
  path: "/environments",
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/admin/environments/Environments"), "Environments"),
});

const sources = createRoute({
  getParentRoute: () => admin,
  path: "/sources",
  component: lazyRouteComponent(() => import("@/routes/admin/sources/Sources"), "Sources"),
});

const tokens = createRoute({
  getParentRoute: () => admin,
  path: "/tokens",
  component: lazyRouteComponent(() => import("@/routes/admin/tokens/Tokens"), "Tokens"),
});

const adminRequests = createRoute({
  getParentRoute: () => admin,
  path: "/requests",
  validateSearch: (search): RequestFilters => ({
    view: search.view === "closed" || search.view === "action" || search.view === "all" ? search.view : undefined,
    state: isState(search.state) ? search.state : undefined,
    app: text(search.app),
    person: text(search.person),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("@/routes/admin/requests/Requests"), "Requests"),
});

const adminApps = createRoute({
  getParentRoute: () => admin,
  path: "/apps",
  validateSearch: (search) => set({ q: text(search.q), environment: text(search.environment) }),
  component: lazyRouteComponent(() => import("@/routes/admin/apps/Apps"), "Apps"),
});

const adminApp = createRoute({
  getParentRoute: () => admin,
  path: "/apps/$id",
  // What can be held in it is searched by this.
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/admin/apps/App"), "App"),
});

const adminBundles = createRoute({
  getParentRoute: () => admin,
  path: "/bundles",
  component: lazyRouteComponent(() => import("@/routes/admin/bundles/Bundles"), "Bundles"),
});

const adminIntegrations = createRoute({
  getParentRoute: () => admin,
  path: "/integrations",
  component: lazyRouteComponent(() => import("@/routes/admin/integrations/Integrations"), "Integrations"),
});

const adminFlows = createRoute({
  getParentRoute: () => admin,
  path: "/flows",
  component: lazyRouteComponent(() => import("@/routes/admin/flows/Flows"), "Flows"),
});

const adminNewFlow = createRoute({
  getParentRoute: () => admin,
  path: "/flows/new",
  component: lazyRouteComponent(() => import("@/routes/admin/flows/EditFlow"), "NewFlow"),
});

const adminFlow = createRoute({
  getParentRoute: () => admin,
  path: "/flows/$id",
  component: lazyRouteComponent(() => import("@/routes/admin/flows/Flow"), "Flow"),
});

const adminChangeFlow = createRoute({
  getParentRoute: () => admin,
  path: "/flows/$id/change",
  component: lazyRouteComponent(() => import("@/routes/admin/flows/EditFlow"), "EditFlow"),
});

const adminAudit = createRoute({
  getParentRoute: () => admin,
  path: "/audit",
  validateSearch: (search): AuditFilters => ({
    by: text(search.by),
    person: text(search.person),
    app: text(search.app),
    request: text(search.request),
    event: text(search.event),
    from: dayOf(search.from),
    to: dayOf(search.to),
  }),
  component: lazyRouteComponent(() => import("@/routes/admin/audit/Audit"), "Audit"),
});

const adminParkedEvents = createRoute({
  getParentRoute: () => admin,
  path: "/parked-events",
  component: lazyRouteComponent(() => import("@/routes/admin/parked-events/ParkedEvents"), "ParkedEvents"),
});

const adminIdentityProviders = createRoute({
  getParentRoute: () => admin,
  path: "/identity-providers",
  component: lazyRouteComponent(() => import("@/routes/admin/identity-providers/IdentityProviders"), "IdentityProviders"),
});

const adminOrganization = createRoute({
  getParentRoute: () => admin,
  path: "/organization",
  component: lazyRouteComponent(() => import("@/routes/admin/organization/Organization"), "Organization"),
});

const adminWorkingTime = createRoute({
  getParentRoute: () => admin,
  path: "/working-time",
  component: lazyRouteComponent(() => import("@/routes/admin/working-time/WorkingTime"), "WorkingTime"),
});

const components = createRoute({
  getParentRoute: () => shell,
  path: "/components",
  component: lazyRouteComponent(() => import("@/routes/components/Components"), "Components"),
});

const tree = root.addChildren([
  welcome,
  shell.addChildren([
    home,
    catalog,
    catalogApp,
    questions,
    question,
    ask,
    requests,
    request,
    access,
    delegations,
    tasks,
    tickets,
    team,
    member,
    admin.addChildren([
      overview,
      adminRequests,
      checklists,
      checklist,
      workItems,
      people,
      person,
      assign,
      groups,
      group,
      adminApps,
      adminApp,
      adminBundles,
      adminIntegrations,
      adminFlows,
      adminNewFlow,
      adminFlow,
      adminChangeFlow,
      environments,
      sources,
      tokens,
      adminAudit,
      adminParkedEvents,
      adminIdentityProviders,
      adminOrganization,
      adminWorkingTime,
    ]),
    components,
  ]),
]);

/** Whether the browser has sent a session with the page. One that has ended is noticed by the first call. */
function hasSession(): boolean {
  return document.querySelector<HTMLMetaElement>('meta[name="session"]')?.content !== "none";
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** What is set of a search. */
function set<S extends object>(search: S): Partial<S> {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as Partial<S>;
}

export function newRouter(queries: QueryClient) {
  return createRouter({ routeTree: tree, context: { queries }, defaultPreload: "intent", scrollRestoration: true });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
