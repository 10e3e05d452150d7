import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type App } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { grantTones } from "@/api/states";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";

/** Who has access to an app, until when, and why. */
export function Holders({ app }: { app: App }) {
  const { t } = useTranslation();
  const query = { appId: app.id, filter: "state != GRANT_STATE_REVOKED", pageSize: 50 };
  const grants = api.useInfiniteQuery("get", "/v1/grants", { params: { query } }, { ...pageByPage });
  const all = grants.data?.pages.flatMap((p) => p.grants ?? []) ?? [];
  return (
    <section className="stack tight" aria-labelledby="holders">
      <h2 id="holders">{t("admin.apps.holders")}</h2>
      {grants.isPending && <Loading />}
      {grants.error && <ProblemNote error={grants.error} again={() => void grants.refetch()} />}
      {grants.data && all.length === 0 && <p className="quiet">{t("admin.apps.nobody")}</p>}
      {all.length > 0 && (
        <ul className="list">
          {all.map((grant) => {
            const state = grant.state ?? "GRANT_STATE_UNSPECIFIED";
            return (
              <li key={grant.id}>
                <div className="what">
                  <span>
                    {grant.user?.displayName} · {grant.entitlementName}
                  </span>
                  <span className="quiet small">
                    {grant.until ? (
                      <>
                        {t("until")} <Time at={grant.until} />
                      </>
                    ) : (
                      t("access.permanent")
                    )}
                  </span>
                  {grant.error && <span className="small">{grant.error}</span>}
                  {grant.requestId && (
                    <Link className="small" to="/requests/$id" params={{ id: grant.requestId }} aria-label={t("admin.apps.whyWho", { name: grant.user?.displayName, what: grant.entitlementName })}>
                      {t("admin.apps.why")}
                    </Link>
                  )}
                </div>
                <Tag tone={grantTones[state]}>{t(`grantStates.${state}`)}</Tag>
              </li>
            );
          })}
        </ul>
      )}
      <More list={grants} />
    </section>
  );
}
