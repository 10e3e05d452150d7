import { useTranslation } from "react-i18next";
import type { Checklist } from "@/api/client";
import { Time } from "./Time";

/** Until when a checklist should be done, or when it was. */
export function Due({ list }: { list: Pick<Checklist, "closeTime" | "dueTime"> }) {
  const { t } = useTranslation();
  if (list.closeTime) {
    return (
      <>
        {t("admin.checklists.done")} <Time at={list.closeTime} />
      </>
    );
  }
  if (!list.dueTime) return t("admin.checklists.noDue");
  return (
    <>
      {t("admin.checklists.due")} <Time at={list.dueTime} relative /> (<Time at={list.dueTime} />)
    </>
  );
}
