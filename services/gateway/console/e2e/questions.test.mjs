// B-CAT-01, B-CAT-02: somebody who does not know what to ask for asks those who run an app. They
// see it by themselves, answer, and nothing is requested by it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, base, browse, fits, signedIn } from "./browser.mjs";

test("a question reaches those who run the app, and is answered", () =>
  browse(async (browser) => {
    const mary = await signedIn(browser, "Mary Follett");
    const nav = mary.page.getByRole("navigation", { name: "Pages" });
    await nav.getByRole("link", { name: "Questions", exact: true }).waitFor();

    const alan = await signedIn(browser, "Alan Turing", "/catalog?q=Atlas");
    const page = alan.page;
    await page.getByRole("button", { name: "Ask for help with Atlas Wiki" }).click();
    const dialog = page.getByRole("dialog");
    assert(await dialog.getByRole("button", { name: "Send" }).isDisabled(), "nothing is written yet");
    await dialog.getByLabel("Your question").fill("May I write\n<b>everywhere</b>?");
    await dialog.getByRole("button", { name: "Send" }).click();
    await page.getByRole("heading", { name: "Question about Atlas Wiki" }).waitFor();
    await page.getByText("Waits for an answer").waitFor();
    await page.getByText("<b>everywhere</b>?").waitFor();
    const question = page.url();

    // The number beside the page comes by itself.
    await nav.getByRole("link", { name: "Questions 1 waiting" }).click();
    await mary.page.getByRole("link", { name: "To answer" }).click();
    await mary.page.getByRole("link", { name: /May I write/ }).click();
    await mary.page.getByLabel("Say more").fill("Everywhere but in the minutes.");
    await mary.page.getByRole("button", { name: "Send" }).click();
    await mary.page.getByText("Answered").waitFor();

    // Alan has the page open.
    await page.getByText("Everywhere but in the minutes.").waitFor();
    await page.getByText("Answered").waitFor();
    for (const what of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: what });
      await accessible(page, `a question, ${what}`);
    }
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, "a question");
    await page.getByRole("button", { name: "Close the question" }).click();
    await page.getByText("It is closed. What you say opens it again.").waitFor();

    // It is no request, it stays to be read, and others do not see it.
    await page.goto(base + "/requests");
    await page.getByRole("heading", { name: "My requests" }).waitFor();
    await page.waitForLoadState("networkidle");
    assert.equal(await page.getByRole("link", { name: /Atlas Wiki/ }).count(), 0);
    await page.goto(base + "/questions");
    await page.getByRole("link", { name: /May I write/ }).waitFor();
    assert.deepEqual(alan.wrong, []);
    assert.deepEqual(mary.wrong, []);

    const grace = await signedIn(browser, "Grace Hopper", "/questions?answer=true");
    await grace.page.getByText("Nobody has asked about an app that you run.").waitFor();
    await grace.page.goto(question);
    await grace.page.getByText("there is no such conversation").waitFor();
  }));
