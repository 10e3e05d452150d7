// B-APR-05: who is absent has somebody else decide, by themselves or by an admin; what is open goes
// to them and comes back; who waits reminds; and the organization says when people work.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, base, browse, fits, signedIn } from "./browser.mjs";
import { actor, app, flow, identityProvider, until } from "./outside.mjs";

let directory, boss, stand, pia, kiln;

before(async () => {
  directory = await identityProvider("Story absences");
  boss = await directory.joins("Bodo Absent");
  stand = await directory.joins("Steffi Standin");
  pia = await directory.joins("Pina Waiting", { manager: boss });
  kiln = await app({ name: "Absence Kiln", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: stand.id, adminIds: [stand.id], approverIds: [stand.id] }, "Potter");
  await flow({ name: "Absence Kiln", trigger: "FLOW_TRIGGER_REQUEST", audience: { everyone: true }, scope: { appIds: [kiln.id] }, steps: [{ name: "Manager", reviewers: "REVIEWER_KIND_MANAGER", need: "STEP_NEED_ANY" }] });
});

/** Somebody asks; answers with the id of the request. */
async function asks(person, justification, what = "account") {
  const call = await actor(person.userName);
  return (await call("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [kiln[what]], justification })).request.id;
}

/** Writes a time into a field, some days from now. */
async function inDays(page, field, days) {
  const at = new Date(Date.now() + days * 86_400_000);
  const two = (n) => String(n).padStart(2, "0");
  const parts = { day: two(at.getDate()), month: two(at.getMonth() + 1), year: String(at.getFullYear()), hour: "12", minute: "00" };
  const box = page.getByRole("dialog").locator(".field").filter({ hasText: field });
  for (const [name, value] of Object.entries(parts)) {
    await box.getByRole("spinbutton", { name: new RegExp(`^${name}`) }).click();
    await page.keyboard.type(value);
  }
}

test("who goes on holiday delegates, and has it back when they end that", () =>
  browse(async (browser) => {
    const first = await asks(pia, "before the holiday");
    const away = await signedIn(browser, boss.name, "/tasks");
    await away.page.getByText("before the holiday").waitFor();
    await away.page.getByRole("link", { name: "Delegations" }).click();
    await away.page.getByText("Nobody decides for anybody else.").waitFor();
    await away.page.getByRole("button", { name: "Delegate decisions" }).click();
    const dialog = away.page.getByRole("dialog");
    assert(await dialog.getByRole("button", { name: "Delegate decisions" }).isDisabled(), "nobody is chosen yet");
    await dialog.getByRole("combobox", { name: "Who decides" }).fill(stand.name);
    await away.page.getByRole("option", { name: stand.name }).click();
    await inDays(away.page, "Until", 120);
    await dialog.getByRole("button", { name: "Delegate decisions" }).click();
    await dialog.getByText("it runs for 90 days at most").waitFor();
    await inDays(away.page, "Until", 10);
    await dialog.getByLabel("Why").fill("Walking in the hills");
    await accessible(away.page, "a delegation that is made");
    await dialog.getByRole("button", { name: "Delegate decisions" }).click();
    const line = away.page.getByRole("listitem").filter({ hasText: `${stand.name} decides for ${boss.name}` });
    await line.getByText("Runs").waitFor();
    await line.getByText("Walking in the hills").waitFor();
    for (const what of ["light", "dark"]) {
      await away.page.emulateMedia({ colorScheme: what });
      await accessible(away.page, `delegations, ${what}`);
    }
    await away.page.setViewportSize({ width: 360, height: 800 });
    await fits(away.page, "delegations");
    await away.page.setViewportSize({ width: 1280, height: 900 });

    // What was open, and what comes, is the other's, who says for whom they decide.
    const second = await asks(pia, "during the holiday", "Potter");
    const decides = await signedIn(browser, stand.name, "/tasks");
    const task = (why) => decides.page.getByRole("listitem").filter({ hasText: why });
    await task("before the holiday").getByText(`on behalf of ${boss.name}`).waitFor();
    await task("during the holiday").getByRole("button", { name: "Approve", exact: true }).click();
    await decides.page.getByRole("dialog").getByRole("button", { name: "Approve", exact: true }).click();
    await decides.page.getByRole("dialog").waitFor({ state: "hidden" });
    const waits = await signedIn(browser, pia.name, `/requests/${second}`);
    await waits.page.getByText(`${stand.name} on behalf of ${boss.name} approved step Manager`).waitFor();
    away.wrong.length = 0; // the refusal is on the console of the browser
    await away.page.goto(base + "/tasks");
    await away.page.getByRole("heading", { level: 1 }).waitFor();
    await away.page.waitForLoadState("networkidle");
    assert.equal(await away.page.getByText("before the holiday").count(), 0);

    // Who waits reminds, once.
    await waits.page.goto(`${base}/requests/${first}`);
    await waits.page.getByRole("button", { name: "Remind the reviewers" }).click();
    await waits.page.getByRole("dialog").getByRole("button", { name: "Remind the reviewers" }).click();
    await waits.page.getByText(`Reminded ${stand.name}`).waitFor();
    await waits.page.getByRole("button", { name: "Remind the reviewers" }).click();
    await waits.page.getByRole("dialog").getByRole("button", { name: "Remind the reviewers" }).click();
    await waits.page.getByRole("dialog").getByText("the reviewers were reminded in the last 24 hours").waitFor();

    // Back again.
    await away.page.goto(base + "/delegations");
    await line.getByRole("button", { name: `End that ${stand.name} decides for ${boss.name}` }).click();
    await away.page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
    await away.page.getByText("Nobody decides for anybody else.").waitFor();
    await away.page.goto(base + "/tasks");
    await away.page.getByText("before the holiday").waitFor();
    assert.deepEqual(away.wrong, []);
    assert.deepEqual(decides.wrong, []);
  }));

test("an admin says when people work, and delegates for somebody", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/working-time");
    await page.getByRole("combobox", { name: "Choose another" }).fill("berlin");
    await page.getByRole("option", { name: "Europe/Berlin" }).click();
    await page.getByRole("textbox", { name: "Friday" }).fill("09:00-08:00");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".field").filter({ hasText: "Friday" }).locator(".error").getByText("a window ends after it starts").waitFor();
    wrong.length = 0; // the refusal is on the console of the browser
    await page.getByRole("textbox", { name: "Friday" }).fill("9:00-12:00, 13:00-15:00");
    await page.getByRole("textbox", { name: "Dates" }).fill("2026-12-25");
    await page.getByRole("button", { name: "Save" }).click();
    const ada = await actor("ada@demo.example");
    const { workingTime } = await until("it is saved", async () => {
      const found = await ada("GET", "/v1/workingTime");
      return found.workingTime.timeZone === "Europe/Berlin" && found;
    });
    assert.deepEqual(workingTime.holidays, ["2026-12-25"]);
    assert.deepEqual(workingTime.days.at(-1).windows, [{ from: "09:00", to: "12:00" }, { from: "13:00", to: "15:00" }]);
    await accessible(page, "working time");

    await page.goto(base + "/delegations");
    await page.getByRole("button", { name: "Delegate decisions" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("combobox", { name: "For whom" }).fill(pia.name);
    await page.getByRole("option", { name: pia.name }).click();
    await dialog.getByRole("combobox", { name: "Who decides" }).fill(boss.name);
    await page.getByRole("option", { name: boss.name }).click();
    await inDays(page, "Until", 5);
    await dialog.getByRole("button", { name: "Delegate decisions" }).click();
    const line = page.getByRole("listitem").filter({ hasText: `${boss.name} decides for ${pia.name}` });
    await line.getByRole("button", { name: /^End that/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
    await line.waitFor({ state: "detached" });
    assert.deepEqual(wrong, []);
  }));
