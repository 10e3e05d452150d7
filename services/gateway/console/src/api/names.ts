import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { api } from "./client";
import { atOnce, someAtATime, withIds } from "./filter";

/** What is known by an id is called; undefined while it is not known, or if it is there no more. */
export type Names = (id: string) => string | undefined;

const stays = { staleTime: 60_000, placeholderData: keepPreviousData };

function names(rows: readonly { id?: string; displayName?: string; name?: string }[] | undefined): Names {
  const known = new Map(rows?.map((row) => [row.id, row.displayName ?? row.name]));
  return (id) => known.get(id);
}

/** What people are called; with left also those who have left. */
export function useUserNames(ids: readonly string[], left = false): Names {
  const query = { filter: withIds([...new Set(ids)].sort()), pageSize: 50 };
  const here = api.useQuery("get", "/v1/users", { params: { query } }, { ...stays, enabled: ids.length > 0 }).data?.users;
  const removed = api.useQuery("get", "/v1/users", { params: { query: { ...query, state: "USER_STATE_REMOVED" } } }, { ...stays, enabled: left && ids.length > 0 }).data?.users;
  return names([...(here ?? []), ...((left && removed) || [])]);
}

export function useGroupNames(ids: readonly string[]): Names {
  const query = { filter: withIds([...new Set(ids)].sort()), pageSize: 50 };
  return names(api.useQuery("get", "/v1/groups", { params: { query } }, { ...stays, enabled: ids.length > 0 }).data?.groups);
}

/** The queries for any number of ids. */
function pagesOf(ids: readonly string[]) {
  return someAtATime(ids).map((filter) => ({ filter, pageSize: atOnce }));
}

/** Any number of apps. */
export function useAppNames(ids: readonly string[]): Names {
  const found = useQueries({
    queries: pagesOf(ids).map((query) => ({ ...api.queryOptions("get", "/v1/apps", { params: { query } }), staleTime: stays.staleTime })),
  });
  return names(found.flatMap((one) => one.data?.apps ?? []));
}

/** Any number of environments. */
export function useEnvironmentNames(ids: readonly string[]): Names {
  const found = useQueries({
    queries: pagesOf(ids).map((query) => ({ ...api.queryOptions("get", "/v1/environments", { params: { query } }), staleTime: stays.staleTime })),
  });
  return names(found.flatMap((one) => one.data?.environments ?? []));
}

/** Any number of things that apps give, by their ids: as "app · name". */
export function useEntitlementNames(ids: readonly string[]): Names {
  const all = { path: { app_id: "-" } };
  const found = useQueries({
    queries: pagesOf(ids).map((query) => ({
      ...api.queryOptions("get", "/v1/apps/{app_id}/entitlements", { params: { ...all, query } }),
      staleTime: stays.staleTime,
    })),
  }).flatMap((one) => one.data?.entitlements ?? []);
  const app = useAppNames(found.map((e) => e.appId ?? ""));
  const known = new Map(found.map((e) => [e.id, e]));
  return (id) => {
    const e = known.get(id);
    const name = e && app(e.appId ?? "");
    return e && name && `${name} · ${e.name}`;
  };
}
