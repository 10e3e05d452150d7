import { useQueries } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type App, type Entitlement, type PreviewItem } from "@/api/client";
import { useMine } from "@/api/mine";
import { useAppNames } from "@/api/names";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { RiskTag } from "@/components/RiskTag";
import { RouteSteps } from "@/components/RouteSteps";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { AskForHelp } from "@/routes/questions/AskForHelp";

const route = getRouteApi("/shell/catalog/$id");

/** As many entitlements as one request may have, so that one preview says all of a page. */
const pageSize = 50;

/** One app as everybody sees it: what it gives, what the caller has of it, and who would decide. */
export function CatalogApp() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const found = api.useQuery("get", "/v1/apps/{id}", { params: { path: { id } } });
  const list = api.useInfiniteQuery("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: id }, query: { pageSize } } }, pageByPage);
  const previews = usePreviews(list.data?.pages.map((p) => p.entitlements ?? []) ?? []);
  const app = found.data?.app;
  if (found.error) {
    return (
      <Page title={t("nav.catalog")}>
        <ProblemNote error={found.error} again={() => void found.refetch()} />
        <Link to="/catalog">{t("catalog.all")}</Link>
      </Page>
    );
  }
  if (!app) {
    return (
      <Page title={t("nav.catalog")}>
        <Loading />
      </Page>
    );
  }
  return (
    <Page
      title={app.name ?? ""}
      lead={app.description}
      actions={
        <>
          <AskForHelp app={app} />
          {app.catalogState !== "CATALOG_STATE_UNLISTED" && (
            <Link to="/ask" search={{ app: id }} className="button" data-kind="main">
              {t("catalog.request")}
            </Link>
          )}
        </>
      }
    >
      <p className="named">
        <AppIcon name={app.name} icon={app.icon} />
        {t(`comes.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}
      </p>
      {app.catalogState === "CATALOG_STATE_UNLISTED" && <p className="note">{t("catalog.unlisted")}</p>}
      <About app={app} />
      <section className="stack" aria-labelledby="gives">
        <h2 id="gives">{t("catalog.gives")}</h2>
        {previews.error && <ProblemNote error={previews.error} />}
        <Rows list={list} of={(p) => p.entitlements} id={(e) => e.id} empty={<Empty title={t("catalog.givesNothing")} />}>
          {(e) => <Gives entitlement={e} preview={previews.of(e.id)} />}
        </Rows>
      </section>
    </Page>
  );
}

/** What the catalog says of an app besides. */
function About({ app }: { app: App }) {
  const { t } = useTranslation();
  const sso = useAppNames(app.ssoAppId ? [app.ssoAppId] : []);
  if (!app.category && !app.tags?.length && !app.ssoAppId && !app.instructions) return null;
  return (
    <dl className="facts card">
      {app.category && (
        <>
          <dt>{t("admin.apps.category")}</dt>
          <dd>{app.category}</dd>
        </>
      )}
      {!!app.tags?.length && (
        <>
          <dt>{t("admin.apps.tags")}</dt>
          <dd className="row">
            {app.tags.map((tag) => (
              <Tag key={tag}>{tag}</Tag>
            ))}
          </dd>
        </>
      )}
      {app.ssoAppId && (
        <>
          <dt>{t("catalog.ssoApp")}</dt>
          <dd>
            <Link to="/catalog/$id" params={{ id: app.ssoAppId }}>
              {sso(app.ssoAppId) ?? t("catalog.anotherApp")}
            </Link>
          </dd>
        </>
      )}
      {app.instructions && (
        <>
          <dt>{t("admin.apps.instructions")}</dt>
          <dd className="pre">{app.instructions}</dd>
        </>
      )}
    </dl>
  );
}

/** What would become of a request for oneself, for each page of entitlements. */
function usePreviews(pages: readonly (readonly Entitlement[])[]) {
  const found = useQueries({
    queries: pages.map((page) => ({
      ...api.queryOptions("post", "/v1/requests:preview", { body: { request: { kind: "REQUEST_KIND_GRANT", entitlementIds: page.map((e) => e.id ?? "") } } }),
      enabled: page.length > 0,
      staleTime: 60_000,
    })),
  });
  const byId = new Map(found.flatMap((f) => f.data?.items ?? []).map((i) => [i.item?.entitlementId, i]));
  return { of: (id: string | undefined) => byId.get(id), error: found.find((f) => f.error)?.error };
}

function Gives({ entitlement, preview }: { entitlement: Entitlement; preview: PreviewItem | undefined }) {
  const { t } = useTranslation();
  const mine = useMine();
  const held = mine.held(entitlement.appId ?? "").some((g) => g.entitlementId === entitlement.id);
  const asked = mine.asked(entitlement.appId ?? "").find((r) => r.items?.some((i) => i.entitlementId === entitlement.id));
  return (
    <Row>
      <div className="what">
        <span>
          {entitlement.name} <RiskTag risk={entitlement.risk} />
        </span>
        {entitlement.description && <span className="quiet small">{entitlement.description}</span>}
        {preview?.route && <RouteSteps route={preview.route} />}
      </div>
      {held && <Tag tone="good">{t("catalog.have")}</Tag>}
      {asked && (
        <Link to="/requests/$id" params={{ id: asked.id ?? "" }}>
          {t("catalog.asked")}
        </Link>
      )}
      {!held && !asked && preview?.refusal && <Tag tone="bad">{t([`refusals.${preview.refusal}` as "refusals.OTHER", "refusals.OTHER"])}</Tag>}
    </Row>
  );
}
