import type { InfiniteData, QueryClient, QueryFunctionContext } from "@tanstack/react-query";
import { client } from "./client";

type Page = { nextPageToken?: string } | undefined;
type Key = readonly [method: string, path: string, init?: { params?: { query?: object } }];

/** Pages that nobody looks at, and those of them that were to be asked for again. */
const far = new WeakSet<object>();
const missed = new WeakSet<object>();

/**
 * How lists are read page by page. When a list is asked for again, only the pages that are looked at
 * are: those before them stay as they were until somebody comes back to them. See lookAt.
 */
export const pageByPage = {
  pageParamName: "pageToken",
  initialPageParam: "",
  getNextPageParam: (last: Page) => last?.nextPageToken || undefined,
  queryFn: async ({ queryKey, pageParam, signal, client: queries }: QueryFunctionContext) => {
    const had = queries.getQueryData<InfiniteData<Page>>(queryKey);
    const page = had?.pages[had.pageParams.indexOf(pageParam)];
    if (page && far.has(page)) {
      missed.add(page);
      return page;
    }
    const [, path, init] = queryKey as unknown as Key;
    const query = { ...init?.params?.query, pageToken: pageParam };
    const { data } = await (client.GET as (path: string, init: object) => Promise<{ data?: unknown }>)(path, { ...init, signal, params: { ...init?.params, query } });
    return data;
  },
} as const;

/** How many pages are kept after the last one that is looked at. */
const after = 2;

/**
 * Says which pages of a list are looked at. Others are not asked for again meanwhile, and of those
 * after them no more than a few are kept: they depend on what is before them. Reports whether one
 * that is looked at was left out when the list was asked for again.
 */
export function lookAt<P>(queries: QueryClient, data: InfiniteData<P>, first: number, last: number): boolean {
  let old = false;
  data.pages.forEach((page, i) => {
    if (typeof page !== "object" || page === null) return;
    if (i < first || i > last) far.add(page);
    else {
      far.delete(page);
      old = missed.delete(page) || old;
    }
  });
  const keep = last + 1 + after;
  if (data.pages.length > keep) {
    const query = queries.getQueryCache().getAll().find((q) => q.state.data === data);
    query?.setData({ pages: data.pages.slice(0, keep), pageParams: data.pageParams.slice(0, keep) }, { updatedAt: query.state.dataUpdatedAt, manual: true });
  }
  return old;
}

