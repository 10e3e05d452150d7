import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { NotYours } from "../NotYours";
import { FlowForm } from "./FlowForm";

const route = getRouteApi("/shell/admin/flows/$id/change");

/** Changes a flow as it was when the page opened. */
export function EditFlow() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useQuery("get", "/v1/flows/{id}", { params: { path: { id } } });
  const flow = found.data?.flow;
  if (!changes) return <NotYours />;
  return (
    <Page title={flow ? t("admin.changeWhat", { name: flow.name }) : t("admin.flows.one")}>
      {found.isPending && <Loading />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {flow && <FlowForm key={flow.id} flow={flow} />}
    </Page>
  );
}

/** Makes a flow. */
export function NewFlow() {
  const { t } = useTranslation();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  if (!changes) return <NotYours />;
  return (
    <Page title={t("admin.flows.add")}>
      <FlowForm />
    </Page>
  );
}
