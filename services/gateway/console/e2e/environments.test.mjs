// B-USR-12 in part (people, apps and environments), B-CAT-03 in part (which environments see an app): an
// admin makes environments and says what they may have, and offers an app to one; whoever is of
// another sees neither.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, browse, fits, signedIn } from "./browser.mjs";
import { admin, app, identityProvider } from "./outside.mjs";

const go = (page, name) => page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name, exact: true }).click();
const dialog = (page) => page.getByRole("dialog");
const line = (page, text) => page.getByRole("main").getByRole("listitem").filter({ hasText: text });

/** What a browser says on its console besides answers that refuse, as many as was meant. */
function besides(wrong, meant) {
  const said = wrong.filter((text) => /responded with a status of 4\d\d/.test(text));
  assert(said.length <= meant, said.join("\n"));
  return wrong.filter((text) => !said.includes(text));
}

/** The page of an app, found by searching. */
async function appPage(page, name) {
  await go(page, "Apps");
  await page.getByRole("searchbox", { name: "Search the apps" }).fill(name);
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** Whether somebody finds an app in the catalog, from now on. */
async function sees(page, name, shown) {
  await page.goto(new URL(`/catalog?q=${encodeURIComponent(name)}`, page.url()).href);
  await (shown ? page.getByRole("heading", { name, exact: true }) : page.getByText(`No app is found by “${name}”.`)).waitFor();
}

test("an environment is made, renamed and bounded", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin");
    await go(page, "Environments");
    const add = () => page.getByRole("button", { name: "Add an environment" }).click();
    await add();
    await dialog(page).getByLabel("Name").fill("North");
    await accessible(page, "the form of an environment");
    await dialog(page).getByRole("button", { name: "Add an environment" }).click();
    await line(page, "North").getByText("Without limits.").waitFor();

    // What is no number is not sent, and a name that another has is said beside it.
    await add();
    await dialog(page).getByLabel("Name").fill("North");
    await dialog(page).getByLabel("Apps").fill("1");
    await dialog(page).getByLabel("People").fill("many");
    await dialog(page).getByText("This must be a whole number from 1 on, or empty.").waitFor();
    assert(await dialog(page).getByRole("button", { name: "Add an environment" }).isDisabled());
    await dialog(page).getByLabel("People").fill("");
    await dialog(page).getByRole("button", { name: "Add an environment" }).click();
    await dialog(page).getByText("another environment has that name").waitFor();
    assert.equal(await dialog(page).getByLabel("Name").getAttribute("aria-invalid"), "true");
    await dialog(page).getByLabel("Name").fill("South");
    await dialog(page).getByRole("button", { name: "Add an environment" }).click();
    await line(page, "South").getByText("At most: Apps: 1").waitFor();

    // By keyboard, and one quota without the others.
    await page.getByRole("button", { name: "Change South" }).press("Enter");
    await dialog(page).getByLabel("Open requests").fill("20");
    await dialog(page).getByLabel("Open requests").press("Enter");
    await line(page, "South").getByText("At most: Apps: 1 · Open requests: 20").waitFor();
    await page.getByRole("button", { name: "Change North" }).click();
    await dialog(page).getByLabel("Name").fill("Far North");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await line(page, "Far North").waitFor();

    // What is searched for stands in the address.
    await page.getByRole("searchbox", { name: "Search environments" }).fill("far");
    await line(page, "South").waitFor({ state: "detached" });
    await page.reload();
    await line(page, "Far North").waitFor();
    assert.equal(await line(page, "South").count(), 0);
    await page.getByRole("searchbox", { name: "Search environments" }).fill("nowhere");
    await page.getByText("No environment is found by “nowhere”.").waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    await line(page, "South").waitFor();
    assert.deepEqual(besides(wrong, 1), []);
  }));

test("an app is offered to one environment, or belongs to it", () =>
  browse(async (browser) => {
    const ada = await admin();
    const made = async (name) => (await ada("POST", "/v1/environments", { name })).environment.id;
    const east = await made("East");
    const nora = await (await identityProvider("East directory", east)).joins("Nora Vik");
    const west = await (await identityProvider("West directory", await made("West"))).joins("Willem Bos");
    await app({ name: "Shared Wheel" });
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin");
    const eastern = await signedIn(browser, nora.name);
    const western = await signedIn(browser, west.name);
    await sees(eastern.page, "Shared Wheel", false);

    await appPage(page, "Shared Wheel");
    await page.getByText("no environment: only the organization's own people see it").waitFor();
    await page.getByRole("button", { name: "Change", exact: true }).click();
    // In view before it is filled: a list that scrolls away closes.
    await dialog(page).getByRole("combobox", { name: "Offered to" }).click();
    await dialog(page).getByRole("combobox", { name: "Offered to" }).fill("eas");
    await page.getByRole("option", { name: "East", exact: true }).click();
    await dialog(page).getByText("Only by a flow").click();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByRole("definition").getByText("East", { exact: true }).waitFor();
    await page.getByRole("definition").getByText("are refused").waitFor();
    await sees(eastern.page, "Shared Wheel", true);
    await sees(western.page, "Shared Wheel", false);

    await page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(page).getByText("Offered to every environment").click();
    assert.equal(await dialog(page).getByRole("combobox", { name: "Offered to" }).count(), 0);
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("every environment", { exact: true }).waitFor();
    await sees(western.page, "Shared Wheel", true);

    // One that belongs to an environment is offered to no other, and no more are made than it may have.
    const add = async (name) => {
      await go(page, "Apps");
      await page.getByRole("button", { name: "Add an app" }).click();
      await dialog(page).getByRole("button", { name: /Belongs to$/ }).click();
      await page.getByRole("option", { name: "East", exact: true }).click();
      await dialog(page).getByLabel("Name").fill(name);
      assert.equal(await dialog(page).getByText("Offered to every environment").count(), 0);
      await dialog(page).getByRole("button", { name: "Add an app" }).click();
    };
    await add("East Wheel");
    await page.getByRole("heading", { level: 1, name: "East Wheel" }).waitFor();
    await page.getByRole("definition").getByText("East", { exact: true }).waitFor();
    await fits(page, "the app");
    await sees(eastern.page, "East Wheel", true);
    await sees(western.page, "East Wheel", false);
    await ada("PATCH", `/v1/environments/${east}`, { quotas: { apps: 1 } });
    for (let tries = 0; ; tries++) {
      // Request hears of the quota a moment later.
      await add(`Second Wheel ${tries}`);
      const refused = dialog(page).getByRole("alert");
      await refused.or(page.getByRole("heading", { level: 1, name: "Second Wheel" })).first().waitFor();
      if ((await refused.count()) > 0) break;
      assert(tries < 10);
    }
    await dialog(page).getByRole("button", { name: "Back" }).click();

    // What is of one environment is found there, of all that there is in the organization.
    await go(page, "Environments");
    await page.getByRole("link", { name: "People of East" }).click();
    await line(page, nora.name).getByText(/· East$/).waitFor();
    assert.equal(await line(page, "Ada Byron").count(), 0);
    await page.reload();
    await page.getByRole("button", { name: /Environment$/ }).click();
    await page.getByRole("option", { name: "The organization itself" }).click();
    await line(page, "Ada Byron").waitFor();
    assert.equal(await line(page, nora.name).count(), 0);
    await go(page, "Environments");
    await page.getByRole("link", { name: "Apps of East" }).click();
    await line(page, "East Wheel").waitFor();
    assert.equal(await line(page, "Shared Wheel").count(), 0);
    assert.deepEqual([...besides(wrong, 1), ...eastern.wrong, ...western.wrong], []);
  }));

test("somebody of an environment sees that one and changes nothing of the organization", () =>
  browse(async (browser) => {
    const ada = await admin();
    const { id } = (await ada("POST", "/v1/environments", { name: "Island" })).environment;
    await ada("POST", "/v1/environments", { name: "Mainland" });
    const iris = await (await identityProvider("Island directory", id)).joins("Iris Holm", { role: "ROLE_ADMIN" });
    await app({ name: "Ferry", offeredEnvironmentIds: [id] });
    const { page, wrong } = await signedIn(browser, iris.name, "/admin/environments");
    await line(page, "Island").waitFor();
    assert.equal(await line(page, "Mainland").count(), 0);
    assert.equal(await page.getByRole("button", { name: /^(Add an environment|Change)/ }).count(), 0);
    await appPage(page, "Ferry");
    await page.getByText("The organization itself").waitFor();
    assert.equal(await page.getByRole("button", { name: /^(Change|Delete)/ }).count(), 0);
    assert.deepEqual(wrong, []);
  }));
