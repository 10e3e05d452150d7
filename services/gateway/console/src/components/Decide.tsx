import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { Ask } from "./Ask";
import { Button } from "./Button";
import type { TaskSummary } from "./TaskLine";
import { tell } from "./Toasts";
import { useHold } from "./held";

/** Approve and deny, each with the comment that goes with it, which may be begun before. What is decided is what was shown when the dialog opened: if it is not so any more, that is refused with what has changed. */
export function Decide({ task, begun, onDecided }: { task: TaskSummary; begun?: string; onDecided?: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const hold = useHold();
  const [seen, setSeen] = useState(task);
  const open = () => {
    setSeen(task);
    hold(task.id ?? "", true);
  };
  // Somebody else may decide meanwhile: the dialog stays, and says so.
  const stays = { onOpen: open, onClose: () => hold(task.id ?? "", false) };
  const params = { path: { id: task.id ?? "" } };
  const decide = async (decided: Promise<unknown>, done: string) => {
    try {
      await decided;
      tell(done);
      onDecided?.();
    } finally {
      await queries.invalidateQueries();
    }
  };
  const items = (seen.request?.items ?? []).filter((i) => seen.itemIds?.includes(i.id ?? ""));
  const what = (
    <ul>
      {items.map((i) => (
        <li key={i.id}>
          {i.appName} · {i.entitlementName}
        </li>
      ))}
    </ul>
  );
  return (
    <div className="row">
      <Ask
        {...stays}
        begun={begun}
        trigger={<Button kind="main">{t("task.approve")}</Button>}
        title={t("task.approveTitle", { name: task.request?.beneficiary?.displayName })}
        label={t("task.comment")}
        hint={t("task.commentHint")}
        action={t("task.approve")}
        act={(comment) => decide(client.POST("/v1/tasks/{id}:approve", { params, body: { comment, itemIds: seen.itemIds, etag: seen.etag } }), t("task.approved"))}
      >
        {what}
      </Ask>
      <Ask
        {...stays}
        begun={begun}
        trigger={<Button kind="danger">{t("task.deny")}</Button>}
        title={t("task.denyTitle", { name: task.request?.beneficiary?.displayName })}
        label={t("task.reason")}
        hint={t("task.reasonHint")}
        field="reason"
        needed
        action={t("task.deny")}
        danger
        act={(reason) => decide(client.POST("/v1/tasks/{id}:deny", { params, body: { reason, itemIds: seen.itemIds, etag: seen.etag } }), t("task.denied"))}
      >
        {what}
      </Ask>
    </div>
  );
}
