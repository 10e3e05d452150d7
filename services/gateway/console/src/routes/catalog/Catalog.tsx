import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type App } from "@/api/client";
import { useMine } from "@/api/mine";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Button } from "@/components/Button";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Tag } from "@/components/Tag";
import { AskForHelp } from "@/routes/questions/AskForHelp";

const route = getRouteApi("/shell/catalog");

/** Every app that the caller sees: what they have of it, have asked for, and how an account comes. */
export function Catalog() {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const look = (words: string | undefined) => void navigate({ to: "/catalog", search: words ? { q: words } : {}, replace: true });
  const apps = api.useInfiniteQuery(
    "get",
    "/v1/apps",
    { params: { query: { query: q, pageSize: 60 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  return (
    <Page title={t("nav.catalog")} lead={t("catalog.lead")}>
      <SearchBox label={t("catalog.search")} placeholder={t("catalog.searchHint")} value={q} onChange={look} />
      <Rows
        as="cards"
        list={apps}
        of={(p) => p.apps}
        id={(app) => app.id}
        empty={<Empty title={q ? t("catalog.nothing", { words: q }) : t("catalog.empty")}>{q && <Button onPress={() => look(undefined)}>{t("catalog.all")}</Button>}</Empty>}
      >
        {(app) => <AppCard app={app} />}
      </Rows>
    </Page>
  );
}

function AppCard({ app }: { app: App }) {
  const { t } = useTranslation();
  const mine = useMine();
  const held = mine.held(app.id ?? "");
  const asked = mine.asked(app.id ?? "");
  return (
    <Row className="card">
      <div className="named">
        <AppIcon name={app.name} icon={app.icon} />
        <h2>
          <Link to="/catalog/$id" params={{ id: app.id ?? "" }}>
            {app.name}
          </Link>
        </h2>
      </div>
      <p className="quiet">{app.description}</p>
      <p className="small">{t(`comes.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}</p>
      {(held.length > 0 || asked.length > 0) && (
        <div className="row">
          {held.length > 0 && (
            <Tag tone="good">
              {t("catalog.have")}: {held.map((g) => g.entitlementName).join(", ")}
            </Tag>
          )}
          {asked.map((r) => (
            <Link key={r.id} to="/requests/$id" params={{ id: r.id ?? "" }}>
              {t("catalog.asked")}
            </Link>
          ))}
        </div>
      )}
      <div className="row">
        <Link to="/ask" search={{ app: app.id }} className="button" aria-label={t("catalog.requestFor", { name: app.name })}>
          {t("catalog.request")}
        </Link>
        <Link to="/catalog/$id" params={{ id: app.id ?? "" }} className="button" data-kind="plain" aria-label={t("catalog.whoDecidesOf", { name: app.name })}>
          {t("catalog.whoDecides")}
        </Link>
        <AskForHelp app={app} />
      </div>
    </Row>
  );
}
