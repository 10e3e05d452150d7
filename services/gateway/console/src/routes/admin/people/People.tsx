import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { roles, userKinds, userStates } from "@/api/kinds";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { EnvironmentSelect } from "@/components/EnvironmentSelect";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { SelectOrNone } from "@/components/Select";
import { AddProgram } from "./AddProgram";
import { type PeopleSearch, peopleQuery } from "./search";
import { UserLine } from "./UserLine";

const route = getRouteApi("/shell/admin/people");

/** Everybody in the directory, by name. */
export function People() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/admin/people" });
  const may = useHasRole("ROLE_ADMIN");
  const gives = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const filter = useCallback(
    (change: PeopleSearch) => void navigate({ to: "/admin/people", search: (now) => ({ ...now, ...change }), replace: true }),
    [navigate],
  );
  const look = useCallback((q: string | undefined) => filter({ q }), [filter]);
  const users = api.useInfiniteQuery(
    "get",
    "/v1/users",
    { params: { query: { ...peopleQuery(search), pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  return (
    <Page title={t("admin.pages.people")} lead={t("admin.people.lead")} actions={
        <>
          {gives && (
            <Link to="/admin/assign" className="button">
              {t("admin.assign.title")}
            </Link>
          )}
          {may && <AddProgram />}
        </>
      }
    >
      <SearchBox label={t("admin.people.search")} placeholder={t("admin.people.searchHint")} value={search.q} onChange={look} />
      <div className="filters">
        <SelectOrNone
          label={t("admin.people.state")}
          value={search.state}
          onChange={(state) => filter({ state })}
          none={t("admin.people.notRemoved")}
          choices={userStates.map((k) => [k, t(`admin.people.states.${k}`)])}
        />
        <SelectOrNone label={t("admin.people.role")} value={search.role} onChange={(role) => filter({ role })} none={t("admin.people.every")} choices={roles.map((k) => [k, t(`roles.${k}`)])} />
        <SelectOrNone
          label={t("admin.people.kind")}
          value={search.kind}
          onChange={(kind) => filter({ kind })}
          none={t("admin.people.every")}
          choices={userKinds.map((k) => [k, t(`admin.people.kinds.${k}`)])}
        />
        <EnvironmentSelect value={search.environment} onChange={(environment) => filter({ environment })} />
      </div>
      <Rows
        list={users}
        of={(p) => p.users}
        id={(user) => user.id}
        empty={
          <Empty title={t("admin.people.nothing")}>
            <Link to="/admin/people" search={{}} className="button">
              {t("admin.people.all")}
            </Link>
          </Empty>
        }
      >
        {(user) => <UserLine user={user} />}
      </Rows>
    </Page>
  );
}
