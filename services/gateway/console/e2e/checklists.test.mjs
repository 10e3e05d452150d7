// B-ONB-16, B-ONB-19: until when checklists should be done is changed, and what is late says so; what was
// resolved by mistake is open again, by keyboard, however long somebody takes.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, base, browse, fits, signedIn } from "./browser.mjs";
import { actor, admin, app, flow, identityProvider, until } from "./outside.mjs";

let directory, newcomers, it, kiln;

before(async () => {
  directory = await identityProvider("Story directory");
  newcomers = await directory.group("Story newcomers");
  it = await directory.joins("Ivo Tannen", { role: "ROLE_IT_ADMIN" });
  kiln = await app({ name: "Kiln Tickets", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: it.id, adminIds: [it.id], approverIds: [it.id] });
  const glaze = await app({ name: "Glaze Ledger", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: it.id, adminIds: [it.id], approverIds: [it.id] });
  await flow({ name: "Story newcomers", trigger: "FLOW_TRIGGER_JOIN", audience: { groupIds: [newcomers] }, scope: { entitlementIds: [kiln.account, glaze.account] }, autoApprove: true });
});

const dialog = (page) => page.getByRole("dialog");
const focused = (page) => page.evaluate(() => document.activeElement?.textContent);

/** Somebody joins; answers with the id of their checklist, with two items. */
async function joins(name) {
  const person = await directory.joins(name, { groups: [newcomers] });
  const ada = await admin();
  const { id } = await until("a checklist", async () => (await ada("GET", `/v1/checklists?userId=${person.id}`)).checklists.find((list) => list.openCount === 2));
  return { ...person, list: id };
}

test("the time for checklists is changed by admins, and what is late says so until the date is another", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/checklists");
    await page.getByText("Time for onboarding: 3 days · for offboarding: 1 day").waitFor();
    await page.getByRole("button", { name: "Change the deadlines" }).click();
    const box = dialog(page).getByRole("textbox", { name: "Time for onboarding" });
    await box.fill("366");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).locator(".field").filter({ hasText: "Time for onboarding" }).locator(".error").getByText("0 to 365 days").waitFor();
    const middle = await dialog(page).evaluate((e) => e.getBoundingClientRect().x + e.getBoundingClientRect().width / 2);
    assert.equal(middle, 640, "the dialog stands in the middle");
    await box.fill("0");
    await dialog(page).getByRole("group", { name: "Time for offboarding" }).getByRole("textbox").fill("4");
    await dialog(page).getByRole("group", { name: "Time for offboarding" }).getByRole("button", { name: /Unit$/ }).click();
    await page.getByRole("option", { name: "hours" }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("Time for onboarding: 0 days · for offboarding: 4 hours").waitFor();

    // Who joins now is late at once.
    const len = await joins("Len Hopkirk");
    await page.reload();
    const line = page.getByRole("listitem").filter({ hasText: len.name });
    await line.getByText("Overdue").waitFor();
    await page.goto(`${base}/admin/work-items?user=${len.id}`);
    await page.getByRole("listitem").filter({ hasText: len.name }).filter({ hasText: "Kiln Tickets" }).getByText("Overdue").waitFor();

    const looks = await signedIn(browser, it.name, `/admin/checklists/${len.list}`);
    const item = looks.page.getByRole("listitem").filter({ hasText: "Kiln Tickets" });
    await item.getByText("Overdue").waitFor();
    const { checklist } = await (await admin())("GET", `/v1/checklists/${len.list}`);
    const exact = await looks.page.evaluate((at) => new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" }).format(new Date(at)), checklist.dueTime);
    assert.equal(await item.locator("time").last().getAttribute("title"), exact);
    await looks.page.getByRole("button", { name: "Change the date" }).click();
    await looks.page.getByRole("spinbutton", { name: /^year/ }).press("ArrowUp");
    await looks.page.getByRole("spinbutton", { name: /^month/ }).press("ArrowDown");
    await dialog(looks.page).getByRole("button", { name: "Save" }).click();
    await looks.page.getByText("The date is changed.").waitFor();
    await item.getByText("Overdue").waitFor({ state: "detached" });
    assert.deepEqual(looks.wrong, []);
    // The time for all is for admins.
    await looks.page.goto(base + "/admin/checklists");
    await looks.page.getByText("Time for onboarding: 0 days").waitFor();
    assert.equal(await looks.page.getByRole("button", { name: "Change the deadlines" }).count(), 0);

    await page.goto(base + "/admin/checklists");
    await line.getByText("Overdue").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Change the deadlines" }).click();
    await box.fill("");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("Time for onboarding: 3 days · for offboarding: 4 hours").waitFor();
    assert.deepEqual(wrong.filter((text) => !text.includes("status of 400")), []);
  }));

for (const width of [1280, 360]) {
  test(`what was resolved is open again by keyboard, however long somebody takes, ${width} px`, () =>
    browse(async (browser) => {
      const person = await joins(`Jo Ahlgren${width}`);
      const { page, wrong } = await signedIn(browser, it.name, `/admin/checklists/${person.list}`, { viewport: { width, height: 800 } });
      await page.clock.install();
      await page.getByRole("checkbox", { name: "Select all" }).check({ force: true });
      await page.getByRole("button", { name: "Resolve 2 items" }).click();
      await dialog(page).getByRole("button", { name: "Resolve" }).click();
      await page.getByText("Everything is done.").waitFor();
      await page.getByText("2 items are resolved.").waitFor();
      await page.clock.fastForward("20:00");
      await fits(page, "the notice");
      await accessible(page, "the notice");
      // To the notices, into the first, and to its button.
      for (const key of ["F6", "Tab", "Tab"]) await page.keyboard.press(key);
      assert.equal(await focused(page), "Undo: open 2 items again");
      await page.keyboard.press("Enter");
      await page.getByText("2 items are open again.").waitFor();
      await page.getByText("Reopened: Resolved by mistake, and undone.").nth(1).waitFor();
      assert.notEqual(await page.evaluate(() => document.activeElement?.tagName), "BODY");
      assert.deepEqual(wrong, []);
    }));
}

test("what others have reopened meanwhile cannot be undone, and the notice says why", () =>
  browse(async (browser) => {
    const person = await joins("Sue Pender");
    const { page, wrong } = await signedIn(browser, it.name, `/admin/checklists/${person.list}`);
    await page.getByRole("button", { name: "Resolve: Create an account: Kiln Tickets · account, Sue Pender" }).click();
    await dialog(page).getByRole("button", { name: "Resolve" }).click();
    await page.getByText("1 item is resolved.").waitFor();
    const act = await actor(it.userName);
    const { workItems } = await act("GET", `/v1/workItems?userId=${person.id}&state=WORK_ITEM_STATE_RESOLVED`);
    await act("POST", "/v1/checklists:reopen", { workItemIds: workItems.map((i) => i.id), reason: "it was not done" });
    const notice = page.getByRole("alertdialog");
    await notice.getByRole("button", { name: "Undo: open it again" }).click();
    await notice.getByText("it has been reopened already").waitFor();
    assert.equal(await notice.getByRole("button", { name: /^Undo/ }).count(), 0);
    await accessible(page, "the notice");
    await notice.getByRole("button", { name: "Close" }).click();
    await notice.waitFor({ state: "detached" });
    assert.deepEqual(wrong.filter((text) => !/status of 400/.test(text)), []);
  }));
