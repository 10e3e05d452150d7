import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type CatalogApp } from "@/api/client";
import { quoted } from "@/api/filter";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Button } from "@/components/Button";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { RiskTag } from "@/components/RiskTag";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { SelectOrNone } from "@/components/Select";
import { Tag } from "@/components/Tag";
import { AskForHelp } from "@/routes/questions/AskForHelp";
import { BundleCards } from "./BundleCards";

const route = getRouteApi("/shell/catalog");

/** What the catalog is narrowed to. */
interface Narrowed {
  q?: string;
  category?: string;
  tag?: string;
}

/** Every app that the caller sees, found by what it is and what it gives: what they have of it, have asked for, and how an account comes. */
export function Catalog() {
  const { t } = useTranslation();
  const { q, category, tag } = route.useSearch();
  const navigate = useNavigate();
  const narrow = (change: Narrowed) => {
    const search = Object.fromEntries(Object.entries({ q, category, tag, ...change }).filter(([, v]) => v));
    void navigate({ to: "/catalog", search, replace: true });
  };
  const filter = [category && `app.category = ${quoted(category)}`, tag && `app.tags:${quoted(tag)}`].filter(Boolean).join(" AND ") || undefined;
  const apps = api.useInfiniteQuery(
    "get",
    "/v1/catalog:search",
    { params: { query: { query: q, filter, pageSize: 60 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const used = api.useQuery("get", "/v1/catalog:search", { params: { query: { pageSize: 1 } } }, { staleTime: 60_000 });
  const choices = (of: readonly string[] | undefined, chosen: string | undefined) => [...new Set([...(of ?? []), ...(chosen ? [chosen] : [])])].map((name) => [name, name] as const);
  const narrowed = q ?? category ?? tag;
  return (
    <Page title={t("nav.catalog")} lead={t("catalog.lead")}>
      <SearchBox label={t("catalog.search")} placeholder={t("catalog.searchWords")} value={q} onChange={(q) => narrow({ q })} />
      <div className="filters">
        {(!!used.data?.categories?.length || category) && (
          <SelectOrNone label={t("catalog.category")} value={category} onChange={(category) => narrow({ category })} choices={choices(used.data?.categories, category)} none={t("catalog.anyCategory")} />
        )}
        {(!!used.data?.tags?.length || tag) && (
          <SelectOrNone label={t("catalog.tag")} value={tag} onChange={(tag) => narrow({ tag })} choices={choices(used.data?.tags, tag)} none={t("catalog.anyTag")} />
        )}
      </div>
      {!category && !tag && <BundleCards words={q} />}
      <Rows
        as="cards"
        list={apps}
        of={(p) => p.apps}
        id={(found) => found.app?.id}
        empty={
          <Empty title={q ? t("catalog.nothing", { words: q }) : narrowed ? t("admin.noneFound") : t("catalog.empty")}>
            {narrowed && <Button onPress={() => narrow({ q: undefined, category: undefined, tag: undefined })}>{t("catalog.all")}</Button>}
          </Empty>
        }
      >
        {(found) => <AppCard found={found} />}
      </Rows>
    </Page>
  );
}

function AppCard({ found }: { found: CatalogApp }) {
  const { t } = useTranslation();
  const app = found.app ?? {};
  const held = found.heldItems ?? [];
  const asked = [...new Set((found.requestedItems ?? []).map((i) => i.requestId ?? ""))];
  const unlisted = app.catalogState === "CATALOG_STATE_UNLISTED";
  return (
    <Row className="card">
      <div className="named">
        <AppIcon name={app.name} icon={app.icon} />
        <h2>
          <Link to="/catalog/$id" params={{ id: app.id ?? "" }}>
            {app.name}
          </Link>
        </h2>
        {app.category && <Tag>{app.category}</Tag>}
      </div>
      <p className="quiet">{app.description}</p>
      {!!found.matches?.length && (
        <ul className="stack tight" aria-label={t("catalog.matches")}>
          {found.matches.map((e) => (
            <li key={e.id} className="small">
              <strong>{e.name}</strong> <RiskTag risk={e.risk} />
              {e.description && <div className="quiet">{e.description}</div>}
            </li>
          ))}
        </ul>
      )}
      <p className="small">{unlisted ? t("catalog.unlisted") : t(`comes.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}</p>
      {(held.length > 0 || asked.length > 0) && (
        <div className="row">
          {held.length > 0 && (
            <Tag tone="good">
              {t("catalog.have")}: {[...new Set(held.map((i) => i.entitlementName))].join(", ")}
            </Tag>
          )}
          {asked.map((id) => (
            <Link key={id} to="/requests/$id" params={{ id }}>
              {t("catalog.asked")}
            </Link>
          ))}
        </div>
      )}
      <div className="row">
        {!unlisted && (
          <Link to="/ask" search={{ app: app.id }} className="button" aria-label={t("catalog.requestFor", { name: app.name })}>
            {t("catalog.request")}
          </Link>
        )}
        <Link to="/catalog/$id" params={{ id: app.id ?? "" }} className="button" data-kind="plain" aria-label={t("catalog.whoDecidesOf", { name: app.name })}>
          {t("catalog.whoDecides")}
        </Link>
        <AskForHelp app={app} />
      </div>
    </Row>
  );
}
