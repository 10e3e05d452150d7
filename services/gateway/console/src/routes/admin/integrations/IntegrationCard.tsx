import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, type Integration } from "@/api/client";
import { integrationTones } from "@/api/states";
import { Button } from "@/components/Button";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { DeleteIntegration } from "./DeleteIntegration";
import { EditIntegration } from "./EditIntegration";

/** One integration, with what its last test found. */
export function IntegrationCard({ integration, changes }: { integration: Integration; changes: boolean }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const test = api.useMutation("post", "/v1/integrations/{id}:test", { onSettled: () => queries.invalidateQueries() });
  const state = integration.state ?? "INTEGRATION_STATE_UNSPECIFIED";
  const id = integration.id ?? "";
  return (
    <section className="card" aria-labelledby={`name-${id}`}>
      <div className="row apart">
        <h2 id={`name-${id}`}>{integration.name}</h2>
        <div className="row">
          {integration.throttledUntil && (
            <Tag tone="warn">
              {t("admin.integrations.throttled")} <Time at={integration.throttledUntil} />
            </Tag>
          )}
          <Tag tone={integrationTones[state]}>{t(`admin.integrations.states.${state}`)}</Tag>
        </div>
      </div>
      <dl className="facts">
        <dt>{t("admin.integrations.address")}</dt>
        <dd>{integration.scim?.baseUrl}</dd>
        <dt>{t("admin.integrations.access")}</dt>
        <dd>{t(`admin.integrations.accesses.${integration.access ?? "INTEGRATION_ACCESS_UNSPECIFIED"}`)}</dd>
        <dt>{t("admin.integrations.waiting")}</dt>
        <dd>
          {integration.waitingOperations ?? 0}
          {integration.oldestWaitTime && (
            <>
              , {t("admin.integrations.oldest")} <Time at={integration.oldestWaitTime} relative />
            </>
          )}
        </dd>
        {!!integration.lookedAtAccounts && (
          <>
            <dt>{t("admin.integrations.looks")}</dt>
            <dd>
              {integration.lookedAtAccounts}
              {!!integration.failedLooks && `, ${t("admin.integrations.failedLooks", { count: integration.failedLooks })}`}
              {integration.lookError && <span className="pre">: {integration.lookError}</span>}
            </dd>
          </>
        )}
        <dt>{t("admin.integrations.report")}</dt>
        <dd>
          {integration.testTime ? <Time at={integration.testTime} /> : t("admin.integrations.never")}
          {integration.stateDetail && <div className="pre small">{integration.stateDetail}</div>}
        </dd>
      </dl>
      {test.error && <ProblemNote error={test.error} />}
      {changes && (
        <div className="row">
          <Button isPending={test.isPending} onPress={() => test.mutate({ params: { path: { id } } })} aria-label={t("admin.integrations.testWhat", { name: integration.name })}>
            {t("admin.integrations.test")}
          </Button>
          <EditIntegration integration={integration} />
          <DeleteIntegration integration={integration} />
        </div>
      )}
    </section>
  );
}
