import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type Grant } from "@/api/client";
import { managedBy } from "@/api/filter";
import { useHasRole, useMe } from "@/api/me";
import { useMine } from "@/api/mine";
import { grantTones } from "@/api/states";
import { AppIconOf } from "@/components/AppIcon";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows, whole } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";

/** What the caller has now, until when, and the way to give it back. */
export function Access() {
  const { t } = useTranslation();
  const { grants } = useMine();
  const apps = useMemo(() => {
    const all = (grants.data?.grants ?? []).filter((g) => g.state !== "GRANT_STATE_REVOKED");
    return [...Map.groupBy(all, (g) => g.appName ?? "")].sort(([a], [b]) => a.localeCompare(b));
  }, [grants.data]);
  return (
    <Page title={t("nav.access")} lead={t("access.lead")} actions={<ToTeam />}>
      <Rows
        as="sections"
        list={whole(grants, apps)}
        of={(apps) => apps}
        id={([name]) => name}
        empty={
          <Empty title={t("access.none")}>
            <Link to="/catalog" className="button">
              {t("home.look")}
            </Link>
          </Empty>
        }
      >
        {([name, held]) => (
          <Row className="stack tight">
            <div className="named">
              <AppIconOf id={held[0]?.appId} name={name} />
              <h2>{name}</h2>
            </div>
            <ul className="list">
              {held.map((grant) => (
                <Held key={grant.id} grant={grant} />
              ))}
            </ul>
          </Row>
        )}
      </Rows>
    </Page>
  );
}

/** The way to what others have, for their manager. */
function ToTeam() {
  const { t } = useTranslation();
  const me = useMe().data?.user?.id;
  // Whoever is external manages nobody, and is not told who there is.
  const external = useHasRole("ROLE_EXTERNAL");
  const some = api.useQuery("get", "/v1/users", { params: { query: { filter: managedBy(me), pageSize: 1 } } }, { enabled: me !== undefined && !external, staleTime: 60_000 });
  if (!some.data?.users?.length) return null;
  return (
    <Link to="/team" className="button">
      {t("team.title")}
    </Link>
  );
}

function Held({ grant }: { grant: Grant }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const me = useMe().data?.user?.id;
  const state = grant.state ?? "GRANT_STATE_UNSPECIFIED";
  const giveBack = async (justification: string) => {
    await client.POST("/v1/requests", {
      body: { requestId: crypto.randomUUID(), kind: "REQUEST_KIND_REVOKE", beneficiaryId: me, entitlementIds: [grant.entitlementId ?? ""], justification },
    });
    tell(t("access.givenBack", { name: grant.entitlementName }));
    await queries.invalidateQueries();
  };
  return (
    <li>
      <div className="what">
        <span>{grant.entitlementName}</span>
        <span className="quiet small">
          {grant.activateTime ? (
            <>
              {t("access.since")} <Time at={grant.activateTime} />
            </>
          ) : (
            <>
              {t("access.approved")} <Time at={grant.createTime ?? ""} relative />
            </>
          )}
          {" · "}
          {grant.until ? (
            <>
              {t("ends")} <Time at={grant.until} relative />
            </>
          ) : (
            t("access.permanent")
          )}
        </span>
        {grant.requestId && (
          <Link className="small" to="/requests/$id" params={{ id: grant.requestId }}>
            {t("access.why")}
          </Link>
        )}
      </div>
      <Tag tone={grantTones[state]}>{t(`grantStates.${state}`)}</Tag>
      {grant.state !== "GRANT_STATE_REVOKING" && (
        <Ask
          trigger={<Button aria-label={t("access.giveBackWhat", { name: `${grant.appName} ${grant.entitlementName}` })}>{t("access.giveBack")}</Button>}
          title={t("access.giveBackTitle", { app: grant.appName, name: grant.entitlementName })}
          label={t("access.giveBackReason")}
          field="justification"
          action={t("access.giveBack")}
          danger
          act={giveBack}
        >
          <p>{t("access.giveBackText")}</p>
        </Ask>
      )}
    </li>
  );
}
