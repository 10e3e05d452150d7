// Every page in both themes, wide and narrow: what WCAG 2.2 AA says of it by axe, that it fits, that
// nothing is loaded from elsewhere and nothing is wrong on its console.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, base, browse, fits, open, signedIn } from "./browser.mjs";

const portal = ["/", "/catalog", "/ask", "/requests", "/requests?closed=true", "/tasks", "/tasks/work", "/tasks/open", "/team", "/questions", "/questions?answer=true", "/delegations", "/access", "/components", "/nothing-here"];
const admin = ["", "/requests", "/checklists", "/work-items", "/people", "/assign", "/groups", "/apps", "/integrations", "/flows", "/flows/new", "/environments", "/sources", "/identity-providers", "/organization", "/working-time", "/tokens", "/audit", "/parked-events"].map((page) => "/admin" + page);

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 360]) {
    test(`${colorScheme}, ${width} px`, () =>
      browse(async (browser) => {
        const options = { colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" };
        const nobody = await open(browser, options);
        await nobody.page.goto(base + "/tasks");
        await nobody.page.getByRole("button", { name: "Sign in as Ada Byron" }).waitFor();
        await look(nobody.page, "/welcome");
        assert.deepEqual(nobody.wrong, []);
        const { page, wrong } = await signedIn(browser, "Ada Byron", "/", options);
        for (const path of [...portal, ...admin]) {
          await page.goto(base + path);
          await look(page, path);
        }
        assert.deepEqual(wrong, []);
      }));
  }
}

async function look(page, path) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForLoadState("networkidle");
  await accessible(page, path);
  await fits(page, path);
}

// B-USR-06
test("a member is told plainly that the administration is not for them", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Alan Turing", "/admin");
    await page.getByRole("heading", { name: "This place is for admins" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Administration" }).count(), 0);
    await page.getByRole("link", { name: "To your portal" }).click();
    await page.getByRole("heading", { name: "Hello, Alan" }).waitFor();
    assert.deepEqual(wrong, []);
  }));

test("where one is stands in view in the menu of the administration", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/parked-events", { viewport: { width: 360, height: 800 } });
    const menu = page.getByRole("navigation", { name: "Administration" });
    const inView = async (name) => {
      await page.getByRole("heading", { level: 1, name }).waitFor();
      const [all, one] = [await menu.boundingBox(), await menu.getByRole("link", { name, exact: true }).boundingBox()];
      assert(one.x >= all.x && one.x + one.width <= all.x + all.width + 1, `${name} at ${one.x}`);
    };
    await inView("Parked events");
    await menu.getByRole("link", { name: "Environments", exact: true }).click();
    await inView("Environments");
    assert.deepEqual(wrong, []);
  }));

test("the session is not in script's reach, and signing out ends it", () =>
  browse(async (browser) => {
    const { page } = await signedIn(browser, "Hedy Lamarr");
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.getByRole("button", { name: "Hedy Lamarr" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Gatehouse" }).waitFor();
    await page.goto(base + "/access");
    await page.getByRole("heading", { name: "Sign in to Gatehouse" }).waitFor();
    // And the place that was wanted is where signing in leads.
    await page.getByRole("button", { name: "Sign in as Hedy Lamarr" }).click();
    await page.getByRole("heading", { name: "My access" }).waitFor();
  }));

test("by keyboard alone, in another language", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Tim Lee", "/", { locale: "de-DE" }).catch(async () => {
      const nobody = await open(browser, { locale: "de-DE" });
      await nobody.page.goto(base);
      await nobody.page.getByRole("button", { name: "Anmelden als Tim Lee" }).press("Enter");
      await nobody.page.getByRole("heading", { name: "Guten Tag, Tim" }).waitFor();
      return nobody;
    });
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Zum Inhalt");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Zugang beantragen" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    assert.deepEqual(wrong, []);
  }));

test("everything is found by its name, by keyboard", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Hedy Lamarr");
    await page.keyboard.press("Control+k");
    await page.getByRole("searchbox", { name: "Find" }).waitFor();
    await accessible(page, "palette");
    await page.keyboard.type("payroll");
    await page.getByRole("menuitem", { name: "Ledger Payroll", exact: true }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Ledger Payroll" }).waitFor();
    assert.deepEqual(wrong, []);
  }));

test("a word of any length fits", () =>
  browse(async (browser) => {
    const { page } = await signedIn(browser, "Ada Byron", "/", { viewport: { width: 360, height: 800 } });
    const call = (method, path, body) =>
      page.evaluate(async ([method, path, body]) => (await fetch(path, { method, body: body && JSON.stringify(body) })).json(), [method, path, body]);
    const { app } = await call("POST", "/v1/apps", { name: "W".repeat(190), description: "Ä".repeat(1900) });
    for (const path of ["/catalog?q=WWWW", `/admin/apps/${app.id}`, `/ask?app=${app.id}`]) {
      await page.goto(base + path);
      await page.getByText(app.name).first().waitFor();
      await fits(page, path);
    }
    await call("DELETE", `/v1/apps/${app.id}`);
  }));

test("what is loaded first is under 250 kB, for somebody new and for somebody who is signed in", async (t) =>
  browse(async (browser) => {
    const ada = await signedIn(browser, "Ada Byron");
    const { cookies } = await ada.page.context().storageState();
    for (const locale of ["en-GB", "de-DE"]) {
      for (const [who, options] of [
        ["somebody new", { locale }],
        ["somebody who is signed in", { locale, storageState: { cookies, origins: [] } }],
      ]) {
        const { page } = await open(browser, options);
        const network = await page.context().newCDPSession(page);
        await network.send("Network.enable");
        let bytes = 0;
        network.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
        await page.goto(base);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.waitForLoadState("networkidle");
        t.diagnostic(`${Math.round(bytes / 1000)} kB for ${who}, ${locale}`);
        assert(bytes > 50_000 && bytes < 250_000, `${bytes} bytes`);
        await page.context().close();
      }
    }
  }));

test("what opens is loaded when somebody comes near, and says so if it does not come", async () =>
  browse(async (browser) => {
    const { page } = await signedIn(browser, "Hedy Lamarr");
    const opener = page.getByRole("button", { name: "Find" });
    await page.route("**/assets/FoundDialog.js", (route) => route.abort());
    await opener.click();
    await page.getByRole("alert").getByText("Gatehouse does not answer").waitFor();
    await page.unroute("**/assets/FoundDialog.js");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("searchbox", { name: "Find" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    const loaded = page.waitForResponse((response) => response.url().endsWith("/assets/AccountPopover.js"));
    await page.getByRole("button", { name: "Hedy Lamarr" }).focus();
    await loaded;
    await page.keyboard.press("ArrowDown");
    await page.getByRole("menuitemradio", { name: /As the system/ }).waitFor();
    await page.keyboard.press("Escape");
    // The focus comes back, once what had it is gone.
    await page.waitForFunction(() => document.activeElement?.textContent?.trim() === "Hedy Lamarr");
  }));

for (const width of [1280, 360]) {
  test(`a list of 100,000 rows, ${width} px`, () =>
    browse(async (browser) => {
      const { page, wrong } = await signedIn(browser, "Hedy Lamarr", "/components", { viewport: { width, height: 800 } });
      const list = page.getByRole("list", { name: "Many rows" });
      await list.scrollIntoViewIfNeeded();
      for (const where of [0, 0.3, 1, 0.7]) {
        await page.evaluate((part) => scrollTo(0, part * document.documentElement.scrollHeight), where);
        // They are laid out one after the other, each as high as it is, and they fill the window.
        const rows = await page.waitForFunction(
          () => {
            const rows = [...document.querySelectorAll("[data-rows] > li")].map((row) => ({ index: Number(row.dataset.index), ...row.getBoundingClientRect().toJSON() }));
            const apart = rows.some((row, i) => i > 0 && rows[i - 1].index === row.index - 1 && Math.abs(rows[i - 1].bottom - row.top) > 1);
            const whole = document.querySelector("[data-rows]").getBoundingClientRect();
            const seen = rows.filter((row) => row.bottom > 0 && row.top < innerHeight);
            const full = whole.top > innerHeight || (seen.length > 0 && seen[0].top <= Math.max(0, whole.top + 2) && seen.at(-1).bottom >= Math.min(innerHeight, whole.bottom - 2));
            return !apart && full && rows.length;
          },
          undefined,
          { polling: 50 },
        );
        assert((await rows.jsonValue()) < 60);
      }
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      await page.getByRole("link", { name: "Row 100000", exact: true }).waitFor();
      await fits(page, "the list");
      assert.deepEqual(wrong, []);
    }));
}

test("going back to a list leads to where one was", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/audit");
    const rows = page.locator("[data-rows] > li");
    const last = async () => Math.max(...(await rows.evaluateAll((all) => all.map((row) => Number(row.dataset.index)))));
    await rows.first().waitFor();
    // What is further down comes by itself.
    for (let tries = 0; tries < 50 && (await last()) < 70; tries++) {
      await page.mouse.move(640, 400);
      await page.mouse.wheel(0, 500);
      await page.waitForTimeout(100);
    }
    const top = () => page.evaluate(() => document.elementsFromPoint(640, 400).find((e) => e.dataset.index)?.dataset.index);
    const before = await top();
    assert(Number(before) > 50, `${before} rows from the top`);
    await page.locator(`[data-rows] > li[data-index="${before}"]`).getByRole("link").first().click();
    await page.waitForURL((url) => url.pathname !== "/admin/audit" || url.search !== "");
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.goBack();
    await page.waitForFunction((index) => document.elementsFromPoint(640, 400).some((e) => e.dataset.index === index), before);
    assert.deepEqual(wrong, []);
  }));
