import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { User } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { userTones } from "@/api/states";
import { Row } from "@/components/Row";
import { Tag } from "@/components/Tag";

/** A person in a list. */
export function UserLine({ user }: { user: User }) {
  const { t } = useTranslation();
  const environment = useEnvironments().find((e) => e.id === user.environmentId)?.name;
  const state = user.state ?? "USER_STATE_UNSPECIFIED";
  return (
    <Row>
      <div className="what">
        <Link to="/admin/people/$id" params={{ id: user.id ?? "" }}>
          {user.displayName}
        </Link>
        <span className="quiet small">{[user.title, user.department, user.userName, environment].filter(Boolean).join(" · ")}</span>
      </div>
      {user.kind !== "USER_KIND_EMPLOYEE" && <Tag>{t(`admin.people.kinds.${user.kind ?? "USER_KIND_UNSPECIFIED"}`)}</Tag>}
      {user.role && user.role !== "ROLE_MEMBER" && <Tag tone="accent">{t(`roles.${user.role}`)}</Tag>}
      <Tag tone={userTones[state]}>{t(`admin.people.states.${state}`)}</Tag>
    </Row>
  );
}
