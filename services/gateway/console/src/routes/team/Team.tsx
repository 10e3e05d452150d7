import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { managedBy } from "@/api/filter";
import { useHasRole, useMe } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Holds } from "@/routes/admin/people/Has";

/** Those whose manager the caller is, by name. */
export function Team() {
  const { t } = useTranslation();
  const me = useMe().data?.user?.id;
  // Whoever is external manages nobody, and is not told who there is.
  const external = useHasRole("ROLE_EXTERNAL");
  const users = api.useInfiniteQuery("get", "/v1/users", { params: { query: { filter: managedBy(me), pageSize: 50 } } }, { ...pageByPage, enabled: me !== undefined && !external });
  const all = users.data?.pages.flatMap((p) => p.users ?? []) ?? [];
  return (
    <Page title={t("team.title")} lead={t("team.lead")}>
      {users.isPending && !external && <Loading />}
      {users.error && <ProblemNote error={users.error} again={() => void users.refetch()} />}
      {(external || users.data) && all.length === 0 && <Empty title={t("team.none")} />}
      {all.length > 0 && (
        <ul className="list">
          {all.map((user) => (
            <li key={user.id}>
              <div className="what">
                <Link to="/team/$id" params={{ id: user.id ?? "" }}>
                  {user.displayName}
                </Link>
                <span className="quiet small">{[user.title, user.department].filter(Boolean).join(" · ")}</span>
              </div>
            </li>
          ))}
        </ul>
      )}
      <More list={users} />
    </Page>
  );
}

const route = getRouteApi("/shell/team/$id");

/** What one of them holds, and what they held. */
export function Member() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const found = api.useQuery("get", "/v1/users/{id}", { params: { path: { id } } });
  return (
    <Page title={found.data?.user?.displayName ?? t("admin.people.one")}>
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      <Holds id={id} />
    </Page>
  );
}
