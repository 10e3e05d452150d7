import { keepPreviousData } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { ProblemNote } from "@/components/ProblemNote";
import { RouteSteps } from "@/components/RouteSteps";
import { Tag } from "@/components/Tag";

interface Props {
  body: {
    kind: "REQUEST_KIND_GRANT";
    beneficiaryId?: string;
    entitlementIds: string[];
    bundleIds?: string[];
    justification: string;
    until?: string;
    fields: Record<string, string>;
  };
}

/** What a form says itself, beside its fields, and not as a refusal. */
const ofForm = ["JUSTIFICATION_TOO_SHORT", "FIELD_MISSING", "FIELD_INVALID"];

/** What would follow if it were sent: of each item who decides it or why it is not taken, and how the account comes. */
export function Route({ body }: Props) {
  const { t } = useTranslation();
  const preview = usePreview(body);
  return (
    <section className="card" aria-labelledby="route" aria-live="polite">
      <h2 id="route">{t("ask.follows")}</h2>
      {preview.error && <ProblemNote error={preview.error} />}
      <ul className="stack tight">
        {!preview.error &&
          preview.data?.items?.map(({ item, refusal, route, requestId }) => (
            <li key={item?.entitlementId} className="row apart">
              <div className="what">
                <span>
                  {item?.appName} · {item?.entitlementName}
                </span>
                {route && <RouteSteps route={route} />}
                {requestId && (
                  <Link to="/requests/$id" params={{ id: requestId }} className="small">
                    {t("ask.first")}
                  </Link>
                )}
              </div>
              {item?.bundleId && (refusal === "ALREADY_HELD" || refusal === "ALREADY_REQUESTED") ? (
                <span className="quiet small">{t("ask.leftOut", { why: t(`refusals.${refusal}`) })}</span>
              ) : refusal && !ofForm.includes(refusal) ? (
                <Tag tone="bad">{t([`refusals.${refusal}` as "refusals.OTHER", "refusals.OTHER"])}</Tag>
              ) : (
                <span className="quiet small">{t(`comes.${item?.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}</span>
              )}
            </li>
          ))}
      </ul>
    </section>
  );
}

/** What would become of what is asked for. What is written in the form changes nothing about it. */
export function usePreview(body: Props["body"], enabled = true) {
  const request = { ...body, justification: "", fields: {} };
  return api.useQuery("post", "/v1/requests:preview", { body: { request } }, { placeholderData: keepPreviousData, enabled });
}
