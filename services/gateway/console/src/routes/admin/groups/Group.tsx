import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { UserLine } from "@/routes/admin/people/UserLine";

const route = getRouteApi("/shell/admin/groups/$id");

/** One group with its members, by name. */
export function Group() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const found = api.useQuery("get", "/v1/groups", { params: { query: { filter: `id = "${id.replace(/["\\]/g, "")}"`, pageSize: 1 } } });
  const members = api.useInfiniteQuery("get", "/v1/groups/{group_id}/members", { params: { path: { group_id: id }, query: { pageSize: 50 } } }, { ...pageByPage });
  const group = found.data?.groups?.[0];
  return (
    <Page title={group?.displayName ?? t("admin.groups.one")} lead={group && t("admin.groups.members", { count: group.memberCount ?? 0 })}>
      <Rows list={members} of={(p) => p.users} id={(user) => user.id} empty={<Empty title={t("admin.groups.empty")} />}>
        {(user) => <UserLine user={user} />}
      </Rows>
    </Page>
  );
}
