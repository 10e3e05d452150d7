import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Tag } from "@/components/Tag";

const route = getRouteApi("/shell/admin/groups");

/** The groups that the sources know, by name. */
export function Groups() {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const look = useCallback((q: string | undefined) => void navigate({ to: "/admin/groups", search: q ? { q } : {}, replace: true }), [navigate]);
  const groups = api.useInfiniteQuery(
    "get",
    "/v1/groups",
    { params: { query: { query: q, pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const sources = api.useQuery("get", "/v1/sources", { params: { query: { pageSize: 1000 } } });
  return (
    <Page title={t("admin.pages.groups")} lead={t("admin.groups.lead")}>
      <SearchBox label={t("admin.groups.search")} value={q} onChange={look} />
      <Rows
        list={groups}
        of={(p) => p.groups}
        id={(group) => group.id}
        empty={
          <Empty title={q ? t("admin.groups.nothing", { words: q }) : t("admin.groups.none")}>
            {q && (
              <Link to="/admin/groups" search={{}} className="button">
                {t("admin.groups.all")}
              </Link>
            )}
          </Empty>
        }
      >
        {(group) => (
          <Row>
            <div className="what">
              <Link to="/admin/groups/$id" params={{ id: group.id ?? "" }}>
                {group.displayName}
              </Link>
              <span className="quiet small">{sources.data?.sources?.find((s) => s.id === group.sourceId)?.name}</span>
            </div>
            <Tag>{t("admin.groups.members", { count: group.memberCount ?? 0 })}</Tag>
          </Row>
        )}
      </Rows>
    </Page>
  );
}
