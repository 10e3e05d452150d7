import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type User } from "@/api/client";
import { useHasRole } from "@/api/me";
import { userTones } from "@/api/states";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { Who } from "@/components/Who";
import { Accounts, Checklists, Holds, RequestsOf } from "./Has";
import { Identities } from "./Identities";
import { Remove, SetRole } from "./Manage";
import { Sessions } from "./Sessions";

const route = getRouteApi("/shell/admin/people/$id");

/** One person: who they are, what they have, and what an admin can do about them. */
export function Person() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const admin = useHasRole("ROLE_ADMIN");
  const gives = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useQuery("get", "/v1/users/{id}", { params: { path: { id } } });
  const user = found.data?.user;
  if (!user) {
    return <Page title={t("admin.people.one")}>{found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}</Page>;
  }
  const state = user.state ?? "USER_STATE_UNSPECIFIED";
  const here = state !== "USER_STATE_REMOVED";
  return (
    <Page title={user.displayName ?? ""} actions={<Tag tone={userTones[state]}>{t(`admin.people.states.${state}`)}</Tag>}>
      <Facts user={user} />
      {gives && here && (
        <div className="row">
          {state === "USER_STATE_ACTIVE" && (
            <Link to="/admin/assign" search={{ person: user.id }} className="button">
              {t("admin.assign.title")}
            </Link>
          )}
          {/* Anew when the role changes: what is chosen begins with it. */}
          {admin && <SetRole key={`${user.role} ${user.roleEnvironmentId}`} user={user} />}
          {admin && !user.sourceId && <Remove user={user} />}
        </div>
      )}
      <Checklists id={user.id ?? ""} />
      <Holds id={user.id ?? ""} />
      <Accounts user={user} />
      <RequestsOf id={user.id ?? ""} view="REQUEST_VIEW_OPEN" />
      <RequestsOf id={user.id ?? ""} view="REQUEST_VIEW_CLOSED" />
      {admin && here && <Identities user={user} />}
      {admin && here && <Sessions user={user} />}
    </Page>
  );
}

function Facts({ user }: { user: User }) {
  const { t } = useTranslation();
  const sources = api.useQuery("get", "/v1/sources", { params: { query: { pageSize: 1000 } } });
  const environments = api.useQuery("get", "/v1/environments", { params: { query: { pageSize: 1000 } } });
  const environment = (id: string) => environments.data?.environments?.find((e) => e.id === id)?.name ?? id;
  const words: [string, string | undefined][] = [
    [t("admin.people.userName"), user.userName],
    [t("admin.people.email"), user.email],
    [t("admin.people.title"), user.title],
    [t("admin.people.department"), user.department],
    [t("admin.people.purpose"), user.purpose],
    [t("admin.people.externalId"), user.externalId],
    [t("admin.people.environment"), user.environmentId && environment(user.environmentId)],
  ];
  return (
    <dl className="facts card">
      <dt>{t("admin.people.kind")}</dt>
      <dd>{t(`admin.people.kinds.${user.kind ?? "USER_KIND_UNSPECIFIED"}`)}</dd>
      <dt>{t("admin.people.role")}</dt>
      <dd>
        {t(`roles.${user.role ?? "ROLE_UNSPECIFIED"}`)}
        {user.roleEnvironmentId && ` (${environment(user.roleEnvironmentId)})`}
      </dd>
      {words.map(
        ([name, value]) =>
          value && (
            <div className="fact" key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
      {user.managerId && (
        <>
          <dt>{t("admin.people.manager")}</dt>
          <dd>
            <Who id={user.managerId} />
          </dd>
        </>
      )}
      {user.accountableUserId && (
        <>
          <dt>{t("admin.people.accountable")}</dt>
          <dd>
            <Who id={user.accountableUserId} />
          </dd>
        </>
      )}
      <dt>{t("admin.people.source")}</dt>
      <dd>{user.sourceId ? (sources.data?.sources?.find((s) => s.id === user.sourceId)?.name ?? user.sourceId) : t("admin.people.noSource")}</dd>
      <dt>{t("admin.people.came")}</dt>
      <dd>
        <Time at={user.createTime ?? ""} />
        {(user.joinCount ?? 1) > 1 && `, ${t("admin.people.joined", { count: user.joinCount })}`}
      </dd>
      {user.endTime && (
        <>
          <dt>{t("admin.people.ends")}</dt>
          <dd>
            <Time at={user.endTime} />
          </dd>
        </>
      )}
    </dl>
  );
}
