import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { AddSource } from "./AddSource";
import { SourceCard } from "./SourceCard";

/** Where people come from, by name. */
export function Sources() {
  const { t } = useTranslation();
  const may = useHasRole("ROLE_ADMIN");
  const sources = api.useInfiniteQuery("get", "/v1/sources", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  const all = sources.data?.pages.flatMap((p) => p.sources ?? []) ?? [];
  return (
    <Page title={t("admin.pages.sources")} lead={t("admin.sources.lead")} actions={may && <AddSource />}>
      {sources.isPending && <Loading />}
      {sources.error && <ProblemNote error={sources.error} again={() => void sources.refetch()} />}
      {sources.data && all.length === 0 && <Empty title={t("admin.sources.none")} />}
      {all.map((source) => (
        <SourceCard key={source.id} source={source} />
      ))}
      <More list={sources} />
    </Page>
  );
}
