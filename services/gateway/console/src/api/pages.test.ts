import { type InfiniteData, InfiniteQueryObserver, QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { client } from "./client";
import { lookAt, pageByPage } from "./pages";

type Page = { rows: string[]; nextPageToken?: string };

const asked: string[] = [];
let rows: string[];

// Twelve rows, two a page; a page begins after the row that its token names.
beforeEach(() => {
  asked.length = 0;
  rows = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
  vi.spyOn(client, "GET").mockImplementation(((_: string, init: { params: { query: { pageToken: string } } }) => {
    const token = init.params.query.pageToken;
    asked.push(token);
    const from = token === "" ? 0 : rows.indexOf(token) + 1;
    const page = rows.slice(from, from + 2);
    return Promise.resolve({ data: { rows: page, nextPageToken: from + 2 < rows.length ? page.at(-1) : "" } satisfies Page });
  }) as never);
});
afterEach(() => vi.restoreAllMocks());

async function read(pages: number) {
  const queries = new QueryClient();
  const list = new InfiniteQueryObserver<Page, Error, InfiniteData<Page>, readonly unknown[], string>(queries, {
    queryKey: ["get", "/v1/things", { params: { query: { pageSize: 2 } } }],
    ...(pageByPage as unknown as { initialPageParam: string; getNextPageParam: (last: Page) => string | undefined }),
  });
  list.subscribe(() => {});
  await list.refetch();
  while (list.getCurrentResult().data!.pages.length < pages) await list.fetchNextPage();
  asked.length = 0;
  return { queries, list, shown: () => list.getCurrentResult().data!.pages.flatMap((p) => p.rows) };
}

test("of a list that is asked for again only the pages that are looked at are", async () => {
  const { queries, list, shown } = await read(6);
  lookAt(queries, list.getCurrentResult().data!, 3, 3);
  await list.refetch();
  expect(asked).toEqual(["f"]);
  expect(shown()).toEqual(rows);
});

test("what comes after is kept for two pages, and asked for when it comes near", async () => {
  const { queries, list, shown } = await read(6);
  lookAt(queries, list.getCurrentResult().data!, 0, 1);
  expect(shown()).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
  expect(list.getCurrentResult().hasNextPage).toBe(true);
  await list.fetchNextPage();
  expect(shown()).toEqual(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
});

test("a new row at the top costs no more than the pages that are kept", async () => {
  const { queries, list, shown } = await read(6);
  lookAt(queries, list.getCurrentResult().data!, 0, 0);
  rows.unshift("new");
  await list.refetch();
  expect(asked).toHaveLength(3);
  expect(shown()).toEqual(["new", "a", "b", "c", "d", "e"]);
});

test("a page that was left out is old when somebody comes back to it", async () => {
  const { queries, list } = await read(6);
  const data = () => list.getCurrentResult().data!;
  expect(lookAt(queries, data(), 5, 5)).toBe(false);
  await list.refetch();
  expect(lookAt(queries, data(), 5, 5)).toBe(false);
  expect(lookAt(queries, data(), 0, 0)).toBe(true);
});
