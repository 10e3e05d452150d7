// B-CAT-06 in part (apps and what is in them): what ends with something is shown before it is
// deleted, and ends only if it was.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, browse, fits, signedIn } from "./browser.mjs";
import { actor, admin, app, flow, identityProvider, until } from "./outside.mjs";

let ada, it, nia, ole;

before(async () => {
  ada = await admin();
  const directory = await identityProvider("Deletion directory");
  it = await directory.joins("Ivar Dahl", { role: "ROLE_IT_ADMIN" });
  nia = await directory.joins("Nia Berg");
  ole = await directory.joins("Ole Strand");
});

const dialog = (page) => page.getByRole("dialog");
const assign = (who, ...entitlementIds) => ada("POST", "/v1/requests:assign", { userIds: [who.id], entitlementIds, justification: "for the story" });
const grants = async (of) => (await ada("GET", `/v1/grants?appId=${of.id}`)).grants ?? [];

test("what ends with an app, or something in it, is shown before", () =>
  browse(async (browser) => {
    const pots = await app({ name: "Pots", provisioning: "PROVISIONING_SUPPORT_MANUAL", approverIds: [it.id] }, "Glazer");
    const mail = await app({ name: "Letters", approverIds: [it.id] });
    await flow({ name: "Glaze rule", trigger: "FLOW_TRIGGER_REQUEST", audience: { everyone: true }, scope: { entitlementIds: [pots.Glazer] }, steps: [{ name: "Approver", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY" }] });
    await assign(nia, pots.account, pots.Glazer);
    const open = await (await actor(ole.userName))("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [pots.Glazer, mail.account], justification: "I glaze letters" });
    await until("what Nia is given", async () => (await grants(pots)).length === 2);
    await until("somebody is asked", async () => (await ada("GET", `/v1/requests/${open.request.id}`)).request.state === "REQUEST_STATE_PENDING");

    const { page, wrong } = await signedIn(browser, it.name, `/admin/apps/${pots.id}`);
    await page.getByRole("button", { name: "Delete Glazer" }).click();
    await dialog(page).getByText("1 person loses access. 1 grant of access ends.").waitFor();
    await dialog(page).getByRole("link", { name: nia.name }).waitFor();
    await dialog(page).getByText("1 open request is cancelled.").waitFor();
    await dialog(page).getByText("(with what else it asks for)").waitFor();
    await dialog(page).getByRole("link", { name: "Glaze rule" }).waitFor();
    await dialog(page).getByRole("button", { name: "End the access and delete" }).waitFor();
    await dialog(page).getByRole("button", { name: "Back" }).click();

    await page.getByRole("button", { name: "Delete Pots" }).press("Enter");
    await dialog(page).getByText("1 person loses access. 2 grants of access end.").waitFor();
    await dialog(page).getByText(/^\d work items? asks? to give something, and (is|are) no longer needed\.$/).waitFor();
    await accessible(page, "what ends");
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, "what ends");
    // Nothing has ended so far.
    assert.equal((await grants(pots)).filter((g) => g.state === "GRANT_STATE_PENDING").length, 2);
    await dialog(page).getByRole("button", { name: "End the access and delete" }).click();
    await page.getByText("Pots is deleted.").waitFor();
    await until("the end of all of it", async () => {
      const { request } = await ada("GET", `/v1/requests/${open.request.id}`);
      const { workItems } = await ada("GET", `/v1/workItems?appId=${pots.id}`);
      return request.state === "REQUEST_STATE_CANCELLED" && !workItems?.length && (await grants(pots)).every((g) => g.state === "GRANT_STATE_REVOKED");
    });
    assert.deepEqual(wrong, []);
  }));

test("what nobody has goes at once, and what the page did not know of is not ended unseen", () =>
  browse(async (browser) => {
    await app({ name: "Unused" });
    const shards = await app({ name: "Shards" });
    const { page, wrong } = await signedIn(browser, it.name, `/admin/apps/${shards.id}`);
    // As somebody may hold something whom the viewer does not see.
    await page.route(/\/v1\/(grants|requests)\?/, (route) => route.fulfill({ json: {} }));
    await assign(nia, shards.account);
    await until("what Nia is given", async () => (await grants(shards)).length === 1);
    await page.getByRole("button", { name: "Delete Shards" }).click();
    await dialog(page).getByText("Nobody has access, and no request is open.").waitFor();
    await dialog(page).getByRole("button", { name: "Delete", exact: true }).click();
    await dialog(page).getByText("1 grant of access ends.").waitFor();
    assert.equal((await grants(shards))[0].state, "GRANT_STATE_PENDING");
    await dialog(page).getByRole("button", { name: "End the access and delete" }).click();
    await page.getByText("Shards is deleted.").waitFor();

    // What cannot be read is said; the API keeps what is used.
    await page.unroute(/\/v1\/(grants|requests)\?/);
    await page.getByRole("searchbox", { name: "Search the apps" }).fill("Unused");
    await page.getByRole("link", { name: "Unused", exact: true }).click();
    await page.route(/\/v1\/flows\?/, (route) => route.fulfill({ status: 400, json: { message: "flows cannot be read" } }));
    await page.getByRole("button", { name: "Delete Unused" }).click();
    await dialog(page).getByText("flows cannot be read").waitFor();
    await dialog(page).getByRole("button", { name: "Back" }).click();
    await page.unroute(/\/v1\/flows\?/);
    await page.getByRole("button", { name: "Delete Unused" }).click();
    await dialog(page).getByText("Nobody has access, and no request is open.").waitFor();
    await dialog(page).getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("Unused is deleted.").waitFor();
    assert.deepEqual(
      wrong.filter((text) => !text.includes("status of 400")),
      [],
    );
  }));
