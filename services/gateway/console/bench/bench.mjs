// Opens the main pages of the console in a large organization, in a browser on a slow machine with
// nothing in its cache, and prints what people wait for. Nothing is asserted: times are the machine's.
//
//   node bench/bench.mjs PROGRAM
//
// PROGRAM is the standalone program. FCP and LCP are the first and the largest contentful paint; the
// floor is a text file that the same gateway serves. "event" is the longest time from an input until
// the frame that shows what it did, "frame" the longest frame meanwhile. Settings: APPS (5000), REQUESTS (10000), SLOWDOWN (4), RUNS (3).
import assert from "node:assert/strict";
import { availableParallelism, cpus } from "node:os";
import { browse } from "../e2e/browser.mjs";
import { fill, start } from "./world.mjs";

const number = (name, preset) => Number(process.env[name] ?? preset);
const apps = number("APPS", 5_000);
const requests = number("REQUESTS", 10_000);
const slowdown = number("SLOWDOWN", 4);
const runs = number("RUNS", 3);

const program = process.argv[2];
assert(program, "say which program to start");
console.log(`making ${apps} apps and ${requests} requests…`);
const { base, end } = await start(program);
try {
  const began = Date.now();
  const world = await fill(base, { apps, requests });
  console.log(`made in ${Math.round((Date.now() - began) / 1000)} s\n`);
  await browse(async (browser) => {
    console.log(`${availableParallelism()} cores (${cpus()[0]?.model}), Chromium ${browser.version()}, CPU ${slowdown} times slower, empty cache, median of ${runs}; what is done on a page is done once, and nodes and heap are those after it\n`);
    const floor = await measure(browser, { name: "a text file", path: "/licenses.md", who: world.admin, first: undefined });
    print([["page", "kB", "requests", "FCP ms", "× floor", "first row ms", "LCP ms", "nodes", "heap MB", "interaction", "event ms", "frame ms", "done ms"]]);
    print([row(floor, floor)]);
    for (const page of pages(world)) print([row(await measure(browser, page), floor)]);
  });
} finally {
  await end();
}

/** What is opened, by whom, what shows that it is there, and what is done on it. */
function pages(world) {
  const lines = "[data-rows] li, [data-rows] [role=listitem]";
  const typing = (label, words) => ["typing", async (page) => page.getByLabel(label, { exact: true }).pressSequentially(words, { delay: 80 }), lines];
  return [
    { name: "home", path: "/", who: world.asker, first: "main ul.list > li", act: ["find", find] },
    { name: "catalog", path: "/catalog", who: world.asker, first: lines, act: typing("Search the catalog", "app 001") },
    { name: "my requests", path: "/requests", who: world.asker, first: lines, act: [`scroll ${world.own} rows`, scroll(world.own)] },
    { name: "my tasks", path: "/tasks", who: world.reviewer, first: lines, act: ["open a dialog", dialog("Approve")] },
    { name: "a ticket", path: `/requests/${world.request}`, who: world.reviewer, first: "main .timeline > li, main ul.list > li", act: ["open a dialog", dialog("Approve")] },
    { name: "all requests", path: "/admin/requests", who: world.admin, first: lines, act: [`scroll ${requests} rows`, scroll(requests)] },
    { name: "all apps", path: "/admin/apps", who: world.admin, first: lines, act: ["open a form", dialog("Add an app")] },
    { name: "100,000 rows", path: "/components", who: world.admin, first: lines, act: ["20 jumps", jump] },
  ];
}

async function find(page) {
  await page.keyboard.press("Control+k");
  await page.getByRole("searchbox", { name: "Find" }).pressSequentially("app 001", { delay: 80 });
  await page.getByRole("menuitem", { name: /App 001/ }).first().waitFor();
}

function dialog(name) {
  return async (page) => {
    await page.getByRole("button", { name }).first().click();
    await page.getByRole("dialog").waitFor();
  };
}

/** Turns the wheel until some rows have gone by, as fast as the list goes on. */
function scroll(rows) {
  return async (page) => {
    const last = () => page.evaluate(() => Math.max(0, ...[...document.querySelectorAll("[data-rows] > li")].map((row) => row.ariaPosInSet)));
    await page.mouse.move(640, 450);
    const until = Date.now() + 120_000;
    while ((await last()) < rows - 50 && Date.now() < until) {
      await page.mouse.wheel(0, 1_500);
      await page.waitForTimeout(16);
    }
  };
}

async function jump(page) {
  for (let i = 1; i <= 20; i++) {
    await page.evaluate((part) => scrollTo(0, part * document.documentElement.scrollHeight), i / 20);
    await page.waitForTimeout(50);
  }
}

/** Opens a page some times, each in a browser that knows nothing, and takes the middle of each figure; at the last time something is done on it. */
async function measure(browser, { name, act, ...what }) {
  const all = [];
  for (let i = 1; i <= runs; i++) all.push(await once(browser, { ...what, act: i === runs ? act : undefined }));
  const middle = (figure) => all.map((one) => one[figure]).sort((a, b) => a - b)[Math.floor(runs / 2)];
  const last = all.at(-1);
  const loaded = Object.fromEntries(["bytes", "answers", "fcp", "row", "lcp"].map((figure) => [figure, middle(figure)]));
  return { name, act: act?.[0], ...last, ...loaded };
}

async function once(browser, { path, who, first, act }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  try {
    await context.request.post(base + "/sign-in", { form: { user_name: who, return_to: "/reference" }, headers: { Origin: base } });
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    await devtools.send("Performance.enable");
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
    let bytes = 0;
    let answers = 0;
    devtools.on("Network.loadingFinished", (e) => {
      bytes += e.encodedDataLength;
      answers++;
    });
    await page.addInitScript(watch, first);
    await page.goto(base + path);
    if (first) await page.waitForFunction(() => window.bench.row > 0);
    await page.waitForLoadState("networkidle");
    const loaded = { bytes, answers };
    const seen = await page.evaluate(() => ({ fcp: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, lcp: window.bench.lcp, row: window.bench.row }));
    const acted = act ? await interact(page, act) : { event: 0, frame: 0, done: 0 };
    await devtools.send("HeapProfiler.collectGarbage");
    const { metrics } = await devtools.send("Performance.getMetrics");
    const metric = (name) => metrics.find((m) => m.name === name)?.value ?? 0;
    return { ...loaded, ...seen, ...acted, nodes: await page.evaluate(() => document.querySelectorAll("*").length), heap: metric("JSHeapUsedSize") };
  } finally {
    await context.close();
  }
}

/** Does something, and says how long the longest event took until what it changed was shown, and the longest frame. */
async function interact(page, [, act]) {
  await page.evaluate(() => window.bench.begin());
  const began = Date.now();
  await act(page);
  const done = Date.now() - began;
  await page.waitForTimeout(500);
  return { done, ...(await page.evaluate(() => ({ event: window.bench.event, frame: window.bench.frame }))) };
}

/** Runs in the page, before all of it. */
function watch(first) {
  const bench = (window.bench = { row: 0, lcp: 0, event: 0, frame: 0 });
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (bench.lcp = e.startTime))).observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (bench.event = Math.max(bench.event, e.duration)))).observe({ type: "event", durationThreshold: 16 });
  if (first) {
    const look = () => {
      if (bench.row === 0 && document.querySelector(first)) bench.row = performance.now();
      else if (bench.row === 0) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }
  bench.begin = () => {
    bench.event = bench.frame = 0;
    let last = performance.now();
    const frame = (now) => {
      bench.frame = Math.max(bench.frame, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame((now) => {
      last = now;
      requestAnimationFrame(frame);
    });
  };
}

function row(one, floor) {
  const ms = (value) => (value ? String(Math.round(value)) : "");
  return [
    one.name,
    String(Math.round(one.bytes / 1000)),
    String(one.answers),
    ms(one.fcp),
    (one.fcp / floor.fcp).toFixed(1),
    ms(one.row),
    ms(one.lcp),
    String(one.nodes),
    (one.heap / 1e6).toFixed(1),
    one.act ?? "",
    ms(one.event),
    ms(one.frame),
    ms(one.done),
  ];
}

function print(rows) {
  const widths = [12, 5, 8, 6, 7, 12, 6, 6, 7, 18, 8, 8, 8];
  for (const row of rows) console.log(row.map((cell, i) => (i === 0 || i === 9 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" "));
}
