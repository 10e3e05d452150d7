import { quoted } from "@/api/filter";
import type { AccessRequest, Account, App, Entitlement, Grant, Person, WorkItem } from "@/api/client";

/** What there is of an app, or of something in it, as the lists say. */
export interface Use {
  grants: readonly Grant[];
  requests: readonly AccessRequest[];
  accounts: readonly Account[];
  workItems: readonly WorkItem[];
  behind?: readonly App[];
}

/** What ends with an app, or with something in it. */
export interface Ends {
  /** Those who hold something, or are being given it. */
  people: Person[];
  grants: number;
  /** Requests that are cancelled, each as a whole. */
  cancelled: AccessRequest[];
  /** Accounts that go, and those that stay since they were there before. */
  accounts: number;
  adopted: number;
  /** Work items that ask to give what is given no more, and the others. */
  pointless: number;
  items: number;
  /** Apps that sit behind it, and then behind none. */
  behind: readonly App[];
  /** Whether the API refuses to delete it unless access is to end. */
  inUse: boolean;
}

const openItem: readonly NonNullable<AccessRequest["items"]>[number]["state"][] = ["ITEM_STATE_PENDING", "ITEM_STATE_APPROVED", "ITEM_STATE_FAILED"];
const giving: readonly WorkItem["kind"][] = ["WORK_ITEM_KIND_CREATE_ACCOUNT", "WORK_ITEM_KIND_ASSIGN"];

export function endsWith(app: App, entitlement: Entitlement | undefined, { grants, requests, accounts, workItems, behind = [] }: Use): Ends {
  const held = grants.filter((grant) => grant.state !== "GRANT_STATE_REVOKED");
  const ending = held.filter((grant) => grant.state !== "GRANT_STATE_REVOKING");
  const people = new Map(ending.map((grant) => [grant.user?.userId, grant.user ?? {}]));
  const open = requests.filter((request) =>
    request.items?.some((item) => item.appId === app.id && (!entitlement || item.entitlementId === entitlement.id) && openItem.includes(item.state)),
  );
  const there = accounts.filter((account) => account.state !== "ACCOUNT_STATE_ABSENT");
  const pointless = workItems.filter((item) => giving.includes(item.kind)).length;
  return {
    people: [...people.values()],
    grants: ending.length,
    // What is decided is not cancelled: its grants end.
    cancelled: open.filter((request) => request.state === "REQUEST_STATE_SUBMITTED" || request.state === "REQUEST_STATE_PENDING"),
    accounts: there.filter((account) => !account.adopted).length,
    adopted: there.filter((account) => account.adopted).length,
    pointless,
    items: workItems.length - pointless,
    behind,
    inUse: held.length > 0 || open.length > 0 || behind.length > 0,
  };
}

/** How many ids fit into a filter. */
const comparisons = 30;

/** A filter for the flows that name an app or something in it, or that entitlement alone, and whether more would have to be asked for than fits. */
export function namingFlows(app: App, entitlement: Entitlement | undefined, inApp: readonly Entitlement[]): { filter: string; more: boolean } {
  const all = [...(entitlement ? [] : [`scope.appIds:${quoted(app.id ?? "")}`]), ...(entitlement ? [entitlement] : inApp).map((one) => `scope.entitlementIds:${quoted(one.id ?? "")}`)];
  return { filter: all.slice(0, comparisons).join(" OR "), more: all.length > comparisons };
}

/** Whether a request asks for something besides, which is cancelled with it. */
export function asksElsewhere(request: AccessRequest, app: App, entitlement?: Entitlement): boolean {
  return (request.hiddenItemCount ?? 0) > 0 || !!request.items?.some((item) => item.appId !== app.id || (entitlement && item.entitlementId !== entitlement.id));
}
