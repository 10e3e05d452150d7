// B-REQ-01, B-REQ-02 in part (permanent access alone), B-REQ-03, B-REQ-04 in part (no app admin
// comments), B-REQ-05 in part (no notification), B-REQ-06 in part (the roles stand in
// auditor.test.mjs), B-REQ-07, B-REQ-08, B-APR-02 in part, B-APR-06, B-APR-07,
// B-CAT-07 in part: people ask, a manager decides about their people, those of an app decide
// after them and do what is done by hand, and none of them sees what is not theirs.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { base, browse, signedIn } from "./browser.mjs";
import { app, flow, identityProvider } from "./outside.mjs";

let mara, ola, pim, lea, sven, udo, kiln, orbit;

before(async () => {
  const directory = await identityProvider("Story directory");
  mara = await directory.joins("Mara Quist");
  ola = await directory.joins("Ola Brandt", { manager: mara });
  pim = await directory.joins("Pim Vester", { manager: mara });
  lea = await directory.joins("Lea Form");
  sven = await directory.joins("Sven Holt");
  udo = await directory.joins("Udo Kern");
  kiln = await app({ name: "Kiln Tickets", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: lea.id, adminIds: [lea.id], approverIds: [lea.id, sven.id] }, "Potter", "Glazer");
  orbit = await app({ name: "Orbit Wiki", provisioning: "PROVISIONING_SUPPORT_NONE", ownerId: udo.id, adminIds: [udo.id], approverIds: [udo.id] }, "Editor");
  const fields = { trigger: "FLOW_TRIGGER_REQUEST", audience: { everyone: true } };
  const approvers = { name: "Approvers", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY" };
  await flow({ ...fields, name: "Kiln", scope: { appIds: [kiln.id] }, steps: [{ name: "Manager", reviewers: "REVIEWER_KIND_MANAGER", need: "STEP_NEED_ANY" }, approvers] });
  await flow({ ...fields, name: "Orbit", scope: { appIds: [orbit.id] }, steps: [approvers] });
});

/** Asks in the catalog, and answers with the address of the request. */
async function ask(page, app, what, why, whom) {
  await page.getByRole("link", { name: "Catalog", exact: true }).click();
  await page.getByRole("searchbox", { name: "Search the catalog" }).fill(app.name);
  await page.getByRole("link", { name: `Request access to ${app.name}` }).click();
  if (whom) {
    await page.locator("label", { hasText: "For somebody else" }).click();
    await page.getByRole("combobox", { name: "Person" }).fill(whom.name);
    await page.getByRole("option", { name: whom.name }).click();
  }
  await page.locator("label", { hasText: what }).click();
  await page.getByLabel("Why").fill(why);
  await page.getByRole("button", { name: "Send the request" }).click();
  await page.getByRole("heading", { level: 1, name: `${app.name} · ${what}` }).waitFor();
  return page.url();
}

/** Decides about what is shown somewhere, in the dialog that the button there opens. */
async function decide(page, where, name, words) {
  await where.getByRole("button", { name, exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill(words);
  await dialog.getByRole("button", { name }).click();
  await dialog.waitFor({ state: "hidden" });
}

/** What waits for a decision, by why it is asked for. */
const task = (page, why) => page.getByRole("listitem").filter({ hasText: why });

test("a manager asks for one of their people, decides about others, and sees what they have", () =>
  browse(async (browser) => {
    const manager = await signedIn(browser, mara.name);
    const page = manager.page;
    await ask(page, orbit, "Editor", "writes the handbook", ola);
    await page.getByText("for Ola Brandt").or(page.getByText("Ola Brandt")).first().waitFor();

    const person = await signedIn(browser, ola.name);
    await ask(person.page, kiln, "Potter", "to fire pots");
    const glazer = await ask(person.page, kiln, "Glazer", "to glaze pots");
    const other = await signedIn(browser, pim.name);
    const denied = await ask(other.page, kiln, "Potter", "to look around");

    // From the list.
    await page.getByRole("link", { name: "My tasks" }).click();
    await decide(page, task(page, "to fire pots"), "Approve", "she knows how");
    await task(page, "to fire pots").waitFor({ state: "detached" });
    // From the ticket, which has a box for comments and another for the decision.
    await task(page, "to glaze pots").getByRole("link").click();
    await page.getByRole("heading", { name: "You are asked to decide" }).waitFor();
    await page.getByLabel("Add a comment").fill("which glaze?");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("region", { name: "Comments" }).getByText("which glaze?").waitFor();
    await page.getByText("Being decided").first().waitFor();
    await decide(page, page, "Approve", "the blue one");
    await page.getByRole("region", { name: "What has happened" }).getByText("the blue one").waitFor();
    await person.page.goto(glazer);
    await person.page.getByRole("region", { name: "What has happened" }).getByText("the blue one").waitFor();
    await person.page.getByRole("region", { name: "Comments" }).getByText("which glaze?").waitFor();
    // And the person asked answers, and nothing is decided by that.
    await person.page.getByLabel("Add a comment").fill("cobalt");
    await person.page.getByRole("button", { name: "Send" }).click();
    await person.page.getByRole("region", { name: "Comments" }).getByText("cobalt").waitFor();

    // To somebody better suited, with a reason; they deny.
    await page.getByRole("link", { name: "My tasks" }).click();
    await task(page, "to look around").getByRole("link").click();
    await page.getByRole("button", { name: /^Reassign what Mara Quist decides/ }).click();
    await page.getByRole("combobox", { name: "Who is to decide" }).fill(lea.name);
    await page.getByRole("option", { name: lea.name }).click();
    const reassign = page.getByRole("dialog").getByRole("button", { name: "Reassign" });
    assert(await reassign.isDisabled(), "a reason is needed");
    await page.getByRole("dialog").getByLabel("Why").fill("Lea runs the kiln");
    await reassign.click();
    await page.getByRole("region", { name: "What has happened" }).getByText("Lea runs the kiln").waitFor();
    const approver = await signedIn(browser, lea.name, "/tasks");
    await decide(approver.page, task(approver.page, "to look around"), "Deny", "the kiln is no museum");
    await other.page.goto(base + "/requests?closed=true");
    await other.page.getByRole("link", { name: "Kiln Tickets · Potter" }).click();
    assert.equal(other.page.url(), denied);
    await other.page.getByText("Denied", { exact: true }).first().waitFor();
    const facts = other.page.getByRole("definition").filter({ hasText: "the kiln is no museum" });
    await facts.getByText("Lea Form").waitFor();

    // Two decide at the same moment: the other is told what happened.
    const second = await signedIn(browser, sven.name, "/tasks");
    await task(second.page, "to fire pots").getByRole("button", { name: "Approve", exact: true }).click();
    await second.page.getByRole("dialog").getByRole("textbox").fill("for me too");
    await decide(approver.page, task(approver.page, "to fire pots"), "Approve", "welcome");
    await second.page.getByRole("dialog").getByRole("button", { name: "Approve", exact: true }).click();
    await second.page.getByText(/already, by Lea Form/).waitFor();

    // What is approved is done by hand, by who runs the app.
    await approver.page.getByRole("link", { name: "To do" }).click();
    await approver.page.getByRole("button", { name: /^Resolve: .*Kiln Tickets.*Ola Brandt/ }).click();
    await approver.page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
    await approver.page.getByText("Nothing is to be done").waitFor();

    await page.getByRole("link", { name: "My access" }).click();
    await page.getByRole("link", { name: "What your people have" }).click();
    await page.getByRole("link", { name: ola.name }).click();
    await page.getByRole("region", { name: "What they hold" }).getByRole("listitem").filter({ hasText: "Kiln Tickets · Potter" }).getByText("In place").waitFor();
    assert.deepEqual([...manager.wrong, ...person.wrong, ...other.wrong, ...approver.wrong], []);
  }));

test("who approves an app sees the requests of it, and of no other", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, udo.name);
    await page.getByRole("link", { name: "My tasks" }).click();
    await task(page, "writes the handbook").getByText("for Ola Brandt").waitFor();
    const main = page.getByRole("main");
    assert.equal(await main.getByText("Kiln Tickets").count(), 0);
    await page.getByRole("link", { name: "Open requests" }).click();
    await page.getByRole("link", { name: "Orbit Wiki · Editor" }).waitFor();
    assert.equal(await main.getByText("Kiln Tickets").count(), 0);
    await page.getByRole("link", { name: "Orbit Wiki · Editor" }).click();
    await page.getByRole("region", { name: "What has happened" }).getByRole("listitem").first().waitFor();
    await decide(page, page, "Approve", "");
    await page.getByText("Done", { exact: true }).first().waitFor();
    await page.getByRole("link", { name: "My tasks" }).click();
    await page.getByText("Nothing waits for your decision.").waitFor();
    await page.getByRole("link", { name: "Closed requests" }).click();
    await page.getByRole("link", { name: "Orbit Wiki · Editor" }).waitFor();
    assert.equal(await main.getByText("Kiln Tickets").count(), 0);
    assert.deepEqual(wrong, []);

    // Another's request is none, and the place where all are managed is not for them.
    await page.goto(base + "/admin/requests");
    await page.getByRole("heading", { name: "This place is for admins" }).waitFor();
    const approver = await signedIn(browser, lea.name, "/tasks/open");
    await approver.page.getByRole("link", { name: "Kiln Tickets · Glazer" }).click();
    await approver.page.getByRole("heading", { level: 1, name: "Kiln Tickets · Glazer" }).waitFor();
    await page.goto(approver.page.url());
    await page.getByRole("alert").waitFor();
    assert.equal(await main.getByText("Kiln Tickets").count(), 0);
  }));
