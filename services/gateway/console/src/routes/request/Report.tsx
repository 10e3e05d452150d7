import { useTranslation } from "react-i18next";
import type { AccessRequest } from "@/api/client";
import { useHasRole, useMe } from "@/api/me";

const formats = ["pdf", "xlsx", "csv", "json"] as const;

/** The full trail of a request as a file, for those who may have it. */
export function Report({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  const me = useMe().data?.user?.id;
  const sees = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN", "ROLE_RISK_MANAGER");
  if (!sees && me !== request.requester?.userId && me !== request.beneficiary?.userId) return null;
  return (
    <div className="row" role="group" aria-label={t("request.report")}>
      <span className="quiet">{t("request.report")}</span>
      {formats.map((format) => (
        <a key={format} className="button" download href={`/v1/requests/${request.id}/report?format=${format}`} aria-label={t("request.reportAs", { format: format.toUpperCase() })}>
          {format.toUpperCase()}
        </a>
      ))}
    </div>
  );
}
