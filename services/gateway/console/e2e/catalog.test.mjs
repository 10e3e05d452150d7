// B-CAT-01, B-CAT-03 in part, B-CAT-04, B-CAT-05 in part: an app is described, kept out of the
// catalog and let in again, and somebody finds it there by what it is and by what it gives;
// several things that an app has are added at once, and several are requested as one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, browse, fits, signedIn } from "./browser.mjs";
import { actor, app, identityProvider, scimApp } from "./outside.mjs";

let directory, it, nia, target;

before(async () => {
  directory = await identityProvider("Catalog directory");
  it = await directory.joins("Ilse Brandt", { role: "ROLE_IT_ADMIN" });
  nia = await directory.joins("Nora Falk");
  target = await scimApp("Cutters", "Polishers", "Setters");
});
after(() => target?.close());

const dialog = (page) => page.getByRole("dialog");
const catalog = (page) => page.getByRole("searchbox", { name: "Search the catalog" });

test("an app says what it is, and is found by that and by what it gives", () =>
  browse(async (browser) => {
    const sso = await app({ name: "Gem Gate" });
    const gems = await app({ name: "Gem Ledger", description: "Which stone is where." }, "Appraiser");
    const admin = await signedIn(browser, it.name, `/admin/apps/${gems.id}`);
    await admin.page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(admin.page).getByLabel("Category").fill("Jewels");
    await dialog(admin.page).getByLabel("Tags").fill("Stones, émeraude");
    await dialog(admin.page).getByLabel("How to get in").fill("Bring your loupe.");
    await dialog(admin.page).getByRole("combobox", { name: "Signs in by" }).fill("Gem Gate");
    await admin.page.getByRole("option", { name: "Gem Gate" }).click();
    await dialog(admin.page).locator("label").filter({ has: admin.page.getByRole("radio", { name: /^Not listed/ }) }).click();
    await dialog(admin.page).getByRole("button", { name: "Save" }).click();
    await dialog(admin.page).waitFor({ state: "hidden" });
    await admin.page.getByRole("definition").getByText("Jewels").waitFor();
    await admin.page.getByRole("definition").getByText("Not listed").waitFor();
    await accessible(admin.page, "the page of an app");
    await admin.page.getByRole("button", { name: "Change Appraiser" }).click();
    await dialog(admin.page).getByRole("button", { name: "Risk" }).click();
    await admin.page.getByRole("option", { name: "High risk" }).click();
    await dialog(admin.page).getByRole("button", { name: "Save" }).click();
    await dialog(admin.page).waitFor({ state: "hidden" });

    const { page, wrong } = await signedIn(browser, nia.name, "/catalog");
    await catalog(page).fill("gem led");
    await page.getByText("No app is found by “gem led”.").waitFor();
    await admin.page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(admin.page).locator("label").filter({ has: admin.page.getByRole("radio", { name: /^Listed/ }) }).click();
    await dialog(admin.page).getByRole("button", { name: "Save" }).click();
    await dialog(admin.page).waitFor({ state: "hidden" });
    await catalog(page).fill("emeraud");
    await page.getByRole("link", { name: "Gem Ledger", exact: true }).waitFor();
    // What made it be found stands in the card, with its risk.
    await catalog(page).fill("appraiser");
    await page.getByRole("list", { name: "In it" }).getByText("Appraiser", { exact: true }).waitFor();
    await page.getByRole("list", { name: "In it" }).getByText("High risk").waitFor();
    await page.getByRole("button", { name: "Ask for help" }).first().waitFor();
    await page.getByRole("link", { name: "Request access to Gem Ledger" }).waitFor();
    await accessible(page, "the catalog");
    await fits(page, "the catalog");
    await catalog(page).fill("");
    await page.reload();
    await page.getByRole("button", { name: "Category" }).click();
    await page.getByRole("option", { name: "Jewels" }).click();
    await page.getByRole("link", { name: "Gem Ledger", exact: true }).waitFor();
    await page.getByRole("link", { name: "Tidepool Chat", exact: true }).waitFor({ state: "hidden" });
    await page.getByRole("link", { name: "Gem Ledger", exact: true }).click();
    await page.getByText("Bring your loupe.").waitFor();
    await page.getByRole("definition").getByRole("link", { name: sso.name }).waitFor();
    await page.getByText("émeraude").waitFor();

    // What sits behind an app is said before that is deleted, and sits behind none then.
    await admin.page.goto(new URL(`/admin/apps/${sso.id}`, admin.page.url()).href);
    await admin.page.getByRole("button", { name: "Delete Gem Gate" }).click();
    await dialog(admin.page).getByText("1 app sits behind it").waitFor();
    await dialog(admin.page).getByRole("link", { name: gems.name }).waitFor();
    await dialog(admin.page).getByRole("button", { name: "End the access and delete" }).click();
    await dialog(admin.page).waitFor({ state: "hidden" });
    await page.reload();
    await page.getByText("Bring your loupe.").waitFor();
    await page.getByRole("definition").getByRole("link", { name: sso.name }).waitFor({ state: "hidden" });
    assert.deepEqual(wrong, []);
    assert.deepEqual(admin.wrong, []);
  }));

test("several things that an app has are added at once, and say what they open", () =>
  browse(async (browser) => {
    const ilse = await actor(it.userName);
    const made = await ilse("POST", "/v1/integrations", { name: "Bench tools", kind: "INTEGRATION_KIND_SCIM", scim: { baseUrl: target.address, token: target.token } });
    await ilse("POST", `/v1/integrations/${made.integration.id}:test`, {});
    const bench = await app({ name: "Cutting Bench", provisioning: "PROVISIONING_SUPPORT_AUTOMATIC", integrationId: made.integration.id });
    const { page, wrong } = await signedIn(browser, it.name, `/admin/apps/${bench.id}`);
    await page.getByRole("button", { name: "Add from the app" }).click();
    for (const name of ["Cutters", "Setters"]) await dialog(page).locator("label", { hasText: name }).click();
    await dialog(page).getByLabel("What Cutters opens").fill("Cuts raw stones.");
    await dialog(page).getByRole("button", { name: "Risk of Cutters" }).click();
    await page.getByRole("option", { name: "Medium risk" }).click();
    await accessible(page, "adding from an app");
    await dialog(page).getByRole("button", { name: "Add 2" }).click();
    await dialog(page).waitFor({ state: "hidden" });
    const held = page.getByRole("region", { name: "What can be held" });
    await held.getByText("Cuts raw stones.").waitFor();
    await held.getByText("Medium risk").waitFor();
    await held.getByText("Nobody can ask for it: it is not said what it opens.").waitFor();
    await page.getByRole("button", { name: "Add from the app" }).click();
    await dialog(page).getByText("Polishers").waitFor();
    assert.equal(await dialog(page).getByText("Cutters").count(), 0, "what is there already is not offered again");
    assert.deepEqual(wrong, []);
  }));

test("several things are requested as one, without what one has asked for already", () =>
  browse(async (browser) => {
    const forge = await app({ name: "Ring Forge" }, "Smith");
    const shop = await app({ name: "Ring Shop" }, "Seller");
    const admin = await signedIn(browser, it.name, "/admin/bundles");
    await admin.page.getByRole("button", { name: "Add a bundle" }).click();
    await dialog(admin.page).getByLabel("Name").fill("Making rings");
    await dialog(admin.page).getByLabel("Description").fill("From the fire to the counter.");
    for (const [name, what] of [[forge.name, "Smith"], [shop.name, "Seller"]]) {
      await dialog(admin.page).getByRole("combobox", { name: "Choose from an app" }).fill(name);
      await admin.page.getByRole("option", { name }).click();
      await dialog(admin.page).locator("label", { hasText: what }).click();
    }
    await dialog(admin.page).getByRole("list", { name: "What it has" }).getByText("Ring Shop · Seller").waitFor();
    await accessible(admin.page, "making a bundle");
    await dialog(admin.page).getByRole("button", { name: "Save" }).click();
    await dialog(admin.page).waitFor({ state: "hidden" });
    await admin.page.getByText("Ring Forge · Smith, Ring Shop · Seller").waitFor();
    await accessible(admin.page, "the bundles");
    await fits(admin.page, "the bundles");

    const nora = await actor(nia.userName);
    await nora("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [forge.Smith], justification: "to try" });
    const { page, wrong } = await signedIn(browser, nia.name, "/catalog?q=rings");
    await page.getByText("From the fire to the counter.").waitFor();
    await accessible(page, "the catalog with bundles");
    await page.getByRole("link", { name: "Request the bundle Making rings" }).click();
    await page.getByText("Already asked for: left out").waitFor();
    await page.getByLabel("Why").fill("to make rings");
    await accessible(page, "asking for a bundle");
    await page.getByRole("button", { name: "Send the request" }).click();
    await page.getByText("with Making rings").waitFor();
    await page.getByText("Ring Shop · Seller").first().waitFor();
    assert.equal(await page.getByText("Ring Forge · Smith").count(), 0, "what was asked for already is left out");

    // What is deleted leaves it, and is seen to be gone.
    const ada = await actor("ada@demo.example");
    await ada("DELETE", `/v1/apps/${forge.id}?endAccess=true`);
    await admin.page.getByText("1 is gone").waitFor();
    assert.deepEqual(wrong, []);
    assert.deepEqual(admin.wrong, []);
  }));
