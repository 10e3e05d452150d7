import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { fieldErrors } from "@/api/fields";
import { useAppNames } from "@/api/names";
import { pageByPage } from "@/api/pages";
import { Chosen, ChosenPeople } from "@/components/Chosen";
import { Empty } from "@/components/Empty";
import { FindApp } from "@/components/Find";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { TextBox } from "@/components/TextBox";
import { Entry } from "./Entry";
import { type AuditFilters, dayOf, startOf } from "./filters";

const route = getRouteApi("/shell/admin/audit");

/** What has happened, newest first. */
export function Audit() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { by, person, app, request, event, from, to } = search;
  const filter = (change: AuditFilters) => void navigate({ to: "/admin/audit", search: { ...search, ...change }, replace: true });
  const entries = api.useInfiniteQuery(
    "get",
    "/v1/auditEntries",
    { params: { query: { actorId: by, userId: person, appId: app, requestId: request, event, since: startOf(from), before: startOf(to, 1), pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const all = entries.data?.pages.flatMap((p) => p.auditEntries ?? []) ?? [];
  const names = useAppNames([...(app ? [app] : []), ...new Set(all.map((e) => e.appId ?? "").filter(Boolean))]);
  const errors = fieldErrors(entries.error, ["since", "before", "event"]);
  const filtered = by ?? person ?? app ?? request ?? event ?? from ?? to;
  const everything = (
    <Link to="/admin/audit" className="button">
      {t("admin.withoutFilters")}
    </Link>
  );
  return (
    <Page title={t("admin.pages.audit")} lead={t("admin.audit.lead")} actions={filtered && everything}>
      <div className="columns">
        <ChosenPeople label={t("admin.audit.by")} anybody one ids={by ? [by] : []} onChange={([id]) => filter({ by: id })} />
        <ChosenPeople label={t("admin.audit.about")} anybody one ids={person ? [person] : []} onChange={([id]) => filter({ person: id })} />
        <div className="stack tight">
          <FindApp label={t("ask.app")} onFind={(found) => filter({ app: found.id })} />
          <Chosen label={t("ask.app")} ids={app ? [app] : []} names={names} onChange={() => filter({ app: undefined })} />
        </div>
        <SearchBox label={t("admin.audit.event")} placeholder="grant, grant.activated" value={event ?? ""} onChange={(words) => filter({ event: words?.trim() || undefined })} />
        <TextBox label={t("admin.audit.from")} type="date" value={from ?? ""} onChange={(day) => filter({ from: dayOf(day) })} error={errors.of.since} />
        <TextBox label={t("admin.audit.to")} type="date" value={to ?? ""} onChange={(day) => filter({ to: dayOf(day) })} error={errors.of.before} />
      </div>
      {request && (
        <p className="note">
          {t("admin.audit.ofRequest")}{" "}
          <Link to="/requests/$id" params={{ id: request }}>
            {t("admin.audit.toRequest")}
          </Link>
        </p>
      )}
      <Rows list={entries} of={(p) => p.auditEntries} id={(entry) => entry.eventId} shown={errors.shown} empty={<Empty title={t(filtered ? "admin.noneFound" : "admin.audit.none")}>{filtered && everything}</Empty>}>
        {(entry) => <Entry entry={entry} app={names(entry.appId ?? "")} />}
      </Rows>
    </Page>
  );
}
