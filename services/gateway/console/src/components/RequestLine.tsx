import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { RequestSummary } from "@/api/client";
import { requestTones } from "@/api/states";
import { Row } from "./Row";
import { AppIconOf } from "./AppIcon";
import { Progress } from "./Progress";
import { Tag } from "./Tag";
import { Time } from "./Time";
import { TimelineOf } from "./Timeline";

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

/** A request in a list; with history it can be seen there what has happened with it. */
export function RequestLine({ request, history }: { request: RequestSummary; history?: boolean }) {
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
        {request.closingReason && (
          <span className="small pre">
            {request.closedBy?.displayName && `${request.closedBy.displayName}: `}
            {request.closingReason}
          </span>
        )}
        {history && <TimelineOf id={request.id ?? ""} about={about(request)} />}
      </div>
      {request.requiredActions?.map((action) => (
        <Tag key={action} tone="accent">
          {t(`requiredActions.${action}`)}
        </Tag>
      ))}
      {request.waitsForReviewer && <Tag tone="warn">{t("request.nobody")}</Tag>}
      <Tag tone={requestTones[state]}>{t(`requestStates.${state}`)}</Tag>
    </Row>
  );
}
