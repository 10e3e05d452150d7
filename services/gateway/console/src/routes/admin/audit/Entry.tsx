import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { AuditEntry } from "@/api/client";
import { Row } from "@/components/Row";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";

/** One fact that happened, with the way to what it is about. */
export function Entry({ entry, app }: { entry: AuditEntry; app?: string }) {
  const { t } = useTranslation();
  return (
    <Row>
      <div className="what">
        <span>{entry.summary}</span>
        <span className="quiet small">
          {entry.actor?.displayName || entry.actor?.id} · <Time at={entry.time ?? ""} />
        </span>
        <span className="row small">
          {entry.requestIds?.map((id) => (
            <Link key={id} to="/requests/$id" params={{ id }}>
              {t("request.title")}
            </Link>
          ))}
          {entry.appId && (
            <Link to="/admin/apps/$id" params={{ id: entry.appId }}>
              {app ?? t("ask.app")}
            </Link>
          )}
          {entry.userId && (
            <Link to="/admin/audit" search={{ person: entry.userId }}>
              {t("admin.audit.samePerson")}
            </Link>
          )}
        </span>
        <details className="small">
          <summary>{t("admin.audit.whole")}</summary>
          <span className="pre">{JSON.stringify(entry.data, null, 2)}</span>
        </details>
      </div>
      <Tag>{entry.event}</Tag>
    </Row>
  );
}
