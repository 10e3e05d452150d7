import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { EditIntegration } from "./EditIntegration";
import { IntegrationCard } from "./IntegrationCard";

/** The connectors to apps: whether each works, and what waits on it. */
export function Integrations() {
  const { t } = useTranslation();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useInfiniteQuery("get", "/v1/integrations", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  const all = found.data?.pages.flatMap((p) => p.integrations ?? []) ?? [];
  return (
    <Page title={t("admin.pages.integrations")} lead={t("admin.integrations.lead")} actions={changes && <EditIntegration />}>
      {found.isPending && <Loading />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && all.length === 0 && <Empty title={t("admin.integrations.none")} />}
      {all.map((integration) => (
        <IntegrationCard key={integration.id} integration={integration} changes={changes} />
      ))}
      <More list={found} />
    </Page>
  );
}
