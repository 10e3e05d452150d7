import { type AccessRequest, api, type Grant } from "./client";
import { useMe } from "./me";

const live: readonly Grant["state"][] = ["GRANT_STATE_PENDING", "GRANT_STATE_ACTIVE", "GRANT_STATE_FAILED", "GRANT_STATE_HELD"];

/** What the caller holds and has asked for, by app. */
export function useMine() {
  const me = useMe().data?.user?.id;
  const grants = api.useQuery(
    "get",
    "/v1/grants",
    { params: { query: { userId: me, pageSize: 1000, orderBy: "createTime desc" } } },
    { enabled: me !== undefined },
  );
  const requests = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_MY_OPEN", pageSize: 200 } } });
  return {
    grants,
    held: (app: string): Grant[] => (grants.data?.grants ?? []).filter((g) => g.appId === app && live.includes(g.state)),
    asked: (app: string): AccessRequest[] =>
      (requests.data?.requests ?? []).filter((r) => r.beneficiary?.userId === me && r.items?.some((i) => i.appId === app && i.state === "ITEM_STATE_PENDING")),
  };
}
