import { useQueries } from "@tanstack/react-query";
import { api, type Checklist } from "./client";
import { atOnce, someAtATime } from "./filter";

/** The open checklists with these ids, any number of them: they are asked for some at a time, in the order that they come in. */
export function useOpenChecklists(ids: readonly (string | undefined)[]): (id: string | undefined) => Checklist | undefined {
  const found = useQueries({
    queries: someAtATime(ids.filter((id): id is string => !!id)).map((filter) =>
      api.queryOptions("get", "/v1/checklists", { params: { query: { filter, pageSize: atOnce } } }),
    ),
  });
  const known = new Map(found.flatMap((one) => one.data?.checklists ?? []).map((list) => [list.id, list]));
  return (id) => known.get(id);
}
