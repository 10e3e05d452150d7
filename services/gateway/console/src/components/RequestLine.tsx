import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { RequestSummary } from "@/api/client";
import { requestTones } from "@/api/states";
import { Row } from "./Row";
import { AppIconOf } from "./AppIcon";
import { Progress } from "./Progress";
import { Tag } from "./Tag";
import { Time } from "./Time";

/** What a request is about, in few words. */
export function useAbout() {
  const { t } = useTranslation();
  return (request: Pick<RequestSummary, "items" | "hiddenItemCount">): string => {
    const items = request.items ?? [];
    const first = items[0];
    if (!first) return t("request.hidden", { count: request.hiddenItemCount ?? 0 });
    const name = `${first.appName} · ${first.entitlementName}`;
    return items.length === 1 ? name : t("request.andMore", { name, count: items.length - 1 });
  };
}

/** A request in a list. */
export function RequestLine({ request }: { request: RequestSummary }) {
  const { t } = useTranslation();
  const about = useAbout();
  const state = request.state ?? "REQUEST_STATE_UNSPECIFIED";
  return (
    <Row>
      <AppIconOf id={request.items?.[0]?.appId} name={request.items?.[0]?.appName} />
      <div className="what">
        <Link to="/requests/$id" params={{ id: request.id ?? "" }}>
          {about(request)}
        </Link>
        <span className="quiet small">
          {t(request.kind === "REQUEST_KIND_REVOKE" ? "request.takenFrom" : "request.for", { name: request.beneficiary?.displayName })}
          {" · "}
          <Time at={request.createTime ?? ""} relative />
        </span>
        <Progress of={request.progress} />
      </div>
      {request.waitsForReviewer && <Tag tone="warn">{t("request.nobody")}</Tag>}
      <Tag tone={requestTones[state]}>{t(`requestStates.${state}`)}</Tag>
    </Row>
  );
}
