// B-ONB-01, B-ONB-02, B-ONB-04, B-ONB-14, B-ONB-18 in part (one person), B-APR-01 in part,
// B-CAT-03 in part (no SSO app), B-CAT-06 in part (an app and a flow), B-PRV-04 in part (what may
// pass is tried again elsewhere), B-PRV-06 in part, B-USR-05 in part, B-USR-07, B-USR-19 in part:
// an IT admin makes an app, connects it, has it fail and mends it, and takes it away again; an
// admin ends sessions, and makes and ends tokens.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { base, browse, signedIn } from "./browser.mjs";
import { app, call, identityProvider, scimApp } from "./outside.mjs";

let directory, it, nia, target;

before(async () => {
  directory = await identityProvider("Story directory");
  it = await directory.joins("Ivo Tannen", { role: "ROLE_IT_ADMIN" });
  nia = await directory.joins("Nia Lund");
  target = await scimApp("Potters", "Glazers");
});
after(() => target?.close());

const go = (page, name) => page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name, exact: true }).click();
const dialog = (page) => page.getByRole("dialog");

/** Chooses in a box of a form. */
async function choose(page, box, option) {
  await page.getByRole("button", { name: box }).click();
  await page.getByRole("option", { name: option, exact: true }).click();
}

/** Says how the accounts of an app come and go. */
const support = (page, name) => dialog(page).locator("label").filter({ has: page.getByRole("radio", { name: new RegExp("^" + name) }) }).click();

/** Finds by words, and takes it. The box is in view before it is filled: a list that scrolls away closes. */
async function find(page, box, words, option = words) {
  await page.getByRole("combobox", { name: box, exact: true }).click();
  await page.getByRole("combobox", { name: box, exact: true }).fill(words);
  await page.getByRole("option", { name: option }).click();
}

/** The page of an app, found by searching. */
async function appPage(page, name) {
  await go(page, "Apps");
  await page.getByRole("searchbox", { name: "Search the apps" }).fill(name);
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

test("an app is made, and says how its accounts come and go", () =>
  browse(async (browser) => {
    await app({ name: "Old Wheel" });
    const { page, wrong } = await signedIn(browser, it.name, "/admin");
    await go(page, "Apps");
    await page.getByRole("button", { name: "Add an app" }).click();
    await dialog(page).getByLabel("Name").fill("Kiln Tickets");
    await support(page, "Automatic");
    await dialog(page).getByRole("button", { name: "Add an app" }).click();
    await dialog(page).getByText("an automatic app needs an integration").waitFor();
    await support(page, "Manual");
    await find(page, "Owner", it.name);
    await find(page, "Approvers", it.name);
    await dialog(page).getByRole("button", { name: "Add an app" }).click();
    await page.getByRole("heading", { level: 1, name: "Kiln Tickets" }).waitFor();
    await page.getByRole("definition").getByText("Manual.").waitFor();

    // One for which nobody has chosen is shown as such, until somebody does.
    await appPage(page, "Old Wheel");
    await page.getByText("Not chosen yet").waitFor();
    await page.getByText("Counts as manual").waitFor();
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await support(page, "None");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByRole("definition").getByText("No user management").waitFor();
    assert.deepEqual(refusals(wrong, 1), []);
  }));

test("what can be held in an app is found by words where there is much of it", () =>
  browse(async (browser) => {
    const names = Array.from({ length: 100 }, (_, i) => `shelf ${i}`);
    await app({ name: "Old Shelves" }, ...names);
    const { page, wrong } = await signedIn(browser, it.name, "/admin");
    await appPage(page, "Old Wheel");
    const held = page.getByRole("region", { name: "What can be held" });
    await held.getByRole("listitem").first().waitFor();
    assert.equal(await held.getByRole("searchbox").count(), 0);
    await appPage(page, "Old Shelves");
    await held.getByRole("searchbox", { name: "Search what can be held" }).fill("SHELF 42");
    await held.getByText("shelf 7", { exact: true }).waitFor({ state: "detached" });
    await held.getByText("shelf 42", { exact: true }).waitFor();
    await page.reload();
    await held.getByText("shelf 42", { exact: true }).waitFor();
    assert.equal(await held.getByRole("listitem").count(), 1);
    await held.getByRole("searchbox").fill("cupboard");
    await held.getByText("Nothing passes the filters.").waitFor();
    assert.deepEqual(wrong, []);
  }));

/** What a browser says on its console of an answer that refuses, as many times as was meant. */
function refusals(wrong, meant) {
  const said = wrong.filter((text) => /responded with a status of 40\d/.test(text));
  assert(said.length <= meant, said.join("\n"));
  return wrong.filter((text) => !said.includes(text));
}

test("an app becomes automatic with an integration that works, fails, is mended and goes", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, it.name, "/admin");
    await go(page, "Integrations");
    await page.getByRole("button", { name: "Add an integration" }).click();
    await dialog(page).getByLabel("Name").fill("Story kiln");
    await dialog(page).getByLabel("Address").fill(target.address);
    await dialog(page).getByLabel("Token").fill("wrong");
    await dialog(page).getByRole("button", { name: "Save and test" }).click();
    const card = page.getByRole("region", { name: "Story kiln" });
    await card.getByText("Failing").waitFor();

    // With one that does not work no app is automatic.
    const setUp = async () => {
      await appPage(page, "Kiln Tickets");
      await page.getByRole("button", { name: "Change", exact: true }).click();
      await support(page, "Automatic");
      await page.getByRole("button", { name: /Integration$/ }).click();
    };
    await setUp();
    await page.getByRole("option", { name: "Story kiln (not working)" }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).getByText(/only with a working integration/).waitFor();
    await dialog(page).getByRole("button", { name: "Back" }).click();

    await go(page, "Integrations");
    await card.getByRole("button", { name: "Change Story kiln" }).click();
    await dialog(page).getByLabel("Token").fill(target.token);
    await dialog(page).getByRole("button", { name: "Save and test" }).click();
    await card.getByText("Working", { exact: true }).waitFor();
    await card.getByRole("button", { name: "Test Story kiln" }).click();
    await card.getByText(/works: Read groups \(groups: 2\)/).waitFor();
    assert.equal(await page.getByText(target.token).count(), 0);
    await setUp();
    await page.getByRole("option", { name: "Story kiln", exact: true }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByRole("definition").getByText("Automatic.").waitFor();

    // What can be held in it is chosen of what it has.
    await page.getByRole("button", { name: "Add an entitlement" }).click();
    await find(page, "Choose a group of the app", "Pott", "Potters");
    assert.equal(await dialog(page).getByLabel("Called in the app").inputValue(), "g0");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("in the app: g0").waitFor();
    await page.getByRole("button", { name: "Change Potters" }).click();
    await dialog(page).getByLabel("What it opens").fill("Those who fire pots.");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("Those who fire pots.").waitFor();

    // Who decides.
    await go(page, "Flows");
    await page.getByRole("link", { name: "Make a flow" }).click();
    await page.getByLabel("Name", { exact: true }).fill("Story kiln");
    await page.getByLabel("Name of the step").fill("Approver");
    await choose(page, /Who is asked$/, "The approvers of the app");
    await find(page, "Choose an app", "Kiln Tickets");
    await page.locator("label", { hasText: "Potters" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("Version 1").waitFor();
    await page.getByText("The approvers of the app: any one is enough").waitFor();
    await page.getByRole("link", { name: "Change", exact: true }).click();
    await page.getByLabel("Longest access in days").fill("30");
    await page.getByRole("button", { name: "Save" }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("Version 2").waitFor();
    await page.getByText("30 days").waitFor();

    // Given to somebody, after seeing how it comes; and what the flow forbids stays forbidden.
    target.refuses = "Groups";
    await go(page, "People");
    await page.getByRole("link", { name: "Give access" }).click();
    await find(page, "To whom", nia.name);
    await find(page, "Choose an app", "Kiln Tickets");
    await page.locator("label", { hasText: "Potters" }).click();
    const follows = page.getByRole("region", { name: "What follows" });
    await follows.getByText("The account is made automatically.").waitFor();
    await follows.getByText("Longer than allowed").waitFor();
    await page.getByRole("link", { name: "Flows", exact: true }).click();
    await page.getByRole("link", { name: "Story kiln" }).click();
    await page.getByRole("link", { name: "Change", exact: true }).click();
    await page.getByLabel("Longest access in days").fill("");
    await page.getByRole("button", { name: "Save" }).click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("No limit", { exact: true }).waitFor();
    await go(page, "People");
    await page.getByRole("searchbox", { name: "Search people" }).fill(nia.userName);
    await page.getByRole("link", { name: nia.name }).click();
    await page.getByRole("link", { name: "Give access" }).click();
    await find(page, "Choose an app", "Kiln Tickets");
    await page.locator("label", { hasText: "Potters" }).click();
    await page.getByLabel("Why").fill("she fires the pots");
    await follows.getByText("The account is made automatically.").waitFor();
    await page.getByRole("button", { name: "Give it" }).click();
    await dialog(page).getByRole("button", { name: "Give it" }).click();

    // It fails in the app, which says why; mended there, it is tried again from here.
    await page.getByText("Failed in the app").waitFor();
    await page.getByRole("link", { name: "Administration" }).click();
    await go(page, "Work items");
    await choose(page, /Kind$/, "Failed operation");
    const failed = page.getByRole("listitem").filter({ hasText: nia.name });
    await failed.getByText(/does not have the right to do this in the app/).waitFor();
    target.refuses = undefined;
    await failed.getByRole("button", { name: /^Retry/ }).click();
    await dialog(page).getByRole("button", { name: "Retry" }).click();
    await failed.waitFor({ state: "detached" });
    assert.deepEqual(target.groups.get("g0").members.length, 1);
    await appPage(page, "Kiln Tickets");
    const holders = page.getByRole("region", { name: "Who has access" });
    await holders.getByRole("listitem").filter({ hasText: "Nia Lund · Potters" }).getByText("In place").waitFor();

    // It goes only after it is said who has access, and with that.
    await page.getByRole("button", { name: "Delete Kiln Tickets" }).click();
    await dialog(page).getByText(/^1 person loses access\. \d grants? of access ends?\.$/).waitFor();
    await dialog(page).getByText("1 account is removed. The integration does it.").waitFor();
    await dialog(page).getByRole("link", { name: "Story kiln" }).waitFor();
    await dialog(page).getByRole("button", { name: "End the access and delete" }).click();
    await page.getByText("Kiln Tickets is deleted.").waitFor();
    await go(page, "People");
    await page.getByRole("searchbox", { name: "Search people" }).fill(nia.userName);
    await page.getByRole("link", { name: nia.name }).click();
    const held = page.getByRole("region", { name: "What they held" }).getByRole("listitem").filter({ hasText: "Kiln Tickets · Potters" });
    await held.getByText("the app was deleted").waitFor();
    await page.getByRole("region", { name: "Accounts in apps" }).getByRole("listitem").filter({ hasText: "Kiln Tickets" }).getByText("None").waitFor();
    assert.equal(target.users.size, 0);
    assert.deepEqual(refusals(wrong, 2), []);
  }));

test("an admin gives a role, ends a session, and makes and ends tokens", () =>
  browse(async (browser) => {
    const away = await signedIn(browser, nia.name);
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin");
    await go(page, "People");
    await page.getByRole("searchbox", { name: "Search people" }).fill(nia.userName);
    await page.getByRole("link", { name: nia.name }).click();
    await page.getByRole("button", { name: "Change the role" }).click();
    await choose(page, /Role$/, "Risk manager");
    await dialog(page).getByText("sees everything and changes nothing").waitFor();
    await dialog(page).getByRole("button", { name: "Change the role" }).click();
    await page.getByRole("definition").getByText("Risk manager").waitFor();
    await page.getByRole("button", { name: "Undo: Member again" }).click();
    await page.getByRole("definition").getByText("Member", { exact: true }).waitFor();
    const sessions = page.getByRole("region", { name: "Sessions" });
    await sessions.getByRole("button", { name: /^End/ }).click();
    await dialog(page).getByRole("button", { name: "End" }).click();
    await sessions.getByText("They are signed in nowhere.").waitFor();
    await away.page.getByRole("heading", { name: "Sign in to Gatehouse" }).waitFor();

    // A token is shown once, does what it may, and is revoked.
    await go(page, "API tokens");
    await page.getByRole("button", { name: "Make a token" }).click();
    await dialog(page).getByLabel("What it is for").fill("Story script");
    await dialog(page).getByText("It may change nothing").click();
    await dialog(page).getByRole("button", { name: "Make it" }).click();
    await dialog(page).getByText("Nobody is shown it again.").waitFor();
    const token = await dialog(page).locator("code").textContent();
    await dialog(page).getByRole("button", { name: "I have it" }).click();
    assert.equal((await call(token, "GET", "/v1/me")).user.displayName, "Ada Byron");
    await assert.rejects(call(token, "POST", "/v1/sources", { name: "Another", kind: "SOURCE_KIND_SCIM" }), /403/);
    await page.reload();
    const line = page.getByRole("listitem").filter({ hasText: "Story script" });
    await line.getByText("last used now").waitFor();
    assert.equal(await page.getByText(token).count(), 0);
    await line.getByRole("button", { name: "Revoke Story script" }).click();
    await dialog(page).getByRole("button", { name: "Revoke" }).click();
    await line.getByText("Revoked", { exact: true }).waitFor();
    await assert.rejects(call(token, "GET", "/v1/me"), /401/);

    // The token of a source ends when another is made.
    await go(page, "Sources");
    await page.getByRole("button", { name: "Rotate the token of Story directory" }).click();
    await dialog(page).getByRole("button", { name: "Rotate the token" }).click();
    await dialog(page).getByText("Nobody is shown it again.").waitFor();
    const rotated = await dialog(page).locator("code").last().textContent();
    await dialog(page).getByRole("button", { name: "I have it" }).click();
    await call(rotated, "GET", "/scim/v2/Users?count=1");
    await assert.rejects(directory.joins("Late Comer"), /401/);

    // Nothing here makes a service fail to handle an event.
    await go(page, "Parked events");
    await page.getByText("Every event was handled.").waitFor();
    assert.deepEqual([...wrong, ...away.wrong.filter((text) => !text.includes("401"))], []);
  }));
