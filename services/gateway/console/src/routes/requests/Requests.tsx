import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { CountOf } from "@/components/CountOf";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { RequestLine } from "@/components/RequestLine";
import { Rows } from "@/components/Rows";

const route = getRouteApi("/shell/requests");

/** The caller's open and closed requests. */
export function Requests() {
  const { t } = useTranslation();
  const { closed } = route.useSearch();
  const view = closed ? "REQUEST_VIEW_MY_CLOSED" : "REQUEST_VIEW_MY_OPEN";
  const requests = api.useInfiniteQuery("get", "/v1/requests", { params: { query: { view, pageSize: 50 } } }, { ...pageByPage });
  return (
    <Page
      title={t("nav.requests")}
      actions={
        <Link to="/ask" className="button" data-kind="main">
          {t("home.ask")}
        </Link>
      }
    >
      <nav className="tabs" aria-label={t("nav.requests")}>
        <Link to="/requests" search={{}} activeOptions={{ exact: true, includeSearch: true }}>
          {t("request.open")}
          <CountOf query={{ view: "REQUEST_VIEW_MY_OPEN" }} />
        </Link>
        <Link to="/requests" search={{ closed: true }} activeOptions={{ exact: true, includeSearch: true }}>
          {t("request.closed")}
          <CountOf query={{ view: "REQUEST_VIEW_MY_CLOSED" }} />
        </Link>
      </nav>
      <Rows
        list={requests}
        of={(p) => p.requests}
        id={(request) => request.id}
        empty={
          <Empty title={closed ? t("request.noneClosed") : t("home.noRequests")}>
            <Link to="/catalog" className="button">
              {t("home.look")}
            </Link>
          </Empty>
        }
      >
        {(request) => <RequestLine request={request} history />}
      </Rows>
    </Page>
  );
}
