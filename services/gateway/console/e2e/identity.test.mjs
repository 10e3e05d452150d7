// B-USR-17: people whom no source owns are given to one.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, browse, signedIn } from "./browser.mjs";
import { admin, identityProvider, until } from "./outside.mjs";

let directory;

before(async () => {
  directory = await identityProvider("Story directory");
});

const dialog = (page) => page.getByRole("dialog");

/** What was refused is said on the console of the browser: how often, and nothing else. */
const refusals = (wrong, count) => {
  assert.equal(wrong.filter((text) => /status of 400/.test(text)).length, count, wrong.join("\n"));
  return wrong.filter((text) => !/status of 400/.test(text));
};

test("people whom no source owns are given to one, and who does not fit is said beside them", () =>
  browse(async (browser) => {
    const before = await identityProvider("Story of before");
    const una = await before.joins("Una Moss");
    const vic = await before.joins("Vic Arden");
    const ada = await admin();
    const sources = async () => (await ada("GET", "/v1/sources?pageSize=1000")).sources;
    const source = (await sources()).find((s) => s.name === "Story of before");
    await ada("DELETE", `/v1/sources/${source.id}?users=SOURCE_USERS_KEEP`);
    const owner = async (person) => (await ada("GET", `/v1/users/${person.id}`)).user.sourceId;
    await until("they have no source", async () => !(await owner(una)) && !(await owner(vic)));

    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/sources");
    const card = page.getByRole("region", { name: "Story directory" });
    await card.getByRole("button", { name: "Have Story directory take people over" }).click();
    await dialog(page).locator("label", { hasText: "Everybody without a source" }).click();
    await dialog(page).getByText("It would be 3 people:").waitFor();
    await dialog(page).getByText("Una Moss · una.moss@story.example").waitFor();
    await accessible(page, "who would be given");
    await dialog(page).locator("label", { hasText: "People whom you choose" }).click();
    for (const { name } of [una, vic]) {
      await dialog(page).getByRole("combobox", { name: "People without a source" }).fill(name);
      await page.getByRole("option", { name }).click();
    }
    await dialog(page).getByLabel("What the source calls Una Moss").fill("hr-17");
    // Somebody else is faster with one of them.
    const other = (await sources()).find((s) => s.name === "People register");
    await ada("POST", `/v1/sources/${other.id}:handOverUsers`, { users: [{ userId: vic.id }] });
    await dialog(page).getByRole("button", { name: "Give them" }).click();
    await dialog(page).locator(".field").filter({ hasText: "What the source calls Vic Arden" }).locator(".error").getByText("a source owns the user").waitFor();
    await dialog(page).getByRole("button", { name: "Remove Vic Arden" }).click();
    await dialog(page).getByRole("button", { name: "Give them" }).click();
    await card.getByText("1 person belongs to Story directory now:").waitFor();
    await accessible(page, "who was given");
    await card.getByRole("link", { name: "Una Moss" }).click();
    await page.getByRole("definition").getByText("Story directory").waitFor();
    await page.getByRole("definition").getByText("hr-17").waitFor();
    assert.deepEqual(refusals(wrong, 1), []);
  }));
