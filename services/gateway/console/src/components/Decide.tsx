import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { Ask } from "./Ask";
import { Button } from "./Button";
import type { TaskSummary } from "./TaskLine";
import { tell } from "./Toasts";

/** Approve and deny, each with the comment that goes with it. What is decided is the items that are shown. */
export function Decide({ task }: { task: TaskSummary }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const decide = (path: "/v1/tasks/{id}:approve" | "/v1/tasks/{id}:deny", done: string) => async (comment: string) => {
    try {
      await client.POST(path, { params: { path: { id: task.id ?? "" } }, body: { comment, itemIds: task.itemIds } });
      tell(done);
    } finally {
      await queries.invalidateQueries();
    }
  };
  const items = (task.request?.items ?? []).filter((i) => task.itemIds?.includes(i.id ?? ""));
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
        trigger={<Button kind="main">{t("task.approve")}</Button>}
        title={t("task.approveTitle", { name: task.request?.beneficiary?.displayName })}
        label={t("task.comment")}
        hint={t("task.commentHint")}
        action={t("task.approve")}
        act={decide("/v1/tasks/{id}:approve", t("task.approved"))}
      >
        {what}
      </Ask>
      <Ask
        trigger={<Button kind="danger">{t("task.deny")}</Button>}
        title={t("task.denyTitle", { name: task.request?.beneficiary?.displayName })}
        label={t("task.reason")}
        hint={t("task.reasonHint")}
        action={t("task.deny")}
        danger
        act={decide("/v1/tasks/{id}:deny", t("task.denied"))}
      >
        {what}
      </Ask>
    </div>
  );
}
