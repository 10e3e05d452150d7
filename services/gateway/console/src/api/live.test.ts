import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { Live, collectionOf } from "./live";

class Source extends EventTarget {
  readyState = 0;
  close = vi.fn();
  says(type: string, data = "{}") {
    this.dispatchEvent(new MessageEvent(type, { data }));
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", { CLOSED: 2 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A page that shows requests and people, and how often each was asked for. */
async function page() {
  const queries = new QueryClient();
  const asked = { requests: 0, users: 0, me: 0 };
  for (const [name, path] of [["requests", "/v1/requests/{id}/comments"], ["users", "/v1/users"], ["me", "/v1/me"]] as const) {
    new QueryObserver(queries, { queryKey: ["get", path], queryFn: () => ++asked[name] }).subscribe(() => undefined);
  }
  const sources: Source[] = [];
  const live = new Live(queries, () => {
    sources.push(new Source());
    return sources.at(-1) as unknown as EventSource;
  });
  live.start();
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toEqual({ requests: 1, users: 1, me: 1 });
  const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return { asked, sources, live, wait };
}

test("the collection of a call is the first name of its path", () => {
  expect(collectionOf({ queryKey: ["get", "/v1/requests/{id}/timeline", {}] })).toBe("requests");
  expect(collectionOf({ queryKey: ["get", "/v1/checklists:export"] })).toBe("checklists");
  expect(collectionOf({ queryKey: ["something"] })).toBeUndefined();
});

test("what has changed is asked for again, and nothing else", async () => {
  const { asked, sources, wait } = await page();
  sources[0]!.says("changed", '{"collections":["requests","tasks"]}');
  await wait(1);
  expect(asked).toEqual({ requests: 2, users: 1, me: 1 });
});

// B-APR-16
test("what helps to decide is asked for again when what people have changes", async () => {
  const queries = new QueryClient();
  const source = new Source();
  let asked = 0;
  new QueryObserver(queries, { queryKey: ["get", "/v1/requests/{id}/decisionContext", {}], queryFn: () => ++asked }).subscribe(() => undefined);
  new Live(queries, () => source as unknown as EventSource).start();
  await vi.advanceTimersByTimeAsync(1);
  source.says("changed", '{"collections":["grants"]}');
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toBe(2);
});

test("what happened before there was a stream is made up for", async () => {
  const { asked, sources, wait } = await page();
  sources[0]!.says("ready");
  await wait(1);
  expect(asked).toEqual({ requests: 2, users: 2, me: 2 });
});

test("without a stream all is asked for every few seconds, with one every minute", async () => {
  const { asked, sources, wait } = await page();
  await wait(5_000);
  expect(asked.users).toBe(2);
  sources[0]!.says("ready");
  await wait(59_000);
  expect(asked.users).toBe(3);
  sources[0]!.says("error");
  await wait(5_000);
  expect(asked.users).toBe(4);
});

test("a stream that the browser has given up is tried again, and who is signed in is asked", async () => {
  const { asked, sources, wait } = await page();
  sources[0]!.readyState = 2;
  sources[0]!.says("error");
  await wait(1);
  expect(asked.me).toBe(2);
  expect(sources).toHaveLength(1);
  await wait(10_000);
  expect(sources).toHaveLength(2);
});

test("after the end of the session it is asked who is signed in", async () => {
  const { asked, sources, wait } = await page();
  sources[0]!.says("signed-out");
  await wait(1);
  expect(asked).toEqual({ requests: 1, users: 1, me: 2 });
});

test("nothing is asked for after the end", async () => {
  const { asked, sources, live, wait } = await page();
  live.stop();
  await wait(120_000);
  expect(asked.users).toBe(1);
  expect(sources[0]!.close).toHaveBeenCalled();
});
