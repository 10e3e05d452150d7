import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useIsOrganizationAdmin } from "@/api/me";
import { Copy } from "@/components/Copy";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Time } from "@/components/Time";
import { inWords } from "@/api/period";
import { EditOrganization } from "./EditOrganization";

/** What holds for the whole organization. */
export function Organization() {
  const { t, i18n } = useTranslation();
  const may = useIsOrganizationAdmin();
  const found = api.useQuery("get", "/v1/organization", {});
  const organization = found.data?.organization;
  return (
    <Page title={t("admin.pages.organization")} lead={t("admin.organization.lead")} actions={may && organization && <EditOrganization organization={organization} />}>
      {found.isPending && <Loading rows={2} />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {organization && (
        <section className="card" aria-label={organization.name}>
          <dl className="facts">
            <dt>{t("admin.name")}</dt>
            <dd>{organization.name}</dd>
            <dt>{t("admin.organization.signInName")}</dt>
            <dd>{organization.signInName}</dd>
            <dt>{t("admin.organization.suspended")}</dt>
            <dd>
              {organization.removeSuspendedAfter
                ? t("admin.organization.removedAfter", { time: inWords(organization.removeSuspendedAfter, i18n.language) })
                : t("admin.organization.stay")}
            </dd>
            <dt>{t("admin.organization.since")}</dt>
            <dd>
              <Time at={organization.createTime ?? ""} />
            </dd>
          </dl>
          <Copy label={t("admin.organization.address")} value={`${globalThis.location.origin}/sign-in?organization=${encodeURIComponent(organization.signInName ?? "")}`} />
        </section>
      )}
    </Page>
  );
}
