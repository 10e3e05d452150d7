import { useTranslation } from "react-i18next";
import type { Progress as Actions } from "@/api/client";

/** How many of the actions on a request are done: of all, or with mine of those that the caller is asked for. */
export function Progress({ of, mine }: { of: Actions | undefined; mine?: boolean }) {
  const { t } = useTranslation();
  if (!of) return null;
  const { doneActions: done = 0, neededActions: needed = 0, percent = 0 } = of;
  return (
    <span className="progress quiet small">
      <progress value={percent} max={100} aria-label={t(mine ? "progress.mine" : "progress.all")} />
      {needed > 0 && `${t("progress.of", { done, needed })} · `}
      {t("progress.percent", { percent })}
    </span>
  );
}
