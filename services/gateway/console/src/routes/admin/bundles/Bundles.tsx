import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, type Bundle, client } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { useHasRole, useWhole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { tell } from "@/components/Toasts";
import { EditBundle } from "./EditBundle";

/** What is requested as one, for those who run the catalog. */
export function Bundles() {
  const { t } = useTranslation();
  const admin = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const whole = useWhole();
  const environments = useEnvironments();
  const bundles = api.useInfiniteQuery("get", "/v1/bundles", { params: { query: { pageSize: 50 } } }, pageByPage);
  return (
    <Page title={t("admin.pages.bundles")} lead={t("admin.bundles.lead")} actions={admin && <EditBundle />}>
      <Rows list={bundles} of={(p) => p.bundles} id={(b) => b.id} empty={<Empty title={t("admin.bundles.none")} />}>
        {(bundle) => (
          <Row>
            <div className="what">
              <span>{bundle.name}</span>
              {bundle.description && <span className="quiet small">{bundle.description}</span>}
              <span className="quiet small">
                {bundle.items
                  ?.filter((i) => !bundle.goneIds?.includes(i.entitlementId ?? ""))
                  .map((i) => `${i.appName} · ${i.entitlementName}`)
                  .join(", ")}
              </span>
            </div>
            {bundle.environmentId && <Tag>{environments.find((e) => e.id === bundle.environmentId)?.name}</Tag>}
            {!!bundle.goneIds?.length && <Tag tone="warn">{t("admin.bundles.gone", { count: bundle.goneIds.length })}</Tag>}
            {/* What belongs to the organization an environment does not change. */}
            {admin && (whole || bundle.environmentId) && (
              <span className="row">
                <EditBundle bundle={bundle} />
                <DeleteBundle bundle={bundle} />
              </span>
            )}
          </Row>
        )}
      </Rows>
    </Page>
  );
}

function DeleteBundle({ bundle }: { bundle: Bundle }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  return (
    <Confirm
      trigger={<Button aria-label={t("admin.deleteWhat", { name: bundle.name })}>{t("admin.delete")}</Button>}
      title={t("admin.deleteWhat", { name: bundle.name })}
      action={t("admin.delete")}
      danger
      act={async () => {
        await client.DELETE("/v1/bundles/{id}", { params: { path: { id: bundle.id ?? "" }, query: { etag: bundle.etag } } });
        tell(t("admin.bundles.deleted", { name: bundle.name }));
        await queries.invalidateQueries();
      }}
    >
      <p>{t("admin.bundles.deleteText")}</p>
    </Confirm>
  );
}
