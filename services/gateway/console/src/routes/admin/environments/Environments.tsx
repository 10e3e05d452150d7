import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { api, type Environment } from "@/api/client";
import { containing } from "@/api/filter";
import { useHasRole, useWhole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Time } from "@/components/Time";
import { EditEnvironment } from "./EditEnvironment";
import { quotaKinds } from "./values";

const route = getRouteApi("/shell/admin/environments");

/** The companies that are governed apart from each other, by name, and what each may have. */
export function Environments() {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const admin = useHasRole("ROLE_ADMIN");
  // Somebody of an environment sees that one, and changes none.
  const changes = useWhole() && admin;
  const look = useCallback((q: string | undefined) => void navigate({ to: "/admin/environments", search: q ? { q } : {}, replace: true }), [navigate]);
  const environments = api.useInfiniteQuery(
    "get",
    "/v1/environments",
    { params: { query: { filter: containing(q, ["name"]), pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  return (
    <Page title={t("admin.pages.environments")} lead={t("admin.environments.lead")} actions={changes && <EditEnvironment />}>
      <SearchBox label={t("admin.environments.search")} value={q} onChange={look} />
      <Rows
        list={environments}
        of={(p) => p.environments}
        id={(environment) => environment.id}
        empty={
          <Empty title={q ? t("admin.environments.nothing", { words: q }) : t("admin.environments.none")}>
            {q && (
              <Link to="/admin/environments" search={{}} className="button">
                {t("admin.withoutFilters")}
              </Link>
            )}
          </Empty>
        }
      >
        {(environment) => (
          <Row>
            <div className="what">
              <strong>{environment.name}</strong>
              <Quotas of={environment.quotas} />
              <span className="quiet small">
                {t("admin.environments.since")} <Time at={environment.createTime ?? ""} />
              </span>
            </div>
            <Link to="/admin/people" search={{ environment: environment.id }} aria-label={t("admin.environments.peopleOf", { name: environment.name })}>
              {t("admin.pages.people")}
            </Link>
            <Link to="/admin/apps" search={{ environment: environment.id }} aria-label={t("admin.environments.appsOf", { name: environment.name })}>
              {t("admin.pages.apps")}
            </Link>
            {changes && <EditEnvironment environment={environment} />}
          </Row>
        )}
      </Rows>
    </Page>
  );
}

function Quotas({ of }: { of: Environment["quotas"] }) {
  const { t } = useTranslation();
  const set = quotaKinds.filter((kind) => of?.[kind]);
  if (set.length === 0) return <span className="quiet small">{t("admin.environments.unlimited")}</span>;
  return (
    <span className="small">
      {t("admin.environments.atMost")} {set.map((kind) => `${t(`admin.environments.kinds.${kind}`)}: ${of?.[kind]}`).join(" · ")}
    </span>
  );
}
