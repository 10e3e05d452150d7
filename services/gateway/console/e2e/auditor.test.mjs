// B-USR-06, B-REQ-06 in part (app approvers stand in manager_approver.test.mjs), B-AUD-01 in part
// (not after everything was deleted), B-AUD-02 in part (what was found is not exported), B-USR-05
// in part: what each role has in the administration, and a risk manager who sees everything,
// decides nothing, and takes the trail along.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { base, browse, signedIn } from "./browser.mjs";
import { actor, app, flow, identityProvider, sheets, until } from "./outside.mjs";

let auditor, it, member, owner, kiln;

before(async () => {
  const directory = await identityProvider("Story directory");
  auditor = await directory.joins("Rhea Stone", { role: "ROLE_RISK_MANAGER" });
  it = await directory.joins("Ivo Tannen", { role: "ROLE_IT_ADMIN" });
  owner = await directory.joins("Lea Form");
  member = await directory.joins("Pim Vester");
  kiln = await app({ name: "Kiln Tickets", provisioning: "PROVISIONING_SUPPORT_NONE", ownerId: owner.id, approverIds: [owner.id] }, "Potter", "Glazer");
  await flow({
    name: "Kiln",
    trigger: "FLOW_TRIGGER_REQUEST",
    audience: { everyone: true },
    scope: { appIds: [kiln.id] },
    steps: [{ name: "Approvers", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY" }],
  });
  const asks = await actor(member.userName);
  const ask = async (what, justification) => (await asks("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [what], justification })).request.id;
  const request = await ask(kiln.Potter, "to fire pots");
  const decides = await actor(owner.userName);
  const task = await until("a task", async () => (await decides("GET", `/v1/tasks?requestId=${request}&state=TASK_STATE_OPEN`)).tasks[0]);
  await decides("POST", `/v1/tasks/${task.id}:approve`, { comment: "she knows how" });
  await ask(kiln.Glazer, "to glaze pots");
});

const all = ["Overview", "All requests", "Checklists", "Work items", "People", "Groups", "Apps", "Bundles", "Integrations", "Flows", "Environments", "Sources", "Identity providers", "Organization", "Working time", "API tokens", "Audit log", "Parked events"];
const paths = ["", "/requests", "/checklists", "/work-items", "/people", "/assign", "/groups", "/apps", "/bundles", "/integrations", "/flows", "/flows/new", "/environments", "/sources", "/identity-providers", "/organization", "/working-time", "/tokens", "/audit", "/parked-events"];

/** What each role can change, by the page where it would. */
const changes = {
  "/people": [["button", "Add a service or an agent"], ["link", "Give access"]],
  "/apps": [["button", "Add an app"]],
  "/bundles": [["button", "Add a bundle"]],
  "/working-time": [["button", "Save"]],
  "/integrations": [["button", "Add an integration"], ["button", "Test Tidepool Chat"]],
  "/flows": [["link", "Make a flow"]],
  "/environments": [["button", "Add an environment"]],
  "/identity-providers": [["button", "Add an identity provider"]],
  "/organization": [["button", "Change"]],
  "/sources": [["button", "Add a source"], ["button", "Rotate the token of Story directory"]],
};
const adminsAlone = ["Add a service or an agent", "Add an environment", "Add an identity provider", "Change", "Add a source", "Rotate the token of Story directory"];

test("each role has its pages, and on them what it may do", () =>
  browse(async (browser) => {
    for (const [name, may] of [
      ["Ada Byron", () => true],
      [it.name, (what) => !adminsAlone.includes(what)],
      [auditor.name, () => false],
    ]) {
      const { page, wrong } = await signedIn(browser, name, "/admin");
      const menu = page.getByRole("navigation", { name: "Administration" });
      await menu.waitFor();
      assert.deepEqual(await menu.getByRole("link").allTextContents(), all, name);
      for (const [path, acts] of Object.entries(changes)) {
        await menu.locator(`a[href="/admin${path}"]`).click();
        await page.getByRole("heading", { level: 1, name: await menu.locator(`a[href="/admin${path}"]`).textContent() }).waitFor();
        await page.waitForLoadState("networkidle");
        for (const [role, what] of acts) {
          const found = page.getByRole(role, { name: what });
          if (may(what)) await found.waitFor();
          else assert.equal(await found.count(), 0, `${name} at ${path}: ${what}`);
        }
      }
      // The pages that are nothing but a form are for those who may send it.
      for (const [path, heading] of [
        ["/flows/new", "Make a flow"],
        ["/assign", "Give access"],
      ]) {
        await page.goto(base + "/admin" + path);
        await page.getByRole("heading", { level: 1, name: may(heading) ? heading : "This place is for admins" }).waitFor();
      }
      assert.deepEqual(wrong, []);
      await page.context().close();
    }
  }));

test("an end user is told of every page that it is for admins, and the API says so too", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, member.name);
    assert.equal(await page.getByRole("link", { name: "Administration" }).count(), 0);
    for (const path of paths) {
      await page.goto(base + "/admin" + path);
      await page.getByRole("heading", { level: 1, name: "This place is for admins" }).waitFor();
      await page.getByRole("link", { name: "To your portal" }).waitFor();
      assert.equal(await page.getByRole("navigation", { name: "Administration" }).count(), 0, path);
    }
    assert.deepEqual(wrong, []);
    // With the session of the page, by its own hand.
    for (const [method, path] of [
      ["GET", "/v1/flows"], ["GET", "/v1/sources"], ["GET", "/v1/integrations"], ["GET", "/v1/checklists"], ["GET", "/v1/auditEntries"], ["GET", "/v1/parkedEvents"],
      ["POST", "/v1/apps"], ["POST", "/v1/flows"], ["POST", "/v1/sources"], ["POST", "/v1/requests:assign"], ["POST", `/v1/users/${member.id}:setRole`],
    ]) {
      const status = await page.evaluate(async ([method, path]) => (await fetch(path, { method, ...(method === "POST" && { body: "{}", headers: { "Content-Type": "application/json" } }) })).status, [method, path]);
      assert.equal(status, 403, `${method} ${path}`);
    }
  }));

test("a risk manager sees all requests, decides none, finds what happened and takes the trail along", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, auditor.name, "/admin");
    const menu = page.getByRole("navigation", { name: "Administration" });
    await menu.getByRole("link", { name: "All requests" }).click();
    await page.getByRole("searchbox", { name: "Search" }).fill("kiln gl");
    await page.getByRole("link", { name: "Kiln Tickets · Glazer" }).click();
    await page.getByRole("heading", { level: 1, name: "Kiln Tickets · Glazer" }).waitFor();
    await page.getByRole("region", { name: "Waits for" }).getByText("Lea Form").waitFor();
    for (const name of ["Approve", "Deny", /^Reassign/, "Cancel the request", "Give up"]) {
      assert.equal(await page.getByRole("main").getByRole("button", { name }).count(), 0, String(name));
    }

    // The whole trail of one that is closed, in four formats.
    await page.getByRole("link", { name: "Administration" }).click();
    await menu.getByRole("link", { name: "All requests" }).click();
    await page.getByRole("link", { name: /^Closed/ }).click();
    await page.getByRole("searchbox", { name: "Search" }).fill("kiln pot");
    await page.getByRole("link", { name: "Kiln Tickets · Potter" }).click();
    await page.getByRole("heading", { level: 1, name: "Kiln Tickets · Potter" }).waitFor();
    const report = async (format) => {
      const coming = page.waitForEvent("download");
      await page.getByRole("link", { name: `Download the trail as ${format}` }).click();
      return (await coming).path();
    };
    assert.match(await readFile(await report("PDF"), "latin1"), /^%PDF-/);
    for (const text of [await readFile(await report("CSV"), "utf8"), await sheets(await report("XLSX")), await readFile(await report("JSON"), "utf8")]) {
      for (const part of ["Pim Vester", "Lea Form", "she knows how", "Potter"]) assert(text.includes(part), `${part} in ${text}`);
    }
    JSON.parse(await readFile(await report("JSON"), "utf8"));

    // The log, by who, about whom, app, event and day.
    await page.getByRole("link", { name: "Administration" }).click();
    await menu.getByRole("link", { name: "Audit log" }).click();
    const entries = page.getByRole("main").getByRole("listitem").filter({ hasText: "The whole event" });
    const shows = (n) => until(`${n} entries`, async () => (await entries.count()) === n);
    const granted = entries.filter({ hasText: "approval.granted" }).filter({ hasText: "she knows how" });
    await find(page, "Who did it", owner.name);
    await shows(2); // They signed in, and approved.
    await find(page, "App", kiln.name);
    await shows(1);
    await granted.getByText("The whole event").click();
    await granted.getByText("stepName").waitFor();
    await granted.getByRole("link", { name: "Request" }).waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    await find(page, "Whom it is about", member.name);
    await page.getByRole("searchbox", { name: "Event" }).fill("approval");
    await shows(3); // Two were asked for, and one was granted.
    const today = await page.evaluate(() => new Intl.DateTimeFormat("sv-SE").format(new Date()));
    await page.getByLabel("From", { exact: true }).fill("2020-01-01");
    await page.getByLabel("Until (included)").fill("2020-01-02");
    await page.getByText("Nothing passes the filters.").waitFor();
    await page.getByLabel("Until (included)").fill(today);
    await shows(3);

    // Where admins act there is nothing to act with, and the API refuses as well.
    for (const [path, body] of [
      ["/v1/requests:assign", { userIds: [member.id], entitlementIds: [kiln.Glazer], justification: "no" }],
      [`/v1/users/${auditor.id}:setRole`, { role: "ROLE_ADMIN" }],
    ]) {
      await assert.rejects((await actor(auditor.userName))("POST", path, body), /403/);
    }
    assert.deepEqual(wrong, []);
  }));

/** Finds by words, and takes it. */
async function find(page, box, words) {
  await page.getByRole("combobox", { name: box, exact: true }).fill(words);
  await page.getByRole("option", { name: words }).click();
}
