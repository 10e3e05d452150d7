import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { checklistKinds } from "@/api/kinds";
import { pageByPage } from "@/api/pages";
import { Check } from "@/components/Check";
import { ChosenPeople } from "@/components/Chosen";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { SelectOrNone } from "@/components/Select";
import { ChecklistLine } from "./ChecklistLine";
import { Deadlines } from "./Deadlines";
import { type ChecklistSearch, exportAddress } from "./search";

const route = getRouteApi("/shell/admin/checklists");

/** Who is joining and who is leaving, what is late first. */
export function Checklists() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate();
  const filter = (change: Partial<ChecklistSearch>) => void navigate({ to: "/admin/checklists", search: { ...search, ...change }, replace: true });
  const { kind, user, closed, overdue } = search;
  const lists = api.useInfiniteQuery(
    "get",
    "/v1/checklists",
    { params: { query: { kind, userId: user, closed, overdue, pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const all = lists.data?.pages.flatMap((p) => p.checklists ?? []) ?? [];
  const counted = lists.data?.pages[0];
  const filtered = Object.keys(search).length > 0;
  return (
    <Page
      title={t("admin.pages.checklists")}
      lead={t("admin.checklists.lead")}
      actions={
        <>
          <a className="button" href={exportAddress(search, "csv")} download>
            {t("admin.checklists.csv")}
          </a>
          <a className="button" href={exportAddress(search, "xlsx")} download>
            {t("admin.checklists.xlsx")}
          </a>
        </>
      }
    >
      <Deadlines />
      <nav className="tabs" aria-label={t("admin.pages.checklists")}>
        <Link to="/admin/checklists" search={{ ...search, closed: undefined }} activeOptions={{ exact: true, includeSearch: true }} replace>
          {t("admin.checklists.open")}
        </Link>
        <Link to="/admin/checklists" search={{ ...search, closed: true, overdue: undefined }} activeOptions={{ exact: true, includeSearch: true }} replace>
          {t("admin.checklists.closed")}
        </Link>
      </nav>
      <div className="filters">
        <SelectOrNone
          label={t("admin.checklists.kind")}
          value={kind}
          onChange={(kind) => filter({ kind })}
          none={t("admin.checklists.both")}
          choices={checklistKinds.map((k) => [k, t(`admin.checklists.kinds.${k}`)])}
        />
        {!closed && (
          <Check isSelected={overdue ?? false} onChange={(on) => filter({ overdue: on || undefined })}>
            {t("admin.checklists.overdueOnly")}
          </Check>
        )}
      </div>
      <ChosenPeople label={t("request.beneficiary")} hint={t("ask.personHint")} anybody one ids={user ? [user] : []} onChange={([id]) => filter({ user: id })} />
      {counted && all.length > 0 && (
        <p className="quiet" role="status">
          {t("admin.checklists.count", { count: counted.totalSize ?? 0 })}
          {!!counted.overdueSize && ` · ${t("admin.checklists.overdueCount", { count: counted.overdueSize })}`}
        </p>
      )}
      <Rows
        list={lists}
        of={(p) => p.checklists}
        id={(list) => list.id}
        empty={
          <Empty title={t(filtered ? "admin.checklists.nothing" : "admin.checklists.none")}>
            {filtered && (
              <Link to="/admin/checklists" search={{}} className="button">
                {t("admin.checklists.all")}
              </Link>
            )}
          </Empty>
        }
      >
        {(list) => <ChecklistLine list={list} />}
      </Rows>
    </Page>
  );
}
