import { useTranslation } from "react-i18next";
import type { FlowPreview } from "@/api/client";

/** What saving a flow would mean: whom it asks, what has nobody or hangs on one person, and what else could claim the same. */
export function Effects({ preview }: { preview: FlowPreview }) {
  const { t, i18n } = useTranslation();
  const list = (names: readonly string[], count: number) =>
    new Intl.ListFormat(i18n.language, { type: "conjunction" }).format(count > names.length ? [...names, t("route.more", { count: count - names.length })] : [...names]);
  return (
    <div className="stack tight">
      <p>{t("admin.flows.reaches", { people: preview.audienceCount ?? 0, things: preview.entitlementCount ?? 0, count: preview.notifiedCount ?? 0 })}</p>
      <ul className="stack tight small" aria-label={t("admin.flows.steps")}>
        {preview.steps?.map((step, i) => (
          <li key={i}>
            <strong>{step.name}</strong>: {list((step.reviewers ?? []).slice(0, 5).map((p) => p.displayName ?? ""), step.reviewerCount ?? 0) || t("request.nobody")}
            {!!step.nobodyCount && (
              <div className="note" data-tone="warn">
                {step.nobodyFor?.length ? t("admin.flows.nobodyFor", { names: list(step.nobodyFor.slice(0, 5), step.nobodyCount) }) : t("admin.flows.nobodyAtAll")}
              </div>
            )}
            {!!step.singleCount && <div className="quiet">{step.singleFor?.length ? t("admin.flows.singleFor", { names: list(step.singleFor.slice(0, 5), step.singleCount) }) : t("admin.flows.singleAtAll")}</div>}
          </li>
        ))}
      </ul>
      {preview.ties?.map((tie) => (
        <p key={tie.flowId} className="note" data-tone="warn">
          {t(tie.otherDecides ? "admin.flows.tieOther" : "admin.flows.tieThis", { name: tie.flowName, person: tie.exampleUser?.displayName, what: tie.exampleEntitlement })}
        </p>
      ))}
    </div>
  );
}
