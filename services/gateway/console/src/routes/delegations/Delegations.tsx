import { getRouteApi, Link } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, client, type Delegation } from "@/api/client";
import { useHasRole, useMe } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { Delegate } from "./Delegate";

const route = getRouteApi("/shell/delegations");

/** Who decides for whom while they are absent: of the caller's own, and of the scope for those who see all. */
export function Delegations() {
  const { t } = useTranslation();
  const { all } = route.useSearch();
  const list = api.useInfiniteQuery("get", "/v1/delegations", { params: { query: { includeEnded: all, pageSize: 50 } } }, { ...pageByPage });
  const decides = !useHasRole("ROLE_RISK_MANAGER");
  return (
    <Page title={t("delegations.title")} lead={t("delegations.lead")} actions={decides && <Delegate />}>
      <nav className="tabs" aria-label={t("delegations.title")}>
        <Link to="/delegations" search={{}} activeOptions={{ exact: true, includeSearch: true }}>
          {t("delegations.current")}
        </Link>
        <Link to="/delegations" search={{ all: true }} activeOptions={{ exact: true, includeSearch: true }}>
          {t("delegations.all")}
        </Link>
      </nav>
      <Rows list={list} of={(p) => p.delegations} id={(one) => one.id} empty={<Empty title={t("delegations.none")} />}>
        {(one) => <Line delegation={one} />}
      </Rows>
    </Page>
  );
}

const tones = { DELEGATION_STATE_UNSPECIFIED: undefined, DELEGATION_STATE_PENDING: "warn", DELEGATION_STATE_ACTIVE: "good", DELEGATION_STATE_ENDED: undefined } as const;

function Line({ delegation }: { delegation: Delegation }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const me = useMe().data?.user?.id;
  const admin = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const names = { delegator: delegation.delegator?.displayName, delegate: delegation.delegate?.displayName };
  const state = delegation.state ?? "DELEGATION_STATE_UNSPECIFIED";
  const may = state !== "DELEGATION_STATE_ENDED" && (admin || delegation.delegator?.userId === me);
  return (
    <Row>
      <div className="what">
        <span>{t("delegations.who", names)}</span>
        <span className="quiet small">
          <Time at={delegation.from ?? ""} /> – <Time at={delegation.endTime ?? delegation.until ?? ""} />
          {delegation.reason && ` · ${delegation.reason}`}
        </span>
      </div>
      <Tag tone={tones[state]}>{t(`delegations.states.${state}`)}</Tag>
      {may && (
        <Confirm
          trigger={<Button aria-label={t("delegations.endWhat", names)}>{t("delegations.end")}</Button>}
          title={t("delegations.endWhat", names)}
          action={t("delegations.end")}
          act={async () => {
            await client.POST("/v1/delegations/{id}:end", { params: { path: { id: delegation.id ?? "" } } });
            tell(t("delegations.ended"));
            await queries.invalidateQueries();
          }}
        >
          <p>{t("delegations.endText", names)}</p>
        </Confirm>
      )}
    </Row>
  );
}
