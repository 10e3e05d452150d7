// A real browser, and what every story wants of it.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

/** Where Gatehouse is, with the development sign-in. */
export const base = process.env.GATEHOUSE ?? "http://localhost:8080";
const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Runs what is given in a browser, and ends it. If it fails, it is said what each page showed then. */
export async function browse(run) {
  const executablePath = places.find((place) => place && existsSync(place));
  assert(executablePath, "there is no Chromium: say where it is in CHROMIUM");
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    await run(browser);
  } catch (e) {
    for (const page of browser.contexts().flatMap((c) => c.pages())) {
      console.error(`${page.url()} shows\n${await page.locator("body").ariaSnapshot().catch(() => "nothing")}`);
    }
    throw e;
  } finally {
    await browser.close();
  }
}

/** A page of somebody's own browser. What it says on its console, and each call of another place, is kept. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(base + "/") && !request.url().startsWith("data:") && !request.url().startsWith("blob:")) wrong.push(`calls ${request.url()}`);
  });
  return { page, wrong };
}

/** Somebody who has signed in by the page, and looks at a path. */
export async function signedIn(browser, name, path = "/", options = {}) {
  const { page, wrong } = await open(browser, options);
  await page.goto(base + path);
  await page.getByRole("button", { name: `Sign in as ${name}` }).click();
  await page.getByRole("button", { name, exact: true }).waitFor();
  return { page, wrong };
}

/**
 * Fails for what WCAG 2.2 AA has to say about a page as it is shown. What was announced is left out: it
 * stays for some seconds in a hidden region, naming a button that may have gone.
 */
export async function accessible(page, what) {
  const { violations } = await new AxeBuilder({ page }).exclude("[data-live-announcer]").withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  assert.deepEqual(
    violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`),
    [],
    what,
  );
}

/** Fails if a page is wider than the window. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert(wide <= 0, `${what}: ${wide} px wider than the window`);
}
