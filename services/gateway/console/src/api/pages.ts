/** How lists are read page by page. */
export const pageByPage = {
  pageParamName: "pageToken",
  initialPageParam: "",
  getNextPageParam: (last: { nextPageToken?: string } | undefined) => last?.nextPageToken || undefined,
} as const;

export const refetchInterval = false;
