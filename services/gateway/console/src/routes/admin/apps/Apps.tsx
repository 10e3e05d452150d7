import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { inEnvironment, useEnvironments } from "@/api/environments";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Empty } from "@/components/Empty";
import { EnvironmentSelect } from "@/components/EnvironmentSelect";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Tag } from "@/components/Tag";
import { NewApp } from "./NewApp";

const route = getRouteApi("/shell/admin/apps");

/** The apps of the catalog, for those who run it. */
export function Apps() {
  const { t } = useTranslation();
  const { q, environment } = route.useSearch();
  const environments = useEnvironments();
  const navigate = useNavigate({ from: "/admin/apps" });
  const filter = useCallback((change: { q?: string; environment?: string }) => void navigate({ to: "/admin/apps", search: (now) => ({ ...now, ...change }), replace: true }), [navigate]);
  const look = useCallback((q: string | undefined) => filter({ q }), [filter]);
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const apps = api.useInfiniteQuery("get", "/v1/apps", { params: { query: { query: q, filter: inEnvironment(environment), pageSize: 50 } } }, { ...pageByPage, placeholderData: keepPreviousData });
  return (
    <Page title={t("admin.pages.apps")} actions={changes && <NewApp />}>
      <SearchBox label={t("admin.apps.search")} placeholder={t("catalog.searchHint")} value={q ?? ""} onChange={look} />
      <div className="filters">
        <EnvironmentSelect value={environment} onChange={(environment) => filter({ environment })} />
      </div>
      <Rows
        list={apps}
        of={(p) => p.apps}
        id={(app) => app.id}
        empty={
          <Empty title={environment ? t("admin.noneFound") : q ? t("catalog.nothing", { words: q }) : t("admin.apps.none")}>
            {(q || environment) && (
              <Link to="/admin/apps" search={{}} className="button">
                {t("admin.withoutFilters")}
              </Link>
            )}
          </Empty>
        }
      >
        {(app) => (
          <Row>
            <AppIcon small name={app.name} icon={app.icon} />
            <div className="what">
              <Link to="/admin/apps/$id" params={{ id: app.id ?? "" }}>
                {app.name}
              </Link>
              {app.description && <span className="quiet small">{app.description}</span>}
            </div>
            {app.environmentId && <Tag>{environments.find((e) => e.id === app.environmentId)?.name}</Tag>}
            {app.catalogState === "CATALOG_STATE_UNLISTED" && <Tag tone="warn">{t("admin.apps.unlisted")}</Tag>}
            {app.category && <Tag>{app.category}</Tag>}
            {!!app.goneUserIds?.length && <Tag tone="warn">{t("admin.apps.vacant", { count: app.goneUserIds.length })}</Tag>}
            <Tag>{t(`admin.apps.supports.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}.name`)}</Tag>
          </Row>
        )}
      </Rows>
    </Page>
  );
}
