import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { api } from "./client";
import { withIds } from "./filter";

/** What is known by an id is called; undefined while it is not known, or if it is there no more. */
export type Names = (id: string) => string | undefined;

const stays = { staleTime: 60_000, placeholderData: keepPreviousData };

const atOnce = 50;

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

/** The queries for any number of ids: some at a time, in the order that they come in. */
function someAtATime(ids: readonly string[]) {
  const wanted = [...new Set(ids)];
  return Array.from({ length: Math.ceil(wanted.length / atOnce) }, (_, i) => ({ filter: withIds(wanted.slice(i * atOnce, (i + 1) * atOnce).sort()), pageSize: atOnce }));
}

/** Any number of apps. */
export function useAppNames(ids: readonly string[]): Names {
  const found = useQueries({
    queries: someAtATime(ids).map((query) => ({ ...api.queryOptions("get", "/v1/apps", { params: { query } }), staleTime: stays.staleTime })),
  });
  return names(found.flatMap((one) => one.data?.apps ?? []));
}

/** Any number of environments. */
export function useEnvironmentNames(ids: readonly string[]): Names {
  const found = useQueries({
    queries: someAtATime(ids).map((query) => ({ ...api.queryOptions("get", "/v1/environments", { params: { query } }), staleTime: stays.staleTime })),
  });
  return names(found.flatMap((one) => one.data?.environments ?? []));
}

const entitlementsOf = (app: string) => ({
  ...api.queryOptions("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: app }, query: { pageSize: 1000 } } }),
  staleTime: stays.staleTime,
});

/**
 * What is in the apps of the catalog, by its id: as "app · name". What is in those that somebody has
 * looked at is known from there; only for anything else the others are asked for.
 */
export function useEntitlementNames(ids: readonly string[], looked: readonly { id: string; name: string }[] = []): Names {
  const near = useQueries({ queries: looked.map((app) => entitlementsOf(app.id)) });
  const known = new Map(near.flatMap((one, i) => (one.data?.entitlements ?? []).map((e) => [e.id, `${looked[i]?.name} · ${e.name}`] as const)));
  const wanted = near.every((one) => !one.isPending) && ids.some((id) => !known.has(id));
  const apps = api.useQuery("get", "/v1/apps", { params: { query: { pageSize: 200 } } }, { ...stays, enabled: wanted });
  const found = useQueries({ queries: (wanted ? (apps.data?.apps ?? []) : []).map((app) => entitlementsOf(app.id ?? "")) });
  found.forEach((one, i) => one.data?.entitlements?.forEach((e) => known.set(e.id, `${apps.data?.apps?.[i]?.name} · ${e.name}`)));
  return (id) => known.get(id);
}
