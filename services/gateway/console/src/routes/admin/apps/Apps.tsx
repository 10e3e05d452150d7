import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Empty } from "@/components/Empty";
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
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const apps = api.useInfiniteQuery("get", "/v1/apps", { params: { query: { query: q, pageSize: 50 } } }, { ...pageByPage, placeholderData: keepPreviousData });
  return (
    <Page title={t("admin.pages.apps")} actions={changes && <NewApp />}>
      <SearchBox label={t("admin.apps.search")} placeholder={t("catalog.searchHint")} value={q ?? ""} onChange={(words) => void navigate({ to: "/admin/apps", search: words ? { q: words } : {}, replace: true })} />
      <Rows
        list={apps}
        of={(p) => p.apps}
        id={(app) => app.id}
        empty={
          <Empty title={q ? t("catalog.nothing", { words: q }) : t("admin.apps.none")}>
            {q && (
              <Link to="/admin/apps" className="button">
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
            {!!app.goneUserIds?.length && <Tag tone="warn">{t("admin.apps.vacant", { count: app.goneUserIds.length })}</Tag>}
            <Tag>{t(`admin.apps.supports.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}.name`)}</Tag>
          </Row>
        )}
      </Rows>
    </Page>
  );
}
