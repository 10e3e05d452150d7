import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type App, type Entitlement } from "@/api/client";
import { containing } from "@/api/filter";
import { pageByPage } from "@/api/pages";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { RiskTag } from "@/components/RiskTag";
import { SearchBox } from "@/components/SearchBox";
import { Tag } from "@/components/Tag";
import { AddFromApp } from "./AddFromApp";
import { DeleteInUse } from "./DeleteInUse";
import { EditEntitlement } from "./EditEntitlement";

const route = getRouteApi("/shell/admin/apps/$id");

/** Whether it says what it opens, without which nobody can ask for it. */
const described = (app: App, e: Entitlement) => !!e.description?.trim() || (e.kind === "ENTITLEMENT_KIND_ACCOUNT" && !!app.description?.trim());

/** What can be held in an app. */
export function Entitlements({ app, changes }: { app: App; changes: boolean }) {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const id = app.id ?? "";
  const look = useCallback((q: string | undefined) => void navigate({ to: "/admin/apps/$id", params: { id }, search: q ? { q } : {}, replace: true, resetScroll: false }), [navigate, id]);
  const filter = containing(q, ["name", "description", "ref"]);
  const found = api.useInfiniteQuery(
    "get",
    "/v1/apps/{app_id}/entitlements",
    { params: { path: { app_id: id }, query: { filter, pageSize: 100 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  // Of few one sees all. A box that is there stays.
  const [many, setMany] = useState(false);
  if (!many && (q !== undefined || found.hasNextPage)) setMany(true);
  const all = found.data?.pages.flatMap((p) => p.entitlements ?? []) ?? [];
  return (
    <section className="stack tight" aria-labelledby="entitlements">
      <div className="row apart">
        <h2 id="entitlements">{t("admin.apps.entitlements")}</h2>
        {changes && (
          <span className="row">
            {app.integrationId && <AddFromApp app={app} known={all} />}
            <EditEntitlement app={app} />
          </span>
        )}
      </div>
      {many && <SearchBox label={t("admin.apps.searchEntitlements")} value={q} onChange={look} />}
      {found.isPending && <Loading />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && all.length === 0 && <p className="quiet">{q ? t("admin.noneFound") : t("admin.apps.noEntitlements")}</p>}
      {all.length > 0 && (
        <ul className="list">
          {all.map((entitlement) => (
            <li key={entitlement.id}>
              <div className="what">
                <span>{entitlement.name}</span>
                {entitlement.description && <span className="small">{entitlement.description}</span>}
                {!described(app, entitlement) && <span className="small">{t("admin.apps.notDescribed")}</span>}
                {entitlement.ref && <span className="quiet small">{t("admin.apps.refIs", { ref: entitlement.ref })}</span>}
              </div>
              <RiskTag risk={entitlement.risk} />
              <Tag>{t(`admin.apps.kinds.${entitlement.kind ?? "ENTITLEMENT_KIND_UNSPECIFIED"}`)}</Tag>
              {changes && <EditEntitlement app={app} entitlement={entitlement} />}
              {changes && entitlement.kind !== "ENTITLEMENT_KIND_ACCOUNT" && <DeleteInUse app={app} entitlement={entitlement} />}
            </li>
          ))}
        </ul>
      )}
      <More list={found} />
    </section>
  );
}
