import { expect, test } from "vitest";
import type { App, Entitlement } from "@/api/client";
import { asksElsewhere, endsWith, namingFlows, type Use } from "./ends";

const app = { id: "chat" } as App;
const grant = (userId: string, state: string) => ({ user: { userId, displayName: userId }, state });
const request = (state: string, ...items: object[]) => ({ id: state, state, items, hiddenItemCount: 0 });
const item = (state: string, appId = "chat", entitlementId = "account") => ({ appId, entitlementId, state });
const use = (more: object) => ({ grants: [], requests: [], accounts: [], workItems: [], ...more }) as unknown as Use;

test("each person is counted once, and who has nothing any more is not", () => {
  const grants = [grant("ada", "GRANT_STATE_ACTIVE"), grant("ada", "GRANT_STATE_PENDING"), grant("bo", "GRANT_STATE_HELD"), grant("cy", "GRANT_STATE_REVOKING"), grant("di", "GRANT_STATE_REVOKED")];
  const ends = endsWith(app, undefined, use({ grants }));
  expect(ends.people.map((p) => p.displayName)).toEqual(["ada", "bo"]);
  expect(ends.grants).toBe(3);
});

test("what is on its way out still has to end before nothing is used", () => {
  expect(endsWith(app, undefined, use({ grants: [grant("cy", "GRANT_STATE_REVOKING")] }))).toMatchObject({ grants: 0, inUse: true });
  expect(endsWith(app, undefined, use({ grants: [grant("di", "GRANT_STATE_REVOKED")] })).inUse).toBe(false);
});

test("a request is cancelled if something of the app is still undecided in it", () => {
  const requests = [
    request("REQUEST_STATE_PENDING", item("ITEM_STATE_PENDING")),
    // Approved: its grant ends.
    request("REQUEST_STATE_APPROVED", item("ITEM_STATE_APPROVED")),
    // What it asked for of this app was denied.
    request("REQUEST_STATE_SUBMITTED", item("ITEM_STATE_DENIED"), item("ITEM_STATE_PENDING", "mail")),
  ];
  const ends = endsWith(app, undefined, use({ requests }));
  expect(ends.cancelled.map((r) => r.state)).toEqual(["REQUEST_STATE_PENDING"]);
  expect(endsWith(app, undefined, use({ requests: requests.slice(1, 2) }))).toMatchObject({ cancelled: [], inUse: true });
  expect(endsWith(app, undefined, use({ requests: requests.slice(2) })).inUse).toBe(false);
  // Of one entitlement alone.
  expect(endsWith(app, { id: "seat" } as Entitlement, use({ requests })).inUse).toBe(false);
});

test("a request that asks for something besides is said to", () => {
  expect(asksElsewhere(request("", item("ITEM_STATE_PENDING")) as never, app)).toBe(false);
  expect(asksElsewhere(request("", item("ITEM_STATE_PENDING"), item("ITEM_STATE_PENDING", "mail")) as never, app)).toBe(true);
  expect(asksElsewhere({ ...request("", item("ITEM_STATE_PENDING")), hiddenItemCount: 1 } as never, app)).toBe(true);
  expect(asksElsewhere(request("", item("ITEM_STATE_PENDING")) as never, app, { id: "seat" } as Entitlement)).toBe(true);
});

test("accounts that were there before stay, and what was to be given is needed no more", () => {
  const accounts = [{ state: "ACCOUNT_STATE_ACTIVE" }, { state: "ACCOUNT_STATE_DISABLED", adopted: true }, { state: "ACCOUNT_STATE_ABSENT" }];
  const workItems = [{ kind: "WORK_ITEM_KIND_CREATE_ACCOUNT" }, { kind: "WORK_ITEM_KIND_ASSIGN" }, { kind: "WORK_ITEM_KIND_REMOVE_ACCOUNT" }];
  expect(endsWith(app, undefined, use({ accounts, workItems }))).toMatchObject({ accounts: 1, adopted: 1, pointless: 2, items: 1 });
});

test("it is said when not all flows were asked for", () => {
  const some = (n: number) => Array.from({ length: n }, (_, i) => ({ id: `e${i}` }) as Entitlement);
  expect(namingFlows(app, undefined, some(1))).toEqual({ filter: 'scope.appIds:"chat" OR scope.entitlementIds:"e0"', more: false });
  expect(namingFlows(app, some(1)[0], some(99))).toEqual({ filter: 'scope.entitlementIds:"e0"', more: false });
  expect(namingFlows(app, undefined, some(29)).more).toBe(false);
  // The app is one of those that fit.
  expect(namingFlows(app, undefined, some(30)).more).toBe(true);
});

test("an app that others sit behind is in use", () => {
  expect(endsWith(app, undefined, use({ behind: [{ id: "wiki", name: "Wiki" }] }))).toMatchObject({ behind: [{ name: "Wiki" }], inUse: true });
});
