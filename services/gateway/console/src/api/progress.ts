import { create, keyResolver, windowedFiniteBatchScheduler } from "@yornaath/batshit";
import { useQuery } from "@tanstack/react-query";
import { type AccessRequest, client, type Progress } from "./client";
import { atOnce, withIds } from "./filter";

/** Rows that are drawn together ask together. */
const requests = create({
  fetcher: async (ids: string[]): Promise<AccessRequest[]> => {
    const { data } = await client.GET("/v1/requests", { params: { query: { filter: withIds([...new Set(ids)].sort()), pageSize: atOnce } } });
    return data?.requests ?? [];
  },
  resolver: keyResolver("id"),
  scheduler: windowedFiniteBatchScheduler({ windowMs: 10, maxBatchSize: atOnce }),
});

/** How many of the actions that the caller is asked for on a request are done: for rows that name it and do not hold it. */
export function useMyProgress(id: string | undefined): Progress | undefined {
  const request = useQuery({
    queryKey: ["get", "/v1/requests", { myProgress: id }],
    queryFn: async () => (await requests.fetch(id!))?.myProgress ?? null,
    enabled: !!id,
  });
  return request.data ?? undefined;
}
