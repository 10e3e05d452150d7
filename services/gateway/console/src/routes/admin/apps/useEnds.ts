import { api, type App, type Entitlement } from "@/api/client";
import { quoted } from "@/api/filter";
import { endsWith, namingFlows } from "./ends";

/** How much of each is read. Where there is more it is said so. */
const most = 1000;

/** What would end with an app, or with something in it, as far as the caller sees it. Read while it is wanted. */
export function useEnds(app: App, entitlement: Entitlement | undefined, wanted: boolean) {
  const appId = app.id ?? "";
  const entitlementId = entitlement && quoted(entitlement.id ?? "");
  const how = { enabled: wanted, staleTime: 0 };
  // Of what is of an app as a whole.
  const whole = { ...how, enabled: wanted && !entitlement };
  const held = ["state != GRANT_STATE_REVOKED", ...(entitlementId ? [`entitlementId = ${entitlementId}`] : [])].join(" AND ");
  const grants = api.useQuery("get", "/v1/grants", { params: { query: { appId, filter: held, pageSize: most } } }, how);
  const requests = api.useQuery("get", "/v1/requests", { params: { query: { appId, view: "REQUEST_VIEW_OPEN", filter: entitlementId && `items.entitlementId:${entitlementId}`, pageSize: most } } }, how);
  const inApp = api.useQuery("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: appId }, query: { pageSize: most } } }, whole);
  const naming = namingFlows(app, entitlement, inApp.data?.entitlements ?? []);
  const flows = api.useQuery("get", "/v1/flows", { params: { query: { filter: naming.filter, pageSize: most } } }, { ...how, enabled: wanted && (!!entitlement || inApp.data !== undefined) });
  const accounts = api.useQuery("get", "/v1/accounts", { params: { query: { appId, filter: "state != ACCOUNT_STATE_ABSENT", pageSize: most } } }, whole);
  const workItems = api.useQuery("get", "/v1/workItems", { params: { query: { appId, pageSize: most } } }, whole);
  const behind = api.useQuery("get", "/v1/apps", { params: { query: { filter: `ssoAppId = ${quoted(appId)}`, pageSize: most } } }, whole);
  const asked = [grants, requests, flows, ...(entitlement ? [] : [inApp, accounts, workItems, behind])];
  const ends = endsWith(app, entitlement, {
    grants: grants.data?.grants ?? [],
    requests: requests.data?.requests ?? [],
    accounts: accounts.data?.accounts ?? [],
    workItems: workItems.data?.workItems ?? [],
    behind: behind.data?.apps ?? [],
  });
  return {
    isPending: wanted && asked.some((one) => one.isPending),
    error: asked.find((one) => one.error)?.error,
    again: () => void Promise.all(asked.map((one) => one.refetch())),
    ends: asked.some((one) => one.data === undefined) ? undefined : ends,
    flows: flows.data?.flows ?? [],
    /** Whether there is more than was read. */
    more: naming.more || [grants, requests, flows, accounts, workItems, behind].some((one) => !!one.data?.nextPageToken),
  };
}
