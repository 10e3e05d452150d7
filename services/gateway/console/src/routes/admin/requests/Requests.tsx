import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useAppNames } from "@/api/names";
import { pageByPage } from "@/api/pages";
import { Chosen, ChosenPeople } from "@/components/Chosen";
import { CountOf } from "@/components/CountOf";
import { Empty } from "@/components/Empty";
import { FindApp } from "@/components/Find";
import { Page } from "@/components/Page";
import { RequestLine } from "@/components/RequestLine";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Select } from "@/components/Select";
import { type RequestFilters, shownStates, views } from "./filters";

const route = getRouteApi("/shell/admin/requests");

/** All requests, open and closed. */
export function Requests() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { view = "open", state, app, person, q } = search;
  const filter = (change: RequestFilters) => void navigate({ to: "/admin/requests", search: { ...search, ...change }, replace: true });
  const filters = { state, appId: app, beneficiaryId: person, search: q };
  const requests = api.useInfiniteQuery(
    "get",
    "/v1/requests",
    {
      params: {
        query: {
          view: views[view],
          ...filters,
          pageSize: 50,
        },
      },
    },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const names = useAppNames(app ? [app] : []);
  const filtered = state ?? app ?? person ?? q;
  return (
    <Page title={t("admin.pages.requests")}>
      <nav className="tabs" aria-label={t("admin.pages.requests")}>
        {(Object.keys(views) as (keyof typeof views)[]).map((v) => (
          <Link key={v} to="/admin/requests" search={{ ...search, state: undefined, view: v === "open" ? undefined : v }} activeProps={{}} aria-current={v === view ? "page" : undefined}>
            {t(`admin.requests.views.${v}`)}
            {/* A state belongs to the view that it was chosen in. */}
            <CountOf query={{ ...filters, state: v === view ? state : undefined, view: views[v] }} />
          </Link>
        ))}
      </nav>
      <div className="columns">
        <SearchBox label={t("admin.requests.words")} placeholder={t("admin.requests.wordsHint")} value={q ?? ""} onChange={(words) => filter({ q: words || undefined })} />
        <Select
          label={t("admin.requests.state")}
          value={state ?? "any"}
          onChange={(next) => filter({ state: next === "any" ? undefined : next })}
          choices={{ any: t("admin.any"), ...shownStates(view, (s) => t(`requestStates.${s}`)) }}
        />
        <div className="stack tight">
          <FindApp label={t("ask.app")} onFind={(found) => filter({ app: found.id })} />
          <Chosen label={t("ask.app")} ids={app ? [app] : []} names={names} onChange={() => filter({ app: undefined })} />
        </div>
        <ChosenPeople label={t("request.beneficiary")} hint={t("ask.personHint")} anybody one ids={person ? [person] : []} onChange={([id]) => filter({ person: id })} />
      </div>
      <Rows
        list={requests}
        of={(p) => p.requests}
        id={(request) => request.id}
        empty={
          <Empty title={t(filtered ? "admin.noneFound" : "admin.requests.none")}>
            {filtered && (
              <Link to="/admin/requests" className="button">
                {t("admin.withoutFilters")}
              </Link>
            )}
          </Empty>
        }
      >
        {(request) => <RequestLine request={request} history />}
      </Rows>
    </Page>
  );
}
