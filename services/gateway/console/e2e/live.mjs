// B-RUN-02 and B-USR-19, as an open page sees them: what it shows changes by itself, also
// after all was killed and started again, and it ends with the session. The Go test that runs
// this makes the changes; a line on either side says when.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { browse, signedIn } from "./browser.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (line) => console.log(line);

await browse(async (browser) => {
  // Nothing is asked for again because of the time: only because it is told.
  const { page } = await signedIn(browser, "Alan Turing", "/requests");
  await page.addInitScript(() => {
    window.setInterval = () => 0;
  });
  const told = page.waitForResponse((r) => new URL(r.url()).pathname === "/live" && r.ok());
  await page.reload();
  await told;
  await page.getByRole("heading", { name: "My requests" }).waitFor();
  await page.evaluate(() => {
    window.sameDocument = true;
  });
  say("open");
  for (let turn = await lines.next(); !turn.done && turn.value !== "end"; turn = await lines.next()) {
    await page.getByRole("link", { name: turn.value }).waitFor({ timeout: 60_000 });
    say("seen");
  }
  assert(await page.evaluate(() => window.sameDocument), "the page was not loaded again");
  say("ending");
  await page.getByRole("button", { name: "Sign in as Alan Turing" }).waitFor({ timeout: 60_000 });
  say("out");
});
