// B-PRV-13 in part (what is left behind): before the accounts of an app are looked for elsewhere, an
// IT admin sees what would be found there, and nothing has changed by that.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, browse, fits, signedIn } from "./browser.mjs";
import { admin, app, identityProvider, scimApp, until } from "./outside.mjs";

let ada, directory, it, old, other;
const people = {};

before(async () => {
  ada = await admin();
  directory = await identityProvider("Look directory");
  it = await directory.joins("Ines Roth", { role: "ROLE_IT_ADMIN" });
  for (const name of ["Una Same", "Theo Namesake", "Otto Other", "Nell Nowhere"]) people[name] = await directory.joins(name);
  old = await scimApp();
  other = await scimApp();
});
after(() => [old, other].forEach((target) => target?.close()));

const go = (page, name) => page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name, exact: true }).click();
const dialog = (page) => page.getByRole("dialog");

/** An integration with a target that is set up already. */
const integration = async (name, target) =>
  (await ada("POST", "/v1/integrations", { name, kind: "INTEGRATION_KIND_SCIM", scim: { baseUrl: target.address, token: target.token } })).integration.id;

test("what would be found at another address, or with another integration, is seen before it is saved", () =>
  browse(async (browser) => {
    const pots = await app({ name: "Look Pots", provisioning: "PROVISIONING_SUPPORT_AUTOMATIC", integrationId: await integration("Old kiln", old) });
    await integration("Other kiln", other);
    await ada("POST", "/v1/requests:assign", { userIds: Object.values(people).map((p) => p.id), entitlementIds: [pots.account], justification: "they fire pots" });
    await until("their accounts", () => old.users.size === 4);
    await until("their grants", async () => ((await ada("GET", `/v1/grants?appId=${pots.id}&state=GRANT_STATE_ACTIVE`)).grants ?? []).length === 4);

    // In the other system one account is theirs, one has the user name alone, one is somebody else's.
    const copied = (name, change) => {
      const account = [...old.users.values()].find((u) => u.userName === people[name].userName);
      const there = { ...account, ...change };
      other.users.set(there.id, there);
    };
    copied("Una Same", {});
    copied("Theo Namesake", { id: "t1", externalId: undefined });
    copied("Otto Other", { id: "o1", externalId: it.id });

    const { page, wrong } = await signedIn(browser, it.name, "/admin");
    const found = (name) => dialog(page).getByRole("listitem").filter({ hasText: name });
    const see = async () => {
      await dialog(page).getByRole("button", { name: "Look for the accounts of Look Pots there" }).click();
      await dialog(page).getByText("4 accounts were looked for.").waitFor();
      await found("Una Same").getByText("Theirs", { exact: true }).waitFor();
      await found("Theo Namesake").getByText("Same user name", { exact: true }).waitFor();
      await found("Theo Namesake").getByText("A person is asked before it is used.").waitFor();
      await found("Theo Namesake").getByText(/stays where it is/).waitFor();
      assert.equal(await found("Una Same").getByText(/stays where it is/).count(), 0);
    };

    await go(page, "Integrations");
    await page.getByRole("button", { name: "Change Old kiln" }).click();
    assert.equal(await dialog(page).getByRole("button", { name: /^Look for/ }).count(), 0);
    await dialog(page).getByLabel("Address").fill(other.address);
    await dialog(page).getByText("That needs the token.").waitFor();
    await dialog(page).getByLabel("Token").fill(other.token);
    await see();
    await accessible(page, "what is found");
    const box = await dialog(page).boundingBox();
    assert(Math.abs(box.x + box.width / 2 - 640) < 1, `the dialog stands at ${box.x}`);
    // What was found elsewhere is not shown of another place.
    await dialog(page).getByLabel("Token").fill("wrong");
    assert.equal(await found("Una Same").count(), 0);
    await dialog(page).getByRole("button", { name: "Look for the accounts of Look Pots there" }).click();
    await dialog(page).getByText("4 accounts were looked for. Unknown: 4").waitFor();
    await dialog(page).getByLabel("Token").fill(other.token);
    await dialog(page).getByRole("button", { name: "Back" }).click();

    await go(page, "Apps");
    await page.getByRole("searchbox", { name: "Search the apps" }).fill("Look Pots");
    await page.getByRole("link", { name: "Look Pots", exact: true }).click();
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(page).getByRole("button", { name: /Integration$/ }).click();
    await page.getByRole("option", { name: "Other kiln" }).click();
    await see();
    // As the form says it now, and not as it was saved.
    await dialog(page).getByRole("button", { name: /An account is there already$/ }).click();
    await page.getByRole("option", { name: "It is used", exact: true }).click();
    await found("Theo Namesake").getByText("It is used, as the app says.").waitFor();
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, "what is found");

    // So far nothing has changed, here or there.
    assert.equal(other.users.size, 3);
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByRole("definition").getByText("Other kiln").waitFor();
    await until("an account for who had none there", () => [...other.users.values()].some((u) => u.userName === people["Nell Nowhere"].userName));
    assert.deepEqual(wrong, []);
  }));
