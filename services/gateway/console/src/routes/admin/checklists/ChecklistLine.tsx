import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Checklist } from "@/api/client";
import { Due } from "@/components/Due";
import { Row } from "@/components/Row";
import { Tag } from "@/components/Tag";

/** A checklist in a list: who, what is open, and until when. */
export function ChecklistLine({ list }: { list: Checklist }) {
  const { t } = useTranslation();
  return (
    <Row>
      <div className="what">
        <Link to="/admin/checklists/$id" params={{ id: list.id ?? "" }}>
          {list.user?.displayName}
        </Link>
        <span className="quiet small">
          {t(`admin.checklists.kinds.${list.kind ?? "CHECKLIST_KIND_UNSPECIFIED"}`)}
          {" · "}
          <Due list={list} />
        </span>
      </div>
      {list.overdue && <Tag tone="bad">{t("admin.checklists.overdue")}</Tag>}
      {!list.closeTime && (
        <Tag tone="accent">{t("admin.checklists.openOf", { open: list.openCount, all: list.itemCount })}</Tag>
      )}
    </Row>
  );
}
