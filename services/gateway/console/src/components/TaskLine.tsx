import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { AccessRequest, RequestSummary, Task } from "@/api/client";
import { useMyProgress } from "@/api/progress";
import { AppIconOf } from "./AppIcon";
import { Decide } from "./Decide";
import { DecisionContextOf } from "./DecisionContext";
import { Progress } from "./Progress";
import { useAbout } from "./RequestLine";
import { RiskTag } from "./RiskTag";
import { Row } from "./Row";
import { Time } from "./Time";

/** What a list shows of a task. */
export type TaskSummary = Pick<Task, "id" | "requestId" | "itemIds" | "stepName" | "substitution" | "createTime" | "onBehalfOf" | "lastRemindedTime"> & {
  etag?: string;
  request?: Pick<RequestSummary, "items" | "kind" | "beneficiary" | "hiddenItemCount"> & { justification?: string; until?: string; fields?: AccessRequest["fields"] };
};

/** Says what a task is about, and for whom. */
export function useTaskName() {
  const about = useAbout();
  return (task: TaskSummary) => {
    const items = task.request?.items?.filter((i) => task.itemIds?.includes(i.id ?? "")) ?? [];
    return `${about({ items, hiddenItemCount: task.request?.hiddenItemCount ?? 0 })}, ${task.request?.beneficiary?.displayName}`;
  };
}

interface Props {
  task: TaskSummary;
  /** Stands before it, such as a box to select it. */
  before?: ReactNode;
}

/** A task in a list, with the decision. */
export function TaskLine({ task, before }: Props) {
  const { t } = useTranslation();
  const about = useAbout();
  const request = task.request;
  const mine = useMyProgress(task.requestId);
  if (!request) return null;
  const meant = (request.items ?? []).filter((i) => task.itemIds?.includes(i.id ?? ""));
  const shown = meant.length > 0 ? meant : (request.items ?? []);
  const risks = [...new Set(shown.map((i) => i.entitlementRisk))];
  return (
    <Row>
      {before}
      <AppIconOf id={shown[0]?.appId} name={shown[0]?.appName} />
      <div className="what">
        <Link to="/requests/$id" params={{ id: task.requestId ?? "" }}>
          {about({ items: shown, hiddenItemCount: request.hiddenItemCount })}
        </Link>
        <span className="small">{t(request.kind === "REQUEST_KIND_REVOKE" ? "request.takenFrom" : "request.for", { name: request.beneficiary?.displayName })}</span>
        {task.onBehalfOf && <span className="small">{t("task.onBehalf", { name: task.onBehalfOf.displayName })}</span>}
        {request.justification && <span className="quiet small">“{request.justification}”</span>}
        <span className="quiet small">
          {task.stepName} · <Time at={task.createTime ?? ""} relative />
          {request.until && (
            <>
              {" · "}
              {t("until")} <Time at={request.until} />
            </>
          )}
          {task.substitution && ` · ${task.substitution}`}
        </span>
        {request.fields?.map((f) => (
          <span key={f.key} className="small">
            {f.label || f.key}: {f.value}
          </span>
        ))}
        <Progress mine of={mine} />
        <DecisionContextOf id={task.requestId ?? ""} items={shown} about={`${about({ items: shown, hiddenItemCount: request.hiddenItemCount })}, ${request.beneficiary?.displayName}`} />
      </div>
      <div className="row">
        {risks.map((risk) => (
          <RiskTag key={risk} risk={risk} />
        ))}
      </div>
      <Decide task={task} />
    </Row>
  );
}
