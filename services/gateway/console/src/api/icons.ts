import { api } from "./client";

/** The icon that an app has, by its id: for lists that name apps and do not hold them. */
export function useAppIcons(): (id: string | undefined) => string | undefined {
  const apps = api.useQuery("get", "/v1/apps", { params: { query: { pageSize: 200 } } }, { staleTime: 60_000 });
  const icons = new Map(apps.data?.apps?.map((app) => [app.id, app.icon]));
  return (id) => icons.get(id);
}
