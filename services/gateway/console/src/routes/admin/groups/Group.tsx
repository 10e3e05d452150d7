import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage, refetchInterval } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { UserLine } from "@/routes/admin/people/UserLine";

const route = getRouteApi("/shell/admin/groups/$id");

/** One group with its members, by name. */
export function Group() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const found = api.useQuery("get", "/v1/groups", { params: { query: { filter: `id = "${id.replace(/["\\]/g, "")}"`, pageSize: 1 } } }, { refetchInterval });
  const members = api.useInfiniteQuery("get", "/v1/groups/{group_id}/members", { params: { path: { group_id: id }, query: { pageSize: 50 } } }, { ...pageByPage, refetchInterval });
  const group = found.data?.groups?.[0];
  const all = members.data?.pages.flatMap((p) => p.users ?? []) ?? [];
  return (
    <Page title={group?.displayName ?? t("admin.groups.one")} lead={group && t("admin.groups.members", { count: group.memberCount ?? 0 })}>
      {members.isPending && <Loading />}
      {members.error && <ProblemNote error={members.error} again={() => void members.refetch()} />}
      {members.data && all.length === 0 && <Empty title={t("admin.groups.empty")} />}
      {all.length > 0 && (
        <ul className="list">
          {all.map((user) => (
            <UserLine key={user.id} user={user} />
          ))}
        </ul>
      )}
      <More list={members} />
    </Page>
  );
}
