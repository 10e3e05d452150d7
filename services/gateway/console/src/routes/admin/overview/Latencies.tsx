import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { span } from "./span";

/** How long people and events have waited in the last day. */
export function Latencies() {
  const { t, i18n } = useTranslation();
  const found = api.useQuery("get", "/v1/latencies");
  const said = (duration: string | undefined) => (duration ? span(duration, i18n.language) : t("admin.overview.unknown"));
  return (
    <section className="stack tight" aria-labelledby="latencies">
      <h2 id="latencies">{t("admin.overview.latencies")}</h2>
      <p className="quiet">{t("admin.overview.latenciesText")}</p>
      {found.isPending && <Loading rows={1} />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && (
        <div className="scroll" tabIndex={0} role="group" aria-labelledby="latencies">
          <table className="figures">
            <thead>
              <tr>
                <th scope="col">{t("admin.overview.fromTo")}</th>
                <th scope="col">{t("admin.overview.p50")}</th>
                <th scope="col">{t("admin.overview.p99")}</th>
                <th scope="col">{t("admin.overview.longest")}</th>
                <th scope="col">{t("admin.overview.measured")}</th>
              </tr>
            </thead>
            <tbody>
              {(found.data.latencies ?? []).map((l) => (
                <tr key={l.kind}>
                  <th scope="row">{t(`admin.overview.kinds.${l.kind ?? "LATENCY_KIND_UNSPECIFIED"}`)}</th>
                  <td>{said(l.p50)}</td>
                  <td>{said(l.p99)}</td>
                  <td>{said(l.longest)}</td>
                  <td>{new Intl.NumberFormat(i18n.language).format(l.count ?? 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
