import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { EditProvider } from "./EditProvider";
import { ProviderCard } from "./ProviderCard";

/** Where people sign in, by name. */
export function IdentityProviders() {
  const { t } = useTranslation();
  const may = useHasRole("ROLE_ADMIN");
  const found = api.useInfiniteQuery("get", "/v1/identityProviders", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  const all = found.data?.pages.flatMap((p) => p.identityProviders ?? []) ?? [];
  return (
    <Page title={t("admin.pages.identityProviders")} lead={t("admin.providers.lead")} actions={may && <EditProvider />}>
      {found.isPending && <Loading />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && all.length === 0 && <Empty title={t("admin.providers.none")} />}
      {all.map((provider) => (
        <ProviderCard key={provider.id} provider={provider} may={may} />
      ))}
      <More list={found} />
    </Page>
  );
}
