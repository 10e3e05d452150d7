import { useQueries } from "@tanstack/react-query";
import { api, type Checklist } from "./client";
import { withIds } from "./filter";

const atOnce = 50;

/** The open checklists with these ids, any number of them: they are asked for some at a time, in the order that they come in. */
export function useOpenChecklists(ids: readonly (string | undefined)[]): (id: string | undefined) => Checklist | undefined {
  const wanted = [...new Set(ids.filter((id) => !!id))] as string[];
  const found = useQueries({
    queries: Array.from({ length: Math.ceil(wanted.length / atOnce) }, (_, i) => {
      const filter = withIds(wanted.slice(i * atOnce, (i + 1) * atOnce).sort());
      return api.queryOptions("get", "/v1/checklists", { params: { query: { filter, pageSize: atOnce } } });
    }),
  });
  const known = new Map(found.flatMap((one) => one.data?.checklists ?? []).map((list) => [list.id, list]));
  return (id) => known.get(id);
}
