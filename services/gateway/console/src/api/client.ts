import createFetchClient, { type Middleware } from "openapi-fetch";
import createQueryClient from "openapi-react-query";
import { QueryClient } from "@tanstack/react-query";
import { Problem } from "./problem";
import { isAttended } from "./attended";
import type { components, paths } from "./schema";

/** The messages of the API, by their full name. */
type Schemas = components["schemas"];
export type App = Schemas["gatehouse.request.v1.App"];
export type Entitlement = Schemas["gatehouse.request.v1.Entitlement"];
export type CatalogApp = Schemas["gatehouse.request.v1.CatalogApp"];
export type Bundle = Schemas["gatehouse.request.v1.Bundle"];
export type BundleItem = Schemas["gatehouse.request.v1.BundleItem"];
export type AccessRequest = Schemas["gatehouse.request.v1.Request"];
export type PreviewItem = Schemas["gatehouse.request.v1.PreviewItem"];
export type Route = Schemas["gatehouse.request.v1.Route"];
export type RouteStep = Schemas["gatehouse.request.v1.RouteStep"];
export type RequestItem = Schemas["gatehouse.request.v1.RequestItem"];
export type TimelineEntry = Schemas["gatehouse.request.v1.TimelineEntry"];
export type ItemContext = Schemas["gatehouse.request.v1.ItemContext"];
export type Progress = Schemas["gatehouse.request.v1.Progress"];
export type Conversation = Schemas["gatehouse.request.v1.Conversation"];
export type Comment = Schemas["gatehouse.request.v1.Comment"];

/** What a list shows of a request. */
export type RequestSummary = Pick<AccessRequest, "id" | "kind" | "state" | "createTime" | "beneficiary" | "hiddenItemCount" | "waitsForReviewer"> & {
  progress?: Progress;
  closingReason?: string;
  closedBy?: { displayName?: string };
  requiredActions?: AccessRequest["requiredActions"];
  items?: readonly (Pick<RequestItem, "id" | "appName" | "entitlementName"> & { appId?: string; entitlementRisk?: RequestItem["entitlementRisk"] })[];
};
export type Task = Schemas["gatehouse.approval.v1.Task"];
export type Grant = Schemas["gatehouse.provisioning.v1.Grant"];
export type Account = Schemas["gatehouse.provisioning.v1.Account"];
export type AccountPreview = Schemas["gatehouse.provisioning.v1.AccountPreview"];
export type WorkItem = Schemas["gatehouse.provisioning.v1.WorkItem"];
export type Checklist = Schemas["gatehouse.provisioning.v1.Checklist"];
export type ChecklistSettings = Schemas["gatehouse.provisioning.v1.ChecklistSettings"];
export type Integration = Schemas["gatehouse.provisioning.v1.Integration"];
export type Flow = Schemas["gatehouse.approval.v1.Flow"];
export type Delegation = Schemas["gatehouse.approval.v1.Delegation"];
export type WorkingTime = Schemas["gatehouse.approval.v1.WorkingTime"];
export type FlowStep = Schemas["gatehouse.approval.v1.FlowStep"];
export type FlowInput = Schemas["gatehouse.approval.v1.FlowInput"];
export type FlowField = Schemas["gatehouse.approval.v1.FlowField"];
export type WeeklyHours = Schemas["gatehouse.approval.v1.WeeklyHours"];
export type FlowPreview = Schemas["gatehouse.approval.v1.PreviewFlowResponse"];
export type ItemField = Schemas["gatehouse.request.v1.ItemField"];
export type AuditEntry = Schemas["gatehouse.audit.v1.AuditEntry"];
export type ParkedEvent = Schemas["gatehouse.ops.v1.ParkedEvent"];
export type Environment = Schemas["gatehouse.identity.v1.Environment"];
export type User = Schemas["gatehouse.identity.v1.User"];
export type Person = Schemas["gatehouse.identity.v1.Person"];
export type Group = Schemas["gatehouse.identity.v1.Group"];
export type Source = Schemas["gatehouse.identity.v1.Source"];
export type Session = Schemas["gatehouse.identity.v1.Session"];
export type ApiToken = Schemas["gatehouse.identity.v1.ApiToken"];
export type Organization = Schemas["gatehouse.identity.v1.Organization"];
export type UserIdentity = Schemas["gatehouse.identity.v1.UserIdentity"];
export type IdentityProvider = Schemas["gatehouse.identity.v1.IdentityProvider"];

/** Every failed call throws a Problem: what the API says, or that there was no answer. */
const problems: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await Problem.of(response);
  },
  onError() {
    return Problem.noAnswer();
  },
};

/** What the page asks by itself, while nobody is there, does not keep the session. What changes something, somebody has asked for. */
const unattended: Middleware = {
  onRequest({ request }) {
    const looks = request.method === "GET" || /:preview\w*$/.test(request.url);
    if (looks && !isAttended()) request.headers.set("Gatehouse-Background", "true");
    return request;
  },
};

/** The session is in a cookie that no script sees, so nothing is added to a call. */
export const client = createFetchClient<paths>({ baseUrl: globalThis.location?.origin });
client.use(problems, unattended);

/** Hooks for the calls of the API. */
export const api = createQueryClient(client);

export function newQueryClient(signedOut: () => void): QueryClient {
  const queries = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        // Only what may pass is asked again.
        retry: (count, error) => error instanceof Problem && error.mayPass && count < 3,
        throwOnError: false,
      },
    },
  });
  queries.getQueryCache().subscribe((event) => {
    const error = event.type === "updated" && event.action.type === "error" ? event.action.error : undefined;
    if (error instanceof Problem && error.status === 401 && !error.wantsSignIn) signedOut();
  });
  return queries;
}
