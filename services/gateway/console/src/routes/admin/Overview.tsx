import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { refetchInterval } from "@/api/pages";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";

/** What needs attention. */
export function Overview() {
  const { t } = useTranslation();
  const stuck = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_OPEN", filter: "waitsForReviewer = true", pageSize: 10 } } }, { refetchInterval });
  return (
    <Page title={t("admin.pages.overview")}>
      <section className="stack tight" aria-labelledby="stuck">
        <h2 id="stuck">{t("admin.nobodyDecides")}</h2>
        {stuck.isPending && <Loading rows={1} />}
        {stuck.error && <ProblemNote error={stuck.error} />}
        {stuck.data?.requests?.length === 0 && <p className="quiet">{t("admin.nothing")}</p>}
        {!!stuck.data?.requests?.length && (
          <ul className="list">
            {stuck.data.requests.map((request) => (
              <RequestLine key={request.id} request={request} />
            ))}
          </ul>
        )}
      </section>
    </Page>
  );
}
