import { useTranslation } from "react-i18next";
import { api, type App } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { DeleteInUse } from "./DeleteInUse";
import { EditEntitlement } from "./EditEntitlement";

/** What can be held in an app. */
export function Entitlements({ app, changes }: { app: App; changes: boolean }) {
  const { t } = useTranslation();
  const found = api.useInfiniteQuery("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: app.id ?? "" }, query: { pageSize: 100 } } }, pageByPage);
  const all = found.data?.pages.flatMap((p) => p.entitlements ?? []) ?? [];
  return (
    <section className="stack tight" aria-labelledby="entitlements">
      <div className="row apart">
        <h2 id="entitlements">{t("admin.apps.entitlements")}</h2>
        {changes && <EditEntitlement app={app} />}
      </div>
      {found.isPending && <Loading />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && all.length === 0 && <p className="quiet">{t("admin.apps.noEntitlements")}</p>}
      {all.length > 0 && (
        <ul className="list">
          {all.map((entitlement) => (
            <li key={entitlement.id}>
              <div className="what">
                <span>{entitlement.name}</span>
                {entitlement.description && <span className="small">{entitlement.description}</span>}
                {entitlement.ref && <span className="quiet small">{t("admin.apps.refIs", { ref: entitlement.ref })}</span>}
              </div>
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
