// B-USR-12 in part (environments): an admin makes environments and says what they may have; somebody
// of one sees no other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, browse, signedIn } from "./browser.mjs";
import { admin, identityProvider } from "./outside.mjs";

const go = (page, name) => page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name, exact: true }).click();
const dialog = (page) => page.getByRole("dialog");
const line = (page, text) => page.getByRole("main").getByRole("listitem").filter({ hasText: text });

/** What a browser says on its console besides answers that refuse, as many as was meant. */
function besides(wrong, meant) {
  const said = wrong.filter((text) => /responded with a status of 4\d\d/.test(text));
  assert(said.length <= meant, said.join("\n"));
  return wrong.filter((text) => !said.includes(text));
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
    await dialog(page).getByText("This must be a whole number.").waitFor();
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

test("somebody of an environment sees that one", () =>
  browse(async (browser) => {
    const ada = await admin();
    const { id } = (await ada("POST", "/v1/environments", { name: "Island" })).environment;
    await ada("POST", "/v1/environments", { name: "Mainland" });
    const iris = await (await identityProvider("Island directory", id)).joins("Iris Holm", { role: "ROLE_ADMIN" });
    const { page, wrong } = await signedIn(browser, iris.name, "/admin/environments");
    await line(page, "Island").waitFor();
    assert.equal(await line(page, "Mainland").count(), 0);
    assert.equal(await page.getByRole("button", { name: /^(Add an environment|Change)/ }).count(), 0);
    assert.deepEqual(wrong, []);
  }));
