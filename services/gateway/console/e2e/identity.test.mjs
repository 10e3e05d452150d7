// B-USR-17, B-USR-20 in part (nobody here signed up), B-USR-19 in part (the session): an admin adds an
// identity provider, people sign in by it, and one loses the identity there; people whom no source owns
// are given to one; and what holds for the whole organization is changed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, base, browse, fits, open, signedIn } from "./browser.mjs";
import { actor, admin, identityProvider, openIDProvider, until } from "./outside.mjs";

let directory, it, provider;

before(async () => {
  directory = await identityProvider("Story directory");
  it = await directory.joins("Ivo Tannen", { role: "ROLE_IT_ADMIN" });
  provider = await openIDProvider();
});
after(() => provider?.close());

const go = (page, name) => page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name, exact: true }).click();
const dialog = (page) => page.getByRole("dialog");

/** Chooses in a box of a form. */
async function choose(page, box, option) {
  await page.getByRole("button", { name: box }).click();
  await page.getByRole("option", { name: option, exact: true }).click();
}

/** The page of somebody, found by searching. */
async function pageOf(page, person) {
  await go(page, "People");
  await page.getByRole("searchbox", { name: "Search people" }).fill(person.userName);
  await page.getByRole("link", { name: person.name }).click();
  await page.getByRole("heading", { level: 1, name: person.name }).waitFor();
}

/** What was refused is said on the console of the browser: how often, and nothing else. */
const refusals = (wrong, count) => {
  assert.equal(wrong.filter((text) => /status of 400/.test(text)).length, count, wrong.join("\n"));
  return wrong.filter((text) => !/status of 400/.test(text));
};

test("an identity provider is added and checked, and people sign in by it until their identity is removed", () =>
  browse(async (browser) => {
    const jo = await directory.joins("Jo Ahlgren");
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin");
    await go(page, "Identity providers");
    await page.getByText("There is no identity provider.").waitFor();
    await page.getByRole("button", { name: "Add an identity provider" }).click();
    await dialog(page).getByLabel("Name", { exact: true }).fill("Corp sign-in");
    await dialog(page).getByLabel("Issuer").fill("http://corp.example");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).locator(".field").filter({ hasText: "Issuer" }).locator(".error").getByText("https").waitFor();
    await dialog(page).getByLabel("Issuer").fill(provider.issuer);
    await choose(page, /Whose people sign in$/, "Story directory");
    await dialog(page).getByLabel("Claim that names them").fill("preferred_username");
    await choose(page, /What the claim is compared with$/, "user name");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    const card = page.getByRole("region", { name: "Corp sign-in" });
    await card.getByText("Disabled", { exact: true }).waitFor();
    await card.getByText("“preferred_username” is their user name").waitFor();
    await card.getByRole("button", { name: "Check Corp sign-in" }).click();
    await card.getByText("There is no client id yet.").waitFor();

    // The secret is typed once.
    await card.getByRole("button", { name: "Change Corp sign-in" }).click();
    await dialog(page).getByLabel("Client id").fill(provider.clientId);
    await dialog(page).getByLabel("Client secret").fill(provider.secret);
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await card.getByText("is there, and is not shown").waitFor();
    await card.getByRole("button", { name: "Change Corp sign-in" }).click();
    assert.equal(await dialog(page).getByLabel("Client secret").inputValue(), "");
    await accessible(page, "the form of an identity provider");
    await dialog(page).getByRole("button", { name: "Back" }).click();
    assert(!(await page.content()).includes(provider.secret), "the secret is shown");
    await card.getByRole("button", { name: "Check Corp sign-in" }).click();
    await card.getByText("The check found nothing wrong").waitFor();
    await card.getByText("Addresses to enter at the provider").click();
    const start = await card.locator("code").last().textContent();
    await accessible(page, "an identity provider");
    await fits(page, "an identity provider");
    assert.deepEqual(refusals(wrong, 1), []);

    // It is tried before anybody meets it.
    provider.claims = { sub: "of-jo", preferred_username: jo.userName };
    await card.getByRole("button", { name: "Try to sign in at Corp sign-in" }).click();
    await page.getByText("What the identity provider says").first().waitFor();
    await page.getByText("of-jo").waitFor();
    await page.goto(base + "/admin/identity-providers");
    await card.getByRole("button", { name: "Enable Corp sign-in" }).click();
    await dialog(page).getByRole("button", { name: "Enable" }).click();
    await card.getByText("Enabled", { exact: true }).waitFor();

    const away = await open(browser);
    await away.page.goto(start);
    await away.page.getByRole("heading", { name: "Hello, Jo" }).waitFor();
    await pageOf(page, jo);
    const identities = page.getByRole("region", { name: "How they sign in" });
    await identities.getByText("there: of-jo").waitFor();
    await identities.getByText("last signed in now").waitFor();
    await identities.getByRole("button", { name: "Remove the identity at Corp sign-in" }).click();
    await dialog(page).getByText("The sessions begun with it end at once.").waitFor();
    await accessible(page, "a person with an identity");
    await dialog(page).getByRole("button", { name: "Remove" }).click();
    await identities.getByText("No identity at an identity provider is linked.").waitFor();
    await away.page.getByRole("heading", { name: "Sign in to Gatehouse" }).waitFor();

    await go(page, "Identity providers");
    await card.getByRole("button", { name: "Disable Corp sign-in" }).click();
    await dialog(page).getByText("Nobody signs in there any more").waitFor();
    await dialog(page).getByRole("button", { name: "Disable" }).click();
    await card.getByText("Disabled", { exact: true }).waitFor();
    await card.getByRole("button", { name: "Delete Corp sign-in" }).click();
    await dialog(page).getByRole("button", { name: "Delete" }).click();
    await page.getByText("There is no identity provider.").waitFor();

    const looks = await signedIn(browser, it.name, "/admin/identity-providers");
    await looks.page.getByText("There is no identity provider.").waitFor();
    assert.equal(await looks.page.getByRole("button", { name: "Add an identity provider" }).count(), 0);
  }));

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

test("the organization is changed and, by keyboard, changed back", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin");
    await go(page, "Organization");
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(page).getByLabel("Sign-in name").fill("a b");
    await dialog(page).getByText("another organization may take that name").waitFor();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).locator(".field").filter({ hasText: "Sign-in name" }).locator(".error").getByText("single hyphens").waitFor();
    await dialog(page).getByLabel("Sign-in name").fill("demo-of-old");
    await dialog(page).getByLabel("Name", { exact: true }).fill("Demo of old");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("/sign-in?organization=demo-of-old").waitFor();
    // To the notices, into the first, and to its button.
    for (const key of ["F6", "Tab", "Tab"]) await page.keyboard.press(key);
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Undo: Demo (demo) again");
    await page.keyboard.press("Enter");
    await page.getByText("It is as it was before.").waitFor();
    await page.getByRole("definition").getByText("Demo", { exact: true }).waitFor();

    // What removes people is said before, and nothing takes it back.
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await dialog(page).getByLabel("Days until suspended people are removed").fill("3650");
    await dialog(page).getByText("is removed at once").waitFor();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await page.getByText("are removed after 3,650 days").waitFor();
    await page.getByText("It is saved.").waitFor();
    assert.equal(await page.getByRole("button", { name: /^Undo/ }).count(), 0);
    assert.equal((await (await actor(it.userName))("GET", "/v1/organization")).organization.removeSuspendedAfter, "315360000s");

    const looks = await signedIn(browser, it.name, "/admin/organization");
    await looks.page.getByText("are removed after 3,650 days").waitFor();
    assert.equal(await looks.page.getByRole("button", { name: "Change", exact: true }).count(), 0);
    assert.deepEqual([...refusals(wrong, 1), ...looks.wrong], []);
  }));
