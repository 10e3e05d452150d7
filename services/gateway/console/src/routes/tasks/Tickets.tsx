import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";
import { WorkItemLine } from "@/components/WorkItemLine";
import { NotFound } from "@/routes/not-found/NotFound";
import { Views } from "./Views";

const route = getRouteApi("/shell/tasks/$view");

/** Requests that the caller decides, or of the apps that they run or approve; and what is to be done by hand in those. */
export function Tickets() {
  const { view } = route.useParams();
  const external = useHasRole("ROLE_EXTERNAL");
  if (view === "work" && !external) return <Work />;
  return view === "open" || view === "closed" ? <Requests key={view} view={view} /> : <NotFound />;
}

function Requests({ view }: { view: "open" | "closed" }) {
  const { t } = useTranslation();
  const query = { view: view === "open" ? "REQUEST_VIEW_OPEN" : "REQUEST_VIEW_CLOSED", pageSize: 50 } as const;
  const requests = api.useInfiniteQuery("get", "/v1/requests", { params: { query } }, { ...pageByPage });
  const all = requests.data?.pages.flatMap((p) => p.requests ?? []) ?? [];
  return (
    <Page title={t("nav.tasks")} lead={t("task.ticketsLead")}>
      <Views />
      {requests.isPending && <Loading />}
      {requests.error && <ProblemNote error={requests.error} again={() => void requests.refetch()} />}
      {requests.data && all.length === 0 && <Empty title={t("task.noTickets")} />}
      {all.length > 0 && (
        <ul className="list">
          {all.map((request) => (
            <RequestLine key={request.id} request={request} />
          ))}
        </ul>
      )}
      <More list={requests} />
    </Page>
  );
}

function Work() {
  const { t } = useTranslation();
  const items = api.useInfiniteQuery("get", "/v1/workItems", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  const all = items.data?.pages.flatMap((p) => p.workItems ?? []) ?? [];
  return (
    <Page title={t("nav.tasks")} lead={t("task.workLead")}>
      <Views />
      {items.isPending && <Loading />}
      {items.error && <ProblemNote error={items.error} again={() => void items.refetch()} />}
      {items.data && all.length === 0 && <Empty title={t("admin.work.none")} />}
      {all.length > 0 && (
        <ul className="list">
          {all.map((item) => (
            <WorkItemLine key={item.id} item={item} whose runs />
          ))}
        </ul>
      )}
      <More list={items} />
    </Page>
  );
}
