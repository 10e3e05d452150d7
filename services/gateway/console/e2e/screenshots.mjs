// Pictures of the main pages, light and dark, 1280 and 360 px wide, into the folder that is named.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { base, browse, open, signedIn } from "./browser.mjs";

const into = process.argv[2];
if (!into) throw new Error("say where the pictures go");
await mkdir(into, { recursive: true });

const pages = {
  home: ["Alan Turing", "/"],
  catalog: ["Alan Turing", "/catalog"],
  app: ["Alan Turing", async (page) => page.getByRole("link", { name: "What Atlas Wiki gives, and who decides" }).click(), "/catalog?q=Atlas"],
  ask: ["Alan Turing", async (page) => page.locator("a", { hasText: "Request access" }).last().click()],
  access: ["Alan Turing", "/access"],
  request: ["Alan Turing", async (page) => page.locator("ul.list a").first().click(), "/requests"],
  tasks: ["Grace Hopper", "/tasks"],
  checklists: ["Ada Byron", "/admin/checklists"],
  people: ["Ada Byron", "/admin/people"],
  apps: ["Ada Byron", "/admin/apps"],
  flows: ["Ada Byron", "/admin/flows"],
  audit: ["Ada Byron", "/admin/audit"],
};

await browse(async (browser) => {
  // Something for somebody to decide.
  const { page } = await signedIn(browser, "Alan Turing", "/requests");
  await page.waitForLoadState("networkidle");
  if ((await page.getByText("Engineers channel").count()) === 0) {
    await page.goto(base + "/catalog?q=Tidepool");
    await page.getByRole("link", { name: "Request access to Tidepool Chat" }).click();
    await page.locator("label", { hasText: "Engineers channel" }).click();
    await page.locator("label", { hasText: "For a week" }).click();
    await page.getByLabel("Why").fill("to keep the peace");
    await page.getByRole("button", { name: "Send the request" }).click();
    await page.getByText("Being decided").first().waitFor();
  }
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const options = { colorScheme, viewport: { width, height: width === 360 ? 740 : 800 }, reducedMotion: "reduce" };
      const nobody = await open(browser, options);
      await nobody.page.goto(base);
      await shoot(nobody.page, "welcome", colorScheme, width);
      const people = {};
      for (const [name, [who, where, from]] of Object.entries(pages)) {
        const path = typeof where === "string" ? where : (from ?? "/catalog");
        people[who] ??= (await signedIn(browser, who, path, options)).page;
        const page = people[who];
        await page.goto(base + path);
        await page.waitForLoadState("networkidle");
        if (typeof where !== "string") await where(page);
        await shoot(page, name, colorScheme, width);
      }
      for (const page of Object.values(people)) await page.context().close();
      await nobody.page.context().close();
    }
  }
});

async function shoot(page, name, colorScheme, width) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForLoadState("networkidle");
  await page.waitForFunction(() => document.querySelector(".skeleton") === null);
  await page.screenshot({ path: join(into, `${name}-${colorScheme}-${width}.png`) });
}
