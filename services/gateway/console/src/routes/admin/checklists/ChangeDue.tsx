import { getLocalTimeZone, parseAbsolute, type ZonedDateTime } from "@internationalized/date";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Checklist } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { DateTime } from "@/components/DateTime";
import { shortTime } from "@/components/Time";
import { tell } from "@/components/Toasts";

/** Changes until when an open checklist should be done. */
export function ChangeDue({ list }: { list: Checklist }) {
  const { t, i18n } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(list);
  const [due, setDue] = useState<ZonedDateTime | null>(null);
  const save = async (dueTime: string, etag?: string) => {
    const { data } = await client.PATCH("/v1/checklists/{id}", { params: { path: { id: list.id ?? "" }, query: { updateMask: "due_time" } }, body: { dueTime, etag } });
    return data?.checklist;
  };
  const change = async () => {
    if (!due) return;
    const before = seen.dueTime;
    try {
      const saved = await save(due.toAbsoluteString(), seen.etag);
      const undo = async () => {
        await save(before ?? "", saved?.etag);
        void queries.invalidateQueries();
        return t("admin.undo.done");
      };
      tell(t("admin.deadlines.dueSaved"), before ? { label: t("admin.undo.due", { time: shortTime(before, i18n.language) }), act: undo } : undefined);
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={<Button>{t("admin.deadlines.changeDue")}</Button>}
      title={t("admin.deadlines.changeDue")}
      fields={["dueTime"]}
      prefix="checklist"
      action={t("save")}
      ready={due !== null}
      onOpen={() => {
        setSeen(list);
        setDue(list.dueTime ? parseAbsolute(list.dueTime, getLocalTimeZone()) : null);
      }}
      act={change}
    >
      {(errors) => <DateTime label={t("admin.deadlines.due")} hint={t("admin.deadlines.dueHint")} value={due} onChange={setDue} error={errors.dueTime} />}
    </Confirm>
  );
}
