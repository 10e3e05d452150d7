import { create, keyResolver, windowedFiniteBatchScheduler } from "@yornaath/batshit";
import { useQuery } from "@tanstack/react-query";
import { client, type App } from "./client";
import { atOnce, withIds } from "./filter";

/** Rows that are drawn together ask together. */
const apps = create({
  fetcher: async (ids: string[]): Promise<App[]> => {
    const { data } = await client.GET("/v1/apps", { params: { query: { filter: withIds([...new Set(ids)].sort()), pageSize: atOnce } } });
    return data?.apps ?? [];
  },
  resolver: keyResolver("id"),
  scheduler: windowedFiniteBatchScheduler({ windowMs: 10, maxBatchSize: atOnce }),
});

/** The icon that an app has, by its id: for rows that name an app and do not hold it. */
export function useAppIcon(id: string | undefined): string | undefined {
  const app = useQuery({
    queryKey: ["get", "/v1/apps", { icon: id }],
    queryFn: async () => (await apps.fetch(id!))?.icon ?? "",
    enabled: !!id,
    staleTime: 60_000,
  });
  return app.data;
}
