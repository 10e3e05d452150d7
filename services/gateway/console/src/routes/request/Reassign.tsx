import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Task, type User } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { People } from "@/components/People";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";

/** Gives a task to somebody better suited. What is given is the items that are shown. */
export function Reassign({ task }: { task: Task }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [reviewer, setReviewer] = useState<User>();
  const [reason, setReason] = useState("");
  return (
    <Confirm
      trigger={<Button aria-label={t("task.reassignWhat", { name: task.reviewer?.displayName, step: task.stepName })}>{t("task.reassign")}</Button>}
      title={t("task.reassignTitle", { name: task.reviewer?.displayName })}
      fields={["reviewerId", "reason"]}
      action={t("task.reassign")}
      ready={reviewer !== undefined && reason.trim() !== ""}
      onOpen={() => {
        setReviewer(undefined);
        setReason("");
      }}
      act={async () => {
        await client.POST("/v1/tasks/{id}:reassign", {
          params: { path: { id: task.id ?? "" } },
          body: { reviewerId: reviewer?.id ?? "", reason: reason.trim(), itemIds: task.itemIds },
        });
        tell(t("task.reassigned", { name: reviewer?.displayName }));
        await queries.invalidateQueries();
      }}
    >
      {(errors) => (
        <>
          <People label={t("task.reviewer")} hint={t("task.reviewerHint")} error={errors.reviewerId} onChoose={setReviewer} />
          <TextBox label={t("task.reassignReason")} lines value={reason} onChange={setReason} isRequired error={errors.reason} />
        </>
      )}
    </Confirm>
  );
}
