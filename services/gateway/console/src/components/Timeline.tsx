import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { Loading } from "./Loading";
import { ProblemNote } from "./ProblemNote";
import { Time } from "./Time";

/** What has happened with a request, the first first. */
export function Timeline({ id }: { id: string }) {
  const timeline = api.useQuery("get", "/v1/requests/{id}/timeline", { params: { path: { id }, query: { pageSize: 1000 } } });
  return (
    <>
      {timeline.isPending && <Loading />}
      {timeline.error && <ProblemNote error={timeline.error} again={() => void timeline.refetch()} />}
      <ol className="timeline">
        {timeline.data?.entries?.map((entry) => (
          <li key={entry.eventId}>
            <span className="pre">{entry.text}</span>
            <span className="quiet small">
              {entry.actor?.displayName} · <Time at={entry.time ?? ""} />
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

/** The same in a row of a list: asked for once somebody wants to see it. */
export function TimelineOf({ id, about }: { id: string; about: string }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <details className="activity" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary aria-label={t("request.activityOf", { name: about })}>{t("request.timeline")}</summary>
      {open && <Timeline id={id} />}
    </details>
  );
}
