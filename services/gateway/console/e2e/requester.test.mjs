// B-CAT-01 in part (no ask for help), B-CAT-05, B-REQ-01, B-REQ-03, B-REQ-04, B-REQ-05, B-APR-01, B-APR-02 in part: somebody finds out how to ask for
// access, two people approve, it comes, and it is given back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, base, browse, fits, signedIn } from "./browser.mjs";

test("access is asked for, approved by two people, used and given back", () =>
  browse(async (browser) => {
    const alan = await signedIn(browser, "Alan Turing");
    const page = alan.page;
    await page.getByRole("link", { name: "Catalog", exact: true }).click();
    // Who will decide stands there before anything is asked for, and beside the form.
    await page.getByRole("link", { name: "What Tidepool Chat gives, and who decides" }).click();
    const route = page.getByRole("list", { name: "Who decides, in this order" });
    await route.getByText("Manager: Grace Hopper").waitFor();
    assert.deepEqual(await route.getByRole("listitem").allTextContents(), ["Manager: Grace Hopper", "Chat approver: Katherine Johnson"]);
    await accessible(page, "an app of the catalog");
    await fits(page, "an app of the catalog");
    await page.getByRole("link", { name: "Request access" }).click();
    const channel = page.locator("label", { hasText: "Engineers channel" });
    const send = page.getByRole("button", { name: "Send the request" });
    assert(await send.isDisabled(), "nothing is chosen yet");
    await channel.click();
    await page.locator("label", { hasText: "For a week" }).click();
    await page.getByLabel("Why").fill("to keep the peace");
    await page.getByRole("heading", { name: "What follows" }).waitFor();
    await page.getByText("The account is made automatically.").waitFor();
    await route.getByText("Manager: Grace Hopper").waitFor();
    await send.click();
    await page.getByText("Being decided").first().waitFor();
    await page.getByText("to keep the peace").first().waitFor();
    const ticket = page.url();

    // Asked for again it is refused, beside what is asked for.
    await page.goto(base + "/ask?app=" + (await appId(page)));
    await channel.click();
    await page.getByText("Already asked for").waitFor();

    for (const [name, comment] of [
      ["Grace Hopper", "needed this week"],
      ["Katherine Johnson", ""],
    ]) {
      const reviewer = await signedIn(browser, name, "/tasks");
      await reviewer.page.getByText("“to keep the peace”").waitFor();
      if (name === "Grace Hopper") {
        // A comment changes nothing, and everybody on it sees it.
        await reviewer.page.getByRole("link", { name: /Engineers channel/ }).click();
        await reviewer.page.getByLabel("Add a comment").fill("since when?");
        await reviewer.page.getByRole("button", { name: "Send" }).click();
        await reviewer.page.getByText("since when?").first().waitFor();
        await reviewer.page.getByText("Being decided").first().waitFor();
      }
      await reviewer.page.getByRole("button", { name: "Approve", exact: true }).click();
      await reviewer.page.getByLabel("Comment (may be empty)").fill(comment);
      await reviewer.page.getByRole("dialog").getByRole("button", { name: "Approve", exact: true }).click();
      await reviewer.page.getByRole("dialog").waitFor({ state: "hidden" });
      assert.deepEqual(reviewer.wrong, []);
      await reviewer.page.context().close();
    }

    // The ticket has changed by itself meanwhile.
    await page.goto(ticket);
    await page.getByText("Done", { exact: true }).first().waitFor();
    await page.getByText("needed this week").waitFor();
    await page.getByText("since when?").first().waitFor();
    await page.goto(base + "/requests?closed=true");
    await page.getByRole("link", { name: /Tidepool Chat · Engineers channel/ }).waitFor();

    await page.getByRole("link", { name: "My access" }).click();
    await page.getByText("ends in 6 days").first().waitFor();
    await page.getByRole("button", { name: "Give back Tidepool Chat Engineers channel" }).click();
    await page.getByLabel("Why (may be empty)").fill("peace is kept");
    await page.getByRole("dialog").getByRole("button", { name: "Give back" }).click();
    await page.getByText("Engineers channel is being given back.").waitFor();
    assert.deepEqual(alan.wrong, []);
  }));

/** The id of the chat, which the address of its request form has. */
async function appId(page) {
  await page.goto(base + "/catalog?q=Tidepool");
  await page.getByRole("link", { name: "Request access to Tidepool Chat" }).click();
  return new URL(page.url()).searchParams.get("app");
}
