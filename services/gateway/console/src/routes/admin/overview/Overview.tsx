import { useState } from "react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useWhole } from "@/api/me";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";
import { Time } from "@/components/Time";
import { Latencies } from "./Latencies";
import { Tile } from "./Tile";

/** How many are counted; more are "100+". */
const most = 100;
const week = 7 * 24 * 3600 * 1000;

/** What needs attention. */
export function Overview() {
  const { t } = useTranslation();
  const whole = useWhole();
  // Not anew at each look: it is part of what is asked for.
  const [inAWeek] = useState(() => new Date(Date.now() + week).toISOString());
  const requests = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_OPEN", orderBy: "createTime", pageSize: most } } });
  const stuck = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_OPEN", filter: "waitsForReviewer = true", pageSize: most } } });
  const joiners = api.useQuery("get", "/v1/checklists", { params: { query: { kind: "CHECKLIST_KIND_ONBOARDING", pageSize: 1 } } });
  const leavers = api.useQuery("get", "/v1/checklists", { params: { query: { kind: "CHECKLIST_KIND_OFFBOARDING", pageSize: 1 } } });
  const failed = api.useQuery("get", "/v1/workItems", { params: { query: { kind: "WORK_ITEM_KIND_FIX_OPERATION", pageSize: most } } });
  const work = api.useQuery("get", "/v1/workItems", { params: { query: { pageSize: most } } });
  const parked = api.useQuery("get", "/v1/parkedEvents", { params: { query: { pageSize: most } } }, { enabled: whole });
  const ending = api.useQuery("get", "/v1/grants", { params: { query: { state: "GRANT_STATE_ACTIVE", filter: `until < "${inAWeek}"`, pageSize: most } } });
  const problem = [requests, stuck, joiners, leavers, failed, work, ending].find((q) => q.error);
  const oldest = (at: string | undefined) => at && (
    <>
      {t("admin.overview.oldest")} <Time at={at} relative />
    </>
  );
  const overdue = (count: number | undefined) => !!count && t("admin.checklists.overdueCount", { count });
  const soon = (ending.data?.grants ?? []).toSorted((a, b) => (a.until ?? "").localeCompare(b.until ?? ""));
  return (
    <Page title={t("admin.pages.overview")}>
      {problem && <ProblemNote error={problem.error} again={() => void problem.refetch()} />}
      <ul className="tiles" aria-label={t("admin.overview.attention")}>
        <Tile label={t("admin.overview.open")} count={requests.data?.requests?.length} more={!!requests.data?.nextPageToken} to="/admin/requests">
          {oldest(requests.data?.requests?.[0]?.createTime)}
        </Tile>
        <Tile label={t("admin.overview.stuck")} count={stuck.data?.requests?.length} more={!!stuck.data?.nextPageToken} bad to="/admin" hash="stuck" />
        <Tile label={t("admin.overview.joiners")} count={joiners.data?.totalSize} to="/admin/checklists" search={{ kind: "CHECKLIST_KIND_ONBOARDING" }}>
          {overdue(joiners.data?.overdueSize)}
        </Tile>
        <Tile label={t("admin.overview.leavers")} count={leavers.data?.totalSize} bad to="/admin/checklists" search={{ kind: "CHECKLIST_KIND_OFFBOARDING" }}>
          {overdue(leavers.data?.overdueSize)}
        </Tile>
        <Tile
          label={t("admin.overview.failed")}
          count={failed.data?.workItems?.length}
          more={!!failed.data?.nextPageToken}
          bad
          to="/admin/work-items"
          search={{ kind: "WORK_ITEM_KIND_FIX_OPERATION" }}
        >
          {oldest(failed.data?.workItems?.[0]?.createTime)}
        </Tile>
        <Tile label={t("admin.overview.work")} count={work.data?.workItems?.length} more={!!work.data?.nextPageToken} to="/admin/work-items">
          {oldest(work.data?.workItems?.[0]?.createTime)}
        </Tile>
        {whole && !parked.error && <Tile label={t("admin.overview.parked")} count={parked.data?.parkedEvents?.length} more={!!parked.data?.nextPageToken} bad to="/admin/parked-events" />}
      </ul>
      {!!stuck.data?.requests?.length && (
        <section className="stack tight" aria-labelledby="stuck">
          <h2 id="stuck">{t("admin.nobodyDecides")}</h2>
          <ul className="list">
            {stuck.data.requests.slice(0, 10).map((request) => (
              <RequestLine key={request.id} request={request} />
            ))}
          </ul>
        </section>
      )}
      <section className="stack tight" aria-labelledby="longest">
        <h2 id="longest">{t("admin.overview.longestOpen")}</h2>
        {requests.data?.requests?.length === 0 && <p className="quiet">{t("admin.nothing")}</p>}
        {!!requests.data?.requests?.length && (
          <ul className="list">
            {requests.data.requests.slice(0, 5).map((request) => (
              <RequestLine key={request.id} request={request} />
            ))}
          </ul>
        )}
      </section>
      <section className="stack tight" aria-labelledby="ending">
        <h2 id="ending">{t("admin.overview.ending", { number: soon.length === most ? `${most}+` : soon.length })}</h2>
        {ending.data && soon.length === 0 && <p className="quiet">{t("admin.nothing")}</p>}
        {soon.length > 0 && (
          <ul className="list">
            {soon.slice(0, 5).map((g) => (
              <li key={g.id}>
                <span className="what">
                  <Link to="/admin/people/$id" params={{ id: g.user?.userId ?? "" }}>
                    {g.user?.displayName}
                  </Link>
                  <span className="quiet small">
                    {g.appName} · {g.entitlementName}
                  </span>
                </span>
                <span>
                  {t("ends")} <Time at={g.until!} relative />
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
      <Latencies />
    </Page>
  );
}
