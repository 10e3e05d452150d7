import { keepPreviousData } from "@tanstack/react-query";
import { api } from "./client";
import { withIds } from "./filter";

/** What is known by an id is called; undefined while it is not known, or if it is there no more. */
export type Names = (id: string) => string | undefined;

const stays = { staleTime: 60_000, placeholderData: keepPreviousData };

function names(rows: readonly { id?: string; displayName?: string; name?: string }[] | undefined): Names {
  const known = new Map(rows?.map((row) => [row.id, row.displayName ?? row.name]));
  return (id) => known.get(id);
}

export function useUserNames(ids: readonly string[]): Names {
  const query = { filter: withIds([...new Set(ids)].sort()), pageSize: 50 };
  return names(api.useQuery("get", "/v1/users", { params: { query } }, { ...stays, enabled: ids.length > 0 }).data?.users);
}

export function useGroupNames(ids: readonly string[]): Names {
  const query = { filter: withIds([...new Set(ids)].sort()), pageSize: 50 };
  return names(api.useQuery("get", "/v1/groups", { params: { query } }, { ...stays, enabled: ids.length > 0 }).data?.groups);
}

export function useAppNames(ids: readonly string[]): Names {
  const query = { filter: withIds([...new Set(ids)].sort()), pageSize: 50 };
  return names(api.useQuery("get", "/v1/apps", { params: { query } }, { ...stays, enabled: ids.length > 0 }).data?.apps);
}
