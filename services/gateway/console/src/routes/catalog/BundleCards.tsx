import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type BundleItem } from "@/api/client";
import { containing } from "@/api/filter";
import { RiskTag } from "@/components/RiskTag";

/** What can be requested as one. Nothing while there is none. */
export function BundleCards({ words }: { words: string | undefined }) {
  const { t } = useTranslation();
  const found = api.useQuery("get", "/v1/bundles", { params: { query: { filter: containing(words, ["name", "description"]), pageSize: 50 } } });
  const bundles = found.data?.bundles ?? [];
  if (bundles.length === 0) return null;
  return (
    <>
      <section className="stack tight" aria-labelledby="bundles">
        <h2 id="bundles">{t("catalog.bundles")}</h2>
        <ul className="columns">
          {bundles.map((bundle) => (
            <li key={bundle.id} className="card">
              <h3>{bundle.name}</h3>
              {bundle.description && <p className="quiet">{bundle.description}</p>}
              <ItemNames items={bundle.items?.filter((i) => !bundle.goneIds?.includes(i.entitlementId ?? "")) ?? []} />
              <div className="row">
                <Link to="/ask" search={{ bundle: bundle.id }} className="button" aria-label={t("catalog.requestBundle", { name: bundle.name })}>
                  {t("catalog.request")}
                </Link>
              </div>
            </li>
          ))}
        </ul>
      </section>
      <h2>{t("admin.pages.apps")}</h2>
    </>
  );
}

/** What a bundle has. */
export function ItemNames({ items }: { items: readonly BundleItem[] }) {
  return (
    <ul className="stack tight">
      {items.map((i) => (
        <li key={i.entitlementId} className="small">
          {i.appName} · {i.entitlementName} <RiskTag risk={i.risk} />
        </li>
      ))}
    </ul>
  );
}
