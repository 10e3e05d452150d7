import { keepPreviousData } from "@tanstack/react-query";
import { api } from "./client";
import type { paths } from "./schema";

/** What is counted of requests: a view, and what they are filtered by. */
export type Counted = NonNullable<paths["/v1/requests:count"]["get"]["parameters"]["query"]>;

/** How many requests there are, as a text: exactly up to a thousand. Undefined while it is not known. */
export function useCount(query: Counted): string | undefined {
  const found = api.useQuery("get", "/v1/requests:count", { params: { query } }, { placeholderData: keepPreviousData });
  return found.data && `${found.data.count ?? 0}${found.data.more ? "+" : ""}`;
}
