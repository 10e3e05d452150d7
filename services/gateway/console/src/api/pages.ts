/** How lists are read page by page. */
export const pageByPage = {
  pageParamName: "pageToken",
  initialPageParam: "",
  getNextPageParam: (last: { nextPageToken?: string } | undefined) => last?.nextPageToken || undefined,
} as const;

/** How often a list that somebody looks at is asked for again. */
export const refetchInterval = 5_000;
