import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeldPages } from "@/components/held";
import { Page } from "@/components/Page";
import { RequestLine } from "@/components/RequestLine";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { WorkItemLine } from "@/components/WorkItemLine";
import { NotFound } from "@/routes/not-found/NotFound";
import { ticketViews } from "./ticketViews";
import { Views } from "./Views";

const route = getRouteApi("/shell/tasks/$view");

/** Requests that the caller decides, or of the apps that they run or approve; and what is to be done by hand in those. */
export function Tickets() {
  const { view } = route.useParams();
  const external = useHasRole("ROLE_EXTERNAL");
  if (view === "work" && !external) return <Work />;
  return view === "open" || view === "closed" || view === "action" ? <Requests key={view} view={view} /> : <NotFound />;
}

function Requests({ view }: { view: keyof typeof ticketViews }) {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const query = { view: ticketViews[view], search: q, pageSize: 50 } as const;
  const requests = api.useInfiniteQuery("get", "/v1/requests", { params: { query } }, { ...pageByPage, placeholderData: keepPreviousData });
  return (
    <Page title={t("nav.tasks")} lead={t(view === "action" ? "task.actionLead" : "task.ticketsLead")}>
      <Views q={q} />
      <SearchBox label={t("admin.requests.words")} placeholder={t("admin.requests.wordsHint")} value={q} onChange={(words) => void navigate({ to: "/tasks/$view", params: { view }, search: { q: words }, replace: true })} />
      <Rows list={requests} of={(p) => p.requests} id={(request) => request.id} empty={<Empty title={t("task.noTickets")} />}>
        {(request) => <RequestLine request={request} history />}
      </Rows>
    </Page>
  );
}

function Work() {
  const { t } = useTranslation();
  const items = api.useInfiniteQuery("get", "/v1/workItems", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  const { list, hold } = useHeldPages(items, "workItems");
  return (
    <Page title={t("nav.tasks")} lead={t("task.workLead")}>
      <Views />
      <HoldingRows value={hold}>
        <Rows list={list} of={(p) => p.workItems} id={(item) => item.id} empty={<Empty title={t("admin.work.none")} />}>
          {(item) => <WorkItemLine item={item} whose runs />}
        </Rows>
      </HoldingRows>
    </Page>
  );
}
