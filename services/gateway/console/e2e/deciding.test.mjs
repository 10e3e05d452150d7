// B-REQ-04, B-REQ-05 in part (no notification), B-REQ-07 in part (action required alone), B-REQ-09,
// B-APR-16, B-APR-17, B-APR-07 in part: who decides is shown with a count what waits for them, sees beside the decision what
// helps to decide, comments in one box and decides with words in the other; and everybody sees
// how much of it is done. Whoever asked is told nothing of what others have.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, base, browse, fits, signedIn } from "./browser.mjs";
import { actor, admin, app, flow, identityProvider, until } from "./outside.mjs";

let directory, greta, olga, paul, lina, desk;

before(async () => {
  directory = await identityProvider("Deciding directory");
  const potters = await directory.group("Potters");
  greta = await directory.joins("Greta Lund");
  olga = await directory.joins("Olga Brand", { manager: greta, groups: [potters] });
  paul = await directory.joins("Paul Vester", { manager: greta, groups: [potters] });
  lina = await directory.joins("Lina Form");
  desk = await app({ name: "Kiln Desk", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: lina.id, adminIds: [lina.id], approverIds: [lina.id] }, "Potter", "Glazer");
  const ada = await admin();
  await ada("PATCH", `/v1/apps/${desk.id}/entitlements/${desk.Potter}?updateMask=risk`, { risk: "ENTITLEMENT_RISK_HIGH" });
  await ada("POST", "/v1/requests:assign", { userIds: [paul.id], entitlementIds: [desk.Potter], justification: "fires pots" });
  await ada("POST", "/v1/requests:assign", { userIds: [olga.id], entitlementIds: [desk.Glazer], justification: "glazes pots" });
  await flow({
    name: "Kiln desk",
    trigger: "FLOW_TRIGGER_REQUEST",
    audience: { everyone: true },
    scope: { appIds: [desk.id] },
    fields: [{ key: "cost_centre", label: "Cost centre", kind: "FLOW_FIELD_KIND_TEXT", required: true }],
    steps: [
      { name: "Manager", reviewers: "REVIEWER_KIND_MANAGER", need: "STEP_NEED_ANY" },
      { name: "Approvers", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY" },
    ],
  });
});

test("what waits for somebody is shown with what helps to decide it, and how much of it is done", () =>
  browse(async (browser) => {
    const asks = await actor(olga.userName);
    const { id } = (await asks("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [desk.Potter], justification: "to fire pots", fields: { cost_centre: "4711" } })).request;
    const manager = await signedIn(browser, greta.name, "/tasks");
    const page = manager.page;
    const row = (of) => of.getByRole("listitem").filter({ hasText: "to fire pots" });

    // In the list: how much of theirs is done, and folded what helps to decide.
    await page.getByRole("navigation", { name: "My tasks" }).getByRole("link", { name: "Action required 1", exact: true }).waitFor();
    await row(page).getByText("0 of 1 · 0 %").waitFor();
    await row(page).getByRole("progressbar", { name: "Your actions done" }).waitFor();
    await row(page).getByText("High risk").waitFor();
    await row(page).getByText("Cost centre: 4711").waitFor();
    await row(page).getByText("What helps to decide").click();
    await row(page).getByText("With the same manager, Greta Lund: 1 of 1").waitFor();
    await shot(page, "list");

    // On the request, beside the decision.
    await row(page).getByRole("link").first().click();
    const asked = page.getByRole("region", { name: "You are asked to decide" });
    const says = (name, text) => asked.getByRole("term").filter({ hasText: new RegExp(`^${name}$`) }).locator("xpath=following-sibling::dd[1]").filter({ hasText: text }).waitFor();
    await says("What it opens", "The rights of Potter");
    await says("Risk", "High risk");
    await says("Until", "for good");
    await says("Has in Kiln Desk", "Glazer");
    await says("Last use", "unknown");
    await says("Who else has it", "In the group Potters: 1 of 1");
    await says("Decided before", "Nobody has decided yet.");
    await says("Asked for before", "Never before.");
    const main = page.getByRole("main");
    await main.getByRole("definition").filter({ hasText: "4711" }).waitFor();
    await main.getByRole("definition").filter({ hasText: "0 of 3 · 0 %" }).getByRole("progressbar", { name: "Actions done", exact: true }).waitFor();
    await main.getByRole("definition").filter({ hasText: "0 of 1 · 0 %" }).getByRole("progressbar", { name: "Your actions done" }).waitFor();
    await accessible(page, "a request to decide");
    await shot(page, "request");

    // One box says something and changes nothing, what is in the other goes with the decision.
    await page.getByLabel("Add a comment").fill("for how many pots?");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("region", { name: "Comments" }).getByText("for how many pots?").waitFor();
    await main.getByText("0 of 3 · 0 %").waitFor();
    await asked.getByLabel("Comment with your action").fill("she has learned it");
    await asked.getByRole("button", { name: "Approve", exact: true }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByRole("textbox").inputValue(), "she has learned it");
    await dialog.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("region", { name: "What has happened" }).getByText("she has learned it").waitFor();
    assert.equal(await page.getByRole("region", { name: "Comments" }).getByText("she has learned it").count(), 0);
    await main.getByText("1 of 3 · 33 %").waitFor();
    await main.getByText("1 of 1 · 100 %").waitFor();
    await page.getByRole("link", { name: "My tasks" }).click();
    await page.getByRole("navigation", { name: "My tasks" }).getByRole("link", { name: "Action required 0", exact: true }).waitFor();

    // Who decides next sees who has, and then has something to do by hand.
    const approver = await signedIn(browser, lina.name, `/requests/${id}`);
    const next = approver.page.getByRole("region", { name: "You are asked to decide" });
    await next.getByText("Step 1: Greta Lund, approved").waitFor();
    await approver.page.setViewportSize({ width: 400, height: 900 });
    await fits(approver.page, "a request to decide");
    await shot(approver.page, "narrow");
    await next.getByLabel("Comment with your action").fill("welcome");
    await next.getByRole("button", { name: "Approve", exact: true }).click();
    await approver.page.getByRole("dialog").getByRole("button", { name: "Approve", exact: true }).click();
    await approver.page.getByText("2 of 3 · 67 %").waitFor();
    await approver.page.getByText("1 of 2 · 50 %").waitFor();
    await approver.page.getByRole("region", { name: "To be done by you" }).waitFor();

    // Who asked sees how far it is, both comments, and nothing of others.
    const person = await signedIn(browser, olga.name, `/requests/${id}`);
    await person.page.getByText("2 of 3 · 67 %").waitFor();
    await person.page.getByRole("region", { name: "What has happened" }).getByText("she has learned it").waitFor();
    await person.page.getByRole("region", { name: "Comments" }).getByText("for how many pots?").waitFor();
    assert.equal(await person.page.getByText("What helps to decide").count(), 0);
    await assert.rejects(asks("GET", `/v1/requests/${id}/decisionContext`), /404.*REQUEST_NOT_FOUND/s);
    await until("the manager still sees what helped", async () => (await (await actor(greta.userName))("GET", `/v1/requests/${id}/decisionContext`)).context.items.length === 1);
    assert.deepEqual([...manager.wrong, ...approver.wrong, ...person.wrong], []);
  }));

/** Keeps a picture of a page where SCREENSHOTS says. */
async function shot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/deciding-${name}.png`, fullPage: true });
}

test("many are decided together, but what deserves a look, and what has changed since", () =>
  browse(async (browser) => {
    const [hana, ivar] = [await directory.joins("Hana Muster", { manager: greta }), await directory.joins("Ivar Muster", { manager: greta })];
    const ask = async (who, what, justification) =>
      (await (await actor(who.userName))("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [desk[what]], justification, fields: { cost_centre: "12" } })).request.id;
    await ask(hana, "Potter", "risky");
    const [first, second] = [await ask(hana, "Glazer", "glazing one"), await ask(ivar, "Glazer", "glazing two")];
    const { page } = await signedIn(browser, greta.name, "/tasks");
    await page.getByText("glazing two").waitFor();
    await page.getByText("risky").waitFor();
    await page.getByText("Select all but those that deserve a look").click();
    await accessible(page, "tasks that are selected");
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, "tasks that are selected");
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole("button", { name: "Approve 2 selected" }).click();
    const dialog = page.getByRole("dialog").or(page.getByRole("alertdialog")).filter({ hasText: "Approve 2 selected" });
    await dialog.getByText("Ivar Muster", { exact: false }).waitFor();
    await dialog.getByRole("textbox").fill("all of the team");
    // One of them is not what was shown any more when it is decided.
    const seen = async () => (await (await actor(greta.userName))("GET", `/v1/tasks?requestId=${second}`)).tasks[0].etag;
    const was = await seen();
    await directory.changes(ivar, "title", "Master");
    await until("the new title is known", async () => (await seen()) !== was);
    await dialog.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByText("1 is decided.").waitFor();
    await page.getByText("1 was not decided:").waitFor();
    await page.getByText("Ivar Muster: ", { exact: false }).first().waitFor();
    await page.getByText("risky").waitFor();
    await until("the first goes on", async () => (await (await actor(hana.userName))("GET", `/v1/requests/${first}/timeline`)).entries.some((e) => e.text.includes("all of the team")));
  }));
