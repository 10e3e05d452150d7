import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { Check } from "@/components/Check";
import { useTaskName, type TaskSummary } from "@/components/TaskLine";
import { tell } from "@/components/Toasts";

/** As many are decided in one call. */
const most = 100;

/** Whether a task deserves a look of its own: what it opens is risky, or whoever is asked stands in for somebody. */
export function flagged(task: TaskSummary): boolean {
  const items = task.request?.items?.filter((i) => task.itemIds?.includes(i.id ?? "")) ?? [];
  return !!task.substitution || !!task.onBehalfOf || items.some((i) => i.entitlementRisk === "ENTITLEMENT_RISK_HIGH" || i.entitlementRisk === "ENTITLEMENT_RISK_CRITICAL");
}

interface Props {
  /** Those that are shown. */
  tasks: readonly TaskSummary[];
  chosen: ReadonlySet<string>;
  choose: (chosen: ReadonlySet<string>) => void;
}

/** Selects what is shown, but what deserves a look of its own, and decides what is selected together. */
export function Together({ tasks, chosen, choose }: Props) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const name = useTaskName();
  const [seen, setSeen] = useState<readonly TaskSummary[]>([]);
  const [refused, setRefused] = useState<readonly string[]>([]);
  const selected = tasks.filter((task) => chosen.has(task.id ?? ""));
  const plain = tasks.filter((task) => !flagged(task));
  const decide = async (decision: "TASK_DECISION_APPROVE" | "TASK_DECISION_DENY", comment: string) => {
    try {
      const body = { decision, comment, tasks: seen.slice(0, most).map(({ id = "", itemIds, etag }) => ({ id, itemIds, etag })) };
      const results = (await client.POST("/v1/tasks:batchDecide", { body })).data?.results ?? [];
      const not = results.filter((r) => r.reason);
      setRefused(seen.flatMap((task) => not.filter((r) => r.id === task.id).map((r) => `${name(task)}: ${r.message}`)));
      tell(t("task.decided", { count: results.length - not.length }));
      choose(new Set(not.map((r) => r.id ?? "")));
    } finally {
      await queries.invalidateQueries();
    }
  };
  if (tasks.length === 0 && refused.length === 0) return null;
  const what = (
    <ul aria-label={t("task.selected")}>
      {seen.map((task) => (
        <li key={task.id}>{name(task)}</li>
      ))}
    </ul>
  );
  const open = () => {
    setSeen(selected.slice(0, most));
    setRefused([]);
  };
  return (
    <div className="stack tight">
      <div className="row apart">
        <Check
          isSelected={plain.length > 0 && plain.every((task) => chosen.has(task.id ?? ""))}
          isIndeterminate={selected.length > 0 && !plain.every((task) => chosen.has(task.id ?? ""))}
          isDisabled={plain.length === 0}
          onChange={(on) => choose(new Set(on ? plain.map((task) => task.id ?? "") : []))}
        >
          {t(plain.length < tasks.length ? "task.selectPlain" : "task.selectAll")}
        </Check>
        <div className="row">
          <Ask
            onOpen={open}
            trigger={
              <Button kind="main" isDisabled={selected.length === 0}>
                {t("task.approveSelected", { count: Math.min(selected.length, most) })}
              </Button>
            }
            title={t("task.approveSelected", { count: seen.length })}
            label={t("task.comment")}
            hint={t("task.commentHint")}
            action={t("task.approve")}
            act={(comment) => decide("TASK_DECISION_APPROVE", comment)}
          >
            {what}
          </Ask>
          <Ask
            onOpen={open}
            trigger={
              <Button kind="danger" isDisabled={selected.length === 0}>
                {t("task.denySelected", { count: Math.min(selected.length, most) })}
              </Button>
            }
            title={t("task.denySelected", { count: seen.length })}
            label={t("task.reason")}
            hint={t("task.reasonHint")}
            needed
            action={t("task.deny")}
            danger
            act={(reason) => decide("TASK_DECISION_DENY", reason)}
          >
            {what}
          </Ask>
        </div>
      </div>
      {refused.length > 0 && (
        <div className="note" data-tone="warn" role="alert">
          <p>{t("task.notDecided", { count: refused.length })}</p>
          <ul>
            {refused.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
