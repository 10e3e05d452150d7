import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import type { QueryClient } from "@tanstack/react-query";
import { type AuditFilters, dayOf } from "@/routes/admin/audit/filters";
import { isState, type RequestFilters } from "@/routes/admin/requests/filters";
import { Shell } from "@/routes/shell/Shell";
import { Home } from "@/routes/home/Home";
import { NotFound } from "@/routes/not-found/NotFound";
import { Welcome } from "@/routes/welcome/Welcome";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ notFoundComponent: NotFound });

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  validateSearch: (search): { to?: string; failed?: true } => ({ to: text(search.to), ...(search.failed ? { failed: true } : {}) }),
  component: Welcome,
});

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });

const home = createRoute({ getParentRoute: () => shell, path: "/", component: Home });

const catalog = createRoute({
  getParentRoute: () => shell,
  path: "/catalog",
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/catalog/Catalog"), "Catalog"),
});

const ask = createRoute({
  getParentRoute: () => shell,
  path: "/ask",
  validateSearch: (search): { app?: string } => ({ app: text(search.app) }),
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

const admin = createRoute({
  getParentRoute: () => shell,
  path: "/admin",
  component: lazyRouteComponent(() => import("@/routes/admin/Admin"), "Admin"),
});

const overview = createRoute({
  getParentRoute: () => admin,
  path: "/",
  component: lazyRouteComponent(() => import("@/routes/admin/Overview"), "Overview"),
});

const adminRequests = createRoute({
  getParentRoute: () => admin,
  path: "/requests",
  validateSearch: (search): RequestFilters => ({
    view: search.view === "closed" || search.view === "all" ? search.view : undefined,
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
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/routes/admin/apps/Apps"), "Apps"),
});

const adminApp = createRoute({
  getParentRoute: () => admin,
  path: "/apps/$id",
  component: lazyRouteComponent(() => import("@/routes/admin/apps/App"), "App"),
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

const components = createRoute({
  getParentRoute: () => shell,
  path: "/components",
  component: lazyRouteComponent(() => import("@/routes/components/Components"), "Components"),
});

const tree = root.addChildren([
  welcome,
  shell.addChildren([home, catalog, ask, requests, request, access, tasks, admin.addChildren([overview, adminRequests, adminApps, adminApp, adminIntegrations, adminFlows, adminNewFlow, adminFlow, adminChangeFlow, adminAudit, adminParkedEvents]), components]),
]);

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function newRouter(queries: QueryClient) {
  return createRouter({ routeTree: tree, context: { queries }, defaultPreload: "intent", scrollRestoration: true });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
