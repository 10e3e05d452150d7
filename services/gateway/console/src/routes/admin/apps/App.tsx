import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type App as AppType } from "@/api/client";
import { useHasRole, useWhole } from "@/api/me";
import { useAppNames, useEnvironmentNames, useUserNames } from "@/api/names";
import { AppIcon } from "@/components/AppIcon";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { ChangeApp } from "./ChangeApp";
import { DeleteInUse } from "./DeleteInUse";
import { Entitlements } from "./Entitlements";
import { Holders } from "./Holders";

const route = getRouteApi("/shell/admin/apps/$id");

/** One app: how it is set up, what can be held in it, and who has access. */
export function App() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const admin = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const whole = useWhole();
  const found = api.useQuery("get", "/v1/apps/{id}", { params: { path: { id } } });
  const app = found.data?.app;
  if (!app) {
    return <Page title={t("ask.app")}>{found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}</Page>;
  }
  // What belongs to the organization an environment does not change.
  const changes = admin && !app.deleteTime && (whole || !!app.environmentId);
  return (
    <Page
      title={app.name ?? ""}
      icon={<AppIcon name={app.name} icon={app.icon} />}
      lead={app.description}
      actions={
        changes && (
          <>
            <ChangeApp app={app} />
            <DeleteInUse app={app} />
          </>
        )
      }
    >
      {app.deleteTime && (
        <p className="note" data-tone="warn">
          {t("admin.apps.deletedAt")} <Time at={app.deleteTime} />
        </p>
      )}
      {!!app.goneUserIds?.length && (
        <p className="note" data-tone="warn">
          {t("admin.apps.vacantText", { count: app.goneUserIds.length })}
        </p>
      )}
      <Facts app={app} />
      <Entitlements app={app} changes={changes} />
      <Holders app={app} />
    </Page>
  );
}

function Facts({ app }: { app: AppType }) {
  const { t } = useTranslation();
  const sso = useAppNames(app.ssoAppId ? [app.ssoAppId] : []);
  const support = app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED";
  const integration = api.useQuery("get", "/v1/integrations/{id}", { params: { path: { id: app.integrationId ?? "" } } }, { enabled: !!app.integrationId });
  return (
    <dl className="facts card">
      <dt>{t("admin.apps.inCatalog")}</dt>
      <dd>{t(`admin.apps.catalogStates.${app.catalogState === "CATALOG_STATE_UNLISTED" ? app.catalogState : "CATALOG_STATE_LISTED"}.name`)}</dd>
      <dt>{t("admin.apps.category")}</dt>
      <dd>{app.category || t("none")}</dd>
      <dt>{t("admin.apps.tags")}</dt>
      <dd>{app.tags?.join(", ") || t("none")}</dd>
      <dt>{t("admin.apps.ssoApp")}</dt>
      <dd>
        {app.ssoAppId ? (
          <Link to="/admin/apps/$id" params={{ id: app.ssoAppId }}>
            {sso(app.ssoAppId) ?? app.ssoAppId}
          </Link>
        ) : (
          t("none")
        )}
      </dd>
      <dt>{t("admin.apps.instructions")}</dt>
      <dd className="pre">{app.instructions || t("none")}</dd>
      <dt>{t("admin.apps.provisioning")}</dt>
      <dd>
        {t(`admin.apps.supports.${support}.name`)}. <span className="quiet">{t(`admin.apps.supports.${support}.means`)}</span>
      </dd>
      <dt>{t("admin.apps.integration")}</dt>
      <dd>{app.integrationId ? (integration.data?.integration?.name ?? app.integrationId) : t("none")}</dd>
      <dt>{t("admin.apps.owner")}</dt>
      <dd>
        <Places ids={app.ownerId ? [app.ownerId] : []} gone={app.goneUserIds} />
      </dd>
      <dt>{t("admin.apps.admins")}</dt>
      <dd>
        <Places ids={app.adminIds ?? []} gone={app.goneUserIds} />
      </dd>
      <dt>{t("admin.apps.approvers")}</dt>
      <dd>
        <Places ids={app.approverIds ?? []} gone={app.goneUserIds} />
      </dd>
      <dt>{t("admin.apps.uncovered")}</dt>
      <dd>{t(app.onlyByFlow ? "admin.apps.uncoveredRefused" : "admin.apps.uncoveredDecided")}</dd>
      <Offer app={app} />
      <dt>{t("admin.apps.deprovisioning")}</dt>
      <dd>{t(`admin.apps.deprovisionings.${app.deprovisioningAction ?? "DEPROVISIONING_ACTION_UNSPECIFIED"}`)}</dd>
      <dt>{t("admin.apps.adoption")}</dt>
      <dd>{t(`admin.apps.adoptions.${app.accountAdoption ?? "ACCOUNT_ADOPTION_UNSPECIFIED"}`)}</dd>
    </dl>
  );
}

/** How many environments are named. */
const named = 20;

/** Whose an app is, and in which environments it is seen besides. */
function Offer({ app }: { app: AppType }) {
  const { t } = useTranslation();
  const whole = useWhole();
  const offered = app.offeredEnvironmentIds ?? [];
  const shown = offered.slice(0, named);
  const names = useEnvironmentNames(app.environmentId ? [app.environmentId] : shown);
  const list = shown.map((id) => names(id) ?? id).join(", ");
  const more = offered.length - shown.length;
  return (
    <>
      <dt>{t("admin.apps.belongs")}</dt>
      <dd>{app.environmentId ? (names(app.environmentId) ?? app.environmentId) : t("admin.apps.ofOrganization")}</dd>
      {/* An environment is told of no other. */}
      {whole && !app.environmentId && (
        <>
          <dt>{t("admin.apps.offered")}</dt>
          <dd>
            {app.offeredToAllEnvironments ? t("admin.apps.offeredToEvery") : offered.length === 0 ? t("admin.apps.offeredToNone") : list}
            {!app.offeredToAllEnvironments && more > 0 && ` ${t("admin.apps.andMore", { count: more })}`}
          </dd>
        </>
      )}
    </>
  );
}

/** Who has a place in an app, in their order. Of somebody who has left it is vacant. */
function Places({ ids, gone = [] }: { ids: readonly string[]; gone?: readonly string[] }) {
  const { t } = useTranslation();
  const names = useUserNames(ids);
  if (ids.length === 0) return t("none");
  return (
    <span className="row">
      {ids.map((id, i) => (
        <span key={id}>
          {names(id) ?? (gone.includes(id) ? t("goneName") : id)} {gone.includes(id) && <Tag tone="warn">{t("gone")}</Tag>}
          {i < ids.length - 1 && ","}
        </span>
      ))}
    </span>
  );
}
